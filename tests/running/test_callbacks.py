"""Callbacks: each trial has its own, and each does what it does under Keras alone."""

import csv
import inspect
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import callbacks as kc

import fairlane as fl
from _trial import FIT, RAGGED, X, Y, alone, build, check, check_logs, check_weights

ENGINES = ["lanes", "reference"]
both_engines = pytest.mark.parametrize("engine", ENGINES)
VARIANTS = [{"lr": 0.05}, {"lr": 0.2}]


def compare(variants: Any = VARIANTS, builder: Any = build, **arguments: Any) -> fl.Study:
    return fl.compare(builder, variants, X, Y, verbose=0, **{**FIT, **arguments})


def alike(make: Any, engine: str, variants: Any = VARIANTS, **arguments: Any) -> fl.Study:
    """Compare with Keras alone, callbacks made by ``make`` in both."""
    study = compare(variants, callbacks=make, engine=engine, **arguments)
    check(study, [alone(v, make_callbacks=make, **arguments) for v in variants], engine)
    return study


# --- Keras's own ----------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_ends_each_trial_by_itself(engine, restore):
    def make():
        return [kc.EarlyStopping("val_loss", patience=1, min_delta=0.3, restore_best_weights=restore)]

    study = alike(make, engine, [{"lr": 0.001}, {"lr": 0.05}, {"lr": 0.02}], epochs=6, **RAGGED)
    epochs = study.trials["epochs"].tolist()
    assert len(set(epochs)) > 1, f"the trials were meant to stop at different epochs: {epochs}"


def test_a_stopped_lane_leaves_the_others_as_they_were():
    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [kc.EarlyStopping("loss", patience=0, min_delta=100)] if trial.number == 1 else []

    variants = [{"lr": 0.05}, {"lr": 0.1}, {"lr": 0.2}]
    stopped = compare(variants, callbacks=make, engine="lanes")
    assert stopped.trials["epochs"].tolist() == [4, 2, 4]
    check_logs(stopped, 0, alone(variants[0]))
    check_logs(stopped, 2, alone(variants[2]))
    check_weights(stopped, 2, alone(variants[2]))


@both_engines
def test_reduce_lr_on_plateau_logs_and_reduces_each_trials_own_rate(engine):
    def make():
        return [kc.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=0.6)]

    study = alike(make, engine)
    rates = study.history.groupby("trial")["learning_rate"].agg(["first", "last"])
    np.testing.assert_allclose(rates["first"], [0.05, 0.2], rtol=1e-6)
    assert (rates["last"] < rates["first"]).any()


@both_engines
def test_learning_rate_scheduler(engine):
    def make():
        return [kc.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)]

    study = alike(make, engine)
    np.testing.assert_allclose(
        study.history.query("trial == 1")["learning_rate"], [0.2, 0.1, 0.05, 0.025], rtol=1e-6
    )


def test_a_log_named_like_a_hyperparameter_gets_a_column_of_its_own():
    def builder(learning_rate):
        return build(learning_rate)

    study = compare(
        {"learning_rate": [0.1, 0.2]},
        builder,
        callbacks=lambda: [kc.LearningRateScheduler(lambda epoch: 0.01)],
        epochs=1,
    )
    assert study.history["learning_rate"].tolist() == [0.1, 0.2]
    np.testing.assert_allclose(study.history["logged_learning_rate"], 0.01, rtol=1e-6)


@both_engines
def test_model_checkpoint_writes_each_trials_own_model(engine, tmp_path):
    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [kc.ModelCheckpoint(tmp_path / f"{trial.number}.keras", verbose=0)]

    study = compare(callbacks=make, engine=engine)
    for trial in (0, 1):
        saved = keras.models.load_model(tmp_path / f"{trial}.keras")
        ours = study.model(trial)
        for a, b in zip(saved.variables, ours.variables, strict=True):
            if "seed_generator" not in a.path:  # Keras restarts it when it loads
                np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
        np.testing.assert_array_equal(saved.predict(X, verbose=0), ours.predict(X, verbose=0))
        assert saved.optimizer.iterations == ours.optimizer.iterations == 16
        check_weights(study, trial, alone(VARIANTS[trial]))


@both_engines
def test_save_best_only_saves_at_the_same_epochs_as_keras(engine, tmp_path):
    def make_in(folder: str):
        return kc.ModelCheckpoint(
            tmp_path / folder / "{epoch:02d}.weights.h5",
            monitor="val_loss",
            save_best_only=True,
            save_weights_only=True,
        )

    compare(callbacks=lambda trial: [make_in(str(trial.number))], engine=engine)
    for trial, variant in enumerate(VARIANTS):
        alone(variant, make_callbacks=lambda trial=trial: [make_in(f"alone{trial}")])
        written = {p.name for p in (tmp_path / str(trial)).iterdir()}
        assert written == {p.name for p in (tmp_path / f"alone{trial}").iterdir()}
        loaded = []
        for folder in (str(trial), f"alone{trial}"):
            model = alone(variant, epochs=1).model
            model.load_weights(tmp_path / folder / max(written))
            loaded.append(model.get_weights())
        for a, b in zip(*loaded, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@both_engines
@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_terminate_on_nan_cuts_the_epoch_of_the_diverging_trial_short(engine, steps_per_epoch):
    variants = [{"lr": 0.05}, {"lr": 1e9}, {"lr": 1e25}]
    more = {"epochs": 5, "steps_per_epoch": steps_per_epoch}
    study = compare(variants, callbacks=lambda: [kc.TerminateOnNaN()], engine=engine, **more)
    for trial, variant in enumerate(variants):
        expected = alone(variant, make_callbacks=lambda: [kc.TerminateOnNaN()], **more)
        check_logs(study, trial, expected, rtol=1e-4)
        check_weights(study, trial, expected, rtol=1e-4)
    assert study.trials["state"].tolist() == ["done", "diverged", "diverged"]
    assert study.trials["epochs"].tolist()[0] == 5
    assert max(study.trials["epochs"].tolist()[1:]) < 5


@pytest.mark.skipif(
    "raise_error" not in inspect.signature(kc.TerminateOnNaN).parameters,
    reason="this Keras has no TerminateOnNaN(raise_error=True)",
)
@both_engines
def test_terminate_on_nan_that_raises_fails_the_trial(engine):
    study = compare(
        [{"lr": 0.05}, {"lr": 1e25}],
        callbacks=lambda: [kc.TerminateOnNaN(raise_error=True)],
        engine=engine,
    )
    assert study.trials["state"].tolist() == ["done", "failed"]
    assert study.trials["error"][1].startswith("RuntimeError: NaN or Inf loss encountered at batch")
    check_logs(study, 0, alone({"lr": 0.05}))


def _in_executions(lr):
    model = build(lr)
    model.compile(keras.optimizers.SGD(lr), "mse", steps_per_execution=3)
    return model


def test_terminate_on_nan_with_several_steps_per_execution():
    """Keras looks at the loss after each execution, and lanes after each step: not on lanes."""
    variants = [{"lr": 0.05}, {"lr": 1e25}]

    def make():
        return [kc.TerminateOnNaN()]

    study = compare(variants, _in_executions, callbacks=make)
    assert study.trials["engine"].tolist() == ["reference"] * 2
    assert "once per steps_per_execution" in study.trials["reason"][0]
    for trial, variant in enumerate(variants):
        check_logs(study, trial, alone(variant, builder=_in_executions, make_callbacks=make), rtol=1e-4)


def test_stop_training_is_looked_at_after_each_execution():
    def make(trial=None):
        return [StopAt("epoch_begin", 1)]

    study = compare(VARIANTS[:1], _in_executions, callbacks=make, engine="lanes", batch_size=4)
    check(study, [alone(VARIANTS[0], builder=_in_executions, make_callbacks=make, batch_size=4)])


@both_engines
def test_csv_logger_writes_what_keras_writes(engine, tmp_path):
    compare(callbacks=lambda t: [kc.CSVLogger(tmp_path / f"{t.number}.csv")], engine=engine)
    for trial, variant in enumerate(VARIANTS):
        alone(variant, make_callbacks=lambda: [kc.CSVLogger(tmp_path / "alone.csv")])
        ours, theirs = (_csv(tmp_path / f"{name}.csv") for name in (trial, "alone"))
        assert ours.keys() == theirs.keys()
        for log in ours:
            np.testing.assert_allclose(ours[log], theirs[log], rtol=1e-5, atol=1e-6, err_msg=log)


def _csv(path: Path) -> dict[str, list[float]]:
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    return {key: [float(row[key]) for row in rows] for key in rows[0]}


@both_engines
def test_lambda_callback(engine):
    told: dict[str, list[Any]] = {}

    def make(trial: fl.Trial | None = None) -> list[kc.Callback]:
        notes = told.setdefault(str(trial), [])
        return [
            kc.LambdaCallback(
                on_train_begin=lambda logs: notes.append("begin"),
                on_epoch_begin=lambda epoch, logs: notes.append(epoch),
                on_epoch_end=lambda epoch, logs: notes.append((epoch, sorted(logs))),
                on_train_end=lambda logs: notes.append(sorted(logs)),
            )
        ]

    study = compare(callbacks=lambda trial: make(trial), engine=engine, epochs=2)
    alone(make_callbacks=make, epochs=2)
    assert told[str(study._record(0).trial)] == told[str(study._record(1).trial)] == told["None"]


# --- users' own -----------------------------------------------------------------------------------------


class Watcher(kc.Callback):
    """Writes down what it is called with and what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def _see(self, what: str, logs: Any) -> None:
        model = self.model
        self.seen.append(
            {
                "what": what,
                "logs": dict(logs or {}),
                "kernel": model.layers[0].kernel.numpy().copy(),
                "momentum": model.optimizer.variables[2].numpy().copy(),
                "iterations": int(model.optimizer.iterations.numpy()),
                "lr": float(model.optimizer.learning_rate.numpy()),
                "stop": model.stop_training,
                "params": dict(self.params),
                "thread": threading.current_thread() is threading.main_thread(),
            }
        )

    def on_train_begin(self, logs=None):
        self._see("train begin", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._see(f"epoch {epoch} begin", logs)

    def on_test_end(self, logs=None):
        self._see("test end", logs)

    def on_epoch_end(self, epoch, logs=None):
        self._see(f"epoch {epoch} end", logs)

    def on_train_end(self, logs=None):
        self._see("train end", logs)


@both_engines
def test_a_users_callback_sees_its_own_trials_model_at_every_call(engine):
    watchers: dict[int, Watcher] = {}

    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [watchers.setdefault(trial.number, Watcher())]

    compare(callbacks=make, engine=engine, epochs=2)
    for trial, variant in enumerate(VARIANTS):
        expected = alone(variant, make_callbacks=lambda: [Watcher()], epochs=2).callbacks[0]
        ours = watchers[trial].seen
        assert [s["what"] for s in ours] == [s["what"] for s in expected.seen]
        for a, b in zip(ours, expected.seen, strict=True):
            assert a["logs"].keys() == b["logs"].keys(), a["what"]
            for key in ("kernel", "momentum", "iterations", "lr"):
                np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-6, err_msg=a["what"])
            np.testing.assert_allclose([*a["logs"].values()], [*b["logs"].values()], rtol=1e-5)
            assert a["stop"] == b["stop"]
            assert a["params"] == b["params"]
            assert a["thread"]


class Decay(kc.Callback):
    """Changes weights, learning rate and momentum between epochs."""

    def on_epoch_end(self, epoch, logs=None):
        kernel = self.model.layers[0].kernel
        kernel.assign(kernel.numpy() * 0.5)
        self.model.optimizer.learning_rate.assign(0.01 * (epoch + 1))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            for variable in self.model.optimizer.variables[2:]:
                variable.assign(variable.numpy() * 0)


@both_engines
def test_a_users_callback_changes_weights_and_optimizer(engine):
    alike(lambda: [Decay()], engine)


class SetWeights(kc.Callback):
    def on_train_begin(self, logs=None):
        self.model.set_weights([w * 0 + 0.1 for w in self.model.get_weights()])


@both_engines
def test_weights_set_in_on_train_begin_are_those_trained(engine):
    alike(lambda: [SetWeights()], engine, epochs=2)


class StopAt(kc.Callback):
    """Sets stop_training in one of the calls."""

    def __init__(self, call: str, epoch: int) -> None:
        super().__init__()
        setattr(self, f"on_{call}", self._stop)
        self.at = epoch

    def _stop(self, epoch=None, logs=None):
        if epoch is None or isinstance(epoch, dict) or epoch == self.at:
            self.model.stop_training = True


@both_engines
@pytest.mark.parametrize("call", ["epoch_end", "epoch_begin", "train_begin"])
def test_stop_training_ends_the_trial_where_keras_ends_it(engine, call):
    def make(trial=None):
        return [StopAt(call, 1)]

    study = alike(make, engine)
    assert study.trials["epochs"].tolist() == ([1, 1] if call == "train_begin" else [2, 2])


class EvaluateInside(kc.Callback):
    """Uses the model in the middle of training."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def on_epoch_end(self, epoch, logs=None):
        values = self.model.evaluate(X[:9], Y[:9], verbose=0, return_dict=True)
        predicted = self.model.predict(X[:9], verbose=0)
        logs["extra"] = values["loss"]
        self.found.append((values, predicted))


@both_engines
def test_evaluate_and_predict_inside_a_callback(engine):
    inside: dict[int, EvaluateInside] = {}

    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [inside.setdefault(trial.number, EvaluateInside())]

    study = compare(callbacks=make, engine=engine)
    expected = [alone(v, make_callbacks=lambda: [EvaluateInside()]) for v in VARIANTS]
    check(study, expected, engine)
    for trial, one in enumerate(expected):
        assert len(inside[trial].found) == len(one.callbacks[0].found) == 4
        for (a, b), (c, d) in zip(inside[trial].found, one.callbacks[0].found, strict=True):
            np.testing.assert_allclose([*a.values()], [*c.values()], rtol=1e-4)
            np.testing.assert_allclose(b, d, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        study.history.query("trial == 0")["extra"],
        [values["loss"] for values, _ in inside[0].found],
    )


class DrawsNumbers(kc.Callback):
    """Moves NumPy's global generator, from which Keras draws the next epoch's batch order."""

    def on_epoch_begin(self, epoch, logs=None):
        np.random.rand(3)  # noqa: NPY002

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            np.random.seed(5)  # noqa: NPY002


@both_engines
def test_the_batch_order_follows_numpys_global_generator(engine):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    study = compare(callbacks=lambda: [DrawsNumbers()], engine=engine)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    check(study, [alone(v, make_callbacks=lambda: [DrawsNumbers()]) for v in VARIANTS], engine)
    plain = compare(VARIANTS[:1], engine=engine)
    assert plain.history["loss"][0] != study.history["loss"][0]


class ByAnotherName(kc.Callback):
    """Holds the model, or a variable of it, by a name that Keras does not know."""

    def set_model(self, model):
        super().set_model(model)
        self.held = model.layers[0].kernel
        self.sums: list[float] = []

    def on_epoch_end(self, epoch, logs=None):
        self.sums.append(float(np.abs(self.held.numpy()).sum()))


@both_engines
def test_a_variable_held_by_a_callback_is_up_to_date(engine):
    made: list[ByAnotherName] = []

    def make():
        made.append(ByAnotherName())
        return made[-1:]

    compare(VARIANTS[:1], callbacks=make, engine=engine)
    expected = alone(VARIANTS[0], make_callbacks=make)
    np.testing.assert_allclose(made[0].sums, expected.callbacks[0].sums, rtol=1e-5)


# --- between training and validation --------------------------------------------------------------------


class Between(Watcher):
    """Looks at the model and changes it when training has ended and validation begins, and gives it back."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at = at

    def on_test_begin(self, logs=None):
        self._see("test begin", logs)
        kernel = self.model.layers[0].kernel
        self.kept = kernel.numpy().copy()
        kernel.assign(self.kept * 0.5)

    def on_test_end(self, logs=None):
        super().on_test_end(logs)
        self.model.layers[0].kernel.assign(self.kept)


@both_engines
@pytest.mark.parametrize("validation_freq", [1, 2])
def test_on_test_begin_comes_between_training_and_validation(engine, validation_freq):
    watchers: dict[int, Between] = {}

    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [watchers.setdefault(trial.number, Between())]

    more = {"validation_freq": validation_freq, "epochs": 3}
    study = compare(callbacks=make, engine=engine, **more)
    expected = [alone(v, make_callbacks=lambda: [Between()], **more) for v in VARIANTS]
    check(study, expected, engine)
    for trial, one in enumerate(expected):
        ours, theirs = watchers[trial].seen, one.callbacks[0].seen
        assert [s["what"] for s in ours] == [s["what"] for s in theirs]
        for a, b in zip(ours, theirs, strict=True):
            for key in ("kernel", "momentum", "iterations"):
                np.testing.assert_allclose(a[key], b[key], rtol=1e-4, atol=1e-5, err_msg=a["what"])


@both_engines
def test_on_test_begin_with_a_diverging_neighbour(engine):
    variants = [{"lr": 0.05}, {"lr": 1e25}]

    def make():
        return [kc.TerminateOnNaN(), Between()]

    study = compare(variants, callbacks=make, engine=engine)
    for trial, variant in enumerate(variants):
        expected = alone(variant, make_callbacks=make)
        check_logs(study, trial, expected, rtol=1e-4)
        check_weights(study, trial, expected)


class RaisesBetween(kc.Callback):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.left = epoch

    def on_test_begin(self, logs=None):
        if self.left == 0:
            raise ValueError("no validation, please")
        self.left -= 1


@both_engines
def test_an_error_in_on_test_begin_fails_its_own_trial(engine):
    variants = [{"lr": 0.05}, {"lr": 0.1}, {"lr": 0.2}]
    study = compare(variants, callbacks=lambda t: [RaisesBetween(1 if t.number == 1 else 99)], engine=engine)
    assert study.trials["state"].tolist() == ["done", "failed", "done"]
    assert study.trials["error"][1] == "ValueError: no validation, please"
    assert study.trials["epochs"].tolist() == [4, 1, 4]
    for trial in (0, 2):
        check_logs(study, trial, alone(variants[trial]))
        check_weights(study, trial, alone(variants[trial]))


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_an_error_in_on_test_begin_of_all_trials():
    study = compare(callbacks=lambda: [RaisesBetween(0)], engine="lanes")
    assert study.trials["state"].tolist() == ["failed"] * 2
    assert study.trials["epochs"].tolist() == [0, 0]


class EndsValidation(kc.Callback):
    def on_test_begin(self, logs=None):
        self.model.stop_evaluating = True


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_validation_is_not_cut_short_on_lanes():
    study = compare(callbacks=lambda: [EndsValidation()], engine="lanes")
    assert study.trials["state"].tolist() == ["failed"] * 2
    assert "LanesError: a callback of trial 0" in study.trials["error"][0]
    assert "train with engine='reference'" in study.trials["error"][0]
    study = compare(callbacks=lambda: [EndsValidation()], engine="reference")
    check(study, [alone(v, make_callbacks=lambda: [EndsValidation()]) for v in VARIANTS], "reference")


# --- how callbacks are given ----------------------------------------------------------------------------


def test_a_list_is_copied_for_each_trial_and_left_as_it_was():
    stopping = kc.EarlyStopping("val_loss", patience=0, restore_best_weights=True)
    plateau = kc.ReduceLROnPlateau("loss", patience=1)
    watcher = Watcher()
    given = [stopping, plateau, watcher]
    before = [dict(vars(c)) for c in given]
    study = compare(callbacks=given, epochs=2, engine="lanes")
    assert [dict(vars(c)) for c in given] == before
    assert watcher.seen == []
    assert stopping.model is None

    def make():
        stopping = kc.EarlyStopping("val_loss", patience=0, restore_best_weights=True)
        return [stopping, kc.ReduceLROnPlateau("loss", patience=1), Watcher()]

    check(study, [alone(v, make_callbacks=make, epochs=2) for v in VARIANTS])


def test_a_single_callback_is_a_list_of_one():
    study = compare(callbacks=kc.EarlyStopping("loss", min_delta=100))
    assert study.trials["epochs"].tolist() == [2, 2]


@pytest.mark.parametrize("nothing", [None, [], (), lambda: None, lambda: []])
def test_no_callbacks(nothing):
    study = compare(VARIANTS[:1], callbacks=nothing, epochs=1)
    assert study.trials["state"].tolist() == ["done"]


def test_a_factory_may_take_the_trial_or_not():
    trials: list[fl.Trial] = []

    def with_trial(trial: fl.Trial) -> list[kc.Callback]:
        trials.append(trial)
        return [kc.EarlyStopping("loss", min_delta=100)]

    def with_default(patience: int = 0) -> list[kc.Callback]:
        return [kc.EarlyStopping("loss", min_delta=100, patience=patience)]

    study = compare(callbacks=with_trial, seeds=2, epochs=3)
    assert [t.number for t in trials] == [0, 1, 2, 3]
    assert [(t.hyperparameters["lr"], t.seed) for t in trials] == [
        *[(0.05, 0), (0.05, 1)],
        *[(0.2, 0), (0.2, 1)],
    ]
    assert study.trials["epochs"].tolist() == [2] * 4
    assert compare(callbacks=with_default, epochs=3).trials["epochs"].tolist() == [2, 2]


class HasALock(kc.Callback):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_a_callback_that_cannot_be_copied_recommends_the_function():
    with pytest.raises(fl.StudyError, match=r"HasALock can't be copied .*callbacks=lambda: \[HasALock"):
        compare(callbacks=[HasALock()])
    assert compare(VARIANTS[:1], callbacks=lambda: [HasALock()], epochs=1).trials["state"][0] == "done"


def test_one_instance_for_two_trials_is_an_error_before_any_training():
    one, trained = kc.EarlyStopping("loss", patience=0), []
    one.on_train_begin = lambda logs=None: trained.append(one)
    with pytest.raises(
        fl.SharedStateError,
        match=r"callbacks\(\) for trial 1 .* a EarlyStopping that trial 0 .* make them inside the function",
    ):
        compare(callbacks=lambda: [one], epochs=2)
    assert trained == []
    del one.on_train_begin
    assert compare(VARIANTS[:1], callbacks=lambda: [one], epochs=2).trials["state"].tolist() == ["done"]


class EveryBatch(kc.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


def test_a_batch_level_callback_goes_to_the_reference_with_the_reason():
    def make(trial: fl.Trial) -> list[kc.Callback]:
        return [EveryBatch()] if trial.number == 1 else []

    study = compare(callbacks=make, epochs=2)
    assert study.trials["engine"].tolist() == ["lanes", "reference"]
    reason = "callback EveryBatch acts inside the epoch (on_train_batch_end)"
    assert study.trials["reason"].tolist() == ["", reason]
    for trial, variant in enumerate(VARIANTS):
        check_logs(study, trial, alone(variant, epochs=2))
        check_weights(study, trial, alone(variant, epochs=2))


def test_engine_lanes_refuses_a_batch_level_callback():
    with pytest.raises(fl.LanesError, match=r"trial 0 .* can't run on lanes: callback EveryBatch"):
        compare(callbacks=lambda: [EveryBatch()], engine="lanes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: kc.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
        lambda: kc.ModelCheckpoint("unused.keras", save_freq=10_000),
        lambda: type("Derived", (kc.TerminateOnNaN,), {})(),
    ],
)
def test_other_callbacks_inside_the_epoch_go_to_the_reference(make):
    study = compare(VARIANTS[:1], callbacks=lambda: [make()], epochs=1)
    assert study.trials["engine"].tolist() == ["reference"]
    assert "acts inside the epoch" in study.trials["reason"][0]


@both_engines
def test_a_history_callback_of_the_users_own_is_kept(engine):
    histories: list[kc.History] = []

    def make():
        histories.append(kc.History())
        return [histories[-1], kc.LearningRateScheduler(lambda epoch: 0.01)]

    study = compare(callbacks=make, engine=engine, epochs=2)
    for trial, history in enumerate(histories[:2]):
        assert history.epoch == [0, 1]
        rows = study.history.query("trial == @trial")
        np.testing.assert_allclose(history.history["loss"], rows["loss"])
        assert history.history.keys() == alone(make_callbacks=make, epochs=2).history.keys()


@both_engines
def test_backup_and_restore_resumes_as_in_keras(engine, tmp_path):
    def make_in(folder: Path, keep: bool):
        return [kc.BackupAndRestore(folder, delete_checkpoint=not keep)]

    for epochs, keep in ((2, True), (4, False)):
        study = compare(
            VARIANTS[:1],
            callbacks=lambda keep=keep: make_in(tmp_path / "ours", keep),
            engine=engine,
            epochs=epochs,
        )
        expected = alone(
            VARIANTS[0],
            make_callbacks=lambda keep=keep: make_in(tmp_path / "alone", keep),
            epochs=epochs,
        )
        check(study, [expected], engine)
    assert study.history["epoch"].tolist() == [2, 3]
    assert not (tmp_path / "ours").exists()


# --- fit ------------------------------------------------------------------------------------------------


def _models(variants: Any = VARIANTS) -> list[keras.Model]:
    models = []
    for i, variant in enumerate(variants):
        keras.utils.set_random_seed(i)
        models.append(build(**variant))
    return models


def _fitted_alone(model: keras.Model, seed: int, callbacks: list[Any], **arguments: Any) -> Any:
    keras.utils.set_random_seed(seed)
    fit = {**FIT, **arguments}
    return model.fit(X, Y, callbacks=callbacks, verbose=0, **fit)


def _equal_models(ours: keras.Model, theirs: keras.Model) -> None:
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5, err_msg=a.path)


@both_engines
def test_fit_with_callbacks_of_each_models_own(engine):
    given = [
        kc.EarlyStopping("loss", patience=0, min_delta=0.25, restore_best_weights=True),
        kc.LearningRateScheduler(lambda epoch, lr: lr * 0.9),
        Watcher(),
    ]
    ours, theirs = _models(), _models()
    histories = fl.fit(ours, X, Y, seed=3, callbacks=given, engine=engine, verbose=0, **FIT)
    assert given[2].seen == []
    for history, model, other in zip(histories, ours, theirs, strict=True):
        own = [
            kc.EarlyStopping("loss", patience=0, min_delta=0.25, restore_best_weights=True),
            kc.LearningRateScheduler(lambda epoch, lr: lr * 0.9),
            Watcher(),
        ]
        expected = _fitted_alone(other, 3, own)
        assert isinstance(history, kc.History)
        assert model.history is history
        assert history.model is model
        assert history.epoch == expected.epoch
        assert history.history.keys() == expected.history.keys()
        for log, values in expected.history.items():
            np.testing.assert_allclose(history.history[log], values, rtol=1e-5, err_msg=log)
        _equal_models(model, other)
        assert model.stop_training == other.stop_training


@both_engines
def test_fit_gives_a_factory_the_trial_with_the_models_name(engine):
    models = _models()
    asked: list[fl.Trial] = []

    def make(trial: fl.Trial) -> list[kc.Callback]:
        asked.append(trial)
        return [Watcher()]

    fl.fit(models, X, Y, callbacks=make, engine=engine, verbose=0, **FIT)
    assert [t.number for t in asked] == [0, 1]
    assert [t.hyperparameters["model"] for t in asked] == [m.name for m in models]


@both_engines
def test_fit_keeps_a_history_callback_of_the_users_own(engine):
    made: list[kc.History] = []

    def make():
        made.append(kc.History())
        return made[-1:]

    models = _models()
    histories = fl.fit(models, X, Y, callbacks=make, engine=engine, verbose=0, **FIT)
    assert all(a is b is m.history for a, b, m in zip(histories, made, models, strict=True))
