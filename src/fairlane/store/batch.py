"""Steps → the statements of one transaction.

In: a batch of steps, whose files are written already. Out: rows; and, to be taken over when they are
committed, which files the trials have then, and which are to be deleted. A transaction that must be repeated
changes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from fairlane.store import coding, tables
from fairlane.store.artifacts import Artifact
from fairlane.store.database import Database
from fairlane.store.loading import StudyRows
from fairlane.store.records import KEPT_CHECKPOINTS
from fairlane.store.saved import SavedFile
from fairlane.store.steps import (
    AddDecision,
    AddDirections,
    AddEpochs,
    Rewind,
    SaveFile,
    SetModel,
    SetTest,
    SetTrial,
    SetWeightsEpoch,
    Step,
)
from fairlane.trials import Site


class Batch:
    """The statements of one batch. What they change in memory stays here until they are committed.

    Args:
        database: where the study is.
        study: all rows of the study.
        written: ``id`` of a `SaveFile` → its file.
        here: where this process trains, to be added to the study's sites; or None.

    Attributes:
        files: trial's number → its files after this batch, of the trials whose files it changes.
        gone: files that no row names after it.
    """

    def __init__(
        self, database: Database, study: StudyRows, written: Mapping[int, Artifact], here: Site | None
    ) -> None:
        self._database, self._study = database, study
        self._written, self._here = written, here
        self.files: dict[int, list[SavedFile]] = {}
        self.gone: list[Artifact] = []

    def run(self, connection: sa.Connection, batch: Sequence[Step]) -> Batch:
        """Execute all steps: in order where that matters, elsewhere many in one statement."""
        self.files, self.gone = {}, []  # the transaction before this one may have been rolled back
        rows: list[coding.Row] = []
        states: dict[int, dict[str, Any]] = {}
        if self._here is not None:
            self._add_site(connection, self._here)
        for step in batch:
            match step:
                case AddEpochs():
                    rows.extend(step.rows)
                case SetTrial():
                    states.setdefault(step.number, {}).update(step.values)
                case Rewind():
                    rows = self._insert_rows(connection, rows, step.number)
                    self._rewind(connection, step)
                case SetTest():
                    self._set_test(connection, step)
                case SaveFile():
                    self._save_file(connection, step)
                case SetModel():
                    self._set_model(connection, step)
                case AddDirections():
                    self._add_directions(connection, step)
                case SetWeightsEpoch():
                    self._set_weights_epoch(connection, step)
                case AddDecision():
                    self._add_decision(connection, step)
        self._insert_rows(connection, rows, None)
        self._set_trials(connection, states)
        return self

    def _files_of(self, number: int) -> list[SavedFile]:
        if number not in self.files:
            self.files[number] = list(self._study.files.get(number, []))
        return self.files[number]

    def _insert_rows(
        self, connection: sa.Connection, rows: list[coding.Row], number: int | None
    ) -> list[coding.Row]:
        """Insert rows of epochs, if one is of that trial, or without a number in any case.

        Returns:
            What is left to insert.
        """
        if number is not None and all(row["trial_id"] != self._study.ids[number] for row in rows):
            return rows
        if rows:
            # A commit whose confirmation was lost is repeated, and must not write twice.
            connection.execute(self._database.insert(tables.epochs).on_conflict_do_nothing(), rows)
        return []

    def _set_trials(self, connection: sa.Connection, states: Mapping[int, Mapping[str, Any]]) -> None:
        """Update trials' rows, with one statement for all that change the same columns."""
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for number, values in states.items():
            row = {"b_id": self._study.ids[number], **{f"b_{name}": v for name, v in values.items()}}
            alike.setdefault(tuple(values), []).append(row)
        for names, listed in alike.items():
            binds: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in names}
            trials = tables.trials
            connection.execute(
                sa.update(trials).where(trials.c.id == sa.bindparam("b_id")).values(**binds), listed
            )

    def _rewind(self, connection: sa.Connection, step: Rewind) -> None:
        columns = tables.epochs.c
        row_id = self._study.ids[step.number]
        connection.execute(
            sa.delete(tables.epochs).where(columns.trial_id == row_id, columns.epoch >= step.epoch)
        )
        for table in (tables.tests, tables.weights_epochs):
            connection.execute(sa.delete(table).where(table.c.trial_id == row_id))
        for one in list(self._files_of(step.number)):
            if one.kind == "end" and one.artifact.epoch <= step.epoch:
                # More epochs follow the trial's end, which is a checkpoint from now on.
                self._rename(connection, step.number, one, "checkpoint")
            elif one.kind != "checkpoint" or one.artifact.epoch > step.epoch:
                self._drop(connection, step.number, one)

    def _set_test(self, connection: sa.Connection, step: SetTest) -> None:
        row_id = self._study.ids[step.number]
        connection.execute(sa.delete(tables.tests).where(tables.tests.c.trial_id == row_id))
        if step.rows:
            connection.execute(sa.insert(tables.tests), step.rows)

    def _save_file(self, connection: sa.Connection, step: SaveFile) -> None:
        artifact = self._written[id(step)]
        values = {
            "trial_id": self._study.ids[step.number],
            "kind": step.kind,
            "epoch": artifact.epoch,
            "token": artifact.token,
            "size": artifact.size,
            "sha256": artifact.sha256,
        }
        connection.execute(self._database.insert(tables.artifacts).on_conflict_do_nothing(), [values])
        files = self._files_of(step.number)
        files.append(SavedFile(step.kind, artifact))
        if step.kind == "cut off":  # the checkpoints before it stay: training continues from them
            gone = [one for one in files[:-1] if one.kind == step.kind]
        else:
            gone = files[: -KEPT_CHECKPOINTS if step.kind == "checkpoint" else -1]
        for one in gone:
            self._drop(connection, step.number, one)

    def _rename(self, connection: sa.Connection, number: int, one: SavedFile, kind: str) -> None:
        table = tables.artifacts
        connection.execute(sa.update(table).where(table.c.token == one.artifact.token).values(kind=kind))
        files = self._files_of(number)
        files[files.index(one)] = replace(one, kind=kind)

    def _drop(self, connection: sa.Connection, number: int, one: SavedFile) -> None:
        table = tables.artifacts
        connection.execute(sa.delete(table).where(table.c.token == one.artifact.token))
        self._files_of(number).remove(one)
        self.gone.append(one.artifact)

    def _set_model(self, connection: sa.Connection, step: SetModel) -> None:
        table = tables.variants
        row_id = self._study.variant_ids[step.number]
        connection.execute(sa.update(table).where(table.c.id == row_id).values(model=step.text))

    def _add_directions(self, connection: sa.Connection, step: AddDirections) -> None:
        row_id = self._study.variant_ids[step.number]
        rows = [
            {"variant_id": row_id, "metric": metric, "better": better}
            for metric, better in step.better.items()
        ]
        connection.execute(self._database.insert(tables.directions).on_conflict_do_nothing(), rows)

    def _set_weights_epoch(self, connection: sa.Connection, step: SetWeightsEpoch) -> None:
        table, row_id = tables.weights_epochs, self._study.ids[step.number]
        connection.execute(sa.delete(table).where(table.c.trial_id == row_id))
        connection.execute(sa.insert(table), [{"trial_id": row_id, "epoch": step.epoch}])

    def _add_decision(self, connection: sa.Connection, step: AddDecision) -> None:
        row = step.row(self._study.row.id)
        connection.execute(self._database.insert(tables.decisions).on_conflict_do_nothing(), [row])

    def _add_site(self, connection: sa.Connection, here: Site) -> None:
        row = {"study_id": self._study.row.id, "machine": here.machine, "git": here.commit}
        connection.execute(self._database.insert(tables.sites).on_conflict_do_nothing(), [row])
