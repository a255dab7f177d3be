"""Jobs for the tests of engines, and the loop around an engine that the driver has."""

from collections import deque
from dataclasses import dataclass, field

import keras
import numpy as np

from fairlane.engines.contract import NOT_YET, OVER, Idle, Job, Pace
from fairlane.engines.data.fit_data import DATA_ARGUMENTS, FitData
from fairlane.engines.resources import Builder, CallbackMaker, Resources, TrainingData
from fairlane.running.policy import EverybodyGoesOn, OrderBook
from fairlane.trials import EpochEnded, Trial, TrialDone, Variant

_rng = np.random.default_rng(12)
X = _rng.normal(size=(40, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5], [1.0]]) + _rng.normal(size=(40, 1))).astype("float32")
EPOCHS = 6
FIT = {"x": X, "y": Y, "batch_size": 8, "validation_split": 0.2, "epochs": EPOCHS}
"""Four batches of 8, and one to validate on: a program of each."""
RAGGED = {**FIT, "validation_split": 0.25}
"""The last batch is smaller, of both."""


def build(learning_rate=0.05, rate=0.25):
    """A small model with all that a trial draws: weights, dropout masks, a batch order."""
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, "tanh"), layers.Dropout(rate), layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse", metrics=["mae"])
    return model


def callbacks(trial=None):
    """Callbacks that remember, one of which changes the optimizer."""
    kc = keras.callbacks
    return [
        kc.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1.0),
        kc.EarlyStopping("val_loss", patience=50),
    ]


def resources(builder=build, fit=FIT, make_callbacks=None, models=None, readers=1):
    """What jobs share."""
    chosen = {name: fit[name] for name in DATA_ARGUMENTS if name in fit}
    made = Builder(lambda trial: builder(**trial.builder_arguments), portable=builder)
    if models is not None:
        made = Builder(lambda trial: models[trial.number], in_place=True)
    makers = {"callbacks": CallbackMaker(make_callbacks)} if make_callbacks else {}
    data = TrainingData(chosen, FitData.of(chosen), readers)
    return Resources({"builder": made}, {"data": data}, makers)


def job(number, fit=FIT, make_callbacks=None, pace=None, **hyperparameters):
    """The job of a trial with a learning rate and a seed of its own."""
    values = {"learning_rate": 0.02 * (number + 1)} | hyperparameters
    trial = Trial(number, Variant(number, values), seed=number)
    rest = {name: value for name, value in fit.items() if name not in DATA_ARGUMENTS}
    return Job(trial, "builder", "data", "callbacks" if make_callbacks else "", rest, pace=pace, alike=4)


COPIES = Pace()
"""The pace of jobs that can be forked."""


_alone = {}


def alone(one, epochs=EPOCHS, builder=build, fit=FIT, make_callbacks=None):
    """What Keras alone makes of a job: the history, and the model, to be read only.

    Many tests compare with the same trial, and each fit compiles; so it is trained once in a process.
    """
    asked = (repr(one.trial.hyperparameters), one.trial.seed, epochs, builder, make_callbacks, id(fit))
    if asked not in _alone:
        keras.backend.clear_session()
        keras.utils.set_random_seed(one.trial.seed)
        model = builder(**one.trial.builder_arguments)
        made = make_callbacks(one.trial) if make_callbacks else []
        history = model.fit(**{**fit, "epochs": epochs}, callbacks=made, verbose=0)
        _alone[asked] = history.history, model, fit
    return _alone[asked][:2]


class Listed:
    """A feed of jobs; a None among them stands for "not yet"."""

    def __init__(self, jobs):
        self._jobs = deque(jobs)

    def next(self):
        """The next job."""
        if not self._jobs:
            return OVER
        one = self._jobs.popleft()
        return NOT_YET if one is None else one


@dataclass
class Ran:
    """What came of a run."""

    events: list = field(default_factory=list)

    def of(self, trial, kind):
        """A trial's events of one kind."""
        return [e for e in self.events if isinstance(e, kind) and e.trial is trial]

    def history(self, trial):
        """A trial's logs, as Keras's History has them."""
        ended = self.of(trial, EpochEnded)
        return {name: [e.logs[name] for e in ended] for name in (ended[0].logs if ended else ())}

    def done(self, trial):
        """How a trial ended."""
        (event,) = self.of(trial, TrialDone)
        return event


def run(engine, jobs, policy=None, watch=None, most_idle=3):
    """Run jobs on an engine as the driver does."""
    policy = policy or EverybodyGoesOn()
    book, ran, idle = OrderBook(policy.standing), Ran(), 0
    for event in engine.run(Listed(jobs), book):
        ran.events.append(event)
        if watch is not None:
            watch(event)
        ordered = book.give(policy.after(event))
        idle = idle + 1 if isinstance(event, Idle) and not ordered else 0
        assert idle <= most_idle, "nothing happens any more"
    return ran
