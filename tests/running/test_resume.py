"""A study that was cut off goes on as if it never had been: the same history, weights and callbacks' files."""

from __future__ import annotations

import csv
import doctest
import gc
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.engines.contract import Pace
from fairlane.models.callback_memory import plain_data, trial_memory
from fairlane.running.jobs import pace_of
from fairlane.trials import Checkpoint, EpochEnded

_RNG = np.random.default_rng(8)
X = _RNG.normal(size=(30, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3 * _RNG.normal(size=(30, 1))).astype("float32")

RATES = [{"learning_rate": 0.05}, {"learning_rate": 0.01}]
FIT = {"epochs": 6, "batch_size": 8, "validation_split": 0.2, "verbose": 0, "checkpoint_every": 1}

RAGGED = {"validation_split": 0.3}
"""The last batch is smaller, of training and validation: `FIT` has whole ones, and a program of each to compile."""

engines = pytest.mark.parametrize("engine", ["lanes", "reference"])


def build(learning_rate=0.05, use_ema=False):
    """With all that a trial draws and remembers: dropout, moments, a batch order."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh")])
    model.add(keras.layers.Dropout(0.4))
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.Adam(learning_rate, use_ema=use_ema), "mse", metrics=["mae"])
    return model


class PowerCut(BaseException):
    """No error, so that nothing is tidied up by who handles errors."""


@pytest.fixture
def cut(monkeypatch):
    """Makes the power fail when so many epochs have been told."""
    from fairlane.running import driver

    take = driver.Driver._take

    def at(epochs):
        told = []

        def taken(self, event):
            take(self, event)
            told.append(isinstance(event, EpochEnded))
            if sum(told) == epochs:
                raise PowerCut

        monkeypatch.setattr(driver.Driver, "_take", taken)

    yield at
    monkeypatch.setattr(driver.Driver, "_take", take)


def compare(store=None, *, variants=RATES, model=build, x=X, y=Y, **changes):
    if store is not None:
        changes = {"store": store, "name": "study", **changes}
    return fl.compare(model, variants, x, y, **{**FIT, **changes})


def same(study, expected, rtol=1e-5):
    logs = list(expected.history.columns[3:])
    order = ["trial", "epoch"]
    assert study.trials["error"].tolist() == expected.trials["error"].tolist()
    mine, theirs = (one.history.sort_values(order, ignore_index=True) for one in (study, expected))
    assert mine[order].to_numpy().tolist() == theirs[order].to_numpy().tolist()
    np.testing.assert_allclose(mine[logs].to_numpy(float), theirs[logs].to_numpy(float), rtol=rtol, atol=1e-7)
    for trial in range(len(expected.trials)):
        a, b = study.model(trial), expected.model(trial)
        for mine, theirs in zip(a.variables, b.variables, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6, err_msg=theirs.path)


def interrupted(cut, store, epochs=5, **changes):
    cut(epochs)
    with pytest.raises(PowerCut):
        compare(store, **changes)


def started(monkeypatch):
    """The epochs in which trials are begun from here on."""
    begun = {}
    for name in ("lanes.roster", "reference.engine"):
        module = __import__(f"fairlane.engines.{name}", fromlist=["TrialStarted"])
        real = module.TrialStarted

        def tell(trial, *args, real=real, **kwargs):
            begun[trial.number] = kwargs.get("epoch", 0)
            return real(trial, *args, **kwargs)

        monkeypatch.setattr(module, "TrialStarted", tell)
    return begun


@engines
def test_what_was_cut_off_goes_on_exactly(cut, tmp_path, monkeypatch, engine):
    store = tmp_path / "runs.db"
    interrupted(cut, store, engine=engine, **RAGGED)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(store, engine=engine, **RAGGED)
    assert max(begun.values()) > 0  # not all anew
    same(study, compare(engine=engine, **RAGGED))


def test_a_damaged_checkpoint_costs_an_epoch_and_is_told(cut, tmp_path, monkeypatch):
    interrupted(cut, tmp_path / "runs.db", engine="reference")
    monkeypatch.undo()
    (newest,) = (tmp_path / "runs.artifacts").rglob("trial-0-epoch-4-*")
    newest.write_bytes(newest.read_bytes()[:-1])
    begun = started(monkeypatch)
    with pytest.warns(
        fl.FairlaneWarning, match=r"checkpoint of trial 0 .* after 4 .*; the one before is used"
    ):
        study = compare(tmp_path / "runs.db", engine="reference")
    assert begun == {0: 3, 1: 0}
    same(study, compare(engine="reference"))


@engines
def test_bit_for_bit_where_fleets_are_cut_alike(cut, tmp_path, monkeypatch, engine):
    interrupted(cut, tmp_path / "runs.db", engine=engine)
    monkeypatch.undo()
    study, expected = compare(tmp_path / "runs.db", engine=engine), compare(engine=engine)
    mine, theirs = (one.history.sort_values(["trial", "epoch"]) for one in (study, expected))
    assert mine["loss"].tolist() == theirs["loss"].tolist()
    for trial in (0, 1):
        for a, b in zip(study.model(trial).variables, expected.model(trial).variables, strict=True):
            np.testing.assert_array_equal(a, b)


@engines
def test_a_trial_may_go_on_on_the_other_engine(cut, tmp_path, monkeypatch, engine):
    store = tmp_path / "runs.db"
    interrupted(cut, store, engine=engine)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(store, engine={"lanes": "reference", "reference": "lanes"}[engine])
    assert max(begun.values()) > 0
    same(study, compare(engine="lanes"))


def callbacks(trial):
    return [
        keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.3, patience=1, min_delta=0.3),
        keras.callbacks.EarlyStopping(monitor="loss", patience=2, min_delta=0.2, restore_best_weights=True),
        Counting(),
    ]


class Counting(keras.callbacks.Callback):
    """A user's own, that changes training by what it remembers."""

    def __init__(self):
        super().__init__()
        self.seen: dict[int, tuple[float, ...]] = {}

    def on_epoch_end(self, epoch, logs=None):
        self.seen[epoch] = (logs["loss"], *self.seen.get(epoch - 1, ()))
        if len(self.seen) == 4:
            self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)


@engines
def test_callbacks_remember(cut, tmp_path, monkeypatch, engine):
    store = tmp_path / "runs.db"
    cut(6)
    with pytest.raises(PowerCut):
        compare(store, engine=engine, callbacks=callbacks, epochs=9)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(store, engine=engine, callbacks=callbacks, epochs=9)
    assert max(begun.values()) > 1
    same(study, compare(engine=engine, callbacks=callbacks, epochs=9))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the file left open
@engines
def test_a_csv_file_has_each_epoch_once(cut, tmp_path, monkeypatch, engine):
    def log(folder):
        return [keras.callbacks.CSVLogger(str(folder / "{trial}.csv"))]

    def rows(folder, trial):
        with open(folder / f"{trial}.csv", newline="") as file:
            header, *lines = csv.reader(file)
        return header, np.array(lines, float)

    for name in ("a", "b"):
        Path(tmp_path / name).mkdir()
    store = tmp_path / "runs.db"
    interrupted(cut, store, engine=engine, callbacks=log(tmp_path / "a"), checkpoint_every=2)
    monkeypatch.undo()
    compare(store, engine=engine, callbacks=log(tmp_path / "a"), checkpoint_every=2)
    compare(engine=engine, callbacks=log(tmp_path / "b"))
    for trial in (0, 1):
        (header, mine), (expected, theirs) = rows(tmp_path / "a", trial), rows(tmp_path / "b", trial)
        assert header == expected
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    gc.collect()  # the warning of the file comes in this test, and not in a later one


def test_batches_of_fewer_steps_go_on_where_they_were(cut, tmp_path, monkeypatch):
    few = {"engine": "lanes", "steps_per_epoch": 2, "validation_split": 0.0}
    interrupted(cut, tmp_path / "runs.db", **few)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(tmp_path / "runs.db", **few)
    assert max(begun.values()) > 0
    same(study, compare(**few))


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]


class Changing(Rows):
    def on_epoch_end(self):
        pass


@pytest.mark.parametrize(("data", "anew"), [(Rows, False), (Changing, True)])
def test_a_dataset_goes_on_where_its_batches_can_be_read_again(cut, tmp_path, monkeypatch, data, anew):
    given = {"engine": "lanes", "y": None, "batch_size": None, "validation_split": 0.0}
    interrupted(cut, tmp_path / "runs.db", x=data(), **given)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(tmp_path / "runs.db", x=data(), **given)
    assert (max(begun.values()) == 0) is anew
    same(study, compare(x=data(), **given))


@engines
def test_more_epochs_go_on_from_the_end(tmp_path, monkeypatch, engine):
    store = tmp_path / "runs.db"
    compare(store, engine=engine, epochs=3)
    begun = started(monkeypatch)
    study = compare(store, engine=engine, epochs=5)
    assert begun == {0: 3, 1: 3}
    same(study, compare(engine=engine, epochs=5))


def test_more_epochs_begin_anew_where_the_end_of_training_changed_the_weights(tmp_path, monkeypatch):
    """An average of the weights takes their place at the end, and training can't go on from it."""
    averaged = [{"use_ema": True}]
    compare(tmp_path / "runs.db", variants=averaged, epochs=3, engine="lanes")
    begun = started(monkeypatch)
    study = compare(tmp_path / "runs.db", variants=averaged, epochs=5, engine="lanes")
    assert begun == {0: 0}
    same(study, compare(variants=averaged, epochs=5, engine="lanes"))


def test_new_variants_and_seeds_are_added(tmp_path, monkeypatch):
    store = tmp_path / "runs.db"
    compare(store, variants=RATES[:1], engine="lanes", epochs=2)
    begun = started(monkeypatch)
    study = compare(store, engine="lanes", seeds=2, epochs=2)
    assert len(begun) == 3
    assert len(study.trials) == 4
    expected = compare(engine="lanes", seeds=2, epochs=2)
    keys = ["learning_rate", "seed", "epoch"]
    mine, theirs = (one.history.sort_values(keys)["loss"] for one in (study, expected))
    np.testing.assert_allclose(mine, theirs, rtol=1e-5)


class Plateau:
    """A schedule that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, epoch, rate):
        self.calls += 1
        return 0.1 / self.calls


def counted():
    seen = np.zeros(1)

    def schedule(epoch, rate):
        seen[0] += 1
        return float(0.1 / seen[0])

    return schedule


class Halving(keras.callbacks.Callback):
    """Two of them share a list, and the second does by its length what decides on the training."""

    def __init__(self, shared, first):
        super().__init__()
        self.shared, self.first = shared, first

    def on_epoch_end(self, epoch, logs=None):
        if self.first:
            self.shared.append(epoch)
        else:
            self.model.optimizer.learning_rate = 0.05 / len(self.shared)


def two_that_share():
    shared = []
    return [Halving(shared, first=True), Halving(shared, first=False)]


REMEMBERING = {
    "an object as a schedule": lambda: [keras.callbacks.LearningRateScheduler(Plateau())],
    "a method as a schedule": lambda: [keras.callbacks.LearningRateScheduler(Plateau().__call__)],
    "a closure as a schedule": lambda: [keras.callbacks.LearningRateScheduler(counted())],
    "two that share a list": two_that_share,
}


@engines
@pytest.mark.parametrize("kind", REMEMBERING)
def test_what_callbacks_hold_is_carried(cut, tmp_path, monkeypatch, engine, kind):
    given = {"engine": engine, "callbacks": REMEMBERING[kind]}
    interrupted(cut, tmp_path / "runs.db", **given)
    monkeypatch.undo()
    begun = started(monkeypatch)
    study = compare(tmp_path / "runs.db", **given)
    assert max(begun.values()) > 0
    same(study, compare(**given))


@engines
def test_a_list_that_trials_share_makes_them_begin_anew(cut, tmp_path, monkeypatch, engine):
    def shared():
        log = []  # one for both trials
        return lambda: [Halving(log, first=True), Halving(log, first=False)]

    given = {"engine": engine, "variants": RATES}
    interrupted(cut, tmp_path / "runs.db", epochs=8, callbacks=shared(), **given)
    monkeypatch.undo()
    begun = started(monkeypatch)
    with pytest.warns(
        fl.FairlaneWarning,
        match=r"starts again from its first epoch: .* attribute shared changes while .* shared by",
    ):
        compare(tmp_path / "runs.db", epochs=8, callbacks=shared(), **given)
    assert 0 in begun.values()


class Opaque(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.thing = (number for number in range(3))


def test_a_callback_that_can_not_be_told_makes_its_trials_begin_anew(cut, tmp_path, monkeypatch):
    given = {"engine": "lanes", "callbacks": lambda: [Opaque()]}
    interrupted(cut, tmp_path / "runs.db", **given)
    monkeypatch.undo()
    begun = started(monkeypatch)
    words = (
        r"trial \d .* starts again from its first epoch: .* "
        r"callback Opaque, attribute thing is a generator, which is not plain data"
    )
    with pytest.warns(fl.FairlaneWarning, match=words):
        study = compare(tmp_path / "runs.db", **given)
    assert begun == {0: 0, 1: 0}
    same(study, compare(**given))


@engines
def test_a_checkpoint_of_another_model_is_not_used(cut, tmp_path, monkeypatch, engine):
    def wider(learning_rate):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(7), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(learning_rate), "mse")
        return model

    interrupted(cut, tmp_path / "runs.db", engine=engine)
    monkeypatch.undo()
    with pytest.raises(fl.StudyError, match="resume='force'"):
        compare(tmp_path / "runs.db", model=wider, engine=engine)
    with pytest.warns(
        fl.errors.FairlaneWarning,
        match=r"trial \d .* starts again from its first epoch: its checkpoint is of a model",
    ):
        study = compare(tmp_path / "runs.db", model=wider, engine=engine, resume="force")
    assert study.trials["state"].tolist() == ["done"] * 2


# --- how often ------------------------------------------------------------------------------------------


def checkpoints(monkeypatch, tmp_path, **changes):
    from fairlane.running import driver

    taken = []
    take = driver.Driver._take

    def spy(self, event):
        taken.append(event)
        take(self, event)

    monkeypatch.setattr(driver.Driver, "_take", spy)
    compare(tmp_path / "runs.db", variants=RATES[:1], **changes)
    return [event.epoch for event in taken if isinstance(event, Checkpoint)]


@engines
@pytest.mark.parametrize(
    ("every", "expected"), [(2, [2, 4]), ("0s", [1, 2, 3, 4, 5]), ("1h", []), (None, [])]
)
def test_checkpoints_are_taken_as_often_as_asked(monkeypatch, tmp_path, engine, every, expected):
    assert checkpoints(monkeypatch, tmp_path, engine=engine, checkpoint_every=every) == expected


def test_without_a_store_nothing_is_told(monkeypatch):
    monkeypatch.setattr(trial_memory, "Remembering", None)
    compare(engine="lanes", epochs=1)


@pytest.mark.parametrize("every", [0, -1, True, 1.5, "often", [], "-1s"])
def test_what_is_no_pace_is_refused(every):
    with pytest.raises(
        fl.StudyError, match="checkpoint_every must be a number of epochs, 1 or more, or a time"
    ):
        compare(checkpoint_every=every)


def test_a_pace_counts_epochs_or_seconds():
    assert Pace(epochs=2).is_due(2, 0)
    assert not Pace(epochs=2).is_due(1, 1e9)
    assert Pace(seconds=60).is_due(0, 60)
    assert not Pace(seconds=60).is_due(1000, 59)


def test_by_default_no_more_than_a_minute_is_lost():
    default = inspect.signature(fl.compare).parameters["checkpoint_every"].default
    assert pace_of(default) == Pace(seconds=60)


# --- plain data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("inf"),
        {"a": [1, (2.5, "b")], "c": {}},
        {1: "a", (2, 3): {"b"}},
        frozenset({1}),
        {"__fairlane__": "set"},
        np.float32(1.5),
        Path("a/b"),
        keras.ops.less,
        np.greater,
    ],
)
def test_plain_data_come_back(value):
    back = plain_data.restored(plain_data.plain(value))
    assert back == value
    assert type(back) is type(value)


def test_arrays_come_back():
    arrays = {"numpy": np.arange(3, dtype="int8"), "tensor": keras.ops.convert_to_tensor([1.0, 2.0])}
    back = plain_data.restored(plain_data.plain(arrays))
    assert back["numpy"].dtype == "int8"
    assert keras.ops.is_tensor(back["tensor"])
    assert plain_data.same(plain_data.plain(back), plain_data.plain(arrays))
    with pytest.raises(plain_data.CannotTell, match="an array of objects"):
        plain_data.plain(np.array([object()]))
    with pytest.raises(plain_data.CannotGoOn, match="'code', which this version does not know"):
        plain_data.restored({"__fairlane__": "code", "of": "import os"})


def test_doctests():
    assert doctest.testmod(plain_data).failed == 0


def test_a_call_that_was_refused_leaves_nothing_to_be_compared_with(tmp_path):
    same_file = [keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))]
    with pytest.raises(fl.StudyError, match="would both write"):
        compare(tmp_path / "runs.db", callbacks=same_file, epochs=1)
    assert compare(tmp_path / "runs.db", epochs=1).trials["state"].tolist() == ["done"] * 2
