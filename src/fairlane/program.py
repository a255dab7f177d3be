"""A compiled Keras model as pure functions of arrays: state, training and test runs over batches.

In: built models of one structure, and the data they are trained on. Out: a `Program`, whose compiled
pieces take the stacked states of several lanes through a run of batches, with Keras's own ``train_step``
and ``test_step``, vectorised with ``jax.vmap`` and repeated with ``jax.lax.scan``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fairlane import _keras, layer_state
from fairlane.data import Batches
from fairlane.lift import CannotLift, Lift, Numbers
from fairlane.rewrite import slow_in_loops
from fairlane.structure import Structure, variable_groups
from fairlane.trial import Weights

Arrays = list[Any]
Rewriting = Callable[[Callable[..., Any]], Callable[..., Any]]


class State(NamedTuple):
    """A model's variables, in the order of its own lists; stacked lanes have one more axis in front."""

    trainable: Arrays
    non_trainable: Arrays
    optimizer: Arrays
    metrics: Arrays


def read_state(model: keras.Model) -> State:
    """The values of a built model's variables."""
    return State(*([v.value for v in group] for group in variable_groups(model)))


def write_state(model: keras.Model, state: State | Weights) -> None:
    """Assign all of a model's variables; of `Weights`, also what its layers hold besides."""
    if isinstance(state, Weights):
        arrays_of = {"trainable": state.trainable, "non_trainable": state.non_trainable}
        layer_state.give(model, state.layers, arrays_of)
    values = (state.trainable, state.non_trainable, state.optimizer, state.metrics)
    for group, arrays in zip(variable_groups(model), values, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            variable.assign(array)


def weights_of(model: keras.Model) -> Weights:
    """All that a built model remembers, as NumPy arrays, whatever Keras's backend."""
    groups = ([keras.ops.convert_to_numpy(v) for v in group] for group in variable_groups(model))
    return Weights(*groups, layers=layer_state.told(model))


def to_weights(state: State, model: keras.Model) -> Weights:
    """One lane's state as NumPy arrays of its own, with what the layers of its model hold besides."""
    return Weights(*([np.array(a) for a in group] for group in state), layers=layer_state.told(model))


def same_weights(weights: Weights, state: State) -> bool:
    """Whether a state's values are these, its metrics' left out."""
    kept = (weights.trainable, weights.non_trainable, weights.optimizer)
    now = (state.trainable, state.non_trainable, state.optimizer)
    return all(
        np.array_equal(
            np.asarray(a), np.asarray(b), equal_nan=np.issubdtype(np.asarray(a).dtype, np.floating)
        )
        for before, after in zip(kept, now, strict=True)
        for a, b in zip(before, after, strict=True)
    )


def metrics_at_rest(model: keras.Model) -> Arrays:
    """What ``model.reset_metrics()`` makes of the metrics' variables; the model is left so."""
    model.reset_metrics()
    return [np.asarray(v.value) for v in model.metrics_variables]


class Run(NamedTuple):
    """What a compiled piece does: train on or test ``steps`` batches.

    Attributes:
        training: train, or test.
        steps: how many batches.
        batch: samples in each, to be taken from the whole data; 0 where the batches are given.
        shapes: of the batches that are given.
    """

    training: bool
    steps: int
    batch: int = 0
    shapes: Any = None

    @property
    def picks(self) -> bool:
        """Whether each lane picks its own samples from the whole data."""
        return self.training and self.shapes is None


class Carry(NamedTuple):
    """What goes from one piece of an epoch to the next, stacked over lanes.

    Attributes:
        state: the lanes' states.
        steps: steps done this epoch, per lane.
        stopped: whether the lane's loss stopped being finite this epoch; its state is frozen then.
    """

    state: State
    steps: Any
    stopped: Any


class SlowInLoop(Exception):
    """The step has operations that this device runs much faster outside of a loop."""


class DoesNotTrace(Exception):
    """Keras's step can't be traced for this model; the cause is the exception's."""


@dataclass(eq=False)
class Program:
    """The compiled pieces of one fleet at one width.

    Attributes:
        model: the template that is traced; any of the fleet's.
        structure: its structure.
        lift: which numbers differ between lanes.
        width: lanes per dispatch.
        stop_on_nan: freeze a lane for the rest of the epoch once its loss is not finite.
        stepwise: whether each batch is a dispatch of its own.
        around: the context to trace in.
        rewrite: rewrites the traced step for the device; None leaves it.
        donates: whether a call uses its first argument up. Where it does not, it is still there when memory
            runs out.
        seconds_compiling: what tracing and compiling has cost so far.
    """

    model: keras.Model
    structure: Structure
    lift: Lift
    width: int
    stop_on_nan: bool = False
    stepwise: bool = False
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    rewrite: Rewriting | None = None
    donates: bool = True
    seconds_compiling: float = 0.0
    _pieces: dict[Run, Future[Any]] = field(default_factory=dict)
    _lanes: Sequence[Numbers] = ()

    def prepare(
        self,
        pieces: Mapping[Run, tuple[Any, Any]],
        carry: Carry,
        lanes: Sequence[Numbers],
        executor: Executor,
    ) -> None:
        """Trace pieces now, in the caller's thread, and begin to compile them in others.

        Args:
            pieces: for each, the sample numbers ``(width, steps, batch)`` of a training run, the first
                sample ``()`` of a test run, or None where batches are given; and the data. Shapes and dtypes
                will do.
            carry: shapes and dtypes of the first argument.
            lanes: the numbers of some lanes.
            executor: where to compile.

        Raises:
            CannotLift: a number can't be a lane's own in this program.
            SlowInLoop: a run of several batches should be dispatched batch by batch.
            DoesNotTrace: Keras raised while it was traced.
        """
        new = {run: parts for run, parts in pieces.items() if run not in self._pieces}
        if not new:
            return
        self._lanes = lanes
        with self.around():
            try:
                if self.lift.paths and not self.lift.explored:
                    for run, parts in new.items():
                        self._explore(run, carry, *parts)
                    self.lift.explored = True
                lifted = self.lift.values(lanes)
                for run, parts in new.items():
                    self._pieces[run] = self._compile(run, (carry, lifted, *parts), executor)
            except (CannotLift, SlowInLoop):
                raise
            except Exception as error:
                raise DoesNotTrace(f"{type(error).__name__}: {error}") from error

    def _compile(self, run: Run, arguments: tuple[Any, ...], executor: Executor) -> Future[Any]:
        began = time.perf_counter()
        donated = (0,) if self.donates else ()
        traced = jax.jit(self._vectorised(run), donate_argnums=donated).trace(*arguments)
        if self.rewrite is not None and run.steps > 1 and slow_in_loops(traced.jaxpr):
            raise SlowInLoop
        lowered = traced.lower()
        tracing = time.perf_counter() - began

        def compiled() -> Any:
            began = time.perf_counter()
            piece = lowered.compile(compiler_options=self._effort(run))
            self.seconds_compiling += tracing + time.perf_counter() - began
            return piece

        return executor.submit(compiled)

    def _effort(self, run: Run) -> dict[str, Any] | None:
        """Compiler options: less effort for a piece that is one batch of an epoch among many."""
        if run.steps > 1 or self.stepwise or jax.default_backend() != "cpu":
            return None
        return {"xla_backend_optimization_level": 1}

    def compiled(self, run: Run) -> Any:
        """The compiled piece, to be called."""
        return self._pieces[run].result()

    def _explore(self, run: Run, carry: Carry, order: Any, data: Any) -> None:
        """Trace without compiling, to find out which inputs the different numbers make."""

        def one_lane(tree: Any) -> Any:
            return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), tree)

        order = one_lane(order) if run.picks else order
        jax.eval_shape(lambda c, o, d: self._run(run, c, None, o, d), one_lane(carry), order, data)

    def _vectorised(self, run: Run) -> Callable[..., Any]:
        def piece(carry: Carry, lifted: Arrays, order: Any, data: Any) -> Any:
            return self._run(run, carry, lifted, order, data)

        if self.width > 1:
            wide: Callable[..., Any] = jax.vmap(piece, in_axes=(0, 0, 0 if run.picks else None, None))
            return wide

        def alone(carry: Carry, lifted: Arrays, order: Any, data: Any) -> Any:
            carry, lifted = jax.tree.map(lambda a: a[0], (carry, lifted))
            out = piece(carry, lifted, order[0] if run.picks else order, data)
            return jax.tree.map(lambda a: jnp.asarray(a)[None], out)

        return alone

    def _run(self, run: Run, carry: Carry, lifted: Arrays | None, order: Any, data: Any) -> Any:
        plain = plain_recurrence(self.model) if self.width > 1 else nullcontext()
        with self.lift.applied(self._lanes, self.structure, lifted, run), plain:
            if run.training:
                return self._train(run, carry, order, data)
            return self._test(run, carry, order, data)

    def _train(self, run: Run, carry: Carry, order: Any, data: Any) -> tuple[Carry, Mapping[str, Any]]:
        train_step = self._rewritten(self.model.train_step)
        batches = data if run.shapes is not None else order

        def step(carry: Carry, item: Any) -> tuple[Carry, Any]:
            batch = item
            if run.shapes is None:
                batch = jax.tree.map(lambda a: jnp.take(a, item, axis=0, mode="clip"), data)
            logs, state = train_step(tuple(carry.state), batch)
            new = Carry(_like(State(*state), carry.state), carry.steps + 1, carry.stopped)
            if self.stop_on_nan:
                loss = logs.get("loss", jnp.zeros(()))
                new = jax.tree.map(lambda old, n: jnp.where(carry.stopped, old, n), carry, new)
                new = new._replace(stopped=carry.stopped | ~jnp.isfinite(loss))
            return new, self._own_logs(logs)

        if run.steps == 1:
            carry, logs = step(carry, _first(batches))
        else:
            before = carry.steps
            carry, all_logs = jax.lax.scan(step, carry, batches)
            last = jnp.maximum(carry.steps - before, 1) - 1
            logs = jax.tree.map(lambda a: a[last], all_logs)
        return carry, logs if logs is not None else self._metric_logs(carry.state)

    def _test(self, run: Run, carry: Carry, start: Any, data: Any) -> tuple[Carry, Mapping[str, Any]]:
        test_step = self._rewritten(self.model.test_step)

        batches = data if run.shapes is not None else jnp.arange(run.steps)

        def step(state: State, item: Any) -> tuple[State, Any]:
            batch = item
            if run.shapes is None:
                first = start + item * run.batch
                batch = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, run.batch), data)
            tested = (state.trainable, state.non_trainable, state.metrics)
            logs, (trainable, non_trainable, metrics) = test_step(tested, batch)
            new = State(trainable, non_trainable, state.optimizer, metrics)
            return _like(new, state), self._own_logs(logs)

        if run.steps == 1:
            state, logs = step(carry.state, _first(batches))
        else:
            state, all_logs = jax.lax.scan(step, carry.state, batches)
            logs = jax.tree.map(lambda a: a[-1], all_logs)
        return carry._replace(state=state), (logs if logs is not None else self._metric_logs(state))

    def _rewritten(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function if self.rewrite is None else self.rewrite(function)

    def _own_logs(self, logs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The step's logs where they are not just the metrics' results, as Keras tells them apart."""
        with keras.StatelessScope():
            names = self.model.get_metrics_result().keys()
        return None if set(logs) == set(names) else logs

    def _metric_logs(self, state: State) -> Mapping[str, Any]:
        with keras.StatelessScope(
            state_mapping=list(zip(self.model.metrics_variables, state.metrics, strict=True))
        ):
            return dict(self.model.get_metrics_result())


def _first(batches: Any) -> Any:
    return jax.tree.map(lambda a: a[0], batches)


def _like(new: State, old: State) -> State:
    """The new state with the old one's containers and dtypes, which ``scan`` insists on."""
    return State(
        *(
            [jnp.asarray(n, o.dtype) for n, o in zip(ns, os, strict=True)]
            for ns, os in zip(new, old, strict=True)
        )
    )


@contextmanager
def plain_recurrence(model: keras.Model) -> Iterator[None]:
    """While a model is traced, let its recurrent layers loop over time in XLA, and not in cuDNN.

    cuDNN's kernels can't be vectorised (JAX: "Batching rule for 'rnn_fwd' not implemented"). Keras takes
    them on GPUs where it may choose, and has the loop for everywhere else; who asks for ``use_cudnn=True``
    gets cuDNN.
    """
    layers = [one for one in _keras.all_layers(model) if getattr(one, "use_cudnn", None) == "auto"]
    for layer in layers:
        layer.use_cudnn = False
    try:
        yield
    finally:
        for layer in layers:
            layer.use_cudnn = "auto"


def on_device(batches: Batches) -> Any:
    """The arrays of ``batches`` on the default device."""
    return jax.tree.map(jnp.asarray, batches.arrays)
