"""All rows of one study → what they say.

In: a connection, in a transaction. Out: `StudyRows`: records, and what a writer must know to continue. Files
are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from fairlane.store import coding, rows, tables
from fairlane.store.artifacts import Artifact
from fairlane.store.notes import Note
from fairlane.store.records import Decision, Record
from fairlane.store.saved import SavedFile
from fairlane.trials import Site, Trial, Variant

OF_THE_STUDY = -1
"""What stands for a variant's number in a note about the whole study."""


@dataclass
class StudyRows:
    """All rows of one study.

    Attributes:
        row: the study's own.
        variants: by number.
        records: in the order of the trials' numbers.
        ids: trial's number → id of its row.
        variant_ids: variant's number → id of its row.
        variant_keys: `fairlane.store.coding.variant_key` → variant's number.
        keys: `fairlane.store.coding.key` → trial's number.
        requested: trial's number → for how many epochs it is to be trained.
        files: trial's number → its files, oldest first.
        models: variant's number → how its model is built.
        directions: variant's number → metric → ``"min"`` or ``"max"``, as Keras knows it.
        sites: where it was trained.
        decisions: what a search has decided, in order.
        noted: variant's number, or None for the whole study → its note.
    """

    row: Any
    variants: dict[int, Variant] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    ids: dict[int, int] = field(default_factory=dict)
    variant_ids: dict[int, int] = field(default_factory=dict)
    variant_keys: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    requested: dict[int, int] = field(default_factory=dict)
    files: dict[int, list[SavedFile]] = field(default_factory=dict)
    models: dict[int, str] = field(default_factory=dict)
    directions: dict[int, dict[str, str]] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    noted: dict[int | None, Note] = field(default_factory=dict)


def study_row(connection: sa.Connection, name: str) -> Any:
    """The row of a study, or None."""
    return next(rows.select(connection, tables.studies, tables.studies.c.name == name), None)


def load(connection: sa.Connection, row: Any) -> StudyRows:
    """Everything that the database holds of a study.

    Raises:
        StoreError: a row is not one that Fairlane writes.
    """
    study = StudyRows(row)
    for table in (tables.variants, tables.trials):
        rows.check_references(connection, table, "study_id")
    for table in (tables.epochs, tables.tests, tables.artifacts):
        rows.check_references(connection, table, "trial_id")
    number_of = _load_variants(connection, row.id, study)
    by_id = _load_trials(connection, row.id, study, number_of)
    _load_epochs(connection, row.id, by_id)
    _load_tests(connection, row.id, by_id)
    _load_artifacts(connection, row.id, by_id, study)
    if sa.inspect(connection).has_table(tables.directions.name):  # since version 3 of the tables
        _load_directions(connection, row.id, by_id, study, number_of)
        _load_weights_epochs(connection, row.id, by_id)
    if sa.inspect(connection).has_table(tables.decisions.name):  # since version 4 of the tables
        study.decisions = load_decisions(connection, row.id)
    study.noted = load_notes(connection, row.id)
    for number in study.noted:
        if number is not None and number not in study.variants:
            why = "no variant of the study has this number"
            raise rows.wrong(tables.notes, f"variant {number}", "variant", why)
    study.sites = _load_sites(connection, row.id)
    return study


def _load_variants(connection: sa.Connection, study_id: int, study: StudyRows) -> dict[int, int]:
    """Id of a variant's row → its number."""
    table, number_of = tables.variants, {}
    for one in rows.select(connection, table, table.c.study_id == study_id, order=[table.c.number]):
        if one.number in study.variants:
            raise rows.wrong(table, f"id {one.id}", "number", f"another variant has the number {one.number}")
        study.variants[one.number] = Variant(one.number, *one.hyperparameters)
        study.variant_ids[one.number], number_of[one.id] = one.id, one.number
        study.variant_keys[one.key] = one.number
        if one.model is not None:
            study.models[one.number] = one.model
    return number_of


def _load_trials(
    connection: sa.Connection, study_id: int, study: StudyRows, number_of: dict[int, int]
) -> dict[int, Record]:
    """Id of a trial's row → its record."""
    table, by_id = tables.trials, {}
    for one in rows.select(connection, table, table.c.study_id == study_id, order=[table.c.number]):
        if one.variant_id not in number_of:
            why = f"it is {one.variant_id}, and no variant of the study has this id"
            raise rows.wrong(table, f"id {one.id}", "variant_id", why)
        if one.number in study.ids:
            raise rows.wrong(table, f"id {one.id}", "number", f"another trial has the number {one.number}")
        by_id[one.id] = record_of(one, study.variants[number_of[one.variant_id]])
        study.records.append(by_id[one.id])
        study.ids[one.number], study.keys[one.key] = one.id, one.number
        study.requested[one.number] = one.asked
    return by_id


def record_of(row: Any, variant: Variant) -> Record:
    """The record of a trial, without its epochs, from its row."""
    return Record(
        Trial(row.number, variant, row.seed, row.fold),
        row.state,
        seconds=row.seconds,
        engine=row.engine,
        worker=row.worker,
        reason=row.reason,
        fleet=row.fleet,
        loop=row.loop,
        error=row.error,
        traceback=row.traceback,
    )


def _load_epochs(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    found = rows_of_trials(connection, tables.epochs, study_id, "trial_id", "epoch", "place", named=False)
    for trial_id, epoch, place, metric, value, exact in found:  # plain tuples: there may be millions
        epochs = by_id[trial_id].epochs
        if not epochs or epochs[-1][0] != epoch:
            epochs.append((epoch, {}))
        if place >= 0:  # an epoch without logs has one row, with place -1
            epochs[-1][1][metric] = coding.log_of_row(value, exact)


def _load_tests(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    for row in rows_of_trials(connection, tables.tests, study_id, "trial_id", "place"):
        by_id[row.trial_id].test_logs[row.metric] = coding.log_of_row(row.value, row.exact)


def _load_directions(
    connection: sa.Connection,
    study_id: int,
    by_id: dict[int, Record],
    study: StudyRows,
    number_of: dict[int, int],
) -> None:
    table, variants = tables.directions, tables.variants
    rows.check_references(connection, table, "variant_id")
    for row in rows.select(connection, table, variants.c.study_id == study_id, within=variants):
        study.directions.setdefault(number_of[row.variant_id], {})[row.metric] = row.better
    for record in by_id.values():
        record.directions = dict(study.directions.get(record.trial.variant.number, {}))


def _load_weights_epochs(connection: sa.Connection, study_id: int, by_id: dict[int, Record]) -> None:
    rows.check_references(connection, tables.weights_epochs, "trial_id")
    for row in rows_of_trials(connection, tables.weights_epochs, study_id, "trial_id"):
        by_id[row.trial_id].weights_epoch = row.epoch


def _load_artifacts(
    connection: sa.Connection, study_id: int, by_id: dict[int, Record], study: StudyRows
) -> None:
    for row in rows_of_trials(connection, tables.artifacts, study_id, "id"):
        number = by_id[row.trial_id].trial.number
        artifact = Artifact(number, row.epoch, row.token, row.size, row.sha256)
        study.files.setdefault(number, []).append(SavedFile(row.kind, artifact))


def rows_of_trials(
    connection: sa.Connection, table: sa.Table, study_id: int, *order: str, named: bool = True
) -> Iterator[Any]:
    """The rows of a table that belong to a study's trials, as `rows.select` yields them."""
    by = [table.c[name] for name in order]
    within = tables.trials
    return rows.select(connection, table, within.c.study_id == study_id, order=by, within=within, named=named)


def load_notes(connection: sa.Connection, study_id: int) -> dict[int | None, Note]:
    """The notes of a study: that about the study first, then by the variants' numbers."""
    table = tables.notes
    if not sa.inspect(connection).has_table(table.name):  # since version 6 of the tables
        return {}
    rows.check_references(connection, table, "study_id")
    found = rows.select(connection, table, table.c.study_id == study_id, order=[table.c.variant])
    return {None if row.variant == OF_THE_STUDY else row.variant: Note(row.text, row.tags) for row in found}


def load_decisions(connection: sa.Connection, study_id: int, first: int = 0) -> list[Decision]:
    """What a search has decided, in order, from a place on.

    Raises:
        StoreError: a row is not one that Fairlane writes.
    """
    table = tables.decisions
    rows.check_references(connection, table, "study_id")
    those = [table.c.study_id == study_id, table.c.place >= first]
    found = list(rows.select(connection, table, *those, order=[table.c.place]))
    for row in found:
        for name, is_right in _DECIDED.get(row.about[0], {}).items():
            if not is_right(row.content.get(name)):
                why = f"a decision about {row.about[0]!r} has no {name!r} of the right kind"
                raise rows.wrong(table, f"place {row.place}", "content", why)
    return [Decision(row.about, row.content) for row in found]


def _are_whole(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return value is None or type(value) is int


def _are_pairs(value: Any) -> bool:
    """Whether it is what names objectives; searches of before they were stored have none."""
    pairs = value if isinstance(value, list) else []
    return value is None or all(isinstance(one, list) and [*map(type, one)] == [str, str] for one in pairs)


_DECIDED: dict[Any, dict[str, Any]] = {
    "search": {"objective": _is_text, "mode": _is_text, "objectives": _are_pairs},
    "confirm": {"variants": _are_whole, "seeds": _are_whole},
    "cv": {"training": _are_whole, "validation": _are_whole},
    "parameters": {"count": _is_count},
    "variant": {"bracket": _is_count},
    "bracket": {"sizes": _are_whole, "epochs": _are_whole},
    "rung": {"epochs": _is_count, "promoted": _are_whole},
}
"""What results read of a decision, by what it is about, and how it must look."""


def _load_sites(connection: sa.Connection, study_id: int) -> list[Site]:
    table = tables.sites
    if not sa.inspect(connection).has_table(table.name):
        return [Site()]  # tables of version 1; a reader does not upgrade them
    rows.check_references(connection, table, "study_id")
    found = rows.select(connection, table, table.c.study_id == study_id, order=[table.c.id])
    return [Site(row.machine, row.git) for row in found]
