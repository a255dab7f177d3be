"""What a call requests of a stored study, and whether the study in the store fits to it.

In: a request, and the spec and versions of the study that has its name. Out: nothing where training can
continue, or an error that says what differs; and notes on packages that have changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlane.errors import StudyError
from fairlane.provenance import fingerprint
from fairlane.trials import Site

_LONGEST_NAME = 200


@dataclass(frozen=True)
class StudyRequest:
    """What a call requests of a study.

    Attributes:
        spec: as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        resume: ``"auto"`` continues if the spec is the same, ``"force"`` in any case, ``"never"`` not at all.
        site: returns where this process trains.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    resume: str = "auto"
    site: Callable[[], Site] = Site

    @property
    def stored_spec(self) -> fingerprint.Spec:
        """The spec as it comes back from a store, to be compared with one that does."""
        found: fingerprint.Spec = json.loads(json.dumps(self.spec))
        return found


def check_name(name: Any) -> str:
    """The name, if it can be a study's.

    Raises:
        StudyError: it is empty, not text, or too long.
    """
    if not isinstance(name, str) or not name.strip():
        raise StudyError(f"a stored study needs a name, to be found again: give name='...', not {name!r}")
    if len(name) > _LONGEST_NAME:
        raise StudyError(
            f"the study's name has {len(name)} characters, and a store takes at most {_LONGEST_NAME}: give a "
            "shorter one"
        )
    return name


def check_same(which: str, before: fingerprint.Spec, request: StudyRequest, begun: bool) -> None:
    """Refuse to continue a study that is another one, or that can't be compared.

    Args:
        which: the study, in words.
        before: the spec that it was trained for.
        request: what is requested now.
        begun: whether any of its trials was begun: before that, nothing could contradict the request.

    Raises:
        StudyError: what differs, or can't be read.
    """
    if request.resume == "never":
        raise StudyError(f"{which} exists already, and resume='never': give another name")
    if not begun or request.resume == "force":
        return
    now = request.stored_spec
    lines = fingerprint.changed_settings(before, now)
    if lines:
        raise StudyError(
            f"{which} was trained under other settings of the session. They change what training gives, so "
            "its trials can't be continued, nor compared with new ones.\n    "
            + "\n    ".join(lines)
            + "\nSet them back, or give the study another name; or, if the change makes no difference, "
            "resume='force'"
        )
    changed = fingerprint.differences(before, now)
    if changed:
        raise StudyError(
            f"{which} was trained for another request, so its finished trials can't be compared with new "
            f"ones.\n{changed}\nGive the study another name; or, if the change makes no difference, "
            "resume='force'"
        )
    unreadable = fingerprint.unreadable(now) or fingerprint.unreadable(before)
    if unreadable:
        raise StudyError(
            f"{which} exists, and it is not known whether it was trained for this request, because something "
            "that the model or the callbacks depend on can't be read:\n    "
            + "\n    ".join(unreadable)
            + "\nGive its class a __repr__ that contains all that matters, or give the study another name; "
            "or, if it is the same, resume='force'"
        )


def changed_versions(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A note per package whose version is another one than when the study was begun."""
    return [
        f"the study {name!r} was begun with {package} {before[package]}, and continues with {version}: what "
        "is trained now may differ in rounding"
        for package, version in now.items()
        if before.get(package, version) != version
    ]
