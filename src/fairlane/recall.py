"""What a trial remembers besides its weights, as plain data, and how it is given back.

In: a trial's random generators and callbacks, between two epochs. Out: a tree of plain data, which a
`fairlane.trial.Checkpoint` carries; and generators and callbacks that stand where the tree was taken.

Of a callback it is the attributes that are plain data. What else it holds must be no state: a function, a
module, the model. For Keras's own callbacks that is known (files, writers, settings); a callback of anyone
else that holds another object can't be told, and its trial has no checkpoints.
"""

from __future__ import annotations

import csv
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

import keras
import numpy as np

from fairlane import layer_state
from fairlane.errors import StudyError
from fairlane.program import State
from fairlane.trial import Checkpoint

_TAG = "__fairlane__"
_NOT_STATE = frozenset({"_model", "model", "params", "validation_data"})
"""What Keras sets anew when training begins."""

_SET_ANEW = {"CSVLogger": frozenset({"append", "append_header"})}
"""Attributes of Keras's callbacks that say how their files stood when training began."""


_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal"})
"""Functions that Keras's callbacks choose between when they see the first logs."""

_MODULES = (keras.ops, np)


class CannotTell(Exception):
    """A trial can't be told as plain data; the message says what of it."""


class CannotGoOn(Exception):
    """A trial can't go on exactly where it was; the message says why."""


# --- values ---------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as a tree of dicts with strings as keys, lists, tuples, None, bools, numbers, strings, arrays.

    Raises:
        CannotTell: it, or something in it, is another object.

    Example:
        >>> restored(plain({1: (2.5, {"a"})}))
        {1: (2.5, {'a'})}
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str) or kind is np.ndarray:
        if kind is np.ndarray and value.dtype.hasobject:
            raise CannotTell("an array of objects")
        return value
    if kind in (list, tuple):
        return kind(plain(item) for item in value)
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: plain(item) for key, item in value.items()}
        return {_TAG: "dict", "of": [[plain(k), plain(v)] for k, v in value.items()]}
    if kind in (set, frozenset):
        return {_TAG: kind.__name__, "of": [plain(item) for item in value]}
    if isinstance(value, np.generic):
        return {_TAG: "scalar", "of": np.asarray(value)}
    if isinstance(value, PurePath):
        return {_TAG: "path", "of": os.fspath(value)}
    name = getattr(value, "__name__", "")
    if name in _COMPARISONS and any(value is getattr(module, name, None) for module in _MODULES):
        return {_TAG: "comparison", "of": [value.__module__.startswith("keras"), name]}
    if keras.ops.is_tensor(value):
        return {_TAG: "tensor", "of": np.array(keras.ops.convert_to_numpy(value))}
    raise CannotTell(f"a {kind.__name__}")


def restored(tree: Any) -> Any:
    """The value that `plain` made the tree of."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(restored(item) for item in tree)
    if not isinstance(tree, Mapping):
        return tree
    if _TAG not in tree:
        return {key: restored(item) for key, item in tree.items()}
    kind, of = tree[_TAG], tree["of"]
    match kind:
        case "dict":
            return {restored(key): restored(item) for key, item in of}
        case "set" | "frozenset":
            return {"set": set, "frozenset": frozenset}[kind](restored(item) for item in of)
        case "scalar":
            return np.asarray(of)[()]
        case "path":
            return Path(of)
        case "comparison" if of[1] in _COMPARISONS:
            return getattr(_MODULES[0] if of[0] else _MODULES[1], of[1])
        case "tensor":
            return keras.ops.convert_to_tensor(of)
    raise CannotGoOn(f"a checkpoint holds a {kind!r:.40}, which this version does not know")


def same(a: Any, b: Any) -> bool:
    """Whether two trees of plain data are equal."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


# --- weights --------------------------------------------------------------------------------------------


def fitting(checkpoint: Checkpoint, state: State) -> State:
    """A checkpoint's state, if it is one of the model's.

    Raises:
        CannotGoOn: it is of another model.
    """
    weights = checkpoint.weights
    kept = State(weights.trainable, weights.non_trainable, weights.optimizer, weights.metrics)
    now, then = ([[np.shape(a) for a in group] for group in tree] for tree in (state, kept))
    if now != then:
        raise CannotGoOn("its checkpoint is of a model with other variables")
    return kept


def recall_layers(checkpoint: Checkpoint, model: Any) -> None:
    """Let a model's layers hold what they held besides their variables.

    Raises:
        CannotGoOn: they are others.
    """
    weights = checkpoint.weights
    arrays = {"trainable": weights.trainable, "non_trainable": weights.non_trainable}
    try:
        layer_state.give(model, weights.layers, arrays)
    except StudyError as error:
        raise CannotGoOn(str(error)) from error


# --- callbacks ------------------------------------------------------------------------------------------


def callbacks_told(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """What callbacks remember.

    Raises:
        CannotTell: one holds an object that is no plain data, and may change while it trains.
    """
    return [{"class": _name(callback), "state": _told(callback)} for callback in callbacks]


def _told(callback: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in vars(callback).items():
        if name in _NOT_STATE or name in _SET_ANEW.get(type(callback).__name__, ()):
            continue
        try:
            told[name] = plain(value)
        except CannotTell as what:
            if not _is_no_state(value) and not _is_keras_own(callback, name):
                raise CannotTell(
                    f"callback {type(callback).__name__} remembers {what} ({name}), which is no plain data"
                ) from None
    return told


def _is_no_state(value: Any) -> bool:
    stateless = inspect.isroutine(value) or isinstance(value, (type, ModuleType, np.ufunc))
    return stateless or isinstance(value, keras.Model)


def _is_keras_own(callback: Any, name: str) -> bool:
    """Whether a class of Keras gave the callback this attribute."""
    own = [cls for cls in type(callback).__mro__ if cls.__module__.startswith("keras.")]
    if own and own[0] is type(callback):
        return True
    makers = (vars(cls).get("__init__") for cls in own)
    return any(name in maker.__code__.co_names for maker in makers if inspect.isfunction(maker))


def recall_callbacks(callbacks: Sequence[Any], told: Sequence[Mapping[str, Any]]) -> None:
    """Let callbacks that have just begun to train remember what was told.

    Raises:
        CannotGoOn: they are others.
    """
    names = [_name(callback) for callback in callbacks]
    before = [str(one["class"]) for one in told]
    if names != before:
        raise CannotGoOn(f"the callbacks were {before} and are {names}")
    for callback, one in zip(callbacks, told, strict=True):
        vars(callback).update({name: restored(value) for name, value in one["state"].items()})


def go_on_with_files(callbacks: Sequence[Any], epoch: int) -> None:
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
    kept = [row for row in rows[1:] if len(row) > place and row[place].isdigit() and int(row[place]) < epoch]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([rows[0], *kept])


def _name(callback: Any) -> str:
    return f"{type(callback).__module__}.{type(callback).__qualname__}"
