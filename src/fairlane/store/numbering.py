"""The trials of a plan → their numbers in a store, and rows for those that are new.

In: the stored study's rows and a plan's trials. Out: for each trial, the trial as it is numbered in the
store. A trial is known by its hyperparameters, its seed and its fold, so a plan in another order finds the
same trials again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from fairlane.errors import StudyError
from fairlane.models.identity import objects
from fairlane.provenance import fingerprint
from fairlane.store import coding, tables
from fairlane.store.loading import StudyRows
from fairlane.store.records import Record
from fairlane.store.steps import trial_columns
from fairlane.trials import Trial, Variant, short


class Numbering:
    """Finds trials among those stored, and numbers the others.

    Args:
        study: all rows of the study.
        name: the study's.
        trusts: whether variants whose state can't be read count as the stored ones (``resume="force"``).

    Attributes:
        new_variants: those that are not stored yet.
        new_trials: the same of trials.
    """

    def __init__(self, study: StudyRows, name: str, trusts: bool) -> None:
        self._study, self._name, self._trusts = study, name, trusts
        self._stored = frozenset(study.variant_keys)
        self._by_key: dict[str, Variant] = {}
        self._numbers = dict(study.keys)
        self._variants = dict(study.variant_keys)
        # Not the count: a damaged store may lack some.
        self._next = max(self._numbers.values(), default=-1) + 1
        self._next_variant = max(self._variants.values(), default=-1) + 1
        self._numbered: dict[int, Variant] = {}
        self.new_variants: list[Variant] = []
        self.new_trials: list[Trial] = []

    def number(self, trial: Trial) -> Trial:
        """The trial with its number in the store.

        Raises:
            StudyError: its hyperparameters can't be compared with others.
        """
        variant = self._number_variant(trial.variant)
        key = coding.key(trial)
        new = key not in self._numbers
        number = self._numbers.setdefault(key, self._next)
        self._next += new
        numbered = replace(trial, number=number, variant=variant)
        if new:
            self.new_trials.append(numbered)
        return numbered

    def insert(self, connection: sa.Connection, requested: Mapping[int, int]) -> None:
        """Insert what is new, and learn the ids of all rows.

        Args:
            connection: in a transaction.
            requested: trial's number → for how many epochs it is to be trained.
        """
        study_id = self._study.row.id
        if self.new_variants:
            rows = [_variant_row(study_id, one) for one in self.new_variants]
            connection.execute(sa.insert(tables.variants), rows)
        self._study.variant_ids.update(_ids(connection, tables.variants, study_id))
        if self.new_trials:
            rows = [
                _trial_row(study_id, self._study.variant_ids[one.variant.number], one, requested[one.number])
                for one in self.new_trials
            ]
            connection.execute(sa.insert(tables.trials), rows)
        self._study.ids.update(_ids(connection, tables.trials, study_id))

    def keep(self) -> None:
        """Add the keys of what is new to the study's, after `insert` was committed."""
        self._study.keys.update((coding.key(one), one.number) for one in self.new_trials)
        self._study.variant_keys.update((coding.variant_key(one), one.number) for one in self.new_variants)

    def _number_variant(self, variant: Variant) -> Variant:
        if id(variant) not in self._numbered:
            key = coding.variant_key(variant)
            other = self._by_key.setdefault(key, variant)
            if other is not variant:
                raise StudyError(
                    f"variants {other.number} ({other.label}) and {variant.number} ({variant.label}) "
                    "can't be distinguished. A store compares values by their state, and the state of these "
                    "can't be read. Give their class a __repr__ that contains all that matters"
                )
            if key in self._stored and not self._trusts:
                self._refuse_unreadable(variant)
            new = key not in self._variants
            number = self._variants.setdefault(key, self._next_variant)
            self._next_variant += new
            numbered = Variant(number, variant.hyperparameters, variant.fit_arguments)
            self._numbered[id(variant)] = numbered
            if new:
                self.new_variants.append(numbered)
        return self._numbered[id(variant)]

    def _refuse_unreadable(self, variant: Variant) -> None:
        """Refuse to take a stored variant for one that has a value whose state can't be read."""
        for name, value in variant.hyperparameters.items():
            description = fingerprint.described(value)
            if objects.is_unknown(description):
                raise StudyError(
                    f"the study {self._name!r} has a variant with {name}={short(value)} already, and it is "
                    f"not known whether it is this one: {name} holds {objects.in_words(description)}, which "
                    "can't be read. Give its class a __repr__ that contains all that matters, or give the "
                    "study another name; or, if it is the same, resume='force'"
                )


def _ids(connection: sa.Connection, table: sa.Table, study_id: int) -> list[tuple[int, int]]:
    """Number and id of a study's rows in a table."""
    query = sa.select(table.c.number, table.c.id).where(table.c.study_id == study_id)
    return [(number, row_id) for number, row_id in connection.execute(query)]


def _variant_row(study_id: int, variant: Variant) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "number": variant.number,
        "key": coding.variant_key(variant),
        "hyperparameters": coding.variant_to_text(variant),
    }


def _trial_row(study_id: int, variant_id: int, trial: Trial, requested: int) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "variant_id": variant_id,
        "number": trial.number,
        "key": coding.key(trial),
        "seed": trial.seed,
        "fold": trial.fold,
        "asked": requested,
        **trial_columns(Record(trial)),
    }
