"""The steps of a fleet → compiled programs: training and test runs over batches, for several lanes together.

In: `Steps`, which are Keras's own ``train_step`` and ``test_step``, traced; and the data. Out: a `Program`,
whose compiled pieces take the stacked states of several lanes through a run of batches, vectorised with
``jax.vmap`` and repeated with ``jax.lax.scan``.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

import jax
import jax.extend
import jax.numpy as jnp

from fairlane.engines.data.fit_data import Batches
from fairlane.engines.program.effort import Options, effort, pays
from fairlane.engines.program.lift import Numbers
from fairlane.engines.program.rewrite import run_for_cpu, slow_in_loops
from fairlane.engines.program.steps import Steps
from fairlane.engines.program.tracing import LOGS, DoesNotTrace, Kind, Runner, kind_of
from fairlane.kit.kept_programs import programs
from fairlane.trials import Arrays, State


class Run(NamedTuple):
    """What a compiled piece does: train on or test ``steps`` batches.

    Attributes:
        training: train, or test.
        steps: how many batches.
        batch: samples in each, to be taken from the whole data; 0 where the batches are given.
        shapes: of the batches that are given.
        own: whether each lane tests on samples of its own, as folds do.
    """

    training: bool
    steps: int
    batch: int = 0
    shapes: Any = None
    own: bool = False

    @property
    def picks(self) -> bool:
        """Whether each lane picks its own samples from the whole data."""
        return self.shapes is None and (self.training or self.own)


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


@dataclass(eq=False)
class Program:
    """The compiled pieces of one fleet at one width.

    Attributes:
        steps: the fleet's steps.
        width: lanes per dispatch.
        stop_on_nan: freeze a lane for the rest of the epoch once its loss is not finite.
        stepwise: whether each batch is a dispatch of its own.
        plain: whether recurrent layers are to loop in XLA, and not in cuDNN.
        on_cpu: whether the steps are rewritten for the CPU.
        epochs: of a trial, from its first on: how often a piece of an epoch runs, about. Neither where a
            trial goes on nor how many there are counts, so that its numbers do not depend on that.
        donates: whether a call uses its first argument up. Where it does not, it is still there when memory
            runs out.
    """

    steps: Steps
    width: int
    stop_on_nan: bool = False
    stepwise: bool = False
    plain: bool = False
    on_cpu: bool = True
    donates: bool = True
    epochs: float = math.inf
    _pieces: dict[Run, Future[Any]] = field(default_factory=dict)
    _kinds: set[Kind] = field(default_factory=set)

    def kinds(self, pieces: Mapping[Run, tuple[Any, Any]]) -> dict[Run, Kind]:
        """Which steps the pieces repeat.

        Args:
            pieces: as for `prepare`.
        """
        return {run: self._kind(run, data) for run, (_, data) in pieces.items()}

    def prepare(
        self,
        pieces: Mapping[Run, tuple[Any, Any]],
        carry: Carry,
        lanes: Sequence[Numbers],
        executor: Executor,
    ) -> None:
        """Trace pieces now, in the caller's thread, and begin to compile them in others.

        Args:
            pieces: for each, the sample numbers ``(width, steps, batch)`` of a run that picks its samples,
                the first sample ``()`` of another test run, or None where batches are given; and the data.
                Shapes and dtypes will do.
            carry: shapes and dtypes of the first argument.
            lanes: the numbers of some lanes.
            executor: where to compile.

        Raises:
            CannotLift: a number can't be a lane's own in this program.
            SlowInLoop: a run of several batches should be dispatched batch by batch.
            DoesNotTrace: Keras, or JAX, raised while it was traced.
        """
        new = {run: parts for run, parts in pieces.items() if run not in self._pieces}
        if not new:
            return
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), carry.state)
        kinds = set(self.kinds(new).values())
        self.steps.prepare({LOGS, *kinds}, one, lanes)
        self._kinds |= kinds
        lifted = self.steps.lift.values(lanes)
        try:
            for run, parts in new.items():
                self._pieces[run] = self._compile(run, (carry, lifted, *parts), executor)
        except SlowInLoop:
            raise
        except Exception as error:
            raise DoesNotTrace(f"{type(error).__name__}: {error}") from error

    def _kind(self, run: Run, data: Any) -> Kind:
        size = () if run.shapes is not None else (run.batch,)
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct((*size, *a.shape[1:]), a.dtype), data)
        return kind_of("train" if run.training else "test", one, self.plain)

    def _compile(self, run: Run, arguments: tuple[Any, ...], executor: Executor) -> Future[Any]:
        origin = self._origin(run, arguments)
        kept = programs.known(origin)
        if kept is not None:
            return _done(kept)
        donated = (0,) if self.donates else ()
        traced = jax.jit(self._vectorised(run), donate_argnums=donated).trace(*arguments)
        if self.on_cpu and run.steps > 1 and slow_in_loops(traced.jaxpr):
            raise SlowInLoop
        options = self._effort(run, traced.jaxpr)
        return executor.submit(programs.compiled, traced.lower(), options, origin)

    def _origin(self, run: Run, arguments: tuple[Any, ...]) -> str:
        """A key of a piece, of what it is made of: the traced steps, and the code here; or empty."""
        steps = [self.steps.step(kind).digest for kind in (self._kind(run, arguments[-1]), LOGS)]
        if not all(steps):
            return ""
        shapes, tree = jax.tree.flatten(arguments)
        how = (
            self.width,
            self.stop_on_nan,
            self.stepwise,
            self.plain,
            self.on_cpu,
            self.donates,
            self.epochs,
        )
        given = [(a.shape, str(a.dtype), bool(getattr(a, "weak_type", False))) for a in shapes]
        return programs.origin(_code(), run, how, steps, given, tree)

    def _effort(self, run: Run, program: Any) -> Options | None:
        """Compiler options: less effort for a piece that is one batch of an epoch among many."""
        if run.steps > 1 or self.stepwise or jax.default_backend() != "cpu":
            return None
        return effort(program, self.epochs if run.shapes is None else math.inf)  # what is read may be many

    def narrower_pays(self, width: int, batches: float) -> bool:
        """Whether a program for fewer lanes would save more than it costs to compile.

        Args:
            width: how many lanes.
            batches: how many batches they are still trained on.
        """
        steps = [self.steps.step(kind).program for kind in self._kinds if kind.what == "train"]
        return any(pays(step, batches * (self.width - width)) for step in steps)

    def compiled(self, run: Run) -> Any:
        """The compiled piece, to be called."""
        return self._pieces[run].result()

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

    def _run(self, run: Run, carry: Carry, lifted: Arrays, order: Any, data: Any) -> Any:
        return (self._train if run.training else self._test)(run, carry, lifted, order, data)

    def _train(
        self, run: Run, carry: Carry, lifted: Arrays, order: Any, data: Any
    ) -> tuple[Carry, Mapping[str, Any]]:
        train_step = self.steps.step(self._kind(run, data))
        batches = data if run.shapes is not None else order

        def step(carry: Carry, item: Any) -> tuple[Carry, Any]:
            batch = item
            if run.picks:
                batch = _picked(data, item)
            logs, state = train_step(self._runner, lifted, carry.state, batch)
            new = Carry(_like(state, carry.state), carry.steps + 1, carry.stopped)
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
        return carry, logs if logs is not None else self._metric_logs(lifted, carry.state)

    def _test(
        self, run: Run, carry: Carry, lifted: Arrays, start: Any, data: Any
    ) -> tuple[Carry, Mapping[str, Any]]:
        test_step = self.steps.step(self._kind(run, data))
        batches = data if run.shapes is not None else start if run.picks else jnp.arange(run.steps)

        def step(state: State, item: Any) -> tuple[State, Any]:
            batch = item
            if run.picks:
                batch = _picked(data, item)
            elif run.shapes is None:
                first = start + item * run.batch
                batch = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, run.batch), data)
            logs, new = test_step(self._runner, lifted, state, batch)
            return _like(new, state), self._own_logs(logs)

        if run.steps == 1:
            state, logs = step(carry.state, _first(batches))
        else:
            state, all_logs = jax.lax.scan(step, carry.state, batches)
            logs = jax.tree.map(lambda a: a[-1], all_logs)
        return carry._replace(state=state), logs if logs is not None else self._metric_logs(lifted, state)

    def _own_logs(self, logs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The step's logs where they are not just the metrics' results, by Keras's own rule."""
        step = self.steps.step(LOGS)
        names = jax.tree.unflatten(step.out, range(step.out.num_leaves))
        return None if set(logs) == set(names) else logs

    def _metric_logs(self, lifted: Arrays, state: State) -> Mapping[str, Any]:
        logs: Mapping[str, Any] = self.steps.step(LOGS)(self._runner, lifted, state)
        return logs

    @property
    def _runner(self) -> Runner:
        return run_for_cpu if self.on_cpu else _run_as_it_is


@functools.cache
def _code() -> str:
    """A digest of the code that makes pieces of steps."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _run_as_it_is(program: Any, *arrays: Any) -> Sequence[Any]:
    results: Sequence[Any] = jax.extend.core.jaxpr_as_fun(program)(*arrays)
    return results


def _first(batches: Any) -> Any:
    return jax.tree.map(lambda a: a[0], batches)


def _picked(data: Any, rows: Any) -> Any:
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data)


def _like(new: State, old: State) -> State:
    """The new state with the old one's containers and dtypes, which ``scan`` insists on."""
    return State(
        *(
            [jnp.asarray(n, o.dtype) for n, o in zip(ns, os, strict=True)]
            for ns, os in zip(new, old, strict=True)
        )
    )


@dataclass(frozen=True, eq=False)
class _OnDevice:
    """An array, and its copy on the device: while it is there, no other array takes its address."""

    array: Any
    copy: jax.Array


class Shelf:
    """Arrays on the default device, each once, whichever programs read it, as long as there are such data."""

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[Batches, Any] = WeakKeyDictionary()
        self._arrays: WeakValueDictionary[int, _OnDevice] = WeakValueDictionary()

    def put(self, batches: Batches) -> Any:
        """The arrays of ``batches`` on the device."""
        if batches not in self._held:
            self._held[batches] = jax.tree.map(self._one, batches.arrays)
        return jax.tree.map(lambda one: one.copy, self._held[batches])

    def _one(self, array: Any) -> _OnDevice:
        found = self._arrays.get(id(array))
        if found is None:
            found = self._arrays[id(array)] = _OnDevice(array, jnp.asarray(array))
        return found
