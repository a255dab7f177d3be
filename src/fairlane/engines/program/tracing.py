"""A built model → its training and test steps as traced programs, which depend on nothing but arrays.

In: a model, as it is before its first step. Out: a `Step` for each kind of batch, traced once, which runs at
any width and at any later time as it was traced, whatever has become of Python's variables since then; or a
`Tracing`, all steps of a model whose own code runs in them.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr

from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.outline import outline, whole
from fairlane.kit.libraries import is_foreign_code, is_foreign_file, watched
from fairlane.kit.values import same_bits
from fairlane.models import keras_private
from fairlane.models.streams import generators_now
from fairlane.trials import State

Runner = Callable[..., Sequence[Any]]
"""Runs a traced program on arrays: ``run(program, *arrays)``."""


class DoesNotTrace(Exception):
    """Keras's step can't be traced for this model; the cause is the exception's."""


class NotPure(Exception):
    """What is traced depends on more than the model: on random draws, a clock, or a count of calls."""


class Changed(Exception):
    """The model is traced otherwise now than before its first step."""


class Kind(NamedTuple):
    """Which step it is.

    Attributes:
        what: ``train``, ``test``, or ``logs``, which turns metrics' variables into logs.
        batch: structure, shapes and dtypes of a batch.
        plain: whether recurrent layers loop in XLA and not in cuDNN, which can't be vectorised.
    """

    what: str
    batch: Any = None
    plain: bool = False


LOGS = Kind("logs")


def kind_of(what: str, batch: Any, plain: bool) -> Kind:
    """The kind of a step on such a batch.

    Args:
        what: ``train`` or ``test``.
        batch: arrays, or their shapes and dtypes.
        plain: see `Kind`.
    """
    leaves, structure = jax.tree.flatten(batch)
    shapes = tuple((tuple(a.shape), str(jax.dtypes.canonicalize_dtype(a.dtype))) for a in leaves)
    return Kind(what, (structure, shapes), plain)


@dataclass(frozen=True, eq=False)
class Step:
    """A traced step.

    Attributes:
        program: takes arrays, returns arrays.
        out: the structure of what it returns.
    """

    program: ClosedJaxpr
    out: Any

    @functools.cached_property
    def digest(self) -> str:
        """All that decides what it computes, and how it returns it; empty where that can't be said."""
        digest, weak = whole(self.program), [aval.weak_type for aval in self.program.out_avals]
        return digest and f"{digest} {weak} {self.out}"

    def __call__(self, run: Runner, *arguments: Any) -> Any:
        """Run the step; its first argument are the fleet's numbers, if it takes any."""
        return jax.tree.unflatten(self.out, run(self.program, *jax.tree.leaves(arguments)))


def step_function(model: keras.Model, kind: Kind) -> Callable[[State, Any], Any]:
    """Keras's own step as a function of the state and a batch."""

    def train(state: State, batch: Any) -> Any:
        logs, new = model.train_step(tuple(state), batch)
        return logs, State(*new)

    def test(state: State, batch: Any) -> Any:
        logs, (trainable, non_trainable, metrics) = model.test_step(
            (state.trainable, state.non_trainable, state.metrics), batch
        )
        return logs, State(trainable, non_trainable, state.optimizer, metrics)

    def logs(state: State, batch: Any) -> Any:
        values = list(zip(model.metrics_variables, state.metrics, strict=True))
        with keras.StatelessScope(state_mapping=values):
            return dict(model.get_metrics_result())

    function = {"train": train, "test": test, "logs": logs}[kind.what]

    def plainly(state: State, batch: Any) -> Any:
        plain = plain_recurrence(model) if kind.plain else nullcontext()
        with plain, keras_private.values_put_away(model, kind.what):
            return function(state, batch)

    return plainly


def traced(function: Callable[..., Any], *arguments: Any) -> Step:
    """A function of arrays as a step; shapes and dtypes will do for the arguments."""
    program, out = jax.make_jaxpr(function, return_shape=True)(*arguments)
    return Step(program, jax.tree.structure(out))


def batch_of(kind: Kind) -> Any:
    """The shapes and dtypes of a batch; None for `LOGS`."""
    if kind.batch is None:
        return None
    structure, shapes = kind.batch
    return jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*shape) for shape in shapes])


# --- each lane's own model ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Shown:
    """What a model in whose steps no foreign code runs has shown of others of its code, at other sizes.

    Attributes:
        steps: its steps.
        skeletons: what each of them does, whatever the sizes.
        derives: of steps for smaller batches, whether the size changes the same in them as in others' steps;
            without those for which that was not tried.
    """

    steps: Mapping[Kind, Step]
    skeletons: Mapping[Kind, str]
    derives: dict[Kind, bool] = field(default_factory=dict)


class Registry:
    """What tracing has found out about the models of one run of an engine.

    Attributes:
        foreign: `Structure.key` → whether foreign code runs in the step.
        pure: the digests of steps that were traced twice, alike.
        nested: whether a model calls foreign functions that JAX remembers, so that it must be made to forget.
        skeletons: what its steps do, whatever the sizes, by `Structure.key`; or by `Tracing.digest`, where
            foreign code runs in them.
        shown: `Structure.code` → what such models of this code have shown.
        learning: `Structure.code` and kinds of steps → what is known of such models at all sizes
            (`sizes.uniform.Learning`).
    """

    def __init__(self) -> None:
        self.foreign: dict[str, bool] = {}
        self.pure: set[str] = set()
        self.nested = False
        self.skeletons: dict[str, str] = {}
        self.shown: dict[str, list[Shown]] = {}
        self.learning: dict[Any, Any] = {}


def traced_steps(model: keras.Model, state: State, kinds: Sequence[Kind]) -> dict[Kind, Step]:
    """The steps of a model, without a look at what runs in them.

    Raises:
        DoesNotTrace: Keras raised.
        NotPure: something was drawn from a global generator.
    """
    before = generators_now()
    with as_does_not_trace():
        steps = {kind: traced(step_function(model, kind), state, batch_of(kind)) for kind in kinds}
    _check_generators(before)
    return steps


class Tracing:
    """One lane's model, traced by itself.

    To be made in the lane's session, when it is about to train its first batch: then Keras would trace it.

    Attributes:
        steps: by kind.
        digests: by kind; equal for lanes that differ in `numbers` alone.
        numbers: the constants of all steps, by kind and place.
        foreign: the name of a foreign function that was seen to run, or empty.

    Args:
        model: built and compiled.
        state: shapes and dtypes of its state.
        kinds: the steps to trace, in the order in which `fit` comes to them.
        registry: what is known from other lanes.
        watching: whether to look for foreign code.

    Raises:
        DoesNotTrace: Keras raised.
        NotPure: it is traced differently each time.
    """

    def __init__(
        self,
        model: keras.Model,
        state: State,
        kinds: Sequence[Kind],
        registry: Registry,
        watching: bool = False,
    ) -> None:
        self._model, self._state, self._nested = model, state, registry.nested
        before = generators_now()
        self.foreign = self._trace_all(kinds, watching)
        _check_generators(before)
        if any(map(is_foreign_file, self._sources)) and not self._nested:
            # JAX has remembered a foreign function from another trace, and what that read then.
            self._nested = registry.nested = True
            self._trace_all(kinds)
        if self.foreign or not watching:
            self._check_pure(kinds, registry)

    def _trace_all(self, kinds: Sequence[Kind], watching: bool = False) -> str:
        self._sources: set[str] = set()
        self.steps: dict[Kind, Step] = {}
        self.numbers: dict[Any, Any] = {}
        self.digests: dict[Kind, str] = {}
        with watched() if watching else nullcontext() as witness:
            for kind in kinds:
                self._trace(kind)
        return witness.foreign if witness is not None else ""

    @property
    def digest(self) -> str:
        """Equal for lanes that differ in `numbers` alone."""
        return hashlib.sha256("".join(self.digests.values()).encode()).hexdigest()

    def _trace(self, kind: Kind) -> None:
        with as_does_not_trace(), forgetting() if self._nested else nullcontext():
            step = traced(step_function(self._model, kind), self._state, batch_of(kind))
            drawn = outline(step.program)
            if drawn.calls_python:
                raise NotPure(
                    "its training step calls Python while it runs (jax.pure_callback, jax.debug.print)"
                )
            # A constant may be a tracer that a layer's build stored; Keras can't train such a model either.
            numbers = {(kind, i): _array(number) for i, number in enumerate(drawn.numbers)}
        self.steps[kind] = step
        self.numbers = {**self.numbers, **numbers}
        self.digests[kind] = drawn.digest + str(step.out)
        self._sources |= set(drawn.sources)

    def _check_pure(self, kinds: Sequence[Kind], registry: Registry) -> None:
        """Trace again, once for each digest: the same must come out."""
        if self.digest in registry.pure:
            return
        digest, numbers = self.digest, self.numbers
        self._trace_all(kinds)
        if digest != self.digest or not same_numbers(numbers, self.numbers):
            raise NotPure(
                "its training step is traced differently each time: its code draws random numbers, reads "
                "a clock or counts its calls"
            )
        registry.pure.add(digest)

    def trace_later(self, kind: Kind) -> None:
        """Trace a step for a batch of another shape, which came up while training.

        Raises:
            Changed: what was traced before is traced otherwise now.
        """
        self.check(kind.what)
        self._trace(kind)

    def check(self, what: str) -> None:
        """See that a step is traced as it was before.

        Raises:
            Changed: it is not.
        """
        kind = next((other for other in self.digests if other.what == what), None)
        if kind is None:
            return
        digest, numbers, steps = self.digests[kind], self.numbers, dict(self.steps)
        self._trace(kind)
        self.steps = steps
        if self.digests[kind] != digest or not same_numbers(numbers, self.numbers):
            raise Changed(f"what its {what} step reads has changed since it was traced")

    def earlier(self, kind: Kind) -> Kind:
        """The first step of the same sort that was traced."""
        return next(other for other in self.digests if other.what == kind.what)

    def drop_programs(self) -> None:
        """Keep digests and numbers, where other lanes' programs are run."""
        self.steps = {}


def _array(number: Any) -> Any:
    return np.asarray(number, dtype=getattr(number, "dtype", None))


def same_numbers(some: Mapping[Any, Any], others: Mapping[Any, Any]) -> bool:
    """Whether all of some numbers are equal to those at the same places among others."""
    return all(same_bits(value, others[place]) for place, value in some.items())


def _check_generators(before: Any) -> None:
    """See that the global generators are as before."""
    (python, numpy), (python_now, numpy_now) = before, generators_now()
    if python != python_now or not all(map(np.array_equal, numpy, numpy_now)):
        raise NotPure("its training step draws from a global random generator while it is traced")


@contextmanager
def as_does_not_trace() -> Iterator[None]:
    """Raise what is raised inside as `DoesNotTrace`, but for `CannotLift`."""
    try:
        yield
    except (CannotLift, NotPure):
        raise
    except Exception as error:
        raise DoesNotTrace(f"{type(error).__name__}: {error}") from error


def needs_plain_recurrence(model: keras.Model) -> bool:
    """Whether a recurrent layer of the model may choose to run in cuDNN."""
    return any(getattr(layer, "use_cudnn", None) == "auto" for layer in keras_private.all_layers(model))


@contextmanager
def plain_recurrence(model: keras.Model) -> Iterator[None]:
    """While a model is traced, let its recurrent layers loop over time in XLA, and not in cuDNN.

    cuDNN's kernels can't be vectorised (JAX: "Batching rule for 'rnn_fwd' not implemented"). Keras takes
    them on GPUs where it may choose, and has the loop for everywhere else; ``use_cudnn=True`` still gives
    cuDNN.
    """
    layers = [one for one in keras_private.all_layers(model) if getattr(one, "use_cudnn", None) == "auto"]
    for layer in layers:
        layer.use_cudnn = False
    try:
        yield
    finally:
        for layer in layers:
            layer.use_cudnn = "auto"


# --- what JAX remembers -----------------------------------------------------------------------------------


@contextmanager
def forgetting() -> Iterator[None]:
    """Trace again what JAX has remembered of other traces: functions under ``jax.jit``, bodies of loops.

    A fresh process has traced none of them; what they read then may have changed.
    """
    make = getattr(jax, "make_user_context", None)
    if make is None:  # JAX before 0.8
        jax.clear_caches()
        yield
        return
    # JAX remembers a trace by its context: in one that never was before, nothing is remembered.
    with _user_context()(object()):
        yield


@functools.cache
def _user_context() -> Any:
    return jax.make_user_context(None)


def forget_foreign_traces() -> None:
    """Let JAX forget the traces of foreign functions under ``jax.jit``, as in a fresh process."""
    if "jax" not in sys.modules:
        return
    kind = type(jax.jit(lambda: None))
    for function in [one for one in gc.get_objects() if type(one) is kind]:
        code = getattr(getattr(function, "__wrapped__", None), "__code__", None)
        if code is not None and is_foreign_code(code, function.__module__ or ""):
            function.clear_cache()
