"""The space of a build function: it is called until it requests nothing new.

In: a `HyperModel`, and the entries that are given in advance. Out: all entries. The function is called with
the defaults, then so that each conditional scope is active once, as KerasTuner does; and then with the
smallest and the largest value of each integer and with each choice. So the entries of a loop such as
``for i in range(hp.Int("layers", 1, 3))`` are known before the search; KerasTuner meets them by chance in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlane.errors import StudyError
from fairlane.kerastuner.entries import Boolean, Choice, Condition, Entry, Int
from fairlane.kerastuner.hyperparameters import HyperParameters
from fairlane.models.session import left_as_found

_PROBES = 64
"""The most calls beyond those that KerasTuner makes."""


def discovered(
    hypermodel: Any, given: HyperParameters | None, tune_new: bool, allow_new: bool
) -> HyperParameters:
    """All entries that a build function requests.

    Args:
        hypermodel: has ``build(hp)``.
        given: entries in advance; the first request of a name decides.
        tune_new: whether other entries are added; else they keep their defaults.
        allow_new: whether there may be others.

    Raises:
        StudyError: there is another, and ``allow_new`` is False; or nothing is given where that is needed.
    """
    if given is None and not (tune_new and allow_new):
        name = "allow_new_entries" if tune_new else "tune_new_entries"
        raise StudyError(f"{name}=False needs hyperparameters=, the entries that may be tuned")
    search = _Discovery(hypermodel, given or HyperParameters(), tune_new, allow_new)
    with left_as_found():
        search.run()
    return search.known


class _Discovery:
    """The calls, one after another."""

    def __init__(self, hypermodel: Any, known: HyperParameters, tune_new: bool, allow_new: bool) -> None:
        self.known = known.copy()
        self._hypermodel, self._tune_new, self._allow_new = hypermodel, tune_new, allow_new
        self._seen: set[tuple[Condition, ...]] = set()
        self._never: list[tuple[Condition, ...]] = []
        self._probed: list[Entry] = []

    def run(self) -> None:
        """Call the function until nothing is new."""
        if callable(declare := getattr(self._hypermodel, "declare_hyperparameters", None)):
            declare(hp := self.known.copy())
            self._take(hp)
        self._build(self.known.copy())
        self._open_scopes()
        probes = 0
        while self._tune_new and probes < _PROBES and (entry := self._next()) is not None:
            self._probed.append(entry)
            for value in _probes(entry):
                probes += 1
                try:
                    self._build(self._with(entry.conditions, entry.name, value))
                except StudyError:
                    raise
                except Exception:
                    continue
            self._open_scopes()

    def _next(self) -> Entry | None:
        return next((entry for entry in self.known.space if entry not in self._probed), None)

    def _open_scopes(self) -> None:
        while self._never:
            conditions = self._never.pop(0)
            if conditions not in self._seen:
                self._seen.add(conditions)
                self._build(self._with(conditions))

    def _with(self, conditions: tuple[Condition, ...], name: str = "", value: Any = None) -> HyperParameters:
        """The known entries, with values for which conditions hold, and one value."""
        hp = self.known.copy()
        for one in conditions:
            hp.values[one.name] = one.values[0]
        if name:
            hp.values[name] = value
        hp.ensure_active_values()
        return hp

    def _build(self, hp: HyperParameters) -> None:
        own = hp if getattr(self._hypermodel, "tunable", True) else hp.copy()
        self._hypermodel.build(own)
        self._take(hp)
        self._seen.update(own.active_scopes)
        self._never += [scope for scope in own.inactive_scopes if scope not in self._seen]

    def _take(self, hp: HyperParameters) -> None:
        new = hp.missing_from(self.known)
        if new and not self._allow_new:
            raise StudyError(
                f"build requests {', '.join(repr(entry.name) for entry in new)}, which hyperparameters= does "
                "not have, and allow_new_entries=False; add it there, or allow new entries"
            )
        if self._tune_new:
            self.known.merge(new)


def _probes(entry: Entry) -> Iterator[Any]:
    if isinstance(entry, Int):
        yield from dict.fromkeys((entry.max_value, entry.min_value))
    elif isinstance(entry, (Choice, Boolean)):
        yield from entry.values
