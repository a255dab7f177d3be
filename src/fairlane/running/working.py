"""What ``fairlane work`` asks of the calls in the script that it runs.

In: how long, and how many trials at once. Out: for each call of ``compare`` or ``search`` with a store, that
it shares the study with other processes, and until when; and the end of the script where trials are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.hanging import Watch
from fairlane.running.budget import Budget, duration
from fairlane.running.crews import Shared
from fairlane.store import Record

LEFT = 3
"""The exit code where trials are left."""


@dataclass(eq=False)
class Work:
    """What one process is to do of the studies of a script.

    Attributes:
        batch: as of `fairlane.Shared`.
        patience: as of `fairlane.Shared`; None where the calls decide.
        budget: until when; None where there is no limit. It is for all calls together.
        studies: how many were trained to their end.
        left: how many trials are left of the study that was not.
    """

    batch: int | None = None
    patience: str | None = None
    budget: Budget | None = None
    studies: int = 0
    left: int = 0


_work: list[Work] = []
"""The work that is being done; none outside of ``fairlane work``."""


@contextmanager
def working(batch: int | None, time_limit: Any, patience: str | None = None) -> Iterator[Work]:
    """Let all calls in a script share their studies.

    Args:
        batch: as of `fairlane.Shared`.
        time_limit: as ``compare``'s ``budget``, for all calls together, from now on.
        patience: as of `fairlane.Shared`; None where the calls decide.
    """
    Shared(batch, patience or Shared.patience)  # which checks them
    work = Work(batch, patience, Budget.of(time_limit))
    _work.append(work)
    try:
        yield work
    finally:
        _work.remove(work)


def joined(workers: Any, budget: Any, store: Any) -> tuple[Any, Budget | None]:
    """The arguments ``workers`` and ``budget`` of a call, as they are in ``fairlane work``; else as given.

    Raises:
        StudyError: the call has workers of its own, or a budget that is no time.
    """
    own = Budget.of(budget)
    if not _work or store is None:
        return workers, own
    if not (workers is None or isinstance(workers, Shared)):
        raise StudyError(
            f"in fairlane work each process trains by itself: leave workers={workers!r} out of the call, and "
            "start as many processes as there are devices"
        )
    work = _work[-1]
    if own is not None and work.budget is not None:
        raise StudyError("the call has a budget, and fairlane work a --time-limit: leave one of them out")
    given = workers or Shared()
    return Shared(work.batch or given.batch, work.patience or given.patience), own or work.budget


def watch_for(shared: Shared) -> Watch:
    """Watches the training of this thread; in ``fairlane work``, the process ends where it hangs."""
    end = "It ends now" if _work else "It writes nothing more"
    then = (
        f", and other processes take over the trials that it has leased. {end}. If an epoch or a compilation "
        "may take so long, give a longer time: fairlane work --patience, or fl.Shared(patience=...)"
    )
    return Watch(duration(shared.patience), str(shared.patience), then, bool(_work))


def noted(records: Sequence[Record], store: Any, to_come: int = 0) -> None:
    """A call has ended; in ``fairlane work`` the script ends with it if it has left trials.

    Args:
        records: of the study's trials.
        store: as the call has it.
        to_come: how many variants of a search are still to begin.

    Raises:
        SystemExit: trials are left. What follows in the script is for a study that is complete.
    """
    if not _work or store is None:
        return
    work = _work[-1]
    work.left = sum(record.state.is_open for record in records) + to_come
    if work.left:
        raise SystemExit(LEFT)
    work.studies += 1
