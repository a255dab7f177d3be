"""One trace for all sizes: Keras's step of a model whose sizes are symbols.

In: models of the same classes and functions (`Structure.code`) whose steps were traced at sizes of their own.
Out: `Uniform`, which knows for other sizes that the step does the same, and what is a model's own in a
program that several share. Nothing of such a model is traced.

Why that is so: one model is traced again, with a symbol of JAX's in the place of each size, in its variables
and wherever its objects hold the number. JAX refuses a comparison that does not come out the same for all
sizes; so does code that wants a plain number. The result, with each traced model's sizes for the symbols,
must be that model's own step, operation by operation. JAX takes two different expressions for unequal: where
a model's sizes make two of them equal that were compared, or two lengths of axes, nothing is known of it, and
it is traced.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from fairlane.engines.program.outline import programs_in
from fairlane.engines.program.sizes.jax_private import is_symbolic, taken_for_unequal, value_at
from fairlane.engines.program.sizes.spelled import spelled
from fairlane.engines.program.sizes.symbols import Env, NotAPattern, Pattern, Term
from fairlane.engines.program.sizes.table import Row, Table
from fairlane.engines.program.structure import Structure
from fairlane.engines.program.tracing import Kind, Step, batch_of, step_function, traced
from fairlane.trials import State


@dataclass(frozen=True, eq=False)
class Seen:
    """A model whose steps were traced.

    Attributes:
        structure: of the model.
        state: the shapes and dtypes of its state.
        steps: its own.
    """

    structure: Structure
    state: State
    steps: Mapping[Kind, Step]


@dataclass(frozen=True, eq=False)
class Uniform:
    """What a step does, whatever the sizes.

    Attributes:
        pattern: how the sizes of a model follow from symbols.
        state: for each array of the state its dtype, and for each of its axes a `Term` or a constant.
        kinds: which steps are known.
        lengths: of all axes in the steps: constants, and symbolic dimensions.
        unequal: pairs of lengths, or of numbers made of them, that were taken for unequal.
        values: symbolic dimensions that an operation may need, sums of them included.
        numbers: the places of floats, with their signs: a step may do something else for others.
    """

    pattern: Pattern
    state: Sequence[tuple[str, tuple[Any, ...]]]
    kinds: frozenset[Kind]
    lengths: frozenset[Any]
    unequal: Sequence[tuple[Any, Any]]
    values: frozenset[Any]
    numbers: Mapping[Any, Any]

    @classmethod
    def of(cls, models: Sequence[Seen], model: keras.Model, kinds: Sequence[Kind]) -> Uniform | None:
        """What the steps of some models have in common.

        Args:
            models: whose steps were traced, at other sizes each.
            model: the last one's, in whose session this is called.
            kinds: which steps.

        Returns:
            None where it is not known for all sizes.
        """
        try:
            pattern = Pattern.of([one.structure.sizes for one in models])
            state = _state_of(models, pattern)
            # JAX's caches compare what happens to stand near each other in them: not the same, twice.
            _, once = _with_symbols(models[-1], model, pattern, state, kinds)
            steps, unequal = _with_symbols(models[-1], model, pattern, state, kinds)
        except Exception:  # code that wants a plain number may raise anything
            return None
        asked, alike = set(map(str, once)), 0
        pairs = [pair for pair in dict.fromkeys(unequal) if str(pair) in asked]
        for one in models:
            env = pattern.env(one.structure.sizes)
            if env is None:
                return None
            if not _any_equal(pairs, env):  # else other code may have run
                alike += 1
                if any(not _is_alike(steps[kind], one.steps[kind], env) for kind in kinds):
                    return None
        if alike < 2:
            return None
        programs = [step.program.jaxpr for step in steps.values()]
        lengths, values = frozenset(_lengths(programs)), frozenset(_values(programs))
        numbers = {path: _sign(value) for path, value in models[-1].structure.numbers.items()}
        return cls(pattern, state, frozenset(kinds), lengths, pairs, values, numbers)

    def env(self, structure: Structure, state: State) -> Env | None:
        """The symbols' values for a model; None where it is not of this pattern.

        Args:
            structure: of the model.
            state: the shapes and dtypes of its state.
        """
        env = self.pattern.env(structure.sizes)
        if env is None or len(self.state) != len(state.flat()):
            return None
        for (dtype, axes), array in zip(self.state, state.flat(), strict=True):
            shape = tuple(axis.at(env) if isinstance(axis, Term) else axis for axis in axes)
            if shape != tuple(array.shape) or dtype != str(array.dtype):
                return None
        return env

    def covers(self, structure: Structure, state: State, kinds: Sequence[Kind]) -> bool:
        """Whether the steps of a model are known to do the same.

        Args:
            structure: of the model.
            state: the shapes and dtypes of its state.
            kinds: which steps.
        """
        env = self.env(structure, state)
        if env is None or not self.kinds.issuperset(kinds):
            return False
        if {path: _sign(value) for path, value in structure.numbers.items()} != self.numbers:
            return False
        lengths = [_at(length, env) for length in self.lengths]
        return len(set(lengths)) == len(lengths) and not _any_equal(self.unequal, env)

    def rows(self, table: Table, envs: Sequence[Env]) -> Callable[[Env], Row | None] | None:
        """What another model has of its own in a program of several.

        Args:
            table: what the models of the program have of their own.
            envs: the symbols' values for these models.

        Returns:
            A function of the symbols' values for the other model, which gives None where they leave it open;
            or None where it is not known for any model.
        """
        columns = [*table.integers, *table.numbers]
        found: dict[tuple[float, ...], list[Any]] = {}
        for value in self.values:
            found.setdefault(tuple(_at(value, env) for env in envs), []).append(value)
        whole = [tuple(int(v) if float(v).is_integer() else v for v in column) for column in columns]
        if any(column not in found for column in whole) or all(_any_equal(self.unequal, env) for env in envs):
            return None

        def row(env: Env) -> Row | None:
            own = {column: {_at(value, env) for value in values} for column, values in found.items()}
            # To the program, values that are equal in the models that it was made of are one value.
            if any(len(one) > 1 or not _has_room(min(one), column) for column, one in own.items()):
                return None
            values = [min(own[column]) for column in whole]
            integers, numbers = values[: len(table.integers)], values[len(table.integers) :]
            if any(value > _EXACT for value in numbers):
                return None
            return integers, [float(value) for value in numbers]

        return row


def _has_room(value: float, column: Sequence[float]) -> bool:
    """Whether a program that was made for some values (of a product of sizes, say) is right for another.

    It has constants where these are equal, and arrays of the largest.
    """
    low, high = min(column), max(column)
    return low <= value <= high or (low != high and (0 < value < low or high < value < 0))


class Learning:
    """What is known of models of one code, as more of them are traced.

    Attributes:
        skeleton: what their steps do, whatever the sizes.
    """

    def __init__(self) -> None:
        self.skeleton = ""
        self._seen: list[Seen] = []
        self._known: Uniform | None = None
        self._failures = 0

    def known_of(self, structure: Structure, state: State, kinds: Sequence[Kind]) -> Uniform | None:
        """What is known of a model that need not be traced; None where it must be."""
        known = self._known
        return known if known is not None and known.covers(structure, state, kinds) else None

    def add(self, seen: Seen, model: keras.Model, skeleton: str) -> None:
        """Learn from a model that was traced; to be called in its session.

        Args:
            seen: what was traced.
            model: the model.
            skeleton: what its steps do, whatever the sizes.
        """
        if self._seen and skeleton != self.skeleton:
            return  # it does other operations: other numbers decide that, not sizes
        if self._failures == _MOST_FAILURES or len(self._seen) == _MOST_SEEN:
            return
        if self._known is not None and self._known.env(seen.structure, seen.state) is not None:
            return  # it is of the pattern, and two of its sizes happen to be equal
        if any(list(one.structure.sizes) == list(seen.structure.sizes) for one in self._seen):
            return
        self.skeleton = skeleton
        if self._seen:
            known = Uniform.of([*self._seen, seen], model, list(seen.steps))
            self._known = known or self._known
            self._failures += known is None
        # Without what refers to the model, which is kept no longer than its lanes.
        structure = replace(seen.structure, numbers={}, slots={}, size_setters={}, others={})
        self._seen.append(replace(seen, structure=structure))


_MOST_SEEN, _MOST_FAILURES = 8, 2
"""How many models are learned from, and how often in vain. Two may leave open which sizes go together."""

_EXACT = 2**24
"""Whole numbers up to here are exact as 32-bit floats."""


def _state_of(models: Sequence[Seen], pattern: Pattern) -> list[tuple[str, tuple[Any, ...]]]:
    """The state's axes, by the symbols of the sizes."""
    known = len(pattern.columns)
    arrays = zip(*(one.state.flat() for one in models), strict=True)
    state = [
        (str(some[0].dtype), tuple(map(pattern.term, zip(*(a.shape for a in some), strict=True))))
        for some in arrays
    ]
    if len(pattern.columns) > known:
        raise NotAPattern("an array has a size that no object of the model holds")
    return state


def _with_symbols(
    seen: Seen, model: keras.Model, pattern: Pattern, state: Any, kinds: Sequence[Kind]
) -> tuple[dict[Kind, Step], list[tuple[Any, Any]]]:
    """The steps of a model, traced with symbols in the place of its sizes, and what was taken for unequal."""
    symbols = pattern.symbols()

    def put(entry: Any) -> Any:
        if isinstance(entry, tuple):
            return tuple(map(put, entry))
        return entry.of(symbols) if isinstance(entry, Term) else entry

    arrays = [jax.ShapeDtypeStruct(put(axes), dtype) for dtype, axes in state]
    symbolic = State.of_flat(arrays, seen.state.sizes)
    undo: list[Callable[[], None]] = []
    try:
        for place, entry in enumerate(pattern.entries):
            terms = entry if isinstance(entry, tuple) else (entry,)
            if any(isinstance(term, Term) for term in terms):
                if place not in seen.structure.size_setters:
                    raise NotAPattern("a size stands where no other can be put")
                undo.append(seen.structure.size_setters[place](put(entry)))
        with taken_for_unequal(symbols.values()) as unequal:
            steps = {kind: traced(step_function(model, kind), symbolic, batch_of(kind)) for kind in kinds}
        return steps, unequal
    finally:
        for restore in reversed(undo):
            restore()


def _is_alike(symbolic: Step, own: Step, env: Env) -> bool:
    """Whether a step with symbols is a model's own step, with its sizes for the symbols."""
    same_results = str(symbolic.out) == str(own.out)
    return same_results and spelled(symbolic.program, env) == spelled(own.program, {})


def _at(value: Any, env: Env) -> int:
    return value_at(value, env) if is_symbolic(value) else int(value)


def _any_equal(pairs: Sequence[tuple[Any, Any]], env: Env) -> bool:
    """Whether some of what was taken for unequal is equal in a model."""
    return any(_at(one, env) == _at(other, env) for one, other in pairs)


def _sign(value: Any) -> Any:
    """What comparisons of a number mostly ask."""
    return np.sign(value) if np.ndim(value) == 0 else np.shape(value)


def _lengths(programs: Sequence[Jaxpr]) -> set[Any]:
    """The lengths of all axes in programs."""
    found: set[Any] = {0, 1}
    for program in programs:
        for eqn in program.eqns:
            for atom in (*eqn.invars, *eqn.outvars):
                found |= set(getattr(atom.aval, "shape", ()))
            inner = [one for value in eqn.params.values() for one in programs_in(value)]
            found |= _lengths(inner)
    return found


def _values(programs: Sequence[Jaxpr]) -> set[Any]:
    """The symbolic dimensions in programs: axes, parameters, and where the parts of an array begin."""
    found: set[Any] = {length for length in _lengths(programs) if is_symbolic(length)}

    def look(value: Any) -> None:
        if isinstance(value, tuple | list):
            for one in value:
                look(one)
        elif isinstance(value, Mapping):
            look(list(value.values()))
        elif not isinstance(value, ClosedJaxpr | Jaxpr) and is_symbolic(value):
            found.update((value, -value))

    for program in programs:
        for eqn in program.eqns:
            look(list(eqn.params.values()))
            parts: Sequence[Any] = ()
            if eqn.primitive.name == "split":
                parts = eqn.params["sizes"]
            elif eqn.primitive.name == "concatenate":
                parts = [atom.aval.shape[eqn.params["dimension"]] for atom in eqn.invars]
            look(list(itertools.accumulate(parts)))
            found |= _values([one for value in eqn.params.values() for one in programs_in(value)])
    return found
