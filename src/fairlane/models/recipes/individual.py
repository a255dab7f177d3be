"""The descriptions of a variant's models: one for all, or one for each trial whose model is another.

In: texts, as `fairlane.models.recipes.description` gives them, one per trial. Out: the text that a store
keeps for the variant, and each trial's own. No model is made here, and Keras is not needed.
"""

from __future__ import annotations

import json
from typing import Any

from fairlane.errors import StudyError

BUILD = "give its builder: fairlane.open(store, name, build=builder)"
"""What to do where a config builds no model; it ends messages."""
_MOST = 100
"""How many models of a variant are described; others need their builder."""


def are_alike(a: str, b: str) -> bool:
    """Whether two descriptions are of models that differ in what is stored with their weights alone.

    Args:
        a: what `description` gave.
        b: likewise.
    """
    return a == b or _compared(a) == _compared(b)


def _compared(text: str) -> Any:
    stored = loaded(text)
    return {name: _without_seeds(part) for name, part in stored.items() if name != "batch"}


def _without_seeds(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_seeds(one) for name, one in part.items() if name != "seed"}
    return [_without_seeds(one) for one in part] if isinstance(part, list) else part


def described_with(known: str | None, trial: int, text: str) -> str:
    """The descriptions of a variant's models, with that of one more trial.

    A builder that draws a structure gives each seed another model. Then the first is the base, and trials
    whose models differ from it have their own.

    Args:
        known: those until now; None where there is none.
        trial: its number.
        text: what `description` gave.
    """
    parts = None if known is None or known == text else _parts(known)
    now = None if parts is None else _parts(text)
    if parts is None or now is None:
        return text
    (base, others), (new, _) = parts, now
    if base.get("phase", 0) < new.get("phase", 0):
        return text  # training goes on for all of them
    others.pop(str(trial), None)
    if are_alike(json.dumps(base), text):
        base = {**base, "batch": base.get("batch") or new.get("batch")}
    else:
        many = len(others) >= _MOST
        others[str(trial)] = {"why": "its builder draws a model for each seed"} if many else new
    return json.dumps({"individual": True, "base": base, "others": others}) if others else json.dumps(base)


def _parts(known: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The base, and trials with their own; None where the text, which may come from anywhere, has none."""
    try:
        found = loaded(known)
    except StudyError:
        return None
    if not is_individual(known):
        return (found, {}) if isinstance(found, dict) else None
    base, others = found.get("base"), found.get("others")
    return (base, others) if isinstance(base, dict) and isinstance(others, dict) else None


def of_trial(known: str | None, trial: int) -> str | None:
    """How a trial's model is built.

    Args:
        known: the descriptions of its variant's models, as `described_with` gives them.
        trial: its number.
    """
    parts = None if known is None or not is_individual(known) else _parts(known)
    if parts is None:
        return known
    base, others = parts
    own = others.get(str(trial), base)
    return json.dumps({"individual": True, **(own if isinstance(own, dict) else {})})


def is_individual(text: str | None) -> bool:
    """Whether trials of the variant have models of their own.

    Args:
        text: as `described_with` or `of_trial` gives it.
    """
    return text is not None and text.startswith('{"individual": true')


def loaded(text: str) -> Any:
    """What a text says, which may come from anywhere.

    Args:
        text: JSON.

    Raises:
        StudyError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"the model's config in the store is not JSON ({error}); {BUILD}") from error
