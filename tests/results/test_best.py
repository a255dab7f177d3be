"""Which trial and variant is the best, by which epoch's values, and what of it can be read back."""

from __future__ import annotations

import json
import os
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fairlane as fl
from fairlane.results import ranking
from fairlane.results.report.verdict import verdict
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, Trial, TrialState, Variant

DRAWN = np.random.default_rng(0)
X = DRAWN.normal(size=(48, 4)).astype("float32")
Y = (2 * X[:, :1] + DRAWN.normal(size=(48, 1))).astype("float32")
FIT = {"epochs": 6, "batch_size": 16, "validation_split": 0.25, "verbose": 0}


def build(lr=0.1, ema=False):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dropout(0.2)])
    model.add(keras.layers.Dense(1))
    optimizer = keras.optimizers.Adam(lr, use_ema=ema, ema_momentum=0.9)
    model.compile(optimizer, "mse", metrics=["mae", keras.metrics.R2Score(name="fit")])
    return model


def alone(trial, epochs, callbacks=()):
    keras.utils.set_random_seed(trial.seed)
    model = build(**trial.builder_arguments)
    history = model.fit(X, Y, **{**FIT, "epochs": epochs}, callbacks=list(callbacks))
    return model, history.history


class Back(keras.callbacks.Callback):
    """Goes back to the weights of an epoch when training ends, in a way of its own."""

    def on_train_begin(self, logs=None):
        self.kept = {}

    def on_epoch_end(self, epoch, logs=None):
        self.kept[epoch] = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.kept[2])


class Noise(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.model.set_weights([weight + 1 for weight in self.model.get_weights()])


class Logs(keras.callbacks.Callback):
    """Logs a hyperparameter under other names."""

    def __init__(self, value, *names):
        super().__init__()
        self.value, self.names = value, names

    def on_epoch_end(self, epoch, logs=None):
        logs |= dict.fromkeys(self.names, float(self.value))


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C at the end of an epoch of one trial."""

    def __init__(self, trial, number, epoch):
        super().__init__()
        self.at = epoch if trial.number == number else None

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at and "FAIRLANE_TEST_CALM" not in os.environ:
            raise KeyboardInterrupt


def early():
    return keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)


def swap():
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)


# --- the epoch that weights are of ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["lanes", "reference"])
@pytest.mark.parametrize(
    ("callbacks", "ema", "expected"),
    [
        (None, False, "last"),
        (lambda: [early()], False, "best"),
        (lambda: [Back()], False, 2),
        (lambda: [Noise()], False, None),
        (None, True, None),
        (lambda: [swap()], True, "last"),
        (lambda: [swap(), early()], True, "best"),
    ],
    ids=["none", "early", "own", "noise", "average", "swap", "both"],
)
def test_the_epoch_of_the_weights_is_the_one_whose_values_the_model_has(engine, callbacks, ema, expected):
    variants = [{"lr": lr, "ema": ema} for lr in (0.5, 0.1)]
    study = fl.compare(build, variants, X, Y, engine=engine, callbacks=callbacks, **FIT)
    for row in study.trials.to_dict("records"):
        history = study.history[study.history["trial"] == row["trial"]].set_index("epoch")
        epoch = row["weights_epoch"]
        last, best = history.index[-1], history["val_loss"].idxmin()
        values = study.model(row["trial"]).evaluate(X[36:], Y[36:], verbose=0, return_dict=True)
        if expected is None:
            assert epoch is None or np.isnan(epoch)
            assert values["loss"] != pytest.approx(history["val_loss"][last], rel=1e-3)
            continue
        assert epoch == {"last": last, "best": best}.get(expected, expected)
        assert row["val_loss"] == history["val_loss"][epoch] == pytest.approx(values["loss"], rel=1e-4)
    if expected in ("best", 2):
        mean = study.trials.groupby("lr")["val_loss"].mean()
        assert study.summary().set_index("lr")["mean"].to_dict() == mean.to_dict()
        assert study.summary().attrs["when"] == "in the epoch of the trained weights"
        assert study.best().hyperparameters["lr"] == mean.idxmin()
    if expected is None:
        with pytest.warns(
            fl.FairlaneWarning, match=r"weights of 2 trials \(0, 1\) belong to no single epoch"
        ):
            study.best()


@pytest.mark.filterwarnings("ignore:Too few seeds")
def test_what_decides_comes_back_from_a_store(tmp_path):
    def call():
        return [Back(), Logs(1.0, "val_rotation")]

    kept = {"store": tmp_path / "runs.db", "name": "a"}
    study = fl.compare(build, {"lr": [0.5, 0.1]}, X, Y, callbacks=call, **FIT, **kept)
    read = fl.open(tmp_path / "runs.db", "a")
    for one in (study, read):
        assert one.trials["weights_epoch"].tolist() == [2, 2]
        assert one.summary("fit").attrs["direction"] == "max"  # as Keras knows of R2Score, whatever its name
        with pytest.raises(fl.StudyError, match=r"'val_rotation' are better: neither Keras.*mode='max'"):
            one.best("val_rotation")
    assert read.best("val_fit").number == study.best("val_fit").number
    # More epochs: what was known of the end is forgotten until there is another.
    again = fl.compare(build, {"lr": [0.5, 0.1]}, X, Y, callbacks=call, **{**FIT, "epochs": 7}, **kept)
    assert again.trials["epochs"].tolist() == [7, 7]
    assert again.trials["weights_epoch"].tolist() == [2, 2]


# --- direction, everywhere ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rewarded():
    names = ("reward", "val_mcc", "inaccuracy", "tilt")
    return fl.compare(
        build,
        {"lr": [0.2, 0.1]},
        X,
        Y,
        seeds=2,
        callbacks=lambda trial: [Logs(trial.hyperparameters["lr"], *names)],
        **FIT,
    )


@pytest.mark.filterwarnings("ignore:Too few seeds")
def test_the_direction_holds_everywhere(rewarded, tmp_path):
    def told(*args, **options):
        text = rewarded.report(tmp_path / "r.html", *args, **options).read_text()
        return json.loads(re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)[1])["verdict"]["sentence"]

    for metric, options, lr in [
        ("reward", {}, 0.2),
        ("val_mcc", {}, 0.2),
        ("inaccuracy", {}, 0.1),
        ("tilt", {"mode": "max"}, 0.2),
        ("tilt", {"mode": {"tilt": "min"}}, 0.1),
        ("val_mcc", {"mode": "min"}, 0.1),
    ]:
        extreme = "highest" if lr == 0.2 else "lowest"
        assert rewarded.best(metric, **options).hyperparameters["lr"] == lr
        assert rewarded.best_variant(metric, **options).hyperparameters["lr"] == lr
        assert rewarded.summary(metric, **options)["lr"][0] == lr
        assert told(metric, **options).startswith(f"lr={lr} has the {extreme} {metric}")
        assert rewarded.described(metric, **options).splitlines()[3].split()[1] == str(lr)
        top = rewarded.plot("final", metric=metric, **options).axes[0].get_yticklabels()[0].get_text()
        assert top == f"lr={lr}"
    for ask in (rewarded.best, rewarded.best_variant, rewarded.summary, rewarded.described, told):
        with pytest.raises(fl.StudyError, match=r"small or large values of 'tilt' are better.*mode='max'"):
            ask("tilt")
        with pytest.raises(fl.StudyError, match=r"mode names a metric 'tlit'.*Did you mean 'tilt'"):
            ask("tilt", mode={"tlit": "max"})
    with pytest.raises(fl.StudyError, match="'tilt' are better"):
        rewarded.plot("final", metric="tilt")


# --- one rule -------------------------------------------------------------------------------------------


def record(number, variant, seed, value, state=TrialState.DONE, epochs=1):
    return Record(Trial(number, variant, seed), state, [(i, {"loss": value + i}) for i in range(epochs)])


VALUES = st.lists(
    st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=5), min_size=1, max_size=4
)


@given(VALUES, st.sampled_from(["min", "max"]))
@settings(deadline=None, max_examples=80)
def test_the_best_trial_is_of_the_variant_with_the_best_mean_of_those_that_lost_the_fewest_seeds(table, mode):
    records = [
        record(
            10 * v + s,
            Variant(v, {"v": v}),
            s,
            value or 0.0,
            TrialState.DONE if value is not None else TrialState.FAILED,
        )
        for v, values in enumerate(table)
        for s, value in enumerate(values)
    ]
    counted = {v: [x for x in values if x is not None] for v, values in enumerate(table)}
    if not any(counted.values()):
        with pytest.raises(fl.StudyError, match="no trial has finished"):
            ranking.best(records, "loss", mode=mode)
        return
    sign = 1 if mode == "min" else -1
    lost = {v: 1 - len(values) / len(table[v]) for v, values in counted.items() if values}
    fewest = [v for v in lost if lost[v] == min(lost.values())]
    best = min(fewest, key=lambda v: sign * sum(counted[v]) / len(counted[v]))
    found = ranking.best(records, "loss", mode=mode).trial
    mean = sum(counted[found.variant.number]) / len(counted[found.variant.number])
    assert lost[found.variant.number] == lost[best]
    assert mean == pytest.approx(sum(counted[best]) / len(counted[best]))
    extreme = min if mode == "min" else max
    assert table[found.variant.number][found.seed] == extreme(counted[found.variant.number])
    every = ranking.best(records, "loss", mode=mode, of="trials").trial
    assert table[every.variant.number][every.seed] == extreme(
        x for values in counted.values() for x in values
    )


def test_a_variant_that_lost_seeds_is_told_apart():
    lucky, steady = Variant(0, {"v": 0}), Variant(1, {"v": 1})
    records = [record(i, steady, i, 0.5) for i in range(8)]
    records += [
        record(8 + i, lucky, i, 0.1, TrialState.DONE if i < 2 else TrialState.DIVERGED) for i in range(8)
    ]
    found = verdict(records, "loss")
    assert found.table["variant"].tolist() == [1, 0]
    assert found.table[["seeds", "failed"]].to_numpy().tolist() == [[8, 0], [2, 6]]
    assert found.sentence.startswith("v=1 has the lowest loss, 0.5")
    assert found.sentence.endswith("because seeds failed or diverged: v=0 (2 of 8 seeds).")
    assert any(
        "Ranked after" in note and "variant 0 (v=0), 2 of 8 seeds count" in note for note in found.notes
    )
    only = verdict([one for one in records if one.trial.variant is lucky], "loss")
    assert "2 of 8 seeds, the others failed or diverged" in only.sentence


def test_a_weight_of_no_epoch_and_one_that_nobody_knows():
    one = record(0, Variant(0, {}), 0, 1.0, epochs=3)
    for epoch, value in ((None, 3.0), (2, 3.0), (0, 1.0), (OF_NO_EPOCH, 3.0)):
        one.weights_epoch = epoch
        found = ranking.read([one], "loss")
        assert found.values == {0: {0: value}}
        assert bool(found.notes) == (epoch == OF_NO_EPOCH)


# --- before the end -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:(interrupted|Provisional|Too few seeds)")
@pytest.mark.parametrize("engine", ["lanes", "reference"])
@pytest.mark.parametrize("stored", [False, True])
def test_an_interrupted_trial_has_the_model_of_its_last_finished_epoch(engine, stored, tmp_path):
    kept = {"store": tmp_path / "runs.db", "name": "a"} if stored else {}

    def stop(trial):
        return [Interrupt(trial, 1, 3)]

    study = fl.compare(
        build, {"lr": [0.1, 0.01]}, X, Y, seeds=2, callbacks=stop, engine=engine, **kept, **FIT
    )
    assert "interrupted" in study.trials["state"].tolist()
    begun = study.trials[study.trials["epochs"] > 0]
    assert len(begun) == (4 if engine == "lanes" else 2)
    for one in [study, *([fl.open(tmp_path / "runs.db", "a")] if stored else [])]:
        for number, epochs in zip(begun["trial"], begun["epochs"], strict=True):
            expected, history = alone(one._record(number).trial, epochs)
            rows = one.history[one.history["trial"] == number]
            np.testing.assert_allclose(rows["val_loss"], history["val_loss"], rtol=1e-4)
            for mine, theirs in zip(one.model(number).get_weights(), expected.get_weights(), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
        # All are compared in the last epoch that all have.
        epoch = min(begun["epochs"]) - 1
        values = one.history[one.history["epoch"] == epoch].groupby("lr")["val_loss"].mean()
        with pytest.warns(
            fl.FairlaneWarning, match=rf"Provisional: .*compared in epoch {epoch + 1} \(counted from 1\)"
        ):
            summary = one.summary()
        assert summary.attrs["provisional"]
        assert summary.attrs["epoch"] == epoch
        assert summary.set_index("lr")["mean"].dropna().to_dict() == pytest.approx(values.to_dict())
        assert one.best_variant().hyperparameters["lr"] == values.idxmin()
        assert f"val_loss after {epoch + 1} epochs, provisional" in repr(one)


@pytest.mark.filterwarnings("ignore:(interrupted|Provisional|Too few seeds)")
def test_what_was_interrupted_goes_on_and_is_no_longer_provisional(tmp_path, monkeypatch):
    kept = {"store": tmp_path / "runs.db", "name": "a", "checkpoint_every": 1}
    arguments = (build, {"lr": [0.1, 0.01]}, X, Y)

    def stop(trial):
        return [Interrupt(trial, 1, 3)]

    first = fl.compare(*arguments, callbacks=stop, **kept, **FIT)
    assert set(first.trials["state"]) == {"interrupted"}
    monkeypatch.setenv("FAIRLANE_TEST_CALM", "1")  # which is no part of the request
    study = fl.compare(*arguments, callbacks=stop, **kept, **FIT)
    assert study.trials["state"].tolist() == ["done", "done"]
    assert not study.summary().attrs["provisional"]
    for number in (0, 1):
        _, history = alone(study._record(number).trial, FIT["epochs"])
        rows = study.history[study.history["trial"] == number]
        np.testing.assert_allclose(rows["val_loss"], history["val_loss"], rtol=1e-4)


def test_a_killed_processes_trial_gives_its_newest_checkpoint_and_says_so(tmp_path):
    kept = {"store": tmp_path / "runs.db", "name": "a", "checkpoint_every": 4}
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        study = fl.compare(
            build, [{}], X, Y, callbacks=lambda t: [Interrupt(t, 0, 5)], **{**kept, **FIT, "epochs": 9}
        )
    cut = study._store.cut_off(study._record(0).trial)
    assert cut.epoch == len(study.history)
    study._record(0).epochs.append((cut.epoch, {"loss": 1.0}))  # as if it had finished one more
    with pytest.warns(
        fl.FairlaneWarning,
        match=rf"has finished {cut.epoch + 1} epochs, but .* those after {cut.epoch} epochs",
    ):
        study.model(0)


def test_the_variant_to_build_again():
    study = fl.compare(build, {"lr": [0.1], "batch_size": [8, 16]}, X, Y, epochs=1, verbose=0)
    best = study.best()
    assert best.builder_arguments == {"lr": 0.1}
    assert set(best.fit_arguments) == {"batch_size"}
    build(**best.builder_arguments).fit(X, Y, **best.fit_arguments, verbose=0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (keras.losses.MeanSquaredError(), "MeanSquaredError()"),
        (keras.losses.Huber(2.0), "Huber(delta=2)"),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "SparseCategoricalCrossentropy(from_logits=True)",
        ),
        (keras.optimizers.Adam(0.01), "Adam(learning_rate=0.01)"),
        (
            keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error),
            "MeanMetricWrapper(fn=mean_squared_error)",
        ),
    ],
)
def test_objects_of_keras_have_readable_names(value, shown):
    assert Variant(0, {"loss": value}).label == f"loss={shown}"
