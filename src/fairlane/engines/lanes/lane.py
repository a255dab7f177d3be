"""One lane: a trial's model, its callbacks and its batch order, between the runs of the program.

In: a job. Out: a `Lane` that is asked before each epoch for its batches, told after it of its logs, and
ended once; every call of a user's callback happens here, in the trial's own session.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import keras
import numpy as np

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import BatchOrder, FitData, Indices, sized
from fairlane.engines.data.sources import Reading, Source
from fairlane.engines.eligibility import (
    TooLate,
    Unsuitable,
    batch_method,
    has_foreign_method,
    has_own,
    metrics_of,
    plain_attributes,
    refuse_unsuitable_metrics,
    refuse_unsuitable_model,
    why_not_traced,
)
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.structure import Structure, structure
from fairlane.engines.program.tracing import Changed, DoesNotTrace, Kind, NotPure, Registry, Step, Tracing
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.errors import LanesError
from fairlane.models import keras_private
from fairlane.models.callback_memory import trial_memory as recall
from fairlane.models.session import Session
from fairlane.models.variables import (
    metrics_at_rest,
    read_state,
    to_weights,
    variable_groups,
    weights_of,
    write_state,
)
from fairlane.trials import Checkpoint, CutOff, State, Trial, Weights


class Lane:
    """A trial on its way through a vectorised program.

    Attributes:
        job: its job.
        trial: its trial.
        model: its own Keras model, up to date while its callbacks look at it.
        state: its state as NumPy or JAX arrays while it is in no chunk.
        structure: what its program depends on, found by walking its model.
        tracing: its own traced steps, where it needs them; else None.
        probe: steps that its model was traced to, to see whether foreign code runs in them; mostly none.
        rest: its metrics' variables when reset.
        kept: tells which epoch the trained weights are of.
        weights_epoch: that epoch, when it has ended.
        directions: what Keras knows of its compiled metrics, until it is told with the first epoch.
        reading: what it reads its training batches from, or None.
        runs: the sample numbers of the coming epoch, drawn by `begin_epoch`, where it reads none.
        most_steps: how many batches of the coming epoch it trains on, or None for all.
        epoch: the next epoch, from 0.
        seconds: its share of the time spent.
        ended: whether it is over.

    Args:
        job: its job.
        data: its data.
        checkpoint: what to go on from, or None to begin.

    Raises:
        Unsuitable: it can't run on lanes.
        CannotGoOn: it can't go on exactly from the checkpoint.
    """

    def __init__(self, job: Job, data: FitData, checkpoint: Checkpoint | None = None) -> None:
        began = time.perf_counter()
        self.job = job
        self.trial: Trial = job.trial
        self._session: Session = job.session()
        limit = keras.config.max_steps_per_epoch()
        with self._session:
            self.model: keras.Model = job.model()
            refuse_unsuitable_model(self.model, data.validation is not None)
            if keras.config.max_steps_per_epoch() != limit:
                raise Unsuitable("its builder calls keras.config.set_max_steps_per_epoch")
            self._most_epochs = keras.config.max_epochs()
            self.steps_per_execution = int(self.model.steps_per_execution)
            self.reading: Reading | None = None
            if isinstance(data.training, Source):
                at = None if checkpoint is None else checkpoint.memory["generators"]
                self.reading = data.training.join(self.model, self.steps_per_execution, at)
                steps = self.reading.steps
            else:
                iterator = data.training.iterator(self.steps_per_execution)
                steps = iterator.num_batches
                keras_private.symbolic_build(self.model, iterator)
            if isinstance(data.validation, Source):
                data.validation.check()
            if job.prepare is not None:
                job.prepare(self.model)
            self._callbacks = self._callback_list(steps)
            self.model.stop_training = False
            if checkpoint is not None:
                recall.go_on_with_files(self._users_callbacks, checkpoint.epoch)
            if self._callbacks is not None:
                self._callbacks.on_train_begin()
            self.rest = metrics_at_rest(self.model)
            if checkpoint is not None:
                recall.refuse_untold(checkpoint.memory)
                recall.recall_layers(checkpoint, self.model)
            self.kept = KeptWeights(self.model, self._users_callbacks)
            self.directions = keras_private.metric_directions(self.model)
        self._held, self._groups = job.held(self.model), variable_groups(self.model)
        self.state: State | None = read_state(self.model)
        # `evaluate`, in a callback or of what is shared, uses up the model's own arrays
        if self._users_callbacks or self._held:
            self.state = jax.tree.map(np.array, self.state)
        self.structure = Structure("", {}, {})
        self.tracing: Tracing | None = None
        self.probe: Mapping[Kind, Step] = {}
        self._order: BatchOrder | None = None
        if not isinstance(data.training, Source):
            self._order = BatchOrder(data.training, self._session, self.steps_per_execution)
        arguments = job.arguments
        self.epochs = int(arguments.get("epochs", 1))
        if most := self._most_epochs:
            self.epochs = min(self.epochs, most)
        self.epoch = keras_private.initial_epoch(self.model) or int(arguments.get("initial_epoch") or 0)
        self._validation_freq = arguments.get("validation_freq", 1)
        self.validates = data.validation is not None
        self._repeats = data.repeats
        self.runs: list[Indices] = []
        self.most_steps: int | None = None
        self.last_logs: dict[str, float] = {}
        self.ended = False
        self.weights_epoch: int | None = None
        self._seconds_before = 0.0
        if checkpoint is not None:
            self._go_on_from(checkpoint)
        self._remembers = (
            None if job.pace is None else recall.Remembering(self._remembering(), job.held_by_others)
        )
        self._saved = self.epoch, time.monotonic()
        self._in_test = self._in_test_before = self._validated = self._examined = False
        self._names: dict[str, str] | None = None
        # The caller's own models may have counted their metrics' names differently from each other.
        self.metric_names = list(self.model.get_metrics_result()) if job.in_place else []
        self.seconds = self._seconds_before + time.perf_counter() - began

    # --- what it needs of the program ---------------------------------------------------------------

    def examine(self, kinds: Sequence[Kind], registry: Registry) -> None:
        """Find out what the lane's program depends on, when its first batch is next.

        Args:
            kinds: the steps that it will need, in the order in which ``fit`` comes to them.
            registry: what is known from other lanes; more is added.

        Raises:
            Unsuitable: its step can't be traced, or not twice alike.
        """
        self._examined, self._validated = True, self.validates_now()
        with self._session:
            self.structure = structure(self.model, logs_named=not self.job.in_place)
            key = self.structure.key
            self._metrics_then = plain_attributes(metrics_of(self.model))
            if self.structure.foreign:
                refuse_unsuitable_metrics(self.model, self.rest, self._eager)
            if self.model.jit_compile is False and (self.structure.foreign or self._eager):
                raise Unsuitable(
                    "the model is compiled with jit_compile=False, so that its code runs in each step"
                )
            traced = self.model.test_function is not None and not self.job.in_place
            if self._eager and traced and self.validates:
                raise Unsuitable("a callback has evaluated the model before its first batch")
            if not self.structure.foreign and not registry.foreign.get(key, True):
                return
            watching = not self.structure.foreign and key not in registry.foreign
            shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), self.own_state())
            try:
                tracing = Tracing(self.model, shapes, kinds, registry, watching)
            except (DoesNotTrace, NotPure) as error:
                raise Unsuitable(why_not_traced(error)) from error
        if watching:
            registry.foreign[key] = bool(tracing.foreign)
        if not watching or tracing.foreign:
            self.tracing = tracing
        else:
            self.probe = tracing.steps

    def batches(self, data: FitData) -> list[Any]:
        """A training batch of each size that the coming epoch has; shapes and dtypes alone count."""
        if self.reading is not None:
            return [self.reading.first] if self.reading.first is not None else []
        return [sized(data.training.arrays, run.shape[1]) for run in self.runs]  # type: ignore[union-attr]

    def own_tracing(self) -> Tracing:
        """Its own traced steps."""
        assert self.tracing is not None
        return self.tracing

    def traces_later(self, kind: Kind) -> bool:
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
            raise TooLate(f"batches of another size came up, and {error}") from error
        return True

    @property
    def numbers(self) -> Numbers:
        """The numbers that its program may take as inputs."""
        return self.structure.numbers if self.tracing is None else self.tracing.numbers

    def likeness(self) -> Any:
        """Equal for lanes whose programs differ in `numbers` alone."""
        if self.tracing is None:
            return self.structure.key
        rest = hashlib.sha256(b"".join(np.ascontiguousarray(r).tobytes() for r in self.rest))
        return self.tracing.digest, rest.hexdigest()

    @property
    def stops_on_nan(self) -> bool:
        """Whether a callback ends the epoch at the first batch whose loss is not finite."""
        return any(isinstance(c, keras.callbacks.TerminateOnNaN) for c in self._users_callbacks)

    @property
    def pauses(self) -> bool:
        """Whether a callback is to be called between training and validation."""
        return self.validates and any(has_own(c, "on_test_begin") for c in self._users_callbacks)

    @property
    def has_callbacks(self) -> bool:
        """Whether there is anything to call between epochs."""
        return self._callbacks is not None

    def session(self) -> Session:
        """The trial's session, to be entered where its model's code runs."""
        return self._session

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left."""
        return self.epoch >= self.epochs

    def validates_now(self) -> bool:
        """Whether the coming epoch ends with validation."""
        return self.validates and keras_private.should_validate(self.model, self.epoch, self._validation_freq)

    def rename_logs(self, template: Sequence[str]) -> None:
        """Take logs under the names that the fleet's template has for the metrics."""
        if self.metric_names != list(template):
            self._names = dict(zip(template, self.metric_names, strict=True))

    def own_state(self) -> State:
        """The state of a lane that is in no chunk."""
        assert self.state is not None
        return self.state

    def logs_of(self, stacked: Mapping[str, Any] | None, i: int) -> dict[str, Any] | None:
        """This lane's logs out of a chunk's, as Python floats and with this model's own names."""
        if stacked is None:
            return None
        logs = keras_logs({k: jax.tree.map(lambda a: a[i], v) for k, v in stacked.items()})
        if self._names is None:
            return logs
        return {self._names.get(k, k): v for k, v in logs.items()}

    # --- an epoch -----------------------------------------------------------------------------------

    def begin_epoch(self, look: Callable[[], State]) -> State | None:
        """Draw the coming epoch's batches, after the callbacks' ``on_epoch_begin``.

        Args:
            look: reads the lane's current state.

        Returns:
            The lane's new state, where a callback changed it.
        """
        changed = None
        if self._callbacks is not None:
            callbacks = self._callbacks
            changed = self._called(lambda: callbacks.on_epoch_begin(self.epoch), look)
            if self._eager and self._examined:
                self._see_what_callbacks_changed()
        # Keras looks at stop_training after each dispatch.
        self.most_steps = self.steps_per_execution if self.model.stop_training else None
        if self._order is not None:
            self.runs = first_steps(self._order.next_epoch(), self.most_steps)
        return changed

    def begin_test(
        self, look: Callable[[], State], logs: dict[str, float], steps: int | None
    ) -> State | None:
        """Tell the callbacks of a lane that `pauses` that training has ended and validation begins.

        Args:
            look: reads the lane's current state.
            logs: training logs.
            steps: as for `end_epoch`.

        Returns:
            The lane's new state, where a callback changed it.

        Raises:
            LanesError: a callback asks for an end of the validation, which can't be had on lanes.
        """

        def call() -> None:
            self._begin_test(logs, steps)

        self.model.stop_evaluating = False
        changed = self._called(call, look)
        if self.kept.watches:
            self.kept.note(
                self.epoch, changed or look()
            )  # validation sees what the callbacks have made of it
        if self.model.stop_evaluating:
            raise LanesError(
                f"a callback of {self.trial} set model.stop_evaluating in on_test_begin, which would end the "
                "validation after one batch, and on lanes it is not cut short; train with engine='reference'"
            )
        if not self._in_test_before:
            self._in_test_before = True
            self._see_unchanged("a callback's on_test_begin")
        self._in_test = True
        return changed

    def _see_what_callbacks_changed(self) -> None:
        """See that callbacks have changed nothing that Keras looks at only in this epoch.

        Raises:
            TooLate: they have.
        """
        if plain_attributes(metrics_of(self.model)) != self._metrics_then:
            raise TooLate("a callback has changed a metric, whose results Keras computes anew in each epoch")
        if self.validates_now() and not self._validated:
            self._see_unchanged("a callback, before the first validation,")

    def _see_unchanged(self, who: str) -> None:
        """See that nothing has changed that Keras reads when it traces the test step, which is now.

        Raises:
            TooLate: something has.
        """
        if self._differs("test"):
            raise TooLate(f"{who} has changed what the test step reads")

    def _differs(self, *whats: str) -> bool:
        """Whether its model is traced otherwise now than when it was examined."""
        with self._session:
            if self.tracing is None:
                now = structure(self.model, logs_named=not self.job.in_place)
                before = self.structure
                return now.key != before.key or bool(Lift.of([now.numbers, before.numbers]).paths)
            try:
                for what in whats:
                    self.tracing.check(what)
            except Changed:
                return True
        return False

    def end_epoch(
        self,
        look: Callable[[], State],
        logs: dict[str, float],
        val_logs: dict[str, float] | None,
        steps: int | None,
    ) -> tuple[dict[str, float], State | None]:
        """Tell the callbacks that the epoch has ended.

        Args:
            look: reads the lane's current state.
            logs: training logs.
            val_logs: validation logs, without ``val_``; None where there was no validation.
            steps: how many steps the lane did before its loss stopped being finite, or None.

        Returns:
            The epoch's logs in Keras's order; and the lane's new state, where a callback changed it.
        """
        self._validated |= val_logs is not None
        val_logs = None if val_logs is None else dict(sorted(val_logs.items()))
        prefixed = {f"val_{k}": v for k, v in (val_logs or {}).items()}
        epoch_logs = self.last_logs = dict(sorted({**logs, **prefixed}.items()))
        changed = None
        if self._callbacks is not None:
            callbacks = self._callbacks
            if self.kept.watches and not self._in_test:
                self.kept.note(self.epoch, look())

            def call() -> None:
                if not self._in_test:
                    self._begin_test(logs, steps, val_logs is not None)
                if val_logs is not None:
                    callbacks.on_test_end(val_logs)
                callbacks.on_epoch_end(self.epoch, epoch_logs)

            changed = self._called(call, look)
            self._in_test = False
            epoch_logs = self._last_word.logs
        self.epoch += 1
        if self.model.stop_training:
            self.epochs = self.epoch
        return epoch_logs, changed

    def end(self, look: Callable[[], State]) -> Weights | None:
        """Finish training: the optimizer's last word, ``on_train_end``, and the trained state.

        Args:
            look: reads the lane's current state.

        Returns:
            The trained state; None for the caller's own model, which holds it now.
        """
        if self._held:
            self._held.check_state(self.model, look())
        last = self.epoch - 1 if self.last_logs else None
        averaging = keras_private.averages_weights(self.model.optimizer) or has_foreign_method(
            self.model.optimizer, "finalize_variable_values"
        )
        if not (self.job.in_place or averaging or self._callbacks is not None):
            self.weights_epoch = last
            return to_weights(look(), self.model)
        if last is not None:
            self.kept.note_end(last, look())
        with self._session:
            write_state(self.model, look())
            if int(self.job.arguments.get("epochs", 1)) > 0:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            if self._callbacks is not None:
                self._callbacks.on_train_end(logs=self.last_logs)
        keras_private.set_pending_state(self.model, None)
        self.weights_epoch = self.kept.epoch_of(self.model, read_state(self.model))
        return None if self.job.in_place else weights_of(self.model)

    # --- checkpoints --------------------------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether a checkpoint is to be taken, between two epochs."""
        if self.job.pace is None or self.finished:
            return False
        epoch, at = self._saved
        return self.job.pace.is_due(self.epoch - epoch, time.monotonic() - at)

    def checkpoint(self, look: Callable[[], State]) -> Checkpoint | None:
        """The lane's whole state between two epochs; None where it can't be told.

        Args:
            look: reads the lane's current state.
        """
        self._saved = self.epoch, time.monotonic()
        memory = self.memory()
        if memory is None:
            return None
        weights = to_weights(look(), self.model) if recall.is_told(memory) else recall.NO_WEIGHTS
        return Checkpoint(self.trial, self.epoch, weights, memory)

    def memory(self) -> dict[str, Any] | None:
        """What the lane remembers besides its state, as plain data; None where it can't be told."""
        if self._remembers is None or not self._repeats:
            return None
        generators = self._session.generators() if self.reading is None else self.reading.generators.told()
        return {
            "generators": recall.plain(generators),
            "callbacks": self._told_of_callbacks(self._remembers),
            "logs": recall.plain(self.last_logs),
            "weights": self.kept.told,
            "seconds": self.seconds,
        }

    def _told_of_callbacks(self, remembers: recall.Remembering) -> dict[str, Any]:
        if self._eager and self._examined and self._differs("train", "test"):
            return recall.untold("they have changed what the model's steps read, which Keras traces once")
        return remembers.told()

    def _remembering(self) -> list[Any]:
        """The user's callbacks, and Keras's History, which they may look at."""
        if self._callbacks is None or not self._users_callbacks:
            return []
        return [callback for callback in self._callbacks.callbacks if not isinstance(callback, _LastWord)]

    def _go_on_from(self, checkpoint: Checkpoint) -> None:
        """Stand where the checkpoint was taken."""
        memory = checkpoint.memory
        generators = recall.restored(memory["generators"])
        begun, self.epoch = int(self.job.arguments.get("initial_epoch") or 0), checkpoint.epoch
        self._seconds_before = float(memory["seconds"])
        if self._order is not None and self._order.goes_on:
            for _ in range(begun, checkpoint.epoch):
                self._order.next_epoch()
            if not recall.same(self._session.generators(), generators):
                raise recall.CannotGoOn(
                    "its callbacks draw random numbers, and with steps_per_epoch its batches can't be "
                    "drawn again"
                )
        self._session.set_generators(generators)
        recall.recall_callbacks(self._remembering(), memory["callbacks"])
        self.last_logs = recall.restored(memory["logs"])
        self.kept.recall(memory.get("weights", {}))
        self.state = recall.fitting(checkpoint, self.own_state())

    def cut_off(self, look: Callable[[], State | None]) -> CutOff | None:
        """The lane's state after its last finished epoch, where there is one, and nobody else has the model.

        Args:
            look: reads the state.
        """
        state = look() if self.last_logs and not self.job.in_place else None
        return None if state is None else CutOff(self.trial, self.epoch, to_weights(state, self.model))

    def end_epoch_unheard(
        self, logs: dict[str, float], val_logs: dict[str, float] | None
    ) -> dict[str, float]:
        """Count an epoch that ended while training was stopped, of which no callback hears any more.

        Args:
            logs: as for `end_epoch`.
            val_logs: as for `end_epoch`.

        Returns:
            The epoch's logs.
        """
        prefixed = {f"val_{k}": v for k, v in (val_logs or {}).items()}
        self.last_logs = dict(sorted({**logs, **prefixed}.items()))
        self.epoch += 1
        return self.last_logs

    def take_directions(self) -> dict[str, str]:
        """What Keras knows of the compiled metrics; nothing where it has been told."""
        told, self.directions = self.directions, {}
        return told

    def withdraw(self) -> None:
        """Leave lanes before the first epoch, for another engine."""
        keras_private.set_pending_state(self.model, None)

    def logs_at_rest(self) -> dict[str, Any]:
        """What Keras logs for an epoch without a batch: its metrics, reset; or the last logs there were."""
        self.model.reset_metrics()
        at_rest = keras_logs(self.model.get_metrics_result())
        last = {k: v for k, v in self.last_logs.items() if not k.startswith("val_")}
        return last if last and set(last) != set(at_rest) else at_rest

    def give_up(self, look: Callable[[], State | None]) -> None:
        """Leave the caller's own model with what has been trained so far."""
        if self.job.in_place and (state := look()) is not None:
            write_state(self.model, state, self._groups)
            keras_private.set_pending_state(self.model, None)
        self._held.restore()

    # --- inside -------------------------------------------------------------------------------------

    def _callback_list(self, steps: int | None) -> Any:
        job = self.job
        self._users_callbacks: list[Any] = list(job.callbacks() if job.callbacks else ())
        self._eager = False
        if job.callbacks is None and not job.in_place:
            return None
        for callback in self._users_callbacks:
            if (method := batch_method(callback)) is not None:
                raise Unsuitable(f"callback {type(callback).__name__} acts inside the epoch ({method})")
        if self.stops_on_nan and self.steps_per_execution > 1:
            raise Unsuitable("callback TerminateOnNaN looks at the loss once per steps_per_execution")
        self._last_word = _LastWord()
        callbacks = keras.callbacks.CallbackList(
            [*self._users_callbacks, self._last_word],
            add_history=True,
            add_progbar=False,
            model=self.model,
            verbose=0,
            epochs=int(job.arguments.get("epochs", 1)),
            steps=steps,
        )
        # An outsider's callback may hold the model by another name than `self.model`.
        self._eager = any(
            not type(c).__module__.startswith("keras.") or isinstance(c, keras.callbacks.LambdaCallback)
            for c in self._users_callbacks
        )
        return callbacks

    def _called(self, call: Callable[[], None], look: Callable[[], State]) -> State | None:
        """Call callbacks with the model up to date; return the state if they changed it."""
        if not self._users_callbacks:  # only Keras's own History, which looks at nothing
            call()
            return None
        keras_private.set_pending_state(self.model, look())
        with self._session:
            if self._eager:
                keras_private.assign_pending_state(self.model)
            held = None if keras_private.state_is_pending(self.model) else read_state(self.model)
            call()
        after = None if keras_private.state_is_pending(self.model) else read_state(self.model)
        keras_private.set_pending_state(self.model, None)
        if after is not None and [len(g) for g in after] != [len(g) for g in look()]:
            raise LanesError(
                f"a callback changed which variables are trainable in the model of {self.trial}, or gave "
                "it others. "
                "Keras's fit can't go on with that either: it takes a compile() and another fit"
            )
        return after if after is not None and _changed(look(), held, after) else None

    def _begin_test(self, logs: Mapping[str, float], steps: int | None, validates: bool = True) -> None:
        if steps is not None:
            self._terminate_on_nan(steps - 1, logs)
        if validates:
            self._callbacks.on_test_begin()

    def _terminate_on_nan(self, batch: int, logs: Mapping[str, float]) -> None:
        for callback in self._users_callbacks:
            if isinstance(callback, keras.callbacks.TerminateOnNaN):
                callback.on_batch_end(batch, logs)


class _LastWord(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes after the others, so that it sees the logs that they add, such as ``learning_rate``."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs = dict(logs or {})


def first_steps(runs: Sequence[Indices], steps: int | None) -> list[Indices]:
    """The first ``steps`` batches of an epoch's runs; all of them where it is None."""
    if steps is None:
        return list(runs)
    cut: list[Indices] = []
    for run in runs:
        if steps > 0:
            cut.append(run[:steps])
        steps -= len(run)
    return cut


def keras_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs as Keras hands them to callbacks: flat, with Python floats."""
    flat: dict[str, Any] = {}
    for key, value in logs.items():
        if isinstance(value, dict):
            flat.update(keras_logs(value))
        else:
            flat[key] = float(value) if np.ndim(value) == 0 else value
    return flat


def _changed(before: State, held: State | None, after: State) -> bool:
    """Whether a value differs; not looking where a variable still holds the array that it held.

    (Nor at what it held: ``evaluate`` and ``predict`` use up the arrays they are given.)
    """
    groups = zip(before, held or (([None] * len(g)) for g in before), after, strict=True)
    return any(
        new is not old and not np.array_equal(np.asarray(b), np.asarray(new), equal_nan=_has_nan(b))
        for group in groups
        for b, old, new in zip(*group, strict=True)
    )


def _has_nan(x: Any) -> bool:
    return np.issubdtype(np.asarray(x).dtype, np.floating)
