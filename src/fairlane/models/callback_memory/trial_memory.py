"""What a trial remembers besides its weights, as plain data, and how it is given back.

In: a trial's random generators and callbacks, between two epochs. Out: a tree of plain data, which a
`fairlane.trials.Checkpoint` carries; and generators and callbacks that stand where the tree was taken.

Of callbacks it is what `capture.py` has plain data for. Where a trial's callbacks hold something else, or
change something outside of them, its checkpoints say so, and the trial begins again from its first epoch.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.errors import StudyError
from fairlane.models import layer_state
from fairlane.models.callback_memory.capture import captured, name_of
from fairlane.models.callback_memory.outside_state import Outside
from fairlane.models.callback_memory.plain_data import CannotGoOn as CannotGoOn
from fairlane.models.callback_memory.plain_data import CannotTell as CannotTell
from fairlane.models.callback_memory.plain_data import plain as plain
from fairlane.models.callback_memory.plain_data import restored as restored
from fairlane.models.callback_memory.plain_data import same as same
from fairlane.models.callback_memory.refill import refill
from fairlane.trials import Checkpoint, State, Weights

_UNTOLD = "can't be told"  # a key of stored data: it stays
NO_WEIGHTS = Weights(State([], [], [], []))
"""The weights of a checkpoint that only says why a trial can't continue from it."""


# --- weights --------------------------------------------------------------------------------------------


def fitting(checkpoint: Checkpoint, state: State) -> State:
    """A checkpoint's state, if it is one of the model's.

    Raises:
        CannotGoOn: it is of another model.
    """
    stored = checkpoint.weights.state
    now, then = ([[np.shape(a) for a in group] for group in tree] for tree in (state, stored))
    if now != then:
        raise CannotGoOn("its checkpoint is of a model with other variables")
    return stored


def restore_layers(checkpoint: Checkpoint, model: Any) -> None:
    """Let a model's layers hold what they held besides their variables.

    Raises:
        CannotGoOn: they are others.
    """
    weights = checkpoint.weights
    try:
        layer_state.write_layers(model, weights.layers, weights.state)
    except StudyError as error:
        raise CannotGoOn(str(error)) from error


# --- callbacks ------------------------------------------------------------------------------------------


class Remembering:
    """Captures what a trial's callbacks remember, from when they have begun to train.

    Args:
        callbacks: all that may remember.
        shared: the addresses of objects that other trials' callbacks hold too.
    """

    def __init__(self, callbacks: Sequence[Any], shared: frozenset[int] = frozenset()) -> None:
        self._callbacks = list(callbacks)
        self._outside = Outside(self._callbacks, shared)

    def now(self) -> dict[str, Any]:
        """What they remember, or why there is no plain data for it."""
        try:
            self._outside.check(self._callbacks)
            return captured(self._callbacks)
        except CannotTell as why:
            return incomplete(str(why))


def incomplete(why: str) -> dict[str, Any]:
    """What stands for the memory of callbacks where there is no plain data for it."""
    return {_UNTOLD: why}


def is_complete(memory: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's memory says what callbacks remember, and not why that is not possible."""
    return not (isinstance(memory["callbacks"], Mapping) and _UNTOLD in memory["callbacks"])


def why_incomplete(memory: Mapping[str, Any]) -> str:
    """Why a checkpoint's memory does not say what callbacks remember."""
    return str(memory["callbacks"][_UNTOLD])


def refuse_incomplete(memory: Mapping[str, Any]) -> None:
    """Refuse a checkpoint from which training can't continue.

    Raises:
        CannotGoOn: what of the callbacks could not be stored.
    """
    if not is_complete(memory):
        raise CannotGoOn(f"what its callbacks remember could not be stored: {why_incomplete(memory)}")


def restore_callbacks(callbacks: Sequence[Any], memory: Any) -> None:
    """Let callbacks that have just begun to train remember what a checkpoint holds.

    Raises:
        CannotGoOn: they are others.
    """
    if isinstance(memory, Mapping):
        refill(callbacks, memory)
        return
    # Earlier versions stored each callback by itself.
    names = [name_of(type(callback)) for callback in callbacks]
    before = [str(one["class"]) for one in memory]
    if names != before:
        raise CannotGoOn(f"the callbacks were {before} and are {names}")
    for callback, one in zip(callbacks, memory, strict=True):
        vars(callback).update({name: restored(value) for name, value in one["state"].items()})


def append_to_files(callbacks: Sequence[Any], epoch: int) -> None:
    """Let callbacks that write a file per trial append to it, after the rows of the epochs before ``epoch``.

    To be called before training begins.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True
            if os.path.exists(callback.filename):
                _cut_csv(callback.filename, callback.sep, epoch)


def _cut_csv(path: str, separator: str, epoch: int) -> None:
    """Drop the rows of epochs that will be trained again."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=separator))
    if not rows or "epoch" not in rows[0]:
        return
    place = rows[0].index("epoch")
    numbered = [row for row in rows[1:] if len(row) > place and row[place].isdigit()]
    earlier = [row for row in numbered if int(row[place]) < epoch]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([rows[0], *earlier])
