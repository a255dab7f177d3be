"""A trial that is promoted through four rungs is the trial that was never paused, whatever its optimizer is."""

import numpy as np
import pytest

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from conformance.cases import CASES, CLASSES, VECTORS
from fairlane.engines.program.compiled import Program
from fairlane.searching.rungs import Bracket
from fairlane.searching.stopping import Stopping

EPOCHS = 5
FIT = {"batch_size": 15, "validation_split": 0.25}
OPTIMIZERS = {case.name: case.build for case in CASES if case.family == "optimizers"}
ALONE = ["Adam", "SGD, EMA with overwrite"]
"""Those that are held to Keras itself here; the conformance suite holds all to it, without rungs."""


class Pauses(Stopping):
    """The first variants are compared after each of four epochs, and all go on; others are never paused.

    Args:
        paused: how many are the first.
    """

    def __init__(self, paused):
        self._paused = paused

    def bracket(self, place, left, epochs, learns):
        if place == 0:
            return Bracket((self._paused,) * EPOCHS, tuple(range(1, EPOCHS + 1)))
        return Bracket((left,), (EPOCHS,))


def build(optimizer, again=False):
    return OPTIMIZERS[optimizer](1e-2)


def searched(space, paused):
    trials = len(space["optimizer"]) * len(space.get("again", [0]))
    options = {"sampler": "grid", "stop": Pauses(paused), "engine": "lanes", "verbose": 0}
    study = fl.search(build, space, VECTORS, CLASSES, trials=trials, epochs=EPOCHS, **options, **FIT)
    assert study.trials["state"].tolist() == ["done"] * trials
    rungs = [one.content["promoted"] for one in study._store.decisions() if one.about[0] == "rung"]
    assert rungs == [list(range(paused))] * 4
    return study


def test_promoted_trials_are_what_keras_alone_gives():
    study = searched({"optimizer": ALONE}, len(ALONE))
    for number, name in enumerate(ALONE):
        alone = keras_alone(build, {"optimizer": name}, 0, VECTORS, CLASSES, epochs=EPOCHS, **FIT)
        assert_logs_agree(history_of(study, number), alone.logs, rtol=1e-6, what=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:almost every one of the:fairlane.errors.FairlaneWarning")
def test_pauses_at_rungs_change_no_bit_with_any_optimizer():
    names = list(OPTIMIZERS)
    assert len(names) > 25
    study = searched({"again": [False, True], "optimizer": names}, len(names))
    for number, name in enumerate(names):
        paused, whole = study._record(number), study._record(number + len(names))
        assert paused.trial.hyperparameters == {"again": False, "optimizer": name}
        assert whole.trial.hyperparameters == {"again": True, "optimizer": name}
        assert paused.epochs == whole.epochs, name
        states = (study._store.weights(record.trial).state for record in (paused, whole))
        for groups in zip(*states, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(*groups, strict=True)), name


def test_a_space_of_numbers_compiles_one_set_of_programs(monkeypatch):
    made, compile_ = [], Program._compile

    def counted(self, run, arguments, executor):
        made.append((self.width, run.training))
        return compile_(self, run, arguments, executor)

    monkeypatch.setattr(Program, "_compile", counted)
    study = fl.search(
        lambda rate: OPTIMIZERS["Adam"](rate),
        {"rate": fl.Float(1e-3, 1e-1, log=True)},
        VECTORS,
        CLASSES,
        trials=30,
        epochs=9,
        stop="hyperband",
        confirm=(2, 2),
        engine="lanes",
        verbose=0,
        **FIT,
    )
    assert study.trials["fleet"].nunique() == 1
    assert sorted(made) == [(8, False), (8, True)]  # a program for training, and one for validation
