"""A study as data frames and as text.

In: the records of a study. Out: `Tables`, the part of a `Study` with its history, trials and summary, and
what ``print(study)`` and a notebook show.
"""

from __future__ import annotations

import html
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairlane.errors import StoreError, StudyError
from fairlane.kit import arguments
from fairlane.kit.text import plural
from fairlane.results import comparison, frames, searched, statistics
from fairlane.results.brief import brief
from fairlane.results.directions import Modes
from fairlane.results.folds import share_of
from fairlane.results.histories import SHARE
from fairlane.results.sparklines import mean_curve, sparklines
from fairlane.results.study.base import Base
from fairlane.store import Record
from fairlane.trials import TrialState

_NOTES = 20
"""Notes that `Tables.described` shows."""


class Tables(Base):
    """The data frames of a study."""

    @property
    def history(self) -> pd.DataFrame:
        """A row per trial and epoch: trial, hyperparameters, seed, epoch (from 0), and Keras's logs.

        Example:
            >>> study.history.columns.tolist()
            ['trial', 'learning_rate', 'seed', 'epoch', 'loss']
        """
        frame = frames.history(self._store)
        share = share_of(self._store)
        frame.attrs |= {} if share is None else {SHARE: share}
        return frame

    @arguments.checked
    def to_frame(self, long: bool = False) -> pd.DataFrame:
        """The history as a data frame.

        Args:
            long: whether to give a row per value, with columns ``metric``, ``data`` (``"training"`` or
                ``"validation"``) and ``value``, instead of a column per log.

        Returns:
            A new data frame, which may be changed.

        Example:
            >>> study.to_frame(long=True).columns.tolist()
            ['trial', 'learning_rate', 'seed', 'epoch', 'metric', 'data', 'value']
        """
        return frames.long(self._store) if arguments.flag("long", long) else self.history

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: hyperparameters, seed, how it ended, its last logs, and how it was trained.

        - ``state``: ``"done"``, ``"diverged"``, ``"failed"``, ``"stopped"`` by a search, ``"interrupted"``,
          ``"running"`` or ``"waiting"``; ``error`` has the reason of a failure.
        - ``epochs``: how many epochs are done.
        - ``weights_epoch``: the epoch that the trained weights belong to, counted from 0. This is the last,
          unless a callback restored an earlier one, as ``EarlyStopping(restore_best_weights=True)`` does. It
          is missing where there are no trained weights, or where they belong to no single epoch, such as an
          average.
        - The logs are those of this epoch, else of the last. ``test_<metric>`` is there with test data.
        - ``seconds``: wall-clock time; on lanes, the trial's share of its fleet's.
        - ``engine``: ``"lanes"`` or ``"reference"``; ``reason`` says why a trial did not run on lanes. On
          lanes, ``fleet`` is the number of its fleet, and ``loop`` says how the fleet repeats its batches.
          Where models of other sizes could not share its program, ``reason`` says why.

        Example:
            >>> study.trials[["learning_rate", "seed", "state", "epochs"]]
               learning_rate  seed state  epochs
            0           0.10     0  done       3
            1           0.10     1  done       3
            2           0.01     0  done       3
            3           0.01     1  done       3
        """
        return frames.trials(self._store)

    @arguments.checked
    def summary(
        self,
        metric: str | None = None,
        *,
        select: str | None = None,
        report: str | None = None,
        at: Literal["last", "best"] = "last",
        mode: Modes = "auto",
        baseline: comparison.Baseline = None,
        interval: statistics.Interval = "t",
        confidence: float = 0.95,
        resamples: int = 9999,
        rng: np.random.Generator | int | None = None,
        detail: bool = False,
    ) -> pd.DataFrame:
        """A row per variant, the best first: its mean with an interval, and the difference to the best.

        The values that are shown also choose the best variant. So it looks better than it is, and the
        differences to it look larger. This effect grows with more variants and with fewer seeds.
        ``baseline=`` compares with a variant that was chosen before. ``select=`` with ``report=`` shows
        another metric than the one that chooses, preferably one of ``compare(..., test_data=...)``.

        Args:
            metric: the metric to show: a log's name, or one of the test data such as ``"test_loss"``; by
                default ``"val_loss"`` where there is one, else ``"loss"``.
            select: the metric to rank variants and choose epochs by; by default the same, and for one of the
                test data its validation counterpart. The columns ``selected_by`` and ``selected`` show it.
            report: the same as ``metric``, for ``summary(select="val_loss", report="test_loss")``.
            at: ``"last"`` takes each trial's value in the epoch that its trained weights belong to, which is
                the last unless a callback restored an earlier one; ``"best"`` takes the epoch with the best
                value of ``select``. While trials are unfinished, all are compared in the last epoch that all
                of them have, and a warning says so.
            mode: whether small or large values are better: ``"min"`` or ``"max"``; or a dict with one per
                metric, as ``{"val_mcc": "max"}``. ``"auto"`` knows Keras's compiled metrics and the names of
                many others; for the rest it does not guess.
            baseline: the variant to compare with: its number, or hyperparameters that only it has, as a
                dict; by default the best.
            interval: the kind of interval over seeds: ``"t"``, which is right for few seeds, or
                ``"bootstrap"``.
            confidence: the confidence of the intervals, such as 0.95.
            resamples: the number of resamples of the bootstrap, and the largest number of combinations of
                signs to try for a p-value.
            rng: the generator for resampling, or a seed for one; by default seed 0, so that two calls give
                the same numbers.
            detail: whether to give all columns.

        Returns:
            A data frame with columns ``variant``, the hyperparameters, ``metric``, ``seeds`` (how many
            count), ``folds`` (likewise, where there are some), ``mean``, ``low`` and ``high``, ``difference``
            (this variant minus the one compared with, pair by pair), ``p_value`` (corrected for the number of
            variants), and ``failed`` (how many trials). ``selected_by`` and ``selected`` are there where
            another metric decides, and ``unfinished`` (how many trials) while there are some.

            ``detail=True`` adds ``selected_by`` and ``unfinished`` in all cases, ``median`` and ``iqm`` (the
            interquartile mean) with their intervals, ``difference_low`` and ``difference_high``,
            ``probability`` (the share of pairs in which a variant is better; NaN for the variant that the
            others are compared with, and where there are fewer than 2 pairs; 0 where it is worse in each
            pair), and ``pairs`` (how many trials of both variants have the same seed and fold).

            Variants with failed or diverged seeds come after those that lost a smaller share of their seeds.
            Where seeds are too few, values are NaN and a `FairlaneWarning` says why, once for this study.

        Raises:
            StudyError: there is no such metric or baseline, it is not known whether small or large values are
                better, nothing finished, or an argument is wrong.

        Example:
            >>> study.summary("loss")[["learning_rate", "seeds", "failed"]]
               learning_rate  seeds  failed
            0           0.10      2       0
            1           0.01      2       0
        """
        for name, value in (("metric", metric), ("report", report), ("select", select)):
            if value is not None:
                arguments.metric(name, value)
        if metric is not None and report is not None and metric != report:
            raise StudyError(
                f"metric={metric!r} and report={report!r} name the same argument; give only one of them"
            )
        shown = metric or report
        if select is not None and shown is None:
            raise StudyError(f"select={select!r} chooses variants; give report=..., the metric to show")
        table = self._summary(
            shown,
            select=select,
            at=at,
            mode=mode,
            baseline=baseline,
            interval=interval,
            confidence=confidence,
            resamples=resamples,
            rng=rng,
        )
        full = arguments.flag("detail", detail)
        self._warn((*table.attrs["notes"], *(table.attrs["detail"] if full else ())))
        return table if full else brief(table)

    def _summary(self, metric: str | None = None, rng: Any = None, **options: Any) -> pd.DataFrame:
        generator = arguments.generator("rng", rng)
        name = self._metric(metric)
        options["mode"] = self._mode(options.get("mode", "auto"), name)
        share = share_of(self._store)
        return comparison.summary(self._counting(), name, rng=generator, share=share, **options)

    @arguments.checked
    def described(self, metric: str | None = None, *, mode: Modes = "auto") -> str:
        """The study in words, as ``print(study)`` shows it: trials by state, and the variants, best first.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.

        Returns:
            Some lines of text.

        Raises:
            StudyError: there is no such metric, or it is not known whether small or large values are better.

        Example:
            >>> print(study.described("loss").splitlines()[0])
            Study: 4 trials of 2 variants (4 done)
        """
        table = self._table(metric, mode)
        if table is None:
            return self._headline() + self._notes_in_words()
        shown = table.head(20).to_string(index=False, float_format=lambda v: f"{v:.4g}")
        more = f"\n... and {len(table) - 20} more" if len(table) > 20 else ""
        which = searched.which_count(self._store)
        note = f"{which}.\n" if which else ""
        return f"{self._headline()}\n{note}{_what(table)}:\n{shown}{more}{self._notes_in_words()}"

    def _notes_in_words(self) -> str:
        """A line per note, the first ones; empty without notes."""
        labels = {r.trial.variant.number: f" ({r.trial.variant.label})" for r in self._store}
        lines = []
        try:
            noted = self._store.noted()
        except StoreError as error:  # of a full disk, after which a study still has its results
            return f"\nNotes can't be read: {error}"
        for number, note in noted.items():
            about = "study" if number is None else f"variant {number}{labels.get(number, '')}"
            lines.append(f"  {about}: {note.in_words()}")
        if not lines:
            return ""
        more = [f"  ... and {len(lines) - _NOTES} more"] if len(lines) > _NOTES else []
        return "\nNotes:\n" + "\n".join([*lines[:_NOTES], *more])

    def _headline(self) -> str:
        records = list(self._store)
        variants = len({record.trial.variant.number for record in records})
        states = [record.state for record in records]
        counts = [f"{states.count(s)} {s}" for s in TrialState if states.count(s)]
        title = f"Study {self.name!r}" if self.name else "Study"
        return (
            f"{title}: {plural(len(records), 'trial')} of {plural(variants, 'variant')} ({', '.join(counts)})"
        )

    def _table(self, metric: str | None = None, mode: Modes = "auto") -> pd.DataFrame | None:
        try:
            table = self._summary(metric, mode=mode)
        except StudyError:
            if metric is not None:
                raise
            return None
        table = brief(table)
        unknown = [name for name in ("low", "high", "p_value") if table[name].isna().all()]
        return table.drop(columns=["metric", *unknown])

    def __repr__(self) -> str:
        return self.described()

    def _repr_html_(self) -> str:
        table = self._table()
        text = f"<p><b>{html.escape(self._headline())}</b></p>"
        if table is None:
            return text
        which = searched.which_count(self._store)
        caption = f"<p>{html.escape(f'{which}. ' if which else '')}{html.escape(_what(table))}</p>"
        return text + caption + self._with_sparklines(table)

    def _with_sparklines(self, table: pd.DataFrame) -> str:
        """The table as HTML, with each variant's mean curve of the metric."""
        metric = table.attrs["metric"]
        of_variant: dict[int, list[Record]] = {int(number): [] for number in table["variant"]}
        for record in self._counting():
            if record.state is TrialState.DONE or record.state is TrialState.RUNNING:
                of_variant[record.trial.variant.number].append(record)
        drawn = sparklines({number: mean_curve(some, metric) for number, some in of_variant.items()})
        if not any(drawn.values()):
            return str(table.to_html(index=False, float_format=_short))
        # The table's own cells stay escaped; a place is a text that no escaping changes.
        places = [f"fairlane-sparkline-{number}-of-{len(drawn)}" for number in table["variant"]]
        shown = str(table.assign(**{f"{metric} by epoch": places}).to_html(index=False, float_format=_short))
        for place, number in zip(places, table["variant"], strict=True):
            shown = shown.replace(f"<td>{place}</td>", f"<td>{drawn[int(number)]}</td>")
        return shown


def _short(value: float) -> str:
    return f"{value:.4g}"


def _what(table: pd.DataFrame) -> str:
    """A summary's metric and epoch in words."""
    return f"{table.attrs['metric']} {table.attrs['when']}"
