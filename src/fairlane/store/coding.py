"""Trials, logs and events ↔ the values of rows.

In: what flows between the stages. Out: text and numbers, and the same values again. Hyperparameters that are
plain data come back exactly; of others (functions, Keras objects) comes back what they were called.
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
    """A hyperparameter that was an object, read from a store: its short text, which is all that was kept.

    Attributes:
        text: what frames and legends call it.
        described: what tells it from others.
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
    """A variant's hyperparameters again; and those of them that are arguments of ``Model.fit``.

    Raises:
        StoreError: the text is none that was written here.
    """
    try:
        told = json.loads(text)
        values = {str(part["name"]): _value_of(part) for part in told["values"]}
        return values, {name: values[name] for name in told["fit"]}
    except StoreError:
        raise
    except Exception as error:  # whatever the text is
        raise StoreError(type(error).__name__) from error


def _value_of(part: Mapping[str, str]) -> Any:
    if "plain" in part:
        return tree.from_text(part["plain"])
    return Named(str(part["text"]), str(part["described"]))


def key(trial: Trial) -> str:
    """What tells the trial from all others of its study, in every process."""
    return fingerprint.key(trial.hyperparameters, trial.seed)


def variant_key(variant: Variant) -> str:
    """What tells the variant from all others of its study, in every process."""
    return fingerprint.key(variant.hyperparameters)


# Logs


def log_rows(trial_id: int, logs: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows of an evaluation; and the names of logs of which only a text can be kept."""
    rows, inexact = [], []
    for place, (metric, logged) in enumerate(logs.items()):
        value, exact, kept = _log(logged)
        rows.append(_row(trial_id, place, str(metric), value, exact))
        if not kept:
            inexact.append(str(metric))
    return rows, inexact


def epoch_rows(trial_id: int, epoch: int, logs: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The same for an epoch, which has a row though it has no logs."""
    rows, inexact = log_rows(trial_id, logs)
    return [{"epoch": epoch, **row} for row in rows or [_row(trial_id, -1, "", None, None)]], inexact


def _row(trial_id: int, place: int, metric: str, value: Any, exact: Any) -> Row:
    return {"trial_id": trial_id, "place": place, "metric": metric, "value": value, "exact": exact}


def _log(logged: Any) -> tuple[float | None, bytes | None, bool]:
    # SQLite keeps a whole number as an integer, of which there is no negative zero.
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
    """A logged value that is no float, read from its bytes."""

    value: Any


def log_of_bytes(data: bytes) -> Any:
    """A logged value that is no float.

    Raises:
        StoreError: the bytes are none that were written here.
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
    told: dict[str, Any] = {name: list(group) for name, group in weights.state._asdict().items()}
    return told if weights.layers is None else {**told, "layers": list(weights.layers)}


def weights_of_tree(told: Any) -> Weights:
    """The weights again.

    Raises:
        StoreError: the tree is of something else.
    """
    groups: list[Any] = [told.get(name) if isinstance(told, dict) else None for name in State._fields]
    if not all(isinstance(group, list) and all(map(_is_array, group)) for group in groups):
        raise StoreError("the file holds no weights")
    layers = told.get("layers")  # versions before this one did not write it
    if layers is not None and not (isinstance(layers, list) and all(isinstance(one, dict) for one in layers)):
        raise StoreError("the file says something else than what the layers of a model hold")
    return Weights(State(*groups), layers)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic)
