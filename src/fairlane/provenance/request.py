"""One call of ``compare``: what it requests, and where it runs.

In: ``compare``'s arguments. Out: the spec, the site and the `Origin` of its study, each computed when it is
first needed: the spec reads all data, for their fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from fairlane.models.identity import objects
from fairlane.provenance import fingerprint, settings
from fairlane.provenance.commit import CommitReader, folder_of
from fairlane.provenance.machine import machine, versions
from fairlane.provenance.origin import Origin
from fairlane.trials import Site


class Request:
    """A call of ``compare``, and the session that makes it.

    Git reads the commit in a thread, from the moment that this is made. So `site` names the commit that
    training began with (to the moment that git needs), whatever is committed later, and ``compare`` trains
    without waiting for git. As a context, this waits for that thread at the end, and leaves none behind.

    Args:
        model: a builder or a template.
        common: ``Model.fit``'s arguments that are the same for all trials, data among them.
        callbacks: ``compare``'s argument.
        test_data: ``compare``'s argument.
        search: what is searched, and how, in words; None where the variants are given.
        folds: the samples of each fold, arrays of training and validation; none where there are no folds.
        made_by: the function that makes the data; None where they are among ``common``.
        phases: what follows on the first phase of training, in words.
    """

    def __init__(
        self,
        model: Any,
        common: Mapping[str, Any],
        callbacks: Any,
        test_data: Any,
        search: Mapping[str, Any] | None = None,
        folds: Sequence[tuple[Any, Any]] = (),
        made_by: Callable[..., Any] | None = None,
        phases: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._phases = {str(number): phase for number, phase in enumerate(phases, 1)}
        self._search, self._folds, self._made_by = search, folds, made_by
        self._model, self._common, self._callbacks, self._test_data = model, common, callbacks, test_data
        self._epochs = int(common.get("epochs", 1))
        # The spec is computed later, and a callback may change the settings until then.
        self._settings = settings.settings()
        self._machine, self._commit = machine(), CommitReader(folder_of(model))

    @cached_property
    def spec(self) -> fingerprint.Spec:
        """What is requested of the training; reads all of its data, the first time."""
        spec = fingerprint.spec(self._model, self._common, self._callbacks)
        searched = {} if self._search is None else {"search": dict(self._search)}
        numbers = b"".join(part.tobytes() + b"|" for pair in self._folds for part in pair)
        cut = {"folds": str(len(self._folds)), "samples": objects.hashed(numbers)}
        folded: dict[str, Any] = {"cv": cut} if self._folds else {}
        if self._made_by is not None:
            folded["data function"] = fingerprint.source(self._made_by)
        if self._phases:
            folded["phases of then"] = self._phases
        return {**spec, **searched, **folded, "settings": self._settings}

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *_: object) -> None:
        self._commit.join()

    def site(self) -> Site:
        """This machine, and the commit as it was when this was made; waits for git."""
        return Site(self._machine, self._commit.result())

    def origin(self, sites: Sequence[Site]) -> Origin:
        """All that is known.

        Args:
            sites: where the study was trained, as its store says: here, and maybe elsewhere before.
        """
        # Test data are not part of the spec: they may change when a study continues.
        test = fingerprint.spec(self._model, {"test_data": self._test_data}, None)
        spec = {**self.spec, "data": {**self.spec["data"], **test["data"]}}
        return Origin(spec, versions(), self._epochs, sites)
