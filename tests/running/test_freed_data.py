"""Data that a function makes are freed when no trial needs them any more."""

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from _crew import Lasting, two_workers
from fairlane.engines.pool import local
from fairlane.errors import StudyError

SERIES = np.random.RandomState(0).normal(size=60).cumsum().astype("float32")


def windows(window, scale=1.0):
    rows = np.stack([SERIES[i : i + window] for i in range(40)])
    return rows * np.float32(scale), SERIES[window : 40 + window]


def build(window, learning_rate=0.01):
    model = keras.Sequential([keras.Input((window,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


class Watched:
    """Makes data, and knows which of them are alive."""

    def __init__(self):
        self.calls, self._made, self.during = [], {}, {}

    def made(self, key, x, y):
        self.calls.append(key)
        self._made[key] = weakref.ref(x)
        return x, y

    def alive(self):
        gc.collect()
        return {key for key, made in self._made.items() if made() is not None}

    def callbacks(self, trial):
        def note(epoch, logs):
            self.during[trial.number, epoch] = self.alive()

        return [keras.callbacks.LambdaCallback(on_epoch_end=note)]


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_compare_frees_data_while_other_trials_train(engine):
    watched = Watched()

    def data(window):
        return watched.made(window, *windows(window))

    fl.compare(
        *(build, [{"window": 3, "epochs": 1}, {"window": 4, "epochs": 3}]),
        **{"data": data, "cv": 2, "seeds": 2, "engine": engine, "verbose": 0},
        callbacks=watched.callbacks,
    )
    last = max(watched.during)
    assert watched.during[0, 0] == {3, 4}
    assert watched.during[last] == {4}
    assert watched.alive() == set()
    assert watched.calls == [3, 4]


def test_what_is_freed_is_made_again_where_it_is_looked_at():
    watched = Watched()

    def data(window):
        return watched.made(window, *windows(window))

    study = fl.compare(build, {"window": [3]}, data=data, cv=2, verbose=0, test_data=windows(3))
    assert study.predict(windows(3)[0], variant=0).shape == (2, 40, 1)
    assert study.trials["test_loss"].notna().all()
    assert watched.calls == [3]
    oof = study.oof()
    assert watched.calls == [3, 3]
    outputs = oof.columns.difference(["trial", "fold", "sample", "variant", "seed"])
    for trial, fold in oof.groupby("trial"):
        expected = study.model(trial).predict(windows(3)[0][fold["sample"]], verbose=0)
        np.testing.assert_allclose(fold[outputs], expected, rtol=1e-5)


def test_a_builder_that_sees_its_samples_is_built_again_after_they_were_freed():
    def adapted(x_train, window):
        layer = keras.layers.Normalization()
        layer.adapt(x_train)
        model = keras.Sequential([keras.Input((window,)), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    study = fl.compare(adapted, {"window": [3]}, data=windows, cv=2, verbose=0)
    mean = study.model(1).layers[0].mean
    np.testing.assert_allclose(np.ravel(mean), windows(3)[0][:20].mean(axis=0), rtol=1e-5)


def test_what_is_made_again_must_be_what_it_was():
    draws = np.random.default_rng(0)  # not of the trial's session

    def data(window):
        x, y = windows(window)
        return x + draws.normal(size=x.shape).astype("float32"), y

    study = fl.compare(build, {"window": [3]}, data=data, cv=2, verbose=0)
    with pytest.raises(
        StudyError, match=r"data\(\) of the data, called with window=3 .*, returned other data"
    ):
        study.oof()


def test_a_search_frees_the_data_of_variants_that_ended():
    watched = Watched()

    def data(scale):
        return watched.made(scale, *windows(3, scale))

    study = fl.search(
        lambda: build(3),
        {"scale": fl.Float(0.1, 10.0)},
        **{"data": data, "cv": 2, "trials": 6, "epochs": 3, "stop": "halving", "verbose": 0},
        callbacks=watched.callbacks,
    )
    trained = {t for t, epoch in watched.during if epoch == 2}
    scales = study.trials.set_index("trial")["scale"]
    assert len(set(scales)) == 6
    assert watched.during[max(trained), 2] == set(scales[list(trained)])
    assert len(watched.calls) == len(set(watched.calls))
    assert watched.alive() == set()


def test_a_search_keeps_data_that_a_later_variant_may_need():
    watched = Watched()

    def data(window):
        return watched.made(window, *windows(window))

    study = fl.search(
        build,
        {"window": [3, 4], "learning_rate": fl.Float(1e-3, 1e-1)},
        **{"data": data, "cv": 2, "trials": 3, "confirm": (1, 1), "engine": "reference", "verbose": 0},
        width=1,
    )
    assert sorted(watched.calls) == [3, 4]
    assert watched.alive() == set()
    record = list(study._store)[-1]
    window, rate = record.trial.hyperparameters["window"], record.trial.hyperparameters["learning_rate"]
    x, y = windows(window)
    alone = keras_alone(
        *(build, {"window": window, "learning_rate": rate}, record.trial.seed, x[:20], y[:20]),
        validation_data=(x[20:], y[20:]),
    )
    assert_logs_agree(history_of(study, record.trial.number), alone.logs)


def test_a_stored_study_frees_what_was_trained_before(tmp_path):
    kept = {"store": tmp_path / "runs.db", "name": "a", "data": windows, "verbose": 0}
    fl.compare(build, {"window": [3]}, **kept)
    watched = Watched()

    def data(window):
        return watched.made(window, *windows(window))

    kept |= {"data": data, "resume": "force"}
    fl.compare(build, {"window": [3, 4]}, callbacks=watched.callbacks, **kept)
    assert watched.during[1, 0] == {4}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for shared memory in /proc")
def test_workers_free_data_too(monkeypatch):
    crew, watched, freed = two_workers(), Watched(), []

    class Noting(Lasting):
        def forget(self, packed):
            freed.append(([one.parcel.segment for one in packed], watched.alive()))
            crew.forget(packed)

    def data(window):
        x, y = windows(window)
        return watched.made(window, np.repeat(x, 500, axis=0), np.repeat(y, 500))  # too large for a message

    monkeypatch.setattr(local, "LocalCrew", lambda *places: Noting(crew))
    variants = [{"window": 3, "epochs": 1}, {"window": 4, "epochs": 2}]
    study = fl.compare(build, variants, data=data, workers=2, batch_size=1000, verbose=0)
    assert study.trials["state"].tolist() == ["done", "done"]
    (first, alive), (second, _), *_ = freed
    assert len(alive) <= 1
    for member in crew.members():
        mapped = Path(f"/proc/{member.pid}/maps").read_text()
        assert not any(segment in mapped for segment in (*first, *second))
