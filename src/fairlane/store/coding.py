"""Trials, logs and events ↔ the values of rows.

In: what flows between the layers. Out: text and numbers, and the same values again. Hyperparameters that are
plain data come back exactly. Of others (functions, Keras objects) only a short text comes back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlane.errors import StoreError
from fairlane.provenance import fingerprint
from fairlane.store import tree
from fairlane.trials import State, Trial, Variant, Weights, short

Row = dict[str, Any]


@dataclass(frozen=True)
class Named:
    """A hyperparameter that was an object, read from a store, which holds only its short text.

    Attributes:
        text: its name in frames and legends.
        described: a text that is different for different values.
    """

    text: str
    described: str

    def __repr__(self) -> str:
        return self.text


# Variants and trials


def variant_to_text(variant: Variant) -> str:
    """A variant's hyperparameters as JSON."""
    values = [_value(name, value) for name, value in variant.hyperparameters.items()]
    return json.dumps({"values": values, "fit": list(variant.fit_arguments)})


def _value(name: str, value: Any) -> dict[str, str]:
    try:
        return {"name": name, "plain": tree.to_text(value)}
    except tree.NotPlain:
        return {"name": name, "text": short(value), "described": fingerprint.described(value)}


def values_of_text(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A variant's hyperparameters, and those of them that are arguments of ``Model.fit``.

    Raises:
        StoreError: the text is not one that `variant_to_text` gives.
    """
    try:
        found = json.loads(text)
        values = {str(part["name"]): _value_of(part) for part in found["values"]}
        return values, {name: values[name] for name in found["fit"]}
    except StoreError:
        raise
    except Exception as error:  # the text may be anything
        raise StoreError(type(error).__name__) from error


def _value_of(part: Mapping[str, str]) -> Any:
    if "plain" in part:
        return tree.from_text(part["plain"])
    return Named(str(part["text"]), str(part["described"]))


def key(trial: Trial) -> str:
    """A text that identifies the trial in its study, the same in every process."""
    return fingerprint.key(trial.hyperparameters, trial.seed, trial.fold)


def variant_key(variant: Variant) -> str:
    """A text that identifies the variant in its study, the same in every process."""
    return fingerprint.key(variant.hyperparameters)


# Logs


def log_rows(trial_id: int, logs: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows of an evaluation; and the names of logs of which only a text can be stored."""
    rows, inexact = [], []
    for place, (metric, logged) in enumerate(logs.items()):
        value, exact, is_exact = _log(logged)
        rows.append(_row(trial_id, place, str(metric), value, exact))
        if not is_exact:
            inexact.append(str(metric))
    return rows, inexact


def epoch_rows(trial_id: int, epoch: int, logs: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The same for an epoch, which has one row even without logs."""
    rows, inexact = log_rows(trial_id, logs)
    return [{"epoch": epoch, **row} for row in rows or [_row(trial_id, -1, "", None, None)]], inexact


def _row(trial_id: int, place: int, metric: str, value: Any, exact: Any) -> Row:
    return {"trial_id": trial_id, "place": place, "metric": metric, "value": value, "exact": exact}


def _log(logged: Any) -> tuple[float | None, bytes | None, bool]:
    """A log's ``value`` and ``exact``, and whether these hold it exactly."""
    # SQLite stores a whole number as an integer, which can't be a negative zero.
    if type(logged) is float and (logged or math.copysign(1.0, logged) > 0):
        return (None if math.isnan(logged) else logged), None, True
    try:
        exact = tree.to_bytes(logged)
    except tree.NotPlain:
        return None, tree.to_bytes(short(logged)), False
    try:
        number = float(logged)
    except (TypeError, ValueError, OverflowError):
        return None, exact, True
    return (number if math.isfinite(number) else None), exact, True


@dataclass(frozen=True)
class Exact:
    """A logged value that is not a float, read from its bytes."""

    value: Any


def log_of_bytes(data: bytes) -> Any:
    """A logged value that is not a float.

    Raises:
        StoreError: the bytes are not ones that Fairlane writes.
    """
    return tree.from_bytes(data)


def log_of_row(value: float | None, exact: Exact | None) -> Any:
    """The logged value again."""
    if exact is not None:
        return exact.value
    return math.nan if value is None else value


# Weights


def weights_to_tree(weights: Weights) -> dict[str, Any]:
    """Weights as a tree of plain data."""
    found: dict[str, Any] = {name: list(group) for name, group in weights.state._asdict().items()}
    if weights.layers is not None:
        found["layers"] = list(weights.layers)
    if weights.phase:
        found["phase"] = weights.phase
    return found


def weights_of_tree(found: Any) -> Weights:
    """The weights again.

    Raises:
        StoreError: the tree is of something else.
    """
    groups: list[Any] = [found.get(name) if isinstance(found, dict) else None for name in State._fields]
    if not all(isinstance(group, list) and all(map(_is_array, group)) for group in groups):
        raise StoreError("the file holds no weights")
    layers = found.get("layers")  # older versions did not write it
    if layers is not None and not (isinstance(layers, list) and all(isinstance(one, dict) for one in layers)):
        raise StoreError("the file does not hold the state of a model's layers")
    phase = found.get("phase", 0)  # written where there is more than one
    if type(phase) is not int or phase < 0:
        raise StoreError("the file does not say in which phase of training its weights are")
    return Weights(State(*groups), layers, phase)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic)
