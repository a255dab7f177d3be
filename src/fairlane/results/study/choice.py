"""The best of a study.

In: the records of a study. Out: `Choice`, the part of a `Study` that says which variant and which trial is
the best.
"""

from __future__ import annotations

from typing import Literal

from fairlane.kit import arguments
from fairlane.results import ranking
from fairlane.results.directions import Modes
from fairlane.results.study.base import Base
from fairlane.trials import Trial, Variant


class Choice(Base):
    """The best variant and the best trial of a study."""

    @arguments.checked
    def best_variant(
        self,
        metric: str | None = None,
        *,
        mode: Modes = "auto",
        at: Literal["last", "best"] = "last",
    ) -> Variant:
        """The best variant by the mean over its seeds: the first row of `summary`.

        A variant with failed or diverged seeds comes after all that lost a smaller share of theirs. While
        trials are unfinished, all are compared in the last epoch that all of them have, with a warning.

        For a search with several objectives, it is the best by the first one; `pareto` has the others too.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.
            at: as for `summary`.

        Returns:
            The variant, with its ``number``, ``hyperparameters``, ``builder_arguments`` and
            ``fit_arguments``.

        Raises:
            StudyError: as for `best`.

        Example:
            >>> study.best_variant("loss").hyperparameters["learning_rate"]
            0.1
        """
        name = self._metric(metric)
        found = ranking.choosing(self._counting(), name, self._mode(mode, name), at)
        self._warn(found.notes_of_values)
        variants = {record.trial.variant.number: record.trial.variant for record in self._store}
        return variants[found.order[0]]

    @arguments.checked
    def best(
        self,
        metric: str | None = None,
        *,
        mode: Modes = "auto",
        at: Literal["last", "best"] = "last",
        of: Literal["variant", "trials"] = "variant",
    ) -> Trial:
        """The best trial of the best variant, or the best of all trials.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.
            at: as for `summary`.
            of: ``"variant"`` takes the best trial of `best_variant`; ``"trials"`` takes the best of all
                trials, which often has a lucky seed and belongs to another variant than the best.

        Returns:
            The trial; `model` gives its trained model, and its ``builder_arguments`` and ``fit_arguments``
            train it again.

        Raises:
            StudyError: there is no such metric, it is not known whether small or large values are better,
                nothing finished, or an argument is wrong.

        Example:
            >>> best = study.best("loss")
            >>> best.hyperparameters["learning_rate"]
            0.1
            >>> model = build(**best.builder_arguments)  # and model.fit(x, y, **best.fit_arguments)
        """
        records, name = self._counting(), self._metric(metric)
        arguments.one_of("of", of, ("variant", "trials"))
        found = ranking.choosing(records, name, self._mode(mode, name), at)
        self._warn(found.notes_of_values)
        return ranking.best_of(records, found, of).trial
