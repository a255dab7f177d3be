"""A study in a database, opened for writing by one of several processes that train it together.

In: events of the trials that this process has leased. Out: rows and files, as from
`fairlane.store.writing.SqlStore`; and what the other processes have written, whenever something is leased, on
request, and at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StoreError, StudyError
from fairlane.models.recipes.individual import described_with
from fairlane.store import sharers, tables
from fairlane.store.again import changed_trials, grown_trials, load_again
from fairlane.store.database import Database
from fairlane.store.loading import load, load_decisions, study_row
from fairlane.store.numbering import Numbering
from fairlane.store.records import Decision, Record, next_epoch
from fairlane.store.request import StudyRequest
from fairlane.store.share import Share, lost_in_words
from fairlane.store.steps import AddDecision, SaveFile, Step
from fairlane.store.writing import SqlStore
from fairlane.trials import Trial, TrialState

MOST_LOST = 3
"""After how many lost processes, without a checkpoint between them, a trial is not leased any more."""
Room = Callable[[int, int], int]
_GROUP = (1, 8)
"""A batch is divided by this, by how many processes were lost with its trials; with more, each is alone."""


@dataclass
class Leased:
    """What came of asking for trials.

    Attributes:
        trials: that are leased to this process now, in order.
        fatal: the same, of trials with which so many processes were lost that they are not to be trained.
        changed: records of other processes' trials that have changed.
        left: how many more of the wanted trials have not ended; other processes have them.
        processes: how many processes take part, with this one.
    """

    trials: list[Trial] = field(default_factory=list)
    fatal: list[Trial] = field(default_factory=list)
    changed: list[Record] = field(default_factory=list)
    left: int = 0
    processes: int = 1


class SharedStore(SqlStore):
    """One study, opened for writing together with other processes.

    Only trials that `lease` has returned may be written.

    Args:
        database: open for writing.
        name: as for `SqlStore`.
        place: where its files go.
        request: what is requested of it.

    Raises:
        StudyError: the study is another one, or exists and must not.
        StoreError: a process writes it that does not share it; or the files can't be written.
    """

    _claim: Share

    def __init__(self, database: Database, name: str, place: Path | str, request: StudyRequest) -> None:
        self._mine: set[int] = set()
        """The numbers of trials that were leased to this process: what it knows of them is the newest."""
        super().__init__(database, name, place, request, Share(database, name))

    # --- which trials are this process's ---

    def lease(self, wanted: Sequence[Trial], most: Room, alone: bool) -> Leased:
        """Lease some trials to this process, until they have ended or it is closed.

        Args:
            wanted: from which, in order.
            most: how many at most, of the numbers of free trials and of processes.
            alone: whether this process has none that has not ended, so that it may try those with which a
                process was lost.
        """
        self.flush()
        leased, _ = self._database.patiently(lambda connection: self._lease(connection, wanted, most, alone))
        for trial in (*leased.trials, *leased.fatal):
            self._mine.add(trial.number)
            record = self[trial]
            if record.state is not TrialState.WAITING:
                self.rewind(trial, next_epoch(record))
        return leased

    def lives_while(self, alive: Callable[[], bool]) -> None:
        """Give signs of life only as long as a function says so; it is called from other threads."""
        self._claim.alive = alive

    def _lease(self, connection: sa.Connection, wanted: Sequence[Trial], most: Room, alone: bool) -> Leased:
        study, leased = self._study, Leased()
        sharers.lock(connection, study.row.id)
        self.notes += [lost_in_words(one, self._name) for one in sharers.bury(connection, study.row.id)]
        leased.processes = len(sharers.living(connection, study.row.id))
        leased.changed = self._reload(connection, self._changed(connection))
        known = sharers.leases(connection, study.row.id)
        free: list[Trial] = []
        for trial in wanted:
            if trial.number in self._mine or not self.unfinished(trial):
                continue
            if known.get(study.ids[trial.number], sharers.NEVER).sharer is None:
                free.append(trial)
            else:
                leased.left += 1
        lost = {t.number: known.get(study.ids[t.number], sharers.NEVER).lost for t in free}
        leased.fatal = [trial for trial in free if lost[trial.number] >= MOST_LOST]
        free = [trial for trial in free if lost[trial.number] < MOST_LOST]
        chosen = [*leased.fatal, *_chosen(free, lost, most(len(free), leased.processes), alone)]
        self._reload(connection, [trial.number for trial in chosen])
        chosen = [trial for trial in chosen if self.unfinished(trial)]
        fatal = {trial.number for trial in leased.fatal}
        leased.trials = [trial for trial in chosen if trial.number not in fatal]
        leased.left += len(free) - len(leased.trials)
        sharers.lease(connection, self._claim.token, known, [study.ids[trial.number] for trial in chosen])
        return leased

    def unfinished(self, trial: Trial) -> bool:
        """Whether it is to be trained; not where it has failed in another process meanwhile."""
        return self[trial].state is not TrialState.FAILED and super().unfinished(trial)

    def interrupt(self, diverged: Trial | None = None) -> None:
        """Mark the trials of this process that have not ended as interrupted."""
        self._interrupt([record for record in self if record.trial.number in self._mine], diverged)

    def describe(self, trial: Trial, description: str) -> None:
        """Store how the model of the trial is built, beside what others stored of its variant's."""
        number, known = trial.variant.number, self._study.models
        if described_with(known.get(number), trial.number, description) == known.get(number):
            return
        self.flush()

        def act(connection: sa.Connection) -> str:
            sharers.lock(connection, self._study.row.id)
            table = tables.variants
            own = table.c.id == self._study.variant_ids[number]
            before = connection.execute(sa.select(table.c.model).where(own)).scalar_one()
            found = described_with(before, trial.number, description)
            connection.execute(sa.update(table).where(own).values(model=found))
            return found

        known[number] = self._database.patiently(act)[0]

    # --- a search, which each process decides by the results of all ---

    def look(self) -> list[Record]:
        """Read what others have written: their records that have changed, and the decisions since."""

        def act(connection: sa.Connection) -> tuple[list[Record], list[Decision]]:
            theirs = {
                number: record
                for number, record in self._records.items()
                if number not in self._mine and record.state.is_open
            }
            changed = self._reload(connection, grown_trials(connection, self._study.row.id, theirs))
            return changed, self._later_decisions(connection)

        (changed, decisions), _ = self._database.patiently(act)
        self._study.decisions += decisions
        return changed

    def agree(self, decisions: Sequence[tuple[Decision, Mapping[str, Any] | None]]) -> None:
        """Store decisions of a search that another process may have made and stored already.

        Args:
            decisions: each with the one that it replaces; None where there is none.

        Raises:
            StudyError: another process has decided otherwise, so one of the two is wrong.
        """
        self.flush()  # a decision is not stored before the epochs that it follows from

        def act(connection: sa.Connection) -> list[Decision]:
            sharers.lock(connection, self._study.row.id)
            later = self._later_decisions(connection)
            made = {one.about: one.content for one in (*self._study.decisions, *later)}
            for decision, before in decisions:
                there = made.get(decision.about)
                if _plain(there) == _plain(decision.content):
                    continue
                if _plain(there) != _plain(before):
                    raise StudyError(_disagreement(self._name, decision, there))
                step = AddDecision.of(len(self._study.decisions) + len(later), decision)
                connection.execute(sa.insert(tables.decisions), [step.row(self._study.row.id)])
                later.append(decision)
                made[decision.about] = decision.content
            return later

        self._study.decisions += self._database.patiently(act)[0]

    def _later_decisions(self, connection: sa.Connection) -> list[Decision]:
        return load_decisions(connection, self._study.row.id, len(self._study.decisions))

    def close(self) -> None:
        """Write what is left, read what others have written, and give back what is leased."""
        if not self._closed:
            with suppress(StoreError):  # closing says why
                self.flush()
                self._database.patiently(self._refresh)
        super().close()

    def _refresh(self, connection: sa.Connection) -> None:
        begun = (TrialState.RUNNING, TrialState.INTERRUPTED)
        theirs = [r.trial.number for r in self if r.state in begun and r.trial.number not in self._mine]
        self._reload(connection, {*theirs, *self._changed(connection)})

    # --- in transactions ---

    def _insert(self, trials: Sequence[Trial], epochs: Sequence[int]) -> tuple[Numbering, list[Trial]]:
        """Number trials and insert them, where other processes may do so, too."""
        self.flush()

        def act(connection: sa.Connection) -> tuple[Numbering, list[Trial]]:
            sharers.lock(connection, self._study.row.id)
            self._take_new_rows(connection)
            numbering, adopted, requested = self._numbered(trials, epochs)
            numbering.insert(connection, requested)
            if len(sharers.living(connection, self._study.row.id)) == 1:
                self._retry_failed(connection, adopted)
            return numbering, adopted

        return self._database.patiently(act)[0]

    def _take_new_rows(self, connection: sa.Connection) -> None:
        """Go on from what the study has now; where others have added trials, or nothing was read yet."""
        table = tables.trials
        count = sa.select(sa.func.count()).where(table.c.study_id == self._study.row.id)
        if self._adopted and connection.execute(count).scalar_one() == len(self._records):
            return
        known, requested = self._records, self._requested
        self._take_rows(load(connection, study_row(connection, self._name)))
        if self._adopted:  # callers hold the records
            self._records |= known
            self._requested |= requested

    def _retry_failed(self, connection: sa.Connection, trials: Sequence[Trial]) -> None:
        """Let trials that failed before be trained again: the first process of a new call does that."""
        failed = [t.number for t in trials if t.number in self._records]
        failed = [number for number in failed if self._records[number].state is TrialState.FAILED]
        sharers.retry(connection, [self._study.ids[number] for number in failed])
        for number in failed:
            self._records[number].state = TrialState.INTERRUPTED

    def _changed(self, connection: sa.Connection) -> list[int]:
        """The numbers of other processes' trials whose state has changed."""
        theirs = {n: record for n, record in self._records.items() if n not in self._mine}
        return changed_trials(connection, self._study.row.id, theirs)

    def _reload(self, connection: sa.Connection, numbers: Collection[int]) -> list[Record]:
        """Read some trials' rows again, into their records."""
        changed = []
        before = {number: self._records[number] for number in numbers}
        for number, fresh in load_again(connection, self._study, before).items():
            record = self._records[number]
            for one in fields(Record):  # callers hold the record
                setattr(record, one.name, getattr(fresh, one.name))
            if fresh.epochs or number in self._study.files:
                self._fresh.discard(number)
            changed.append(record)
        return changed

    def _beside(self, connection: sa.Connection, batch: Sequence[Step]) -> None:
        """What a commit changes beside its steps."""
        saved = [step.number for step in batch if isinstance(step, SaveFile) and step.kind == "checkpoint"]
        if saved:
            sharers.progressed(connection, [self._study.ids[number] for number in saved])


def _plain(content: Mapping[str, Any] | None) -> Any:
    """A decision as the database gives it back."""
    return None if content is None else json.loads(json.dumps(dict(content)))


def _disagreement(name: str, decision: Decision, theirs: Mapping[str, Any] | None) -> str:
    return (
        f"the processes that share the search {name!r} decide differently about {list(decision.about)}: here "
        f"{_plain(decision.content)}, in another process {_plain(theirs)}. Each follows from the results of "
        "all trials, so the scripts, the data or the versions of Fairlane, Optuna and NumPy differ, or "
        "the machines calculate differently. Run the search on machines of one kind, or in one process with "
        "workers="
    )


def _chosen(free: Sequence[Trial], lost: dict[int, int], most: int, alone: bool) -> list[Trial]:
    """Which of the free trials to lease: those that have ended no process; else fewer of the others."""
    for times in range(MOST_LOST if alone else 1):
        some = [trial for trial in free if lost[trial.number] == times]
        if some and most > 0:
            count = max(1, most // _GROUP[times]) if times < len(_GROUP) else 1
            return some[:count]
    return []
