"""A small made-up study: every state that a trial can end in, with nothing trained."""

import math

from fairlane.provenance.origin import Origin
from fairlane.results.study import Study
from fairlane.store import MemoryStore
from fairlane.trials import EpochEnded, Tested, Trial, TrialDone, TrialFailed, TrialStarted, Variant

HOSTILE = "../../up/\x00\n'\"<b>`; drop table runs; --" + "é" * 300
RATES = (0.1, 0.01, 0.001, 0.5, 0.25)


def trials_of(*variants, seeds=(0,)):
    made = [Variant(number, values) for number, values in enumerate(variants)]
    return [Trial(i, v, seed) for i, (v, seed) in enumerate((v, s) for v in made for s in seeds)]


def study_of(store, name="sweep"):
    return Study(store, name, lambda trial: None, Origin)


def started(trial, epoch=0):
    return TrialStarted(trial, "lanes", fleet=0, loop="vmap×2", epoch=epoch)


def told(trial, losses, first=0):
    for epoch, loss in enumerate(losses, first):
        yield EpochEnded(trial, epoch, {"loss": loss, "val_loss": loss + 1.0})


def made_up(name="sweep"):
    """Trials 0 done and tested, 1 diverged, 2 failed in epoch 1, 3 cut off in epoch 1, 4 failed before it began."""
    trials = trials_of(*({"optimizer.learning_rate": rate, "units": [8, 4]} for rate in RATES))
    store = MemoryStore(trials)
    done, diverged, failed, cut, unborn = trials
    events = [
        *(started(trial) for trial in trials[:4]),
        *told(done, [3.0, 2.0, 1.0]),
        TrialDone(done, 1.5, None),
        Tested(done, {"test_loss": 1.25}),
        *told(diverged, [1.0, math.nan, math.inf]),
        TrialDone(diverged, 1.0, None),
        *told(failed, [4.0]),
        TrialFailed(failed, 1, "ValueError: no more data", "Traceback ..."),
        *told(cut, [5.0]),
        TrialFailed(unborn, None, "TypeError: no such layer", "Traceback ..."),
    ]
    for event in events:
        store.write(event)
    store.interrupt()
    return study_of(store, name)


def tell(tracker, events, store):
    """Write events to the store and tell the tracker, as the driver does."""
    for event in events:
        tracker.take(event, store.write(event))
