"""The store of a study, from its opening to its end, whatever happens between.

In: where `compare` and `search` are to store a study. Out: a context with its `Store`, closed at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StoreError
from fairlane.provenance.machine import versions
from fairlane.provenance.request import Request
from fairlane.results.study import Study
from fairlane.running.checks import warn_of
from fairlane.store import MemoryStore, Store, written


@dataclass(eq=False)
class Kept:
    """A store that is open.

    Attributes:
        store: the store.
        study: reads it; None until it is made.
    """

    store: Store
    study: Study | None = None


@contextmanager
def kept_in(
    where: Any, name: str | None, request: Request, resume: str, shared: bool = False
) -> Iterator[Kept]:
    """Open a study's store, and close it.

    An error of the store has all results until then, as its ``study``.

    Args:
        where: as ``compare`` takes it; None for memory.
        name: the study's, or None.
        request: what is requested.
        resume: as ``compare`` takes it.
        shared: whether other processes train it, too.

    Raises:
        StudyError: a stored study of this name differs.
        StoreError: the store can't be opened or written.
    """
    store: Store = (
        MemoryStore(site=request.site)
        if where is None
        else written(where, name, request.spec, versions(), resume, request.site, shared)
    )
    kept = Kept(store)
    try:
        yield kept
    except StoreError as error:
        error.study = kept.study
        with suppress(StoreError):  # closing it fails for the same reason, and knows of no study
            store.close()
        raise
    finally:
        store.close()
    warn_of(store)
