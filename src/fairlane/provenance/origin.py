"""Where a study comes from, as plain data for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlane.trials import Site


@dataclass(frozen=True)
class Origin:
    """What is known of where a study comes from.

    Attributes:
        spec: what was requested, as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        epochs: how many epochs were requested; the largest of several numbers; None if it is not known.
        sites: where its trials were trained, in order, each once; empty if none was trained.
        created: when the study was begun, in seconds of UTC since 1970; None if it is not known.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    sites: Sequence[Site] = (Site(),)
    created: float | None = None
