"""Many trained models, one set of data → what each predicts, or how it does: a program for models alike.

In: how to make each model, and the batches. Out: for each model what ``Model.predict`` or ``Model.evaluate``
gives. Keras's own ``predict_step`` or ``test_step`` of each model is traced. Models whose traces are the same
program (`program.outline`) share one, with their values stacked, mapped over by ``jax.vmap``. Of models that
are known to differ in their values alone, two are traced.

Where a model can't be traced, or runs Python in its step, the caller lets Keras itself do it. So does the
only model of its kind: its program would be the one that Keras makes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import jax.extend
import jax.numpy as jnp
import keras
import numpy as np

from fairlane.engines.eligibility import Unsuitable, refuse_batch, session_reason
from fairlane.engines.lanes.memory import is_out_of_memory, room_for_data
from fairlane.engines.program.outline import outline
from fairlane.engines.program.rewrite import run_for_cpu
from fairlane.engines.program.structure import structure
from fairlane.engines.program.tracing import (
    LOGS,
    Kind,
    Step,
    batch_of,
    kind_of,
    needs_plain_recurrence,
    plain_recurrence,
    same_numbers,
    step_function,
    traced,
)
from fairlane.kit.kept_programs import programs
from fairlane.kit.libraries import home_of, is_keras_class
from fairlane.models import keras_private
from fairlane.models.session import left_as_found
from fairlane.trials import State

Values = list[list[Any]]
"""The values of a model's variables, by groups: trainable, non-trainable, and for a test the metrics'."""

Batches = Callable[[], Iterable[Any]]
"""Gives the batches from the first one on, each time that it is called."""


class Source(Protocol):
    """The models, by their numbers from 0 on."""

    def model(self, number: int) -> keras.Model:
        """The model, each time a new one."""

    def family(self, number: int) -> Hashable | None:
        """Equal for models that are known to differ in their variables' values alone; None: it is unknown.

        It may become known when some of them have been built.
        """

    def values(self, number: int) -> State:
        """The values of a model's variables, where its family is known."""


class Cannot(Exception):
    """A model is left to Keras."""


@dataclass(eq=False)
class _Group:
    """Models that share a program.

    Attributes:
        model: one of them, to trace steps for batches of other shapes.
        numbers: the constants of its program.
        steps: by kind.
        members: the places of the models among all.
        values: those of each.
    """

    model: keras.Model
    numbers: Mapping[Any, Any]
    steps: dict[Kind, Step]
    members: list[int] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)

    def fits(self, values: Values) -> bool:
        """Whether values have the shapes of those that are there."""
        shapes = [[tuple(array.shape) for array in group] for group in values]
        return shapes == [[tuple(array.shape) for array in group] for group in self.values[0]]

    def add(self, number: int, values: Values) -> None:
        """Take a model with these values."""
        self.members.append(number)
        self.values.append(jax.tree.map(np.asarray, values))


class _Work(NamedTuple):
    """What is done with the batches."""

    what: str
    overridden: Callable[[keras.Model], bool]
    values: Callable[[keras.Model], Values]
    stored: Callable[[keras.Model, State], Values]
    function: Callable[[keras.Model, Kind], Callable[..., Any]]


# --- what is asked ----------------------------------------------------------------------------------------


def predictions(source: Source, count: int, batches: Batches) -> list[Any]:
    """What models predict.

    Args:
        source: the models.
        count: how many there are.
        batches: of inputs, as Keras hands them to ``predict_step``.

    Returns:
        For each model its outputs as NumPy arrays, as ``Model.predict`` nests them; None where it is left to
        Keras.
    """
    found: list[Any] = [None] * count
    for group in _grouped(_PREDICT, source, count, batches):
        for members, parts in _run(_PREDICT, group, batches):
            outputs = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays, axis=1), *parts.outputs)
            for place, member in enumerate(members):
                found[member] = keras.tree.map_structure(lambda array, i=place: array[i], outputs)
    return found


def evaluations(
    source: Source, count: int, batches: Batches, own_code: bool = True
) -> list[dict[str, Any] | None]:
    """What models' metrics are on data.

    Args:
        source: as for `predictions`.
        count: as for `predictions`.
        batches: as Keras hands them to ``test_step``.
        own_code: whether models that run code of no known library are evaluated, too, and not left to Keras.

    Returns:
        For each model its logs, as ``Model.evaluate(return_dict=True)`` gives them; None where it is left to
        Keras.
    """
    found: list[dict[str, Any] | None] = [None] * count
    work = _TEST if own_code else _TEST_OF_KNOWN_CODE
    for group in _grouped(work, source, count, batches):
        of_metrics = step_function(group.model, LOGS)
        results = jax.jit(jax.vmap(lambda metrics, f=of_metrics: f(State([], [], [], metrics), None)))
        for members, parts in _run(work, group, batches):
            logs, by_metrics = parts.outputs[-1], results(parts.values[-1])
            logs = jax.tree.map(np.asarray, by_metrics if set(by_metrics) == set(logs) else logs)
            for place, member in enumerate(members):
                found[member] = _plain(jax.tree.map(lambda array, i=place: array[i], logs))
    return found


def _plain(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Keras gives them to its user: flat, in the order of their names, numbers as Python's."""
    flat: dict[str, Any] = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, Mapping):
            flat |= _plain(value)
        else:
            flat[name] = value if np.ndim(value) else float(value)
    return flat


# --- which models share a program -------------------------------------------------------------------------


def _grouped(work: _Work, source: Source, count: int, batches: Batches) -> list[_Group]:
    """The groups of two or more models; the others are left to Keras."""
    if count < 2 or keras.backend.backend() != "jax" or session_reason() or jax.config.jax_disable_jit:
        return []
    first = next(iter(batches()), None)
    if first is None:
        return []
    try:
        refuse_batch("x", first)
    except Unsuitable:
        return []
    groups: dict[str, list[_Group]] = {}
    built: dict[Hashable, list[_Group | None]] = {}
    for number in range(count):
        family = source.family(number)
        group = _proven(built.get(family, [])) if family is not None else None
        if group is not None and group.fits(stored := work.stored(group.model, source.values(number))):
            group.add(number, stored)
            continue
        model = source.model(number)
        group = _group_of(work, model, first, groups)
        if (family := source.family(number)) is not None:
            built.setdefault(family, []).append(group)
        if group is not None:
            group.add(number, work.values(model))
    return [group for alike in groups.values() for group in alike if len(group.members) > 1]


def _proven(built: Sequence[_Group | None]) -> _Group | None:
    """The group of a family of which two models were built, and were in it; None where that is not so."""
    return built[0] if len(built) > 1 and len(set(map(id, built))) == 1 else None


def _group_of(work: _Work, model: keras.Model, batch: Any, groups: dict[str, list[_Group]]) -> _Group | None:
    """The group that a model belongs to, which may be a new one; None where it is left to Keras."""
    try:
        digest, group = _examined(work, model, batch)
    except Cannot:
        return None
    alike = groups.setdefault(digest, [])
    for known in alike:
        if same_numbers(group.numbers, known.numbers):
            return known
    alike.append(group)
    return group


def _examined(work: _Work, model: keras.Model, batch: Any) -> tuple[str, _Group]:
    """A model's program: equal texts, and equal numbers, for models that can share one."""
    if model.run_eagerly or not model.jit_compile or work.overridden(model):
        raise Cannot
    kind = kind_of(work.what, batch, needs_plain_recurrence(model) and jax.default_backend() != "cpu")
    step = _traced(work, model, kind)
    drawn = outline(step.program)
    if drawn.calls_python:
        raise Cannot
    numbers = {i: np.asarray(n, dtype=getattr(n, "dtype", None)) for i, n in enumerate(drawn.numbers)}
    return f"{drawn.digest} {step.out}", _Group(model, numbers, {kind: step})


def _traced(work: _Work, model: keras.Model, kind: Kind) -> Step:
    function = work.function(model, kind)
    try:
        with left_as_found(), plain_recurrence(model) if kind.plain else nullcontext():
            return traced(function, work.values(model), batch_of(kind))
    except Exception as error:  # Keras's, or of code of the user's: Keras says it again
        raise Cannot from error


# --- running ----------------------------------------------------------------------------------------------


class _Parts(NamedTuple):
    """What a chunk of models gave.

    Attributes:
        outputs: by batch, stacked over models; of a test, the last one's only.
        values: the variables' values after the last batch.
    """

    outputs: list[Any]
    values: Any


def _run(work: _Work, group: _Group, batches: Batches) -> Iterator[tuple[list[int], _Parts]]:
    """Run a group, as many models at a time as fit into memory; what does not run is left to Keras."""
    waiting = list(zip(group.members, group.values, strict=True))
    width = _width(group.values[0], len(waiting))
    pieces: dict[tuple[Kind, int], Any] = {}
    while waiting:
        chunk, waiting = waiting[:width], waiting[width:]
        try:
            parts = _run_chunk(work, group, [values for _, values in chunk], batches(), pieces)
        except Cannot:
            return
        except Exception as error:
            if not is_out_of_memory(error) or len(chunk) == 1:
                raise
            waiting, width = chunk + waiting, len(chunk) // 2
            continue
        yield [number for number, _ in chunk], parts


def _width(values: Values, most: int) -> int:
    size = sum(array.nbytes for array in jax.tree.leaves(values))
    return int(max(1, min(most, room_for_data() // max(1, 2 * size))))


def _run_chunk(
    work: _Work, group: _Group, values: Sequence[Values], batches: Iterable[Any], pieces: dict[Any, Any]
) -> _Parts:
    state = jax.tree.map(lambda *arrays: jnp.asarray(np.stack(arrays)), *values)
    outputs: list[Any] = []
    for batch in batches:
        batch = jax.tree.map(jnp.asarray, batch)
        kind = kind_of(work.what, batch, next(iter(group.steps)).plain)
        piece = pieces.get((kind, len(values)))
        if piece is None:
            piece = pieces[kind, len(values)] = _compiled(work, group, kind, state, batch)
        out, state = piece(state, batch)
        if work.what == "test":
            outputs.clear()
        outputs.append(jax.tree.map(np.asarray, out) if work.what == "predict" else out)
    return _Parts(outputs, state)


def _compiled(work: _Work, group: _Group, kind: Kind, state: Any, batch: Any) -> Any:
    """The compiled step of all models of a chunk on batches of a kind."""
    if kind not in group.steps:
        group.steps[kind] = _traced(work, group.model, kind)
    step = group.steps[kind]
    run = run_for_cpu if jax.default_backend() == "cpu" else _as_it_is

    def one(values: Any, batch: Any) -> Any:
        out, new = step(run, values, batch)
        return out, jax.tree.map(lambda n, o: jnp.asarray(n, o.dtype), new, values)

    try:
        lowered = jax.jit(jax.vmap(one, in_axes=(0, None)), donate_argnums=0).lower(state, batch)
    except Exception as error:  # an operation that can't be vectorised
        raise Cannot from error
    return programs.compiled(lowered, None)


def _as_it_is(program: Any, *arrays: Any) -> Sequence[Any]:
    results: Sequence[Any] = jax.extend.core.jaxpr_as_fun(program)(*arrays)
    return results


# --- Keras's steps ----------------------------------------------------------------------------------------


def _values_to_predict(model: keras.Model) -> Values:
    return [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]


def _values_to_test(model: keras.Model) -> Values:
    model.reset_metrics()
    return [*_values_to_predict(model), [v.value for v in model.metrics_variables]]


def _stored_to_predict(model: keras.Model, state: State) -> Values:
    return [[*state.trainable], [*state.non_trainable]]


def _stored_to_test(model: keras.Model, state: State) -> Values:
    return [*_stored_to_predict(model, state), _values_to_test(model)[2]]


def _predict_function(model: keras.Model, kind: Kind) -> Callable[..., Any]:
    def predict(values: Values, batch: Any) -> Any:
        outputs, non_trainable = model.predict_step((values[0], values[1]), batch)
        return outputs, [values[0], list(non_trainable)]

    return predict


def _test_function(model: keras.Model, kind: Kind) -> Callable[..., Any]:
    def test(values: Values, batch: Any) -> Any:
        logs, new = model.test_step(tuple(values), batch)
        return logs, [list(group) for group in new]

    return test


def _has_own_predict(model: keras.Model) -> bool:
    names = ("predict", "make_predict_function", "_make_function")
    return any(home_of(type(model), name) and not is_keras_class(type(model), name) for name in names)


def _has_own_test(model: keras.Model) -> bool:
    return model.optimizer is None or keras_private.own_training_loop(model) is not None


_PREDICT = _Work("predict", _has_own_predict, _values_to_predict, _stored_to_predict, _predict_function)
_TEST = _Work("test", _has_own_test, _values_to_test, _stored_to_test, _test_function)
_TEST_OF_KNOWN_CODE = _TEST._replace(
    overridden=lambda model: _has_own_test(model) or bool(structure(model).foreign)
)
