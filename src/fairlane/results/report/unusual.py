"""Records → sentences about what was unusual.

In: the records of a study. Out: a sentence for each group of trials that did not finish, did not run on
lanes, or can't be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairlane.results.report.values import MOST, listed, ranges
from fairlane.store import Record
from fairlane.trials import TrialState


def unusual(records: Sequence[Record], labels: Mapping[int, str]) -> list[str]:
    """A sentence for each thing that most studies do not have.

    Args:
        records: the trials' records.
        labels: variant's number → its hyperparameters in words.
    """
    return [
        *_of_states(records),
        *_off_lanes(records),
        *_untested(records),
        *_unpaired(records, labels),
    ]


def _of_states(records: Sequence[Record]) -> Iterator[str]:
    words = {
        TrialState.DIVERGED: "diverged: the training loss became NaN or infinite",
        TrialState.FAILED: "failed with an error",
        TrialState.INTERRUPTED: "interrupted: the epochs before that are shown",
    }
    for state, said in words.items():
        yield from of_some([r for r in records if r.state is state], said)


def of_some(records: Sequence[Record], said: str) -> Iterator[str]:
    """A sentence about some trials, if there are any.

    Args:
        records: the trials' records.
        said: what is said about them.
    """
    if records:
        numbers = ranges([record.trial.number for record in records])
        trials = "trial" if len(records) == 1 else "trials"
        yield f"{len(records)} {trials} {said} ({trials} {numbers})."


def _off_lanes(records: Sequence[Record]) -> Iterator[str]:
    by_reason: dict[tuple[bool, str], list[Record]] = {}
    for record in records:
        if record.reason:
            by_reason.setdefault((record.engine == "lanes", record.reason), []).append(record)
    for (on_lanes, reason), some in by_reason.items():
        apart, alone = "in a program of its own size", "one after another instead of on lanes"
        yield from of_some(some, f"trained {apart if on_lanes else alone}, because {reason}")


def _untested(records: Sequence[Record]) -> Iterator[str]:
    failed = [r for r in records if r.state is TrialState.DONE and r.error]
    yield from of_some(failed, f"not evaluated on the test data: {failed[0].error}" if failed else "")


def _unpaired(records: Sequence[Record], labels: Mapping[int, str]) -> Iterator[str]:
    """Seeds with a finished trial of only some variants, although all their trials have ended."""
    done: dict[Any, set[int]] = {record.trial.replicate: set() for record in records}
    for record in records:
        if record.state is TrialState.DONE:
            done[record.trial.replicate].add(record.trial.variant.number)
    running = {record.trial.replicate for record in records if not record.state.ended}
    counting = set().union(*done.values())
    alike: dict[tuple[int, ...], list[Any]] = {}
    for one in sorted(done):
        lacking = tuple(sorted(counting - done[one]))
        if lacking and done[one] and one not in running:
            alike.setdefault(lacking, []).append(one)
    for lacking, found in alike.items():
        said = f"{_in_words(found)} {'is' if len(found) == 1 else 'are'}"
        whose = listed([labels[number] for number in lacking], MOST, "; ")
        them = "it" if len(found) == 1 else "them"
        why = f"there is no finished trial of {whose}, so differences to it leave {them} out"
        yield f"{said} unpaired: {why}."


def _in_words(replicates: Sequence[Any]) -> str:
    """``Seeds 0 to 3``, or ``Seed 0, fold 2; seed 1, fold 2``."""
    if isinstance(replicates[0], tuple):
        return listed([f"seed {seed}, fold {fold}" for seed, fold in replicates], MOST, "; ").capitalize()
    return f"Seed {replicates[0]}" if len(replicates) == 1 else f"Seeds {ranges(replicates)}"
