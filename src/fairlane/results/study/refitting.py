"""The chosen variant of a study, trained again on all data.

In: the curves of a study's trials, and data. Out: `Refitting`, the part of a `Study` that says for how many
epochs a variant is to be trained, and trains it.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results.directions import Modes, direction
from fairlane.results.logs import VALIDATION, known_directions
from fairlane.results.study.members import Members, OneVariant


class Refitting(Members):
    """A variant trained again."""

    @arguments.checked
    def best_epochs(self, variant: OneVariant, metric: str | None = None, *, mode: Modes = "auto") -> int:
        """For how many epochs a variant is best trained: the median over its seeds of their best epochs.

        Args:
            variant: its number, hyperparameters that only it has as a dict, or a `Variant`.
            metric: a metric of the validation; by default as for `summary`.
            mode: as for `summary`.

        Returns:
            A number of epochs, counted from 1; the median is rounded, half of an epoch up.

        Raises:
            StudyError: there is no such variant, none of its trials is done, or there are no validation
                values: the training loss falls as long as a model is trained, and does not say when to stop.

        Example:
            >>> split = {"validation_split": 0.25, "epochs": 3, "verbose": 0}
            >>> watched = fl.compare(build, {"learning_rate": [0.1]}, x, y, **split)
            >>> watched.best_epochs(0)
            3
        """
        records, name = self._chosen(None, variant), self._logged(metric)
        if not name.startswith(VALIDATION):
            raise StudyError(
                f"the best number of epochs needs a metric of the validation, and {name!r} is none; "
                "train with validation_split= or validation_data=, or give epochs= as a number"
            )
        better = direction(name, self._mode(mode, name), known_directions(self._store))
        found = []
        for record in records:
            values = [(logs[name], epoch) for epoch, logs in record.epochs if name in logs]
            finite = [(value, epoch) for value, epoch in values if math.isfinite(value)]
            if finite:
                best = (min if better == "min" else max)(value for value, _ in finite)
                found.append(next(epoch for value, epoch in finite if value == best) + 1)
        if not found:
            raise StudyError(f"no trial of this variant has a finite {name!r}; give epochs= as a number")
        return math.floor(median(found) + 0.5)

    @arguments.checked
    def refit(
        self,
        variant: OneVariant,
        x: Any,
        y: Any = None,
        *,
        seeds: Any = 1,
        epochs: int | str = "best",
        **fit_arguments: Any,
    ) -> Any:
        """Train a variant again on all data: `fairlane.compare` of this variant alone.

        A study holds data out to choose by. Once the choice is made, they can be trained on as well. This is
        right where more data help and the chosen number of epochs still fits: the data are of one kind, and
        the held-out part was small. An epoch of more data has more steps, so a large held-out part (half of
        the data) makes the number too large. Nothing is left then to measure the new models by: what the
        study says of the variant is the estimate, and data that it has never seen are the test.

        The other arguments of the study's ``fit`` are used again, but for those of its data and validation.
        Its callbacks are not: ``EarlyStopping`` and the like would have no validation to watch.

        Args:
            variant: as for `best_epochs`; `best_variant` gives one.
            x: inputs, as for ``Model.fit``: all of them.
            y: targets, as for ``Model.fit``.
            seeds: as for `fairlane.compare`.
            epochs: a number; or ``"best"``, the median over the variant's seeds of the epochs in which they
                were best, as `best_epochs` says.
            **fit_arguments: other arguments of ``Model.fit`` and of `fairlane.compare`; they replace those of
                the study.

        Returns:
            A new `Study`, of this variant alone.

        Raises:
            StudyError: as for `best_epochs` and `fairlane.compare`; the study was opened from a store, which
                has no builder to train; or it had ``sample_weight``, and there is none for these data.

        Example:
            >>> again = study.refit(study.best_variant("loss"), x, y, seeds=2, epochs=2, verbose=0)
            >>> again.trials[["learning_rate", "seed", "epochs"]]
               learning_rate  seed  epochs
            0            0.1     0       2
            1            0.1     1       2
        """
        number = self._variant_number(variant) if variant is not None else None
        if number is None:
            raise arguments.wrong("variant", variant, "one of the study's, such as study.best_variant()")
        if isinstance(epochs, str) and epochs == "best":
            if getattr(self._rebuild, "has_phases", False):
                raise StudyError(
                    "the study is trained in phases, so its best number of epochs is not one of the first "
                    "phase; give epochs= for the first, and then= for others than the study's"
                )
            epochs = self.best_epochs(number)
        elif not arguments.is_whole(epochs) or epochs < 1:  # type: ignore[operator]
            raise arguments.wrong("epochs", epochs, "a whole number, 1 or more, or 'best'")
        train = getattr(self._rebuild, "refit", None)
        if train is None:
            raise StudyError(
                "a study that was opened from a store has no builder; train with "
                "fl.compare(build, [study.best_variant().hyperparameters], x, y, "
                "epochs=study.best_epochs(study.best_variant()))"
            )
        chosen = next(r.trial.variant for r in self._store if r.trial.variant.number == number)
        return train(chosen, x, y, {"seeds": seeds, "epochs": int(np.int64(epochs)), **fit_arguments})
