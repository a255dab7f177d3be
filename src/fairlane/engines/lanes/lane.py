"""One lane: a trial's model, its callbacks and its batch order, between the runs of the program.

In: a job. Out: a `Lane`, which gives its batches before each epoch, takes its logs after it, and is ended
once. Every call of a user's callback happens here, in the trial's own session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fairlane.engines import phases
from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData, sized
from fairlane.engines.data.orders import BatchOrder, EpochOrder
from fairlane.engines.data.sources import Source
from fairlane.engines.eligibility import has_foreign_method
from fairlane.engines.lanes.built import Beginning
from fairlane.engines.lanes.callbacks import Look
from fairlane.engines.lanes.lane_logs import epoch_logs_of, keras_logs
from fairlane.engines.lanes.lane_memory import LaneMemory, go_on_from
from fairlane.engines.program.tracing import Kind, Registry
from fairlane.engines.resources import Resources
from fairlane.errors import LanesError
from fairlane.models import keras_private
from fairlane.models.callback_memory import trial_memory
from fairlane.models.variables import (
    read_state,
    to_weights,
    variable_groups,
    weights_of,
    write_state,
)
from fairlane.trials import Checkpoint, CutOff, State, Weights


class Lane:
    """A trial on its way through a vectorised program.

    Attributes:
        job: its job.
        trial: its trial.
        in_place: whether its model is the caller's own.
        model: its own Keras model, up to date while its callbacks look at it.
        described: how its model is built, where that is to be reported.
        examination: what its program depends on.
        callbacks: its callbacks.
        rest: its metrics' variables when reset.
        weights_epoch: the epoch that the trained weights are of, when it has ended.
        reading: what it reads its training batches from, or None.
        order: the sample numbers of the coming epoch, where it reads no batches.
        most_steps: how many batches of the coming epoch it trains on, or None for all.
        epoch: the next epoch, from 0.
        epochs: the epoch at which it ends.
        seconds: its share of the time spent.
        beginning: what it began with, until it joins a fleet.
        ended: whether it is over.
        stopped: whether an order ended it.

    Args:
        job: its job.
        resources: what the job names by a key.
        data: its data, taken apart.
        beginning: what it begins with.
        checkpoint: what to go on from, or None to begin.

    Raises:
        CannotGoOn: it can't go on exactly from the checkpoint.
    """

    def __init__(
        self,
        job: Job,
        resources: Resources,
        data: FitData,
        beginning: Beginning,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.job, self.trial = job, job.trial
        self.in_place = resources.builder_of(job).in_place
        self._validation_freq = job.arguments.get("validation_freq", 1)
        self.data, self.validates = data, data.validation is not None
        self.beginning: Beginning | None = beginning
        built = beginning.built
        self.model, self.session = built.model, beginning.session
        self.examination, self.callbacks = built.examination, beginning.callbacks
        self.kept, self.rest = beginning.kept, built.rest
        self.reading, self.described = beginning.reading, beginning.described
        self.steps_per_execution = built.steps_per_execution
        self._state: State | None = beginning.state
        self._held = beginning.held
        self._directions = dict(built.directions)
        self._groups = variable_groups(self.model) if self.in_place else ()
        limit = built.most_epochs
        self.epochs = min(job.epochs, limit) if limit else job.epochs
        self.epoch = keras_private.initial_epoch(self.model) or job.first_epoch
        self.order = EpochOrder.of(())
        self.most_steps: int | None = None
        self.last_logs: dict[str, float] = {}
        self.ended = self.stopped = self._validated = False
        self._examined = beginning.examined
        self.weights_epoch: int | None = None
        self._orders: BatchOrder | None = None
        self.rows = self.test_rows = None
        self.tests: tuple[tuple[int, int, int], ...] = ()
        if not isinstance(data.training, Source):
            self._orders = BatchOrder(data.training, self.session, self.steps_per_execution)
            self.rows = data.training.rows
        if isinstance(data.validation, Batches):
            self.test_rows = data.validation.rows
            self.tests = tuple(data.validation.runs(self.steps_per_execution))
        self.seconds = 0.0 if job.opening is None else float(job.opening.memory["seconds"])
        if checkpoint is not None:
            self.last_logs = go_on_from(
                checkpoint, job.first_epoch, self.session, self._orders, self.callbacks, self.kept
            )
            self._state = trial_memory.fitting(checkpoint, self.own_state())
            self.epoch, self.seconds = checkpoint.epoch, float(checkpoint.memory["seconds"])
        self._memory = LaneMemory(
            *(job, self.session, self.callbacks, self.kept, self.examination),
            *(data.repeats, self.reading, resources.held_by_several(job), self.epoch),
        )
        self._in_test = self._in_test_before = False
        self._names: dict[str, str] | None = None
        # The caller's own models may have counted their metrics' names differently from each other.
        self.metric_names = list(self.model.get_metrics_result()) if self.in_place else []

    # --- its state ----------------------------------------------------------------------------------

    def own_state(self) -> State:
        """The state of a lane that is in no chunk."""
        assert self._state is not None
        return self._state

    def rest_with(self, state: State) -> None:
        """Keep the state itself, while it is in no chunk."""
        self._state = state

    def board(self) -> None:
        """Give the state to a chunk."""
        self._state = None

    # --- what it needs of the program ---------------------------------------------------------------

    def examine(self, kinds: Sequence[Kind], registry: Registry) -> None:
        """Find out what the lane's program depends on, when its first batch is next.

        Args:
            kinds: the steps that it will need, in the order in which ``fit`` comes to them.
            registry: what is known from other lanes; more is added.

        Raises:
            Unsuitable: its step can't be traced, or not twice alike.
        """
        self._validated = self.validates_now()
        if self._examined:  # with another lane's model
            return
        self._examined = True
        self.examination.examine(self.own_state(), kinds, registry, self.validates)

    def batches(self, data: FitData) -> list[Any]:
        """A training batch of each size that the coming epoch has; shapes and dtypes alone count."""
        if self.reading is not None:
            return [self.reading.first] if self.reading.first is not None else []
        return [sized(data.training.arrays, size) for _, size in self.order.shapes]  # type: ignore[union-attr]

    @property
    def halts(self) -> bool:
        """Whether a callback is to be called between training and validation."""
        return self.validates and self.callbacks.act_before_tests

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

    def named(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs under this model's own names, which are under the program's."""
        return logs if self._names is None else {self._names.get(k, k): v for k, v in logs.items()}

    # --- an epoch -----------------------------------------------------------------------------------

    def begin_epoch(self, look: Look) -> State | None:
        """Begin the coming epoch: the callbacks' ``on_epoch_begin``, then the order of its batches.

        Args:
            look: reads the lane's current state.

        Returns:
            The lane's new state, where a callback changed it.
        """
        changed = None
        if self.callbacks.are_called:
            changed = self._call(lambda: self.callbacks.epoch_begin(self.epoch), look)
            if self.callbacks.eager and self._examined:
                self.examination.check_metrics()
                if self.validates_now() and not self._validated:
                    self.examination.check_test_step("a callback, before the first validation,")
        # Keras looks at stop_training after each dispatch.
        self.most_steps = self.steps_per_execution if self.model.stop_training else None
        if self._orders is not None:
            self.order = self._orders.next_epoch().first(self.most_steps)
        return changed

    def begin_test(self, look: Look, logs: dict[str, float], steps: int | None) -> State | None:
        """Tell the callbacks of a lane that `halts` that training has ended and validation begins.

        Args:
            look: reads the lane's current state.
            logs: training logs.
            steps: as for `end_epoch`.

        Returns:
            The lane's new state, where a callback changed it.

        Raises:
            LanesError: a callback ends the validation, which can't be had on lanes.
            TooLate: a callback has changed what the test step reads.
        """
        self.model.stop_evaluating = False
        changed = self._call(lambda: self.callbacks.test_begin(self.named(logs), steps), look)
        if self.kept.watches:  # validation sees what the callbacks have made of the weights
            self.kept.note(self.epoch, changed or look())
        if self.model.stop_evaluating:
            raise LanesError(
                f"a callback of {self.trial} set model.stop_evaluating in on_test_begin. On lanes, "
                "validation can't be stopped after one batch; train with engine='reference'"
            )
        if not self._in_test_before:
            self._in_test_before = True
            self.examination.check_test_step("a callback's on_test_begin")
        self._in_test = True
        return changed

    def end_epoch(
        self, look: Look, logs: dict[str, float], val_logs: dict[str, float] | None, steps: int | None
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
        val_logs = None if val_logs is None else dict(sorted(self.named(val_logs).items()))
        logs = self.named(logs)
        epoch_logs = self.last_logs = epoch_logs_of(logs, val_logs)
        changed = None
        if self.callbacks.are_called:
            if self.kept.watches and not self._in_test:
                self.kept.note(self.epoch, look())

            def call() -> None:
                if not self._in_test:
                    self.callbacks.test_begin(logs, steps, val_logs is not None)
                self.callbacks.epoch_end(self.epoch, epoch_logs, val_logs)

            changed = self._call(call, look)
            self._in_test = False
            epoch_logs = self.callbacks.epoch_logs()
        self.epoch += 1
        if self.model.stop_training:
            self.epochs = self.epoch
        return epoch_logs, changed

    def _call(self, function: Callable[[], None], look: Look) -> State | None:
        """Call callbacks; the lane's new state, where they changed it.

        Raises:
            SharedStateError: variables that other trials share have other values now, which nobody who is
                built later must see.
        """
        changed = self.callbacks.call(function, self.session, look)
        if self.callbacks.users:
            self._held.check()
        return changed

    def end_epoch_silently(
        self, logs: dict[str, float], val_logs: dict[str, float] | None
    ) -> dict[str, float]:
        """Count an epoch that ended while training was stopped, of which no callback is called any more.

        Args:
            logs: as for `end_epoch`.
            val_logs: as for `end_epoch`.

        Returns:
            The epoch's logs.
        """
        self.last_logs = epoch_logs_of(self.named(logs), None if val_logs is None else self.named(val_logs))
        self.epoch += 1
        return self.last_logs

    def logs_at_rest(self) -> dict[str, Any]:
        """What Keras logs for an epoch without a batch: its metrics, reset; or the last logs there were."""
        self.model.reset_metrics()
        at_rest = keras_logs(self.model.get_metrics_result())
        last = {k: v for k, v in self.last_logs.items() if not k.startswith("val_")}
        return last if last and set(last) != set(at_rest) else at_rest

    def take_directions(self) -> dict[str, str]:
        """What Keras knows of the compiled metrics; nothing where it has been reported."""
        directions, self._directions = self._directions, {}
        return directions

    def spend(self, seconds: float) -> None:
        """Count time that was spent for it."""
        self.seconds += seconds

    # --- checkpoints --------------------------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether a checkpoint is to be taken, between two epochs."""
        return not self.finished and self._memory.is_due(self.epoch)

    def what_it_remembers(self) -> dict[str, Any] | str:
        """What it remembers besides its state, as plain data; or why that is not known."""
        return self._memory.now(self.last_logs, self.seconds, self._examined)

    def checkpoint(self, look: Look, due: bool = True) -> Checkpoint | str:
        """The lane's whole state between two epochs; or why that is not known.

        Args:
            look: reads the lane's current state.
            due: whether it counts as the newest one, for the next to be due.
        """
        if due:
            self._memory.note_saved(self.epoch)
        memory = self.what_it_remembers()
        if isinstance(memory, str):
            return memory
        weights = self._weights(look()) if trial_memory.is_complete(memory) else trial_memory.NO_WEIGHTS
        return Checkpoint(self.trial, self.epoch, weights, memory)

    def opening(self, weights: Weights) -> Checkpoint | None:
        """What the next phase of its training begins with, once this one has ended; None where none follows.

        Args:
            weights: the state at the end of this one.
        """
        if self.stopped or not phases.has_next(self.job):
            return None
        return self._memory.opening(self.epoch, weights, self.seconds)

    def _weights(self, state: State) -> Weights:
        return replace(to_weights(state, self.model), phase=self.job.phase)

    # --- endings ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End with the epochs that it has, as where a callback has set ``stop_training``."""
        self.stopped = True
        self.epochs = self.epoch

    def end(self, look: Look) -> Weights | None:
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
        if not (self.in_place or averaging or self.callbacks.are_called):
            self.weights_epoch = last
            return self._weights(look())
        if last is not None:
            self.kept.note_end(last, look())
        with self.session:
            write_state(self.model, look())
            if self.job.epochs > 0:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            self.callbacks.train_end(self.last_logs)
        if self.callbacks.users:
            self._held.check()
        keras_private.set_pending_state(self.model, None)
        self.weights_epoch = self.kept.epoch_of(self.model, read_state(self.model))
        return None if self.in_place else replace(weights_of(self.model), phase=self.job.phase)

    def leave(self) -> None:
        """Be over."""
        self.ended = True

    def cut_off(self, look: Callable[[], State | None]) -> CutOff | None:
        """The lane's state after its last finished epoch, where there is one, and nobody else has the model.

        Args:
            look: reads the state.
        """
        state = look() if self.last_logs and not self.in_place else None
        return None if state is None else CutOff(self.trial, self.epoch, self._weights(state))

    def withdraw(self) -> None:
        """Leave lanes, for another engine."""
        keras_private.set_pending_state(self.model, None)

    def give_up(self, look: Callable[[], State | None]) -> None:
        """Leave the caller's own model with what has been trained so far."""
        if self.in_place and (state := look()) is not None:
            write_state(self.model, state, self._groups)
            keras_private.set_pending_state(self.model, None)
        self._held.restore()
