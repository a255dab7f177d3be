"""The values that flow between the layers: what a trial is, what it reports, what it has learned."""

from fairlane.trials.events import (
    OF_NO_EPOCH,
    Checkpoint,
    CutOff,
    EpochEnded,
    Event,
    ModelDescribed,
    Tested,
    TrialDone,
    TrialFailed,
    TrialStarted,
)
from fairlane.trials.spec import (
    LONGEST_INTEGER,
    RESERVED_COLUMNS,
    Site,
    Trial,
    TrialState,
    Variant,
    short,
)
from fairlane.trials.state import Arrays, State, Weights

__all__ = [
    "LONGEST_INTEGER",
    "OF_NO_EPOCH",
    "RESERVED_COLUMNS",
    "Arrays",
    "Checkpoint",
    "CutOff",
    "EpochEnded",
    "Event",
    "ModelDescribed",
    "Site",
    "State",
    "Tested",
    "Trial",
    "TrialDone",
    "TrialFailed",
    "TrialStarted",
    "TrialState",
    "Variant",
    "Weights",
    "short",
]
