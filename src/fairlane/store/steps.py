"""The steps that a writer of a study hands to the thread that commits them.

In: what an event changes. Out: steps, plain values that `fairlane.store.batch` turns into statements.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from fairlane.store import coding
from fairlane.store.records import Decision, Record
from fairlane.trials import Weights


@dataclass(frozen=True)
class AddEpochs:
    """Rows of epochs to insert."""

    rows: list[coding.Row]


@dataclass(frozen=True)
class SetTest:
    """A trial's rows of the test data, which replace earlier ones."""

    number: int
    rows: list[coding.Row]


@dataclass(frozen=True)
class SetTrial:
    """New values of a trial's row."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class SetModel:
    """How a variant's model is built."""

    number: int
    text: str


@dataclass(frozen=True)
class Rewind:
    """Delete a trial's epochs from one on, and what was saved after it."""

    number: int
    epoch: int


@dataclass(frozen=True, eq=False)
class SaveFile:
    """A state to save in a file; ``kind`` is that of `fairlane.store.saved.SavedFile`."""

    number: int
    kind: str
    epoch: int
    tree: dict[str, Any]


@dataclass(frozen=True)
class AddSite:
    """Trials are trained by this process: add its machine and commit to the study's."""


@dataclass(frozen=True)
class AddDirections:
    """For metrics of a variant: whether small or large values are better, as Keras knows it."""

    number: int
    better: dict[str, str]


@dataclass(frozen=True)
class SetWeightsEpoch:
    """The epoch that a trial's weights are of."""

    number: int
    epoch: int


@dataclass(frozen=True)
class AddDecision:
    """A decision of a search; ``about`` and ``content`` are JSON."""

    place: int
    about: str
    content: str

    @classmethod
    def of(cls, place: int, decision: Decision) -> Self:
        """A decision, at its place among those of its search."""
        return cls(place, json.dumps(list(decision.about)), json.dumps(dict(decision.content)))

    def row(self, study_id: int) -> dict[str, Any]:
        """Its row in the database."""
        return {"study_id": study_id, "place": self.place, "about": self.about, "content": self.content}


Step = (
    AddEpochs
    | SetTest
    | SetTrial
    | SetModel
    | Rewind
    | SaveFile
    | AddSite
    | AddDirections
    | SetWeightsEpoch
    | AddDecision
)


def trial_columns(record: Record) -> dict[str, Any]:
    """The columns of a trial's row that change while it is trained."""
    names = ("seconds", "engine", "worker", "reason", "fleet", "loop", "error", "traceback")
    return {"state": str(record.state), **{name: getattr(record, name) for name in names}}


def size_of(weights: Weights) -> int:
    """About how many bytes weights hold."""
    return sum(int(getattr(array, "nbytes", 0)) for array in weights.state.flat())
