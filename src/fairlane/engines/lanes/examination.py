"""What a lane's program depends on, found when its first batch is next; and whether it is still so later.

In: a lane's model. Out: an `Examination`: lanes with one `likeness` may share a program, their `numbers`
being its inputs. Callbacks may change what Keras reads when it traces a step later; the trial then has to
begin again elsewhere.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from fairlane.engines.eligibility import (
    TooLate,
    Unsuitable,
    metrics_of,
    plain_attributes,
    refuse_unsuitable_code,
    refuse_unsuitable_metrics,
    why_not_traced,
)
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.sizes.known import shown_by, steps_of
from fairlane.engines.program.sizes.uniform import Learning, Seen, Uniform
from fairlane.engines.program.structure import Structure, structure
from fairlane.engines.program.tracing import (
    Changed,
    DoesNotTrace,
    Kind,
    NotPure,
    Registry,
    Step,
    Tracing,
    traced_steps,
)
from fairlane.models.session import Session
from fairlane.trials import Arrays, State


class Examination:
    """What a lane's program depends on.

    Attributes:
        structure: found by walking its model.
        tracing: its own traced steps, where foreign code runs in them; else None.
        probe: steps that its model was traced to, to see whether foreign code runs in them; mostly none.
        uniform: what is known of its steps from models of other sizes; or None.

    Args:
        model: the lane's, built.
        session: the trial's.
        rest: its metrics' variables when reset.
        eager: whether callbacks may hold the model by any name, and change it.
        in_place: whether the model is the caller's own, whose metrics' names don't matter.
    """

    def __init__(
        self, model: keras.Model, session: Session, rest: Arrays, eager: bool, in_place: bool
    ) -> None:
        self._model, self._session, self._rest = model, session, rest
        self._eager, self._in_place = eager, in_place
        self.structure = Structure("", {}, {})
        self.tracing: Tracing | None = None
        self.probe: Mapping[Kind, Step] = {}
        self.uniform: Uniform | None = None
        self._metrics: list[dict[str, Any]] = []
        self._skeleton = ""

    def examine(self, state: State, kinds: Sequence[Kind], registry: Registry, validates: bool) -> None:
        """Find it out, when the lane's first batch is next.

        Args:
            state: the lane's.
            kinds: the steps that it will need, in the order in which ``fit`` comes to them.
            registry: what is known from other lanes; more is added.
            validates: whether there is validation in some epoch.

        Raises:
            Unsuitable: its step can't be traced, or not twice alike.
        """
        model = self._model
        with self._session:
            self.structure = structure(model, logs_named=not self._in_place)
            key, foreign = self.structure.key, self.structure.foreign
            self._metrics = plain_attributes(metrics_of(model))
            if foreign:
                refuse_unsuitable_metrics(model, self._rest, self._eager)
            refuse_unsuitable_code(model, foreign, self._eager, validates and not self._in_place)
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
            learning = self._learning(kinds, registry)
            if not foreign:
                self.uniform = learning.known_of(self.structure, shapes, kinds)
            if not foreign and not registry.foreign.get(key, True):
                self._skeleton = registry.skeletons.get(key, "")
                return
            watching = not foreign and key not in registry.foreign
            if watching and self.uniform is not None:
                registry.foreign[key] = False
                self._skeleton = registry.skeletons[key] = learning.skeleton
                return
            try:
                if watching and self._is_of_other_sizes(shapes, kinds, registry):
                    learning.add(Seen(self.structure, shapes, self.probe), model, self._skeleton)
                    return
                tracing = Tracing(model, shapes, kinds, registry, watching)
            except (DoesNotTrace, NotPure) as error:
                raise Unsuitable(why_not_traced(error)) from error
        if watching:
            registry.foreign[key] = bool(tracing.foreign)
        if not watching or tracing.foreign:
            self.tracing, key = tracing, str(tracing.digest)
        else:
            self.probe = tracing.steps
        if key not in registry.skeletons:
            shown = shown_by(tracing.steps)
            registry.skeletons[key] = _joined(shown.skeletons)
            if self.tracing is None:
                registry.shown.setdefault(self.structure.code, []).append(shown)
        self._skeleton = registry.skeletons[key]
        if self.tracing is None:
            with self._session:
                learning.add(Seen(self.structure, shapes, self.probe), model, self._skeleton)

    def _learning(self, kinds: Sequence[Kind], registry: Registry) -> Learning:
        """What is known of models of its code."""
        learning: Learning = registry.learning.setdefault((self.structure.code, *kinds), Learning())
        return learning

    def _is_of_other_sizes(self, shapes: State, kinds: Sequence[Kind], registry: Registry) -> bool:
        """Whether another model of this code does the same on arrays of other sizes.

        No foreign code ran in that one's steps, and so none does in these. To look again takes as long as
        to trace.
        """
        known = registry.shown.get(self.structure.code)
        found = steps_of(partial(traced_steps, self._model, shapes), kinds, known) if known else None
        if found is None:
            return False
        self.probe, shown = found
        key = self.structure.key
        registry.foreign[key] = False
        self._skeleton = registry.skeletons[key] = _joined(shown.skeletons)
        return True

    @property
    def kind(self) -> str:
        """Equal for models whose steps do the same, on arrays of any sizes; empty where that is not known."""
        return self._skeleton

    @property
    def numbers(self) -> Numbers:
        """The numbers that the program may take as inputs."""
        return self.structure.numbers if self.tracing is None else self.tracing.numbers

    def with_numbers(self, others: Numbers) -> Examination:
        """That of a model which is like this one, but for some numbers.

        Args:
            others: its numbers, of some of the places.
        """
        other = copy.copy(self)
        other.structure, other.probe = self.structure.with_numbers(others), {}
        return other

    def likeness(self) -> Any:
        """Equal for lanes whose programs differ in `numbers` alone."""
        if self.tracing is None:
            return self.structure.key
        rest = hashlib.sha256(b"".join(np.ascontiguousarray(r).tobytes() for r in self._rest))
        return self.tracing.digest, rest.hexdigest()

    def family(self) -> str:
        """Equal for lanes whose programs may differ in sizes, too; empty where that is not known."""
        if not self._skeleton:
            return ""
        parts = [self._skeleton, str(self.tracing is None), *map(str, self.numbers)]
        parts += [f"{np.shape(r)} {np.ascontiguousarray(r).tobytes()!r}" for r in self._rest]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def own_tracing(self) -> Tracing:
        """Its own traced steps."""
        assert self.tracing is not None
        return self.tracing

    def trace_later(self, kind: Kind) -> bool:
        """Trace a step for batches of a shape that was not known to `examine`; false where it is known.

        Raises:
            TooLate: its model is traced otherwise now than then.
        """
        tracing = self.own_tracing()
        if kind in tracing.digests:
            return False
        try:
            with self._session:
                tracing.trace_later(kind)
        except Changed as error:
            raise TooLate(f"a batch of another size appeared, and {error}") from error
        return True

    # --- whether it is still so ---------------------------------------------------------------------

    def check_metrics(self) -> None:
        """See that callbacks have not changed a metric, whose results Keras computes in each epoch.

        Raises:
            TooLate: they have.
        """
        if plain_attributes(metrics_of(self._model)) != self._metrics:
            raise TooLate("a callback has changed a metric, whose results Keras computes again in each epoch")

    def check_test_step(self, who: str) -> None:
        """See that nothing has changed that Keras reads when it traces the test step, which is now.

        Args:
            who: may have changed it.

        Raises:
            TooLate: something has.
        """
        if self.differs("test"):
            raise TooLate(f"{who} has changed what the test step reads")

    def differs(self, *whats: str) -> bool:
        """Whether the model is traced otherwise now than when it was examined.

        Args:
            whats: the steps to look at, ``"train"`` or ``"test"``.
        """
        with self._session:
            if self.tracing is None:
                now = structure(self._model, logs_named=not self._in_place)
                before = self.structure
                return now.key != before.key or bool(Lift.of([now.numbers, before.numbers]).paths)
            try:
                for what in whats:
                    self.tracing.check(what)
            except Changed:
                return True
        return False


def _joined(skeletons: Mapping[Kind, str]) -> str:
    """What steps do, whatever the sizes."""
    return "|".join(f"{kind.what} {done}" for kind, done in skeletons.items())
