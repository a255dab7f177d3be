"""What a stored search is compared by: all that decides which variants it proposes, and which of them it stops."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.running.wanted import wanted_of

X = np.random.RandomState(0).normal(size=(16, 2)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT = {"validation_split": 0.25, "epochs": 2}
RATE = {"learning_rate": fl.Float(0.01, 0.1)}


def build(learning_rate, loss="mse"):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), loss, metrics=["mae"])
    return model


def described(space=RATE, objective="val_loss", sampler="auto", stop=None, **fit):
    options = (space, 4, objective, 1, False, sampler, stop, None, None, 0, {**FIT, **fit})
    return wanted_of(*options).described()


def squares(y, found):
    return keras.ops.mean((y - found) ** 2)


def cubes(y, found):
    return keras.ops.mean(keras.ops.abs(y - found) ** 3)


def long_text(last):
    return {"activation": "relu", "name": "a" * 40, "last": last}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"objective": ("val_mae", "min")}, {"objective": ("val_mae", "max")}),
        ({"objective": ["val_loss", "val_mae"]}, {"objective": ["val_loss", ("val_mae", "max")]}),
        ({"space": {"a": long_text(1), **RATE}}, {"space": {"a": long_text(2), **RATE}}),
        ({"space": {"a": 0.12345678, **RATE}}, {"space": {"a": 0.12345679, **RATE}}),
        ({"space": {"a": squares, **RATE}}, {"space": {"a": cubes, **RATE}}),
        ({"space": {"a": [squares, cubes]}}, {"space": {"a": [squares, squares.__code__]}}),
        ({"space": {"a": keras.optimizers.SGD(0.1)}}, {"space": {"a": keras.optimizers.SGD(0.2)}}),
    ],
)
def test_what_decides_is_compared(before, now):
    assert described(**before) == described(**before)
    assert described(**before) != described(**now)


def test_a_direction_that_the_name_says_too_makes_no_difference():
    assert described(objective=("val_loss", "min")) == described(objective="val_loss")


def test_settings_of_pruners_and_samplers_are_compared_and_their_draws_are_not():
    optuna = pytest.importorskip("optuna")
    bound, patient = optuna.pruners.ThresholdPruner, optuna.pruners.PatientPruner
    assert described(stop=bound(upper=1.0)) == described(stop=bound(upper=1.0))
    assert described(stop=bound(upper=1.0)) != described(stop=bound(upper=2.0))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        patients = [patient(bound(upper=upper), 2) for upper in (1.0, 2.0)]
    assert described(stop=patients[0]) != described(stop=patients[1])
    tpe = optuna.samplers.TPESampler
    assert described(sampler=tpe(seed=1)) == described(sampler=tpe())
    assert described(sampler=tpe(n_ei_candidates=8)) != described(sampler=tpe())


def test_a_value_that_cannot_be_read_is_said():
    found = described(space={"a": [1, (i for i in range(3))], **RATE})
    assert any("generator" in text for name, text in found.items() if name.startswith("value "))


PROGRAM = """
import sys; sys.path[:0] = {path!r}
import test_same_search
print(test_same_search.with_objects({store!r}).trials["learning_rate"].tolist())
"""


def with_objects(store):
    space = {"loss": {"mse", "mae", "log_cosh", squares}, **RATE}
    given = {"trials": 3, "validation_split": 0.25, "store": store, "name": "objects", "verbose": 0}
    return fl.search(build, space, X, Y, **given)


def test_a_search_over_functions_continues_in_another_process(tmp_path):
    store = str(tmp_path / "runs.db")
    program = PROGRAM.format(path=sys.path, store=store)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    again = with_objects(store)
    assert again.trials["learning_rate"].tolist() == eval(ended.stdout.splitlines()[-1])


def test_another_direction_is_another_search(tmp_path):
    given = {"trials": 2, "store": tmp_path / "runs.db", "name": "a", "verbose": 0, **FIT}
    fl.search(build, RATE, X, Y, objective=("val_mae", "max"), **given)
    with pytest.raises(fl.StudyError, match=r"search, objective:\n    - val_mae \(max\)\n    \+ val_mae"):
        fl.search(build, RATE, X, Y, objective=("val_mae", "min"), **given)
    forced = fl.search(build, RATE, X, Y, objective=("val_mae", "min"), resume="force", **given)
    assert forced.best().number == forced.trials["val_mae"].idxmin()


def test_a_sampler_of_optunas_is_left_as_it_was():
    optuna = pytest.importorskip("optuna")
    sampler = optuna.samplers.RandomSampler(seed=3)
    given = {"trials": 6, "sampler": sampler, "verbose": 0, **FIT}
    first, second = (fl.search(build, RATE, X, Y, **given) for _ in range(2))
    assert first.trials["learning_rate"].tolist() == second.trials["learning_rate"].tolist()


def test_a_bound_of_a_pruner_is_about_the_values_as_they_are_logged():
    optuna = pytest.importorskip("optuna")
    given = {"trials": 4, "objective": ("val_mae", "max"), "verbose": 0, **FIT, "epochs": 3}
    keeps = fl.search(build, RATE, X, Y, stop=optuna.pruners.ThresholdPruner(lower=0.001), **given)
    ends = fl.search(build, RATE, X, Y, stop=optuna.pruners.ThresholdPruner(lower=1e6), **given)
    assert (set(keeps.trials["state"]), set(ends.trials["state"])) == ({"done"}, {"stopped"})


def test_pruners_that_would_stop_nothing_are_refused_or_said():
    optuna = pytest.importorskip("optuna")
    for pruner, instead in (("HyperbandPruner", "hyperband"), ("SuccessiveHalvingPruner", "halving")):
        with pytest.raises(fl.StudyError, match=rf"stop={pruner} decides by .*Give stop='{instead}'"):
            described(stop=getattr(optuna.pruners, pruner)())
    with pytest.warns(
        fl.FairlaneWarning, match="here all 4 variants train together, so that it will stop none"
    ):
        fl.search(build, RATE, X, Y, trials=4, stop=optuna.pruners.MedianPruner(), verbose=0, **FIT)


def test_epochs_without_a_validation():
    study = fl.search(build, RATE, X, Y, trials=3, validation_freq=2, verbose=0, **FIT | {"epochs": 5})
    assert study.trials["state"].tolist() == ["done"] * 3
    assert study.best().number == study.trials["val_loss"].idxmin()
    with pytest.raises(
        fl.StudyError, match=r"validation_freq=2 leaves out .*stop='median' compares variants by"
    ):
        described(stop="median", validation_freq=2)
    with pytest.raises(fl.StudyError, match="validates in none of 2 epochs"):
        described(validation_freq=3)
    with pytest.raises(fl.StudyError, match="validates in none of 2 epochs"):
        described(validation_freq=[3, 4])
    described(objective="loss", stop="median", validation_freq=2)


def test_more_can_be_confirmed_later(tmp_path):
    given = {"trials": 4, "store": tmp_path / "runs.db", "name": "a", "verbose": 0, **FIT}
    for confirm in ((1, 2), (2, 2), (2, 3)):
        study = fl.search(build, RATE, X, Y, confirm=confirm, **given)
        assert study.summary()["seeds"].tolist() == [confirm[1]] * confirm[0]
        assert len(study.trials) == 4 + confirm[0] * confirm[1]
    expected = fl.search(build, RATE, X, Y, confirm=(2, 3), **{**given, "store": None})
    np.testing.assert_allclose(study.summary()["mean"], expected.summary()["mean"], rtol=1e-6)
    fl.search(build, RATE, X, Y, confirm=(1, 2), **{**given, "trials": 2})  # of the first two alone
    assert fl.open(tmp_path / "runs.db", "a").summary()["seeds"].tolist() == [3, 3]


class Fails(keras.callbacks.Callback):
    """The disk of the data is missing at first, say."""

    now = True

    def on_epoch_end(self, epoch, logs=None):
        if Fails.now and epoch == 1:
            raise RuntimeError("the data are not there")


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_had_failed_and_is_trained_again_is_compared_again(tmp_path, seeds):
    given = {"trials": 6, "epochs": 4, "stop": "halving", "validation_split": 0.25, "verbose": 0}
    given |= {"seeds": seeds}
    makes = {1: lambda: [Fails()], 2: lambda trial: [Fails()] if trial.seed == 0 and trial.number < 6 else []}
    kept = {"store": tmp_path / "runs.db", "name": "a", "callbacks": makes[seeds], **given}
    Fails.now = True
    first = fl.search(build, RATE, X, Y, **kept)
    assert set(first.trials["state"]) == ({"failed"} if seeds == 1 else {"failed", "stopped", "done"})
    Fails.now = False
    again = fl.search(build, RATE, X, Y, resume="force", **kept)
    if seeds == 2:  # what a rule has stopped because its other seed had failed stays where it is
        assert set(again.trials["state"]) == {"stopped", "done"}
        return
    expected = fl.search(build, RATE, X, Y, **given)
    for name in ("learning_rate", "state", "epochs"):
        assert again.trials[name].tolist() == expected.trials[name].tolist()
    np.testing.assert_allclose(again.history["val_loss"], expected.history["val_loss"], rtol=1e-6)
