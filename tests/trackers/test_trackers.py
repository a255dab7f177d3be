"""Trackers told while a study is trained: by the driver, of what is new, and never in training's way."""

import doctest
import importlib
import random
import re
import sys

import keras
import numpy as np
import pytest
from _studies import made_up, trials_of

import fairlane as fl
from fairlane.running.progress import Progress
from fairlane.trackers import Tracker
from fairlane.trackers.contract import plain, run_name, safe

X = np.linspace(-1.0, 1.0, 8, dtype="float32").reshape(8, 1)


def build(learning_rate=0.1):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return model


def compare(trackers, **others):
    asked = {"engine": "reference", "epochs": 2, "verbose": 0, **others}
    return fl.compare(build, {"learning_rate": [0.1, 0.01]}, X, 2 * X, trackers=trackers, **asked)


class Heard(Tracker):
    """Notes what it is told; raises where it is asked to."""

    def __init__(self, raises=""):
        self.raises, self.notes = raises, []

    def __repr__(self):
        return "Heard()"

    def note(self, text):
        self.notes.append(text)
        if text == self.raises:
            raise ConnectionError("no\nserver")

    def begin(self, facts):
        self.note(f"begin {facts.name} {len(facts.trials)}")

    def take(self, event, record):
        assert record.trial is event.trial
        self.note(f"{type(event).__name__} {event.trial.number} {getattr(event, 'epoch', '')}".strip())

    def end(self, records):
        self.note("end " + " ".join(str(record.state) for record in records))


TOLD = [
    "begin None 2",
    *("TrialStarted 0 0", "EpochEnded 0 0", "EpochEnded 0 1", "TrialDone 0"),
    *("TrialStarted 1 0", "EpochEnded 1 0", "EpochEnded 1 1", "TrialDone 1"),
    "end done done",
]


def test_a_tracker_is_told_what_the_store_is():
    heard = Heard()
    compare([heard])
    assert heard.notes == TOLD


class Draws(Tracker):
    """Draws random numbers of all kinds, and seeds them, wherever it is told something."""

    def __init__(self):
        self.drawn = []

    def _draw(self):
        numbers = random.random(), np.random.rand(), float(keras.random.uniform(()))  # noqa: NPY002
        self.drawn.append((*numbers, keras.layers.Flatten().name))
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        keras.utils.set_random_seed(2)

    def begin(self, facts):
        self._draw()

    def take(self, event, record):
        self._draw()

    def end(self, records):
        self._draw()


class Draw(keras.callbacks.Callback):
    """What a trial draws."""

    drawn = ()

    def on_epoch_end(self, epoch, logs=None):
        numbers = random.random(), np.random.rand(), float(keras.random.uniform(()))  # noqa: NPY002
        Draw.drawn = [*Draw.drawn, (*numbers, keras.layers.Flatten().name)]


@pytest.mark.parametrize("engine", ["reference", "lanes"])
def test_what_it_draws_is_none_of_a_trials_nor_the_other_way_round(engine, monkeypatch):
    def heard(trackers, tell=None):
        Draw.drawn = []
        keras.utils.set_random_seed(5)
        with monkeypatch.context() as patch:
            if tell is not None:
                real = Progress.update
                patch.setattr(Progress, "update", lambda self, record: (tell(), real(self, record)))
            study = compare(trackers, engine=engine, callbacks=lambda: [Draw()], batch_size=2, epochs=3)
        # On lanes, trials that end an epoch together may be called in another order.
        return study.history["loss"].tolist(), sorted(Draw.drawn), random.random(), np.random.rand()  # noqa: NPY002

    expected = heard([])
    tracker = Draws()
    assert heard([tracker]) == expected
    assert heard([], tracker._draw) == expected
    before, tracker.drawn = tracker.drawn, []
    assert heard([tracker]) == expected
    assert tracker.drawn == before[: len(tracker.drawn)]


def test_one_tracker_needs_no_list():
    heard = Heard()
    compare(heard)
    assert heard.notes == TOLD


@pytest.mark.parametrize(
    ("raises", "when"),
    [
        ("EpochEnded 0 1", r"at EpochEnded of trial 0 \(learning_rate=0.1, seed 0\)"),
        ("end done done", "at the end of the study"),
    ],
)
def test_one_that_raises_is_switched_off_and_training_goes_on(raises, when):
    broken, heard = Heard(raises), Heard()
    with pytest.warns(
        fl.FairlaneWarning, match=rf"Heard\(\) is switched off .* {when} it raised ConnectionError: no server"
    ):
        study = compare([broken, heard])
    assert broken.notes == TOLD[: TOLD.index(raises) + 1]
    assert heard.notes == TOLD
    assert study.trials["state"].tolist() == ["done", "done"]


def test_one_that_can_not_begin_stops_before_any_training():
    heard, broken = Heard(), Heard("begin None 2")
    with pytest.raises(
        fl.StudyError, match=r"Heard\(\) can't begin: ConnectionError: no server. Nothing was trained"
    ):
        compare([heard, broken])
    assert heard.notes == ["begin None 2", "end waiting waiting"]


@pytest.mark.parametrize("trackers", ["logs", 3, [3], None, [fl.trackers.TensorBoard]])
def test_other_things_are_refused(trackers):
    with pytest.raises(fl.StudyError, match="trackers must be a list such as"):
        compare(trackers)


def test_one_for_exports_alone_is_refused():
    pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    with pytest.raises(fl.StudyError, match=r"WandB\('p'\) can't be used while .* study.to_wandb"):
        compare([fl.trackers.WandB("p")])


def test_the_same_tracker_twice_is_refused():
    heard = Heard()
    with pytest.raises(fl.StudyError, match="same tracker twice"):
        compare([heard, heard])
    assert heard.notes == []


def test_trials_cut_off_are_told_at_the_end():
    class Stops(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    heard = Heard()
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        compare([heard], callbacks=lambda: [Stops()])
    assert heard.notes == [
        "begin None 2",
        "TrialStarted 0 0",
        "EpochEnded 0 0",
        "end interrupted interrupted",
    ]


def test_the_first_failure_is_told_before_it_is_raised():
    heard = Heard()
    broken = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / 0)
    with pytest.raises(fl.TrialError):
        compare([heard], callbacks=[broken], on_error="raise")
    assert heard.notes[1:] == ["TrialStarted 0 0", "TrialFailed 0 0", "end failed interrupted"]


def test_a_study_that_goes_on_tells_only_what_is_new(tmp_path):
    pytest.importorskip("sqlalchemy", reason="needs the extra 'store'")
    kept = {"store": str(tmp_path / "runs.db"), "name": "sweep"}
    compare([], **kept)
    heard = Heard()
    compare([heard], **kept)
    assert heard.notes == ["begin sweep 2", "end done done"]
    heard = Heard()
    compare([heard], **kept, epochs=3)
    new = [
        f"{event} {n} {e}".strip()
        for n in (0, 1)
        for event, e in (("TrialStarted", 2), ("EpochEnded", 2), ("TrialDone", ""))
    ]
    assert heard.notes == ["begin sweep 2", *new, "end done done"]


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_live_tensorboard_and_mlflow_have_what_the_study_has(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'tensorboard'"
    )
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    live = [fl.trackers.TensorBoard(tmp_path / "logs"), fl.trackers.MLflow(uri)]
    study = compare(live, engine="lanes", name="sweep", validation_split=0.5, test_data=(X, 2 * X), epochs=3)
    client = mlflow.MlflowClient(uri)
    where = [client.get_experiment_by_name("fairlane").experiment_id]
    runs = {run.info.run_name: run for run in client.search_runs(where)}
    assert len(runs) == 3
    assert runs["sweep"].info.status == "FINISHED"
    for row in study.trials.itertuples():
        name = f"trial-{row.trial:03d} learning_rate={row.learning_rate} seed=0"
        rows = study.history[study.history["trial"] == row.trial]
        for log, part in (("loss", "train"), ("val_loss", "validation")):
            expected = rows[log].tolist()
            read = accumulator.EventAccumulator(str(tmp_path / "logs" / "sweep" / name / part)).Reload()
            drawn = [event.value for event in read.Scalars("epoch_loss")]
            np.testing.assert_array_equal(np.float32(drawn), np.float32(expected))
            logged = client.get_metric_history(runs[name].info.run_id, log)
            assert [one.value for one in sorted(logged, key=lambda one: one.step)] == expected
        assert runs[name].data.metrics["test_loss"] == row.test_loss
        assert runs[name].info.status == "FINISHED"


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_doctests_of_trackers(package):
    pytest.importorskip(package, reason=f"needs the extra {package!r}")
    tried = doctest.testmod(importlib.import_module(f"fairlane.trackers.{package}"))
    assert (tried.failed, tried.attempted > 0) == (0, True)


# Names and missing packages


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("tensorboard", lambda: fl.trackers.TensorBoard("logs")),
        ("tensorboard", lambda: made_up().to_tensorboard("logs")),
        ("mlflow", lambda: fl.trackers.MLflow()),
        ("mlflow", lambda: made_up().to_mlflow()),
        ("wandb", lambda: made_up().to_wandb()),
    ],
)
def test_a_missing_package_names_its_extra(package, call, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    real = list(sys.meta_path)

    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(sys, "meta_path", [Missing, *real])
    with pytest.raises(fl.StoreError, match=re.escape(f"pip install 'fairlane[{package}]'")):
        call()


def test_a_runs_name():
    trials = trials_of({"learning_rate": 0.001, "units": np.int64(8)}, seeds=(0, 7))
    assert run_name(trials[1]) == "trial-001 learning_rate=0.001 units=8 seed=7"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (True, True),
        ("relu", "relu"),
        (None, "None"),
        (build, "build"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_plain(value, expected):
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_addresses_are_left_out():
    assert plain(object()) == "<object object>"


def test_long_values_are_cut():
    assert plain("x" * 1000) == "x" * 497 + "..."


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a_b/", " a", "a.", "a\\b", "é", "\udcff", "x" * 300, "/", "\x00"]
)
def test_unsafe_names_are_made_safe_and_stay_apart(text):
    made = safe(text, 40)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,39}", made)
    assert made not in (text, "_", safe(text + "?", 40))
    assert safe(made, 40) == made


def test_safe_names_stay():
    assert safe("trial-003 learning_rate=0.001 seed=0", 120) == "trial-003 learning_rate=0.001 seed=0"
