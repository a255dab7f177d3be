"""Which trials of a search its results speak of.

In: the records of a study, and what its search has decided. Out: the records by which variants are compared.

Where the best variants were trained again, these trials alone count: the value that a variant was chosen by
is the best of many, and too good. Elsewhere, variants that a rule has stopped do not count beside those that
were trained to their end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlane.kit.text import plural
from fairlane.store import Record, Records
from fairlane.trials import TrialState


def counting(records: Records) -> list[Record]:
    """The records by which variants are compared; all, for a study that is not a search.

    Args:
        records: of the study.
    """
    every = list(records)
    confirmed = _last(records, "confirm")
    if confirmed:
        variants, seeds = set(confirmed["variants"]), set(confirmed["seeds"])
        again = [r for r in every if r.trial.variant.number in variants and r.trial.seed in seeds]
        if any(record.epochs for record in again):
            return again
    stopped = {record.trial.variant.number for record in every if record.state is TrialState.STOPPED}
    return [record for record in every if record.trial.variant.number not in stopped] or every


def which_count(records: Records) -> str:
    """Which trials of a search are compared and by what, in words; empty for a study that is not a search.

    Args:
        records: of the study.
    """
    sentences = [_which_trials(records)] if objective(records) is not None else []
    names = [name for name, _ in objectives(records)]
    if len(names) > 1:
        rest = ", ".join(names[1:])
        sentences.append(
            f"Variants are ranked by the first objective alone, {names[0]}; study.pareto() has the others "
            f"too ({rest})"
        )
    return ". ".join(filter(None, sentences))


def _which_trials(records: Records) -> str:
    every, counted = list(records), counting(records)
    variants = {record.trial.variant.number for record in every}
    left = {record.trial.variant.number for record in counted}
    again = _last(records, "confirm")
    if again and len(counted) < len(every) and {r.trial.seed for r in counted} <= set(again["seeds"]):
        return (
            f"Compared are the {len(left)} best of {len(variants)} variants, trained again with "
            f"{plural(len(again['seeds']), 'seed')} that the search has not used; the values that they "
            "were chosen by do not count"
        )
    if len(left) < len(variants):
        return (
            f"Compared are the {len(left)} of {len(variants)} variants that no rule has stopped; these "
            "values also chose the best of them"
        )
    return ""


def searching(records: Records) -> list[Record]:
    """The records of the search itself, without the trials that confirm; all, for other studies.

    Args:
        records: of the study.
    """
    seeds = {s for one in records.decisions() if one.about[0] == "confirm" for s in one.content["seeds"]}
    every = list(records)
    return [record for record in every if record.trial.seed not in seeds] or every


def objective(records: Records) -> tuple[str, str] | None:
    """What a search looks for, and its direction, which may be ``"auto"``; None for other studies.

    Args:
        records: of the study.
    """
    search = _last(records, "search")
    return (str(search["objective"]), str(search["mode"])) if search else None


def objectives(records: Records) -> list[tuple[str, str]]:
    """All that a search looks for, as `objective`; empty for other studies.

    Args:
        records: of the study.
    """
    one = objective(records)
    if one is None:
        return []
    given = _last(records, "search").get("objectives") or [one]  # older searches stored the first one only
    return [(str(name), str(mode)) for name, mode in given]


def _last(records: Records, word: str) -> Mapping[str, Any]:
    """The newest decision about something, of the largest search; empty where there is none."""
    found = [one for one in records.decisions() if one.about[0] == word]
    return max(found[::-1], key=lambda one: one.about[1:]).content if found else {}
