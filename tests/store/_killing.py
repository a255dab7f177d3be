"""A program that lets processes train a study, and kills each in the midst of it. Linux and macOS, for ``fork``.

Arguments: the store, its study's name, and how many kills there must be in each place: while a file is written,
in a transaction, and while it is committed. A shared byte says where a process is, so that kills can be aimed, at
random moments of a fixed seed. Each process goes on from what the one before left; a trial's loss is a function of
the one before, so that what was lost or done twice would show. Out: JSON, with the number of kills by place, and
the complaints of a reader that looked after each.
"""

import json
import mmap
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter

import numpy as np
from _stores import Place, plan

from fairlane.store import batch, committer, read, writing
from fairlane.store.artifacts import Artifacts
from fairlane.trials import Checkpoint, EpochEnded, State, TrialStarted, Weights

ELSEWHERE, FILE, ROWS, COMMIT = range(4)
NAMES = ("elsewhere", "file", "rows", "commit")
MOST = 150
where = mmap.mmap(-1, 1)


def losses(trial, count):
    """What an uninterrupted run of a trial logs."""
    state, found = trial.number + 1, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        found.append(state / 2**31)
    return found


def marked(owner, name, place, after=ELSEWHERE):
    """Let the byte say when a method is running, and what comes after it."""
    real = getattr(owner, name)

    def call(*args, **kwargs):
        where[0] = place
        try:
            return real(*args, **kwargs)
        finally:
            where[0] = after

    setattr(owner, name, call)


def train(store, name, told, until=None):
    """Train all trials side by side, checkpoints every third epoch; tell what is stored for good."""
    committer.BETWEEN = 0.001
    marked(Artifacts, "write", FILE)
    marked(batch.Batch, "run", ROWS, after=COMMIT)
    marked(writing.SqlStore, "_commit", ELSEWHERE)
    kept, trials = Place(store, name).open(plan(), epochs=10**6)
    state, epochs = {}, {}
    for trial in trials:
        at = kept.checkpoint(trial)
        epochs[trial] = 0 if at is None else at.epoch
        state[trial] = trial.number + 1 if at is None else int(at.weights.state.trainable[0][0])
        kept.write(TrialStarted(trial, "lanes", epoch=epochs[trial]))
    while until is None or min(epochs.values()) < until:
        for trial in trials:
            state[trial] = (1103515245 * state[trial] + 12345) % 2**31
            kept.write(EpochEnded(trial, epochs[trial], {"loss": state[trial] / 2**31, "mae": 1.0}))
            epochs[trial] += 1
            if epochs[trial] % 3 == 0:
                weights = Weights(State([np.full(2000, state[trial])], [], [], []))
                kept.write(Checkpoint(trial, epochs[trial], weights, {"epoch": epochs[trial]}))
        kept.flush()
        os.write(told, f"{min(epochs.values())}\n".encode())
    kept.close()


def killed(store, name, rng):
    """Let a process train, and kill it; where it was, and what it had told to be stored."""
    reading, writing_end = os.pipe()
    where[0] = ELSEWHERE
    child = os.fork()
    if child == 0:
        try:
            train(store, name, writing_end)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing_end)
    told = os.read(reading, 8)  # it has begun
    target, end = rng.choice((FILE, ROWS, COMMIT, None)), time.monotonic() + 60
    time.sleep(rng.uniform(0, 0.03))
    while target is not None and where[0] != target and time.monotonic() < end:
        pass
    time.sleep(rng.uniform(0, 0.0003))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading) as rest:
        told = [int(line) for line in (told.decode() + rest.read()).split()]
    return where[0], told[-1]


def complaints(store, name, told):
    """What is wrong with what a reader finds; nothing, it is hoped."""
    records = read(store, name)
    for record in records:
        numbers = [epoch for epoch, _ in record.epochs]
        if numbers != list(range(len(numbers))):
            yield f"{record.trial}: epochs {numbers}"
        if len(numbers) < told:
            yield f"{record.trial}: {len(numbers)} epochs, and {told} were told to be stored"
        if [logs.get("loss") for _, logs in record.epochs] != losses(record.trial, len(numbers)):
            yield f"{record.trial}: other numbers"
        if any(list(logs) != ["loss", "mae"] for _, logs in record.epochs):
            yield f"{record.trial}: half an epoch"
        at = records.checkpoint(record.trial)
        if at is None and told >= 3:
            yield f"{record.trial}: no checkpoint"
        if at is not None and at.weights.state.trainable[0][0] / 2**31 != losses(record.trial, at.epoch)[-1]:
            yield f"{record.trial}: a checkpoint of another epoch"
    yield from records.notes


def main(store, name, wanted):
    rng, places, found = random.Random(1), Counter(), []
    while min(places[one] for one in NAMES[1:]) < wanted and places.total() < MOST:
        place, told = killed(store, name, rng)
        places[NAMES[place]] += 1
        found += complaints(store, name, told)
    train(store, name, os.open(os.devnull, os.O_WRONLY), until=told + 5)
    found += complaints(store, name, told + 5)
    print(json.dumps({"places": places, "complaints": found, "epochs": told + 5}))


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]))
