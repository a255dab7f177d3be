"""``then=``: what each phase trains is what Keras alone trains, whatever cuts it off between."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import Alone, assert_logs_agree, assert_variables_agree, history_of, variables
from fairlane.running import driver
from fairlane.running.phases import Phases
from fairlane.trials import EpochEnded, Trial, Variant

RNG = np.random.default_rng(3)
X = RNG.normal(size=(38, 4)).astype("float32")
Y = (X[:, :1] - 0.5 * X[:, 1:2] ** 2 + 0.1 * RNG.normal(size=(38, 1))).astype("float32")
RATES = {"learning_rate": [0.05, 0.01], "fine_rate": [0.02]}
FIT = {"epochs": 3, "batch_size": 8, "validation_split": 0.15}

RAGGED = {"validation_split": 0.25}
"""The last batch is smaller, of training and validation: `FIT` has whole ones, and a program of each to compile."""

engines = pytest.mark.parametrize("engine", ["lanes", "reference"])


def build(learning_rate=0.05):
    """A base that is frozen, and a head with dropout."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "tanh", name="base")])
    model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Dense(1))
    model.get_layer("base").trainable = False
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


def unfreeze(model, fine_rate=0.02):
    """As people fine-tune: everything is trained, with a smaller rate and a fresh optimizer."""
    model.get_layer("base").trainable = True
    model.compile(keras.optimizers.SGD(fine_rate, momentum=0.9), "mse", metrics=["mae"])


def slow_down(model, fine_rate=0.02):
    """No new optimizer: its moments stay."""
    model.optimizer.learning_rate = fine_rate / 10


KEPT: dict[object, Alone] = {}
"""What Keras alone has trained: several tests compare with the same."""


def alone(hyperparameters, seed, phases, *, make=build, x=X, y=Y, callbacks=list, **fit):
    """``fit``, a change, ``fit`` again: in Keras alone, once for all tests that ask for the same."""
    what = (
        tuple(hyperparameters.items()),
        seed,
        tuple((p.change, p.epochs) for p in phases),
        make,
        callbacks,
    )
    if x is not X or y is not Y:
        return fitted(hyperparameters, seed, phases, make, x, y, callbacks, fit)
    key = (*what, tuple(fit.items()))
    if key not in KEPT:
        KEPT[key] = fitted(hyperparameters, seed, phases, make, x, y, callbacks, fit)
    return KEPT[key]


def fitted(hyperparameters, seed, phases, make, x, y, callbacks, fit):
    fit = {**FIT, **fit}
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    builder = {k: v for k, v in hyperparameters.items() if k == "learning_rate"}
    model = make(**builder)
    logs = dict(model.fit(x, y, **fit, verbose=0, callbacks=callbacks()).history)
    for phase in phases:
        taken = {k: v for k, v in hyperparameters.items() if k in phase.change.__code__.co_varnames}
        phase.change(model, **taken)
        done = len(logs["loss"])
        more = {**fit, "initial_epoch": done, "epochs": done + phase.epochs}
        history = model.fit(x, y, **more, verbose=0, callbacks=callbacks()).history
        logs = {name: [*values, *history[name]] for name, values in logs.items()}
    return Alone(logs, variables(model))


def is_keras_alone(study, phases, **other):
    other = {k: v for k, v in other.items() if k != "engine"}
    for number, trial in enumerate(study.trials.itertuples()):
        assert trial.state == "done", trial.error
        rates = {"learning_rate": trial.learning_rate, "fine_rate": trial.fine_rate}
        expected = alone(rates, trial.seed, phases, **other)
        assert_logs_agree(history_of(study, number), expected.logs, what=f"trial {number}")
        model = study.model(number)
        assert_variables_agree(variables(model), expected.variables, what=f"trial {number}")


PHASES = {
    "fine-tuning": [fl.Phase(unfreeze, epochs=2)],
    "the optimizer stays": [fl.Phase(slow_down, epochs=2)],
    "three phases": [fl.Phase(slow_down, epochs=1), fl.Phase(unfreeze, epochs=2)],
}


@engines
@pytest.mark.parametrize("phases", PHASES.values(), ids=list(PHASES))
def test_phases_are_what_keras_alone_trains(engine, phases):
    fit = {**FIT, **(RAGGED if phases is PHASES["fine-tuning"] else {})}
    study = fl.compare(build, RATES, X, Y, seeds=2, then=phases, engine=engine, verbose=0, **fit)
    is_keras_alone(study, phases, **fit)
    assert study.trials["engine"].unique().tolist() == [engine]


def stops_early():
    return [keras.callbacks.EarlyStopping("loss", patience=0, min_delta=10.0, restore_best_weights=True)]


def unbuilt(learning_rate=0.05):
    """Its variables are built with the first batch."""
    base = keras.layers.Dense(5, "tanh", name="base", trainable=False)
    model = keras.Sequential([base, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


class Batches(keras.utils.PyDataset):
    """Reads its batches one by one, in a shuffled order."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


def averaged(learning_rate):
    """The end of each ``fit`` replaces its weights."""
    model = build()
    optimizer = keras.optimizers.Adam(learning_rate, use_ema=True, ema_momentum=0.8)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


CASES = {
    "epochs end early": {"callbacks": stops_early},
    "a model without an input": {"make": unbuilt},
    "an average of the weights": {"make": averaged},
    "steps_per_epoch": {"steps_per_epoch": 3, "batch_size": 4, "validation_split": 0.0},
    "batches that are read": {"x": Batches(), "y": None, "batch_size": None, "validation_split": 0.0},
}


@engines
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_whatever_a_fit_does_at_its_end(engine, case):
    case, phases = dict(case), PHASES["fine-tuning"]
    x, y = case.pop("x", X), case.pop("y", Y)
    make = case.pop("make", build)
    study = fl.compare(make, RATES, x, y, then=phases, engine=engine, verbose=0, **{**FIT, **case})
    is_keras_alone(study, phases, x=x, y=y, make=make, **case)
    assert study.trials["engine"].unique().tolist() == [engine]


def test_each_fold_has_its_phases():
    pairs = [(np.arange(24), np.arange(24, 38)), (np.arange(10, 38), np.arange(10))]
    phases, fit = PHASES["fine-tuning"], {k: v for k, v in FIT.items() if k != "validation_split"}
    study = fl.compare(build, RATES, X, Y, cv=pairs, then=phases, verbose=0, **fit)
    for number, trial in enumerate(study.trials.itertuples()):
        training, held_out = pairs[trial.fold]
        own = {"validation_data": (X[held_out], Y[held_out]), "validation_split": 0.0}
        rates = {"learning_rate": trial.learning_rate, "fine_rate": trial.fine_rate}
        expected = alone(rates, trial.seed, phases, x=X[training], y=Y[training], **own)
        assert_logs_agree(history_of(study, number), expected.logs, what=f"trial {number}")


def test_a_phase_that_lanes_can_not_run_goes_to_the_reference_engine():
    def eagerly(model, fine_rate):
        model.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"], run_eagerly=True)

    phases = [fl.Phase(eagerly, epochs=1)]
    study = fl.compare(build, RATES, X, Y, then=phases, verbose=0, **FIT)
    is_keras_alone(study, phases)
    assert study.trials["engine"].unique().tolist() == ["reference"]


# --- a study that goes on -------------------------------------------------------------------------------


class PowerCut(BaseException):
    """No error, so that nothing is tidied up by who handles errors."""


@engines
@pytest.mark.parametrize("told", [3, 6, 7, 9])
def test_what_was_cut_off_goes_on_exactly(tmp_path, monkeypatch, engine, told):
    """Two trials of 3 and 2 epochs: cut off in the first phase, at its end, and in the second."""
    take, epochs = driver.Driver._take, []

    def taken(self, event):
        take(self, event)
        epochs.append(isinstance(event, EpochEnded))
        if sum(epochs) == told:
            raise PowerCut

    phases = PHASES["fine-tuning"]
    given = {"then": phases, "engine": engine, "verbose": 0, "checkpoint_every": 1, **FIT}
    given |= {"store": tmp_path / "runs.db", "name": "study"}
    monkeypatch.setattr(driver.Driver, "_take", taken)
    with pytest.raises(PowerCut):
        fl.compare(build, RATES, X, Y, **given)
    monkeypatch.undo()
    study = fl.compare(build, RATES, X, Y, **given)
    is_keras_alone(study, phases)
    opened = fl.open(tmp_path / "runs.db", "study")
    assert_variables_agree(variables(opened.model(0)), variables(study.model(0)))


def test_the_last_phase_may_get_longer(tmp_path):
    given = {"store": tmp_path / "runs.db", "name": "study", "verbose": 0, **FIT}
    fl.compare(build, RATES, X, Y, then=fl.Phase(unfreeze, epochs=1), **given)
    phases = [fl.Phase(unfreeze, epochs=3)]
    is_keras_alone(fl.compare(build, RATES, X, Y, then=phases, **given), phases)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epochs": 4}, "phases of then"),
        ({"then": [fl.Phase(slow_down, epochs=1)]}, "phases of then"),
        ({"then": []}, "phases of then"),
    ],
)
def test_other_phases_are_another_study(tmp_path, changed, words):
    given = {"store": tmp_path / "runs.db", "name": "study", "verbose": 0, **FIT, "epochs": 1}
    given |= {"then": [fl.Phase(unfreeze, epochs=1)]}
    fl.compare(build, {"learning_rate": [0.1]}, X, Y, **given)
    with pytest.raises(fl.StudyError, match=words):
        fl.compare(build, {"learning_rate": [0.1]}, X, Y, **{**given, **changed})


def test_an_interrupted_trial_has_the_model_of_its_phase(monkeypatch):
    """Ctrl-C in the second phase: the base is trained by then, and the model says so."""

    class Interrupts(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    given = {**FIT, "engine": "reference", "callbacks": lambda: [Interrupts()], "verbose": 0}
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        study = fl.compare(build, {"learning_rate": [0.1]}, X, Y, then=PHASES["fine-tuning"], **given)
    assert study.trials["state"].tolist() == ["interrupted"]
    model = study.model(0)
    assert not model.get_layer("base").trainable  # the newest whole epoch is the last of the first phase


# --- what is refused, before any training ---------------------------------------------------------------


class Never(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("training has begun")


def raises(model):
    raise ValueError("no such layer")


def returns_another(model):
    return keras.models.clone_model(model)


def forgets_to_compile(model):
    model.compiled = False


def only_unfreezes(model):
    model.get_layer("base").trainable = True


def only_freezes(model):
    model.layers[-1].trainable = False


def freezes_another(model):
    only_unfreezes(model)
    only_freezes(model)


def compiles_with_the_same(model):
    only_unfreezes(model)
    model.compile(model.optimizer, "mse")


def has_no_optimizer(model):
    model.compile(optimizer=None, loss="mse")


def knows_no_such_loss(model):
    model.compile("sgd", "no_such_loss")


@pytest.mark.parametrize(
    ("then", "error", "words"),
    [
        ([unfreeze], fl.StudyError, r"then must be a list of phases, such as then=\[fl.Phase"),
        (5, fl.StudyError, "then must be a list of phases"),
        ([fl.Phase(raises, 1)], fl.StudyError, "phase 1 of then can't begin.*ValueError: no such layer"),
        ([fl.Phase(returns_another, 1)], fl.BuilderError, "must change the model that it is given"),
        ([fl.Phase(forgets_to_compile, 1)], fl.BuilderError, "without an optimizer and a loss"),
        (
            [fl.Phase(only_unfreezes, 1)],
            fl.BuilderError,
            r"only_unfreezes\(\), of phase 1 of then, changes which weights of trial 0 .* are trained "
            r"\(variables: 2 more\) and does not compile the model again.*call model.compile\(\.\.\.\)",
        ),
        (
            [fl.Phase(unfreeze, 1), fl.Phase(only_freezes, 1)],
            fl.BuilderError,
            "of phase 2 of then.*: 2 fewer",
        ),
        ([fl.Phase(freezes_another, 1)], fl.BuilderError, r"variables: 2 more and 2 fewer\)"),
        ([fl.Phase(compiles_with_the_same, 1)], fl.BuilderError, "with a new optimizer"),
        ([fl.Phase(has_no_optimizer, 1)], fl.BuilderError, "phase 1 of then, has compiled .* without an opt"),
        (
            [fl.Phase(slow_down, 1), fl.Phase(knows_no_such_loss, 1)],
            fl.StudyError,
            "phase 2 of then can't begin: its function leaves a model of trial 0 .* no_such_loss",
        ),
        (
            [fl.Phase(lambda model, fine: None, 1)],
            fl.StudyError,
            "phase 1 of then, needs 'fine', which trial 0 .* does not have",
        ),
    ],
)
def test_bad_phases_are_refused(then, error, words):
    with pytest.raises(error, match=words):
        fl.compare(build, {"learning_rate": [0.1]}, X, Y, then=then, callbacks=[Never()], verbose=0, **FIT)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone refuses what is frozen")
@pytest.mark.parametrize("change", [only_unfreezes, only_freezes, freezes_another, compiles_with_the_same])
def test_keras_alone_can_not_train_with_the_optimizer_of_other_weights(change):
    """What `compare` refuses before any training, ``fit`` refuses after the first phase."""
    with pytest.raises(ValueError, match=r"optimizer_variables|Invalid variable value"):
        alone({}, 0, [fl.Phase(change, 1)])


class OwnStep(keras.Model):
    """It has an optimizer of its own, and does not use the one that it is compiled with."""

    def __init__(self):
        super().__init__()
        self.base, self.head = keras.layers.Dense(5, name="base"), keras.layers.Dense(1)

    def call(self, x):
        return self.head(self.base(x))

    def train_step(self, state, data):
        raise AssertionError("not called here")


def test_a_training_step_of_its_own_may_need_no_optimizer():
    model = OwnStep()
    model(X[:2])
    model.compile(optimizer=None, loss="mse")
    trial = Trial(0, Variant(0, {}), 0)
    Phases([fl.Phase(lambda model: None, 1)]).change(trial, model, 1)
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    Phases([fl.Phase(lambda model: setattr(model.base, "trainable", False), 1)]).change(trial, model, 1)
    assert len(model.trainable_variables) == 2


@pytest.mark.parametrize(
    ("change", "epochs", "words"),
    [
        ("unfreeze", 1, "change must be a function of the model"),
        (lambda: None, 1, "takes no argument; it must take the model"),
        (lambda model, **others: None, 1, "which hyperparameters it depends on can't be known"),
        (lambda *, model: None, 1, "must take the model as its first argument"),
        (unfreeze, 0, "epochs of a phase must be a whole number, 1 or more, not 0"),
        (unfreeze, 2.5, "not 2.5"),
    ],
)
def test_a_phase_says_what_it_needs(change, epochs, words):
    with pytest.raises(fl.StudyError, match=words):
        fl.Phase(change, epochs)


@engines
def test_a_base_that_all_trials_share_can_not_be_unfrozen(engine):
    """It would be trained by one trial after another: the founding mistake, in fine-tuning."""
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="base")])
    base.trainable = False

    def on_top(learning_rate=0.1):
        model = keras.Sequential([keras.Input((4,)), base, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(learning_rate), "mse")
        return model

    def thaw(model):
        model.layers[0].trainable = True
        model.compile(keras.optimizers.SGD(0.01), "mse")

    before = [keras.ops.convert_to_numpy(v) for v in base.variables]
    given = {"engine": engine, "callbacks": [Never()], "verbose": 0, **FIT}
    try:
        with pytest.raises(fl.SharedStateError, match="base"):
            fl.compare(on_top, {"learning_rate": [0.1, 0.2]}, X, Y, then=fl.Phase(thaw, 1), **given)
    finally:
        for variable, value in zip(base.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_one_optimizer_for_all_trials_is_refused():
    shared = keras.optimizers.SGD(0.01)

    def thaw(model):
        model.compile(shared, "mse")

    with pytest.raises(fl.SharedStateError, match="optimizer"):
        fl.compare(build, {"learning_rate": [0.1, 0.2]}, X, Y, then=[fl.Phase(thaw, 1)], verbose=0, **FIT)


def test_a_change_that_fails_later_fails_its_trial_alone():
    def changes(model, fine_rate):
        if fine_rate > 0.5:
            raise ValueError("too large a rate")
        unfreeze(model, fine_rate)

    for engine in ("lanes", "reference"):
        study = fl.compare(
            *(build, {"fine_rate": [0.02, 0.9]}, X, Y),
            then=[fl.Phase(changes, 1)],
            engine=engine,
            verbose=0,
            **FIT,
        )
        assert study.trials["state"].tolist() == ["done", "failed"]
        words = (
            r"phase 1 of then can't begin: changes\(\), called with the model of trial 1 .*, raised ValueErr"
        )
        assert re.match(f"StudyError: {words}or: too large a rate$", study.trials["error"][1])
        assert study.trials["epochs"].tolist() == [4, 3]


def test_refit_keeps_the_phases():
    phases = PHASES["fine-tuning"]
    study = fl.compare(build, RATES, X, Y, then=phases, verbose=0, **FIT)
    with pytest.raises(fl.StudyError, match="trained in phases"):
        study.refit(0, X, Y, verbose=0)
    again = study.refit(0, X, Y, epochs=3, verbose=0)
    expected = alone({"learning_rate": 0.05, "fine_rate": 0.02}, 0, phases, validation_split=0.0)
    assert_logs_agree(history_of(again, 0), expected.logs)


SPACE = {"learning_rate": fl.Float(0.01, 0.1), "fine_rate": fl.Float(0.001, 0.05)}
SEARCH = {**FIT, "epochs": 2, "trials": 4, "verbose": 0}


def assert_prefixes(study, phases):
    """Each trial has the first epochs of what Keras alone trains."""
    for number, trial in enumerate(study.trials.itertuples()):
        assert trial.state in ("done", "stopped"), trial.error
        rates = {"learning_rate": trial.learning_rate, "fine_rate": trial.fine_rate}
        expected = alone(rates, trial.seed, phases, epochs=2)
        logs = history_of(study, number)
        count = len(logs["loss"])
        assert_logs_agree(logs, {name: values[:count] for name, values in expected.logs.items()})
        if trial.state == "done":
            model = study.model(number)
            assert_variables_agree(variables(model), expected.variables, what=f"trial {number}")


@engines
@pytest.mark.parametrize("stop", [None, "halving"])
def test_a_search_trains_in_phases(engine, stop):
    phases = [fl.Phase(slow_down, epochs=1), fl.Phase(unfreeze, epochs=1)]
    confirm = {"confirm": (1, 1)} if stop is None else {}
    study = fl.search(build, SPACE, X, Y, then=phases, stop=stop, engine=engine, **confirm, **SEARCH)
    assert_prefixes(study, phases)
    assert set(study.trials["engine"]) == {engine}
    epochs = study.trials["epochs"].tolist()
    assert max(epochs) == 4
    assert (min(epochs) < 4) == (stop is not None)


def test_a_search_that_was_cut_off_in_a_phase_goes_on(tmp_path, monkeypatch):
    phases = [fl.Phase(unfreeze, epochs=2)]
    kept = {"store": tmp_path / "runs.db", "name": "a", "checkpoint_every": 1}
    take = driver.Driver._take

    def taken(self, event):
        take(self, event)
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise PowerCut

    monkeypatch.setattr(driver.Driver, "_take", taken)
    with pytest.raises(PowerCut):
        fl.search(build, SPACE, X, Y, then=phases, stop="halving", **kept, **SEARCH)
    monkeypatch.undo()
    study = fl.search(build, SPACE, X, Y, then=phases, stop="halving", **kept, **SEARCH)
    assert_prefixes(study, phases)
    assert sorted(study.trials["epochs"])[-1] == 4
    with pytest.raises(fl.StudyError, match="phases of then"):
        fl.search(build, SPACE, X, Y, then=fl.Phase(slow_down, 2), stop="halving", **kept, **SEARCH)


def test_a_search_refuses_phases_that_can_not_begin():
    rate = {"learning_rate": fl.Float(0.01, 0.1)}
    with pytest.raises(fl.StudyError, match="needs 'fine_rat', which trial 0"):
        fl.search(build, rate, X, Y, then=fl.Phase(lambda model, fine_rat: None, 1), **SEARCH)
    with pytest.raises(fl.StudyError, match="phase 1 of then can't begin"):
        fl.search(build, rate, X, Y, then=fl.Phase(lambda model: 1 / 0, 1), **SEARCH)


@pytest.mark.parametrize("name", ["then", "phases"])
def test_fit_says_that_compare_takes_phases(name):
    phases = {name: [fl.Phase(unfreeze, 1)]}
    with pytest.raises(fl.StudyError, match="compare takes 'then', and fit does not"):
        fl.fit([build(), build()], X, Y, verbose=0, **phases)


@pytest.mark.parametrize("model", [build, build()], ids=["builder", "template"])
def test_the_hyperparameters_of_phases_are_suggested(model):
    rates = {"finerate": [0.1]}
    with pytest.raises(fl.StudyError, match=r"'finerate'.* Did you mean 'fine_rate'\?"):
        fl.compare(model, rates, X, Y, then=fl.Phase(unfreeze, 1), verbose=0, **FIT)
    with pytest.raises(fl.StudyError, match=r"'finerate'.* Hyperparameters such as 'fine_rate' belong in"):
        fl.compare(model, [{}], X, Y, then=fl.Phase(unfreeze, 1), finerate=0.1, verbose=0, **FIT)
