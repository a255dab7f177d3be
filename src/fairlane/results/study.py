"""The `Study`: what came of all trials of one question.

In: the records of a store. Out: data frames, estimates, figures, trained models.
"""

from __future__ import annotations

import html
import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from fairlane import trackers
from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.models.copies import remember_learning_rate, rename
from fairlane.models.recipes.description import write_weights
from fairlane.provenance.origin import Origin
from fairlane.results import comparison, frames, plots, ranking, report, statistics
from fairlane.results.directions import Modes
from fairlane.store import Record, Records, next_epoch
from fairlane.trials import Trial, TrialState, Variant, Weights

_CALLER = 3
"""The level of the stack where the user's line stands, below a method that is
`fairlane.kit.arguments.checked`."""
_ASKED = ("metric", "select", "at", "mode", "interval", "confidence", "resamples", "rng")
_PLOTS = {
    "curves": ("metrics", "confidence"),
    "final": _ASKED,
    "sweep": ("x", *_ASKED),
    "paired": ("baseline", *_ASKED),
}


class Study:
    """All trials of one question, and their results.

    Made by `compare`, and read back by `fairlane.open`. The examples of its methods go on with this one.

    Attributes:
        name: the study's name, or None.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build(learning_rate):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> study = fl.compare(build, {"learning_rate": [0.1, 0.01]}, x, y, seeds=2, epochs=3, verbose=0)
        >>> len(study.trials), len(study.history)
        (4, 12)
    """

    def __init__(
        self,
        store: Records,
        name: str | None,
        rebuild: Callable[[Trial, Weights], keras.Model],
        origin: Callable[[], Origin],
    ) -> None:
        self._store = store
        self._rebuild = rebuild
        self._origin = origin
        self.name = name

    @property
    def history(self) -> pd.DataFrame:
        """A row per trial × epoch: trial, hyperparameters, seed, epoch (from 0), and Keras's logs.

        Example:
            >>> study.history.columns.tolist()
            ['trial', 'learning_rate', 'seed', 'epoch', 'loss']
        """
        return frames.history(self._store)

    @arguments.checked
    def to_frame(self, long: bool = False) -> pd.DataFrame:
        """The history as a data frame.

        Args:
            long: a row per value, with columns ``metric``, ``data`` (``"training"`` or
                ``"validation"``) and ``value``, instead of a column per log.

        Returns:
            A data frame of its own, which may be changed.

        Example:
            >>> study.to_frame(long=True).columns.tolist()
            ['trial', 'learning_rate', 'seed', 'epoch', 'metric', 'data', 'value']
        """
        return frames.long(self._store) if arguments.flag("long", long) else self.history

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: hyperparameters, seed, state, epochs, logs, seconds, engine, error.

        ``weights_epoch`` is the epoch that the trained weights are of, counted from 0: the last, unless a
        callback went back to an earlier one, as ``EarlyStopping(restore_best_weights=True)`` does; missing
        where there are no trained weights, or no epoch's, as of an average. Logs are of that epoch, else of
        the last.

        Also ``reason``, why a trial did not run on lanes, and ``test_<metric>`` where there are test data.

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
    ) -> pd.DataFrame:
        """A row per variant, the best first: mean, median, interquartile mean, and paired differences.

        The best variant is chosen by the very values that are shown, so it looks better than it is, and so do
        the differences to it; the more variants and the fewer seeds, the more. ``baseline=`` compares with a
        variant that was chosen before, and ``select=`` with ``report=`` shows another metric than the one
        that chose: best of all, one of ``compare(..., test_data=...)``.

        Args:
            metric: what to show: a log's name, or one of the test data such as ``"test_loss"``; by default
                ``"val_loss"`` where there is one, else ``"loss"``.
            select: what to rank variants and choose epochs by; by default the metric itself, and for one
                of the test data its validation counterpart. The columns ``selected_by`` and ``selected``
                say so.
            report: the same as ``metric``, for ``summary(select="val_loss", report="test_loss")``.
            at: ``"last"`` takes each trial's value in the epoch that its trained weights are of, which is the
                last unless a callback went back to an earlier one; ``"best"`` the one with the best value of
                ``select``. While trials are unfinished, all are compared in the last epoch that all have, and
                a warning says so.
            mode: whether small or large values are better: ``"min"`` or ``"max"``; or a dict of such, by
                metric, as ``{"val_mcc": "max"}``. ``"auto"`` knows Keras's compiled metrics and the names of
                many others; of the rest it does not guess.
            baseline: the variant to compare with: its number, or hyperparameters that it alone has, as a
                dict; by default the best.
            interval: ``"t"``, which is right for few seeds, or ``"bootstrap"``; over seeds.
            confidence: of the intervals.
            resamples: of the bootstrap, and the most signings to try for a p-value.
            rng: the generator that resamples, or a seed for one; by default seed 0, so that two calls
                give the same.

        Returns:
            A data frame with columns ``variant``, the hyperparameters, ``metric``, ``selected_by``, ``seeds``
            (how many trials count), ``mean``, ``low`` and ``high``, the same of ``median`` and ``iqm`` (the
            interquartile mean), ``difference``, ``difference_low`` and ``difference_high`` (this variant
            minus the one compared with, seed by seed), ``probability`` (the share of seeds on which it is
            better), ``p_value`` (corrected for the number of variants), ``pairs``, ``failed`` and
            ``unfinished``. Variants that lost seeds (failed or diverged) come after those that lost fewer.
            Where seeds are too few to say, NaN and a `FairlaneWarning`.

        Raises:
            StudyError: there is no such metric or baseline, it is not known whether small or large values are
                better, nothing finished, or an argument is wrong.

        Example:
            >>> study.summary("loss")[["learning_rate", "seeds", "pairs", "failed"]]
               learning_rate  seeds  pairs  failed
            0           0.10      2      2       0
            1           0.01      2      2       0
        """
        for name, value in (("metric", metric), ("report", report), ("select", select)):
            if value is not None:
                arguments.metric(name, value)
        if metric is not None and report is not None and metric != report:
            raise StudyError(
                f"metric={metric!r} and report={report!r} are two names of one argument; give one"
            )
        shown = metric or report
        if select is not None and shown is None:
            raise StudyError(f"select={select!r} chooses; say with report=... which metric to show")
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
        for note in table.attrs["notes"]:
            warnings.warn(note, FairlaneWarning, stacklevel=_CALLER)
        return table

    def _summary(self, metric: str | None = None, rng: Any = None, **options: Any) -> pd.DataFrame:
        generator = arguments.generator("rng", rng)
        return comparison.summary(self._store, self._metric(metric), rng=generator, **options)

    def _metric(self, metric: str | None) -> str:
        return frames.default_metric(self._store) if metric is None else arguments.metric("metric", metric)

    @arguments.checked
    def plot(
        self,
        kind: Literal["curves", "final", "sweep", "paired"] = "curves",
        *,
        metrics: Sequence[str] | None = None,
        title: str | None = None,
        **options: Any,
    ) -> Any:
        """A figure: the learning curves, or the variants compared.

        - ``plot()``: a panel per metric, a colour per variant, training and validation; of several seeds the
          mean and its interval as a band. Options: ``metrics``, ``confidence``.
        - ``plot("final")``: a point per trial, the mean and interval of each variant, the best on top.
        - ``plot("sweep", x="learning_rate")``: a metric against a numeric hyperparameter.
        - ``plot("paired")``: each seed's difference to the best variant, or to ``baseline=...``.

        The last three take ``metric`` and the options of `summary`.

        Args:
            kind: which figure.
            metrics: of the curves: which, in which order; by default all.
            title: above the panels; by default the study's name.
            **options: as above.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            StudyError: there is nothing to draw yet, or an option that this kind does not take.

        Example:
            >>> figure = study.plot(metrics=["loss"], title="two rates")
            >>> len(figure.axes)
            1
        """
        names = frames.hyperparameters(self._store)
        title = frames.encodable(arguments.optional_text("title", title) or self.name)
        _check_options(kind, options | ({} if metrics is None else {"metrics": metrics}))
        if kind == "curves":
            found, note = self._curves_words()
            return plots.curves(
                self.history,
                names,
                metrics=metrics,
                best=found,
                title=title,
                note=note,
                known=frames.known_directions(self._store),
                **options,
            )
        metric = self._metric(options.pop("metric", None))
        x = options.pop("x", None)
        table = self._summary(metric, **options)
        question = {name: options[name] for name in ("select", "at", "mode") if name in options}
        if kind == "paired":
            baseline = options.get("baseline")
            pairs = comparison.differences(self._store, metric, baseline=baseline, **question)
            return plots.paired(pairs, table, names, title=title)
        values = comparison.values(self._store, metric, **question)
        if kind == "sweep":
            return plots.sweep(values, table, names, x, title=title)
        return plots.final(values, table, names, title=title)

    def _curves_words(self) -> tuple[dict[str, Any] | None, str]:
        """The best variant's hyperparameters, as columns have them; and how many trials did not end well."""
        names = frames.hyperparameters(self._store)
        bad = Counter(str(record.state) for record in self._store if record.state.ended)
        note = ", ".join(f"{_plural(n, 'trial')} {state}" for state, n in bad.items() if state != "done")
        try:
            values = comparison.values(self._store, self._metric(None))
        except StudyError:
            return None, note
        first = values.iloc[:1]
        return frames.variant_numbers(first, names)[1][0], note

    @arguments.checked
    def report(
        self,
        path: str | os.PathLike[str],
        metric: str | None = None,
        *,
        mode: Modes = "auto",
    ) -> Path:
        """Write a page that tells all of the study, and opens in any browser without a network.

        It says what was asked, what came out and how sure that is, and what was unusual; with curves and
        tables that can be filtered and sorted. Of a study without a store, the data are read once more, for
        their fingerprint.

        Args:
            path: the file, such as ``"report.html"``; one that is there is replaced.
            metric: what to judge by, a log's name or one of the test data; by default as for `summary`.
            mode: as for `summary`.

        Returns:
            The file's path.

        Raises:
            StudyError: there is no such metric, it is not known whether small or large values are better, or
                there is no folder for the file.

        Example:
            >>> import os, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.report(os.path.join(folder, "report.html")).name
            'report.html'
        """
        file = arguments.path("path", path, "report.html")
        self._metric(metric)
        facts = report.facts_of(self._store, self._origin(), self.name, metric, mode)
        return report.write(facts, file)

    @arguments.checked
    def best_variant(
        self,
        metric: str | None = None,
        *,
        mode: Modes = "auto",
        at: Literal["last", "best"] = "last",
    ) -> Variant:
        """The variant that is the best by the mean over its seeds: the first row of `summary`.

        A variant of which seeds failed or diverged comes after all that lost fewer. While trials are
        unfinished, all are compared in the last epoch that all have, with a warning.

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
        found = ranking.choosing(list(self._store), self._metric(metric), mode, at)
        for note in found.notes_of_values:
            warnings.warn(note, FairlaneWarning, stacklevel=_CALLER)
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
        """The best trial of the best variant; or the best of all trials.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.
            at: as for `summary`.
            of: ``"variant"`` takes the best trial of `best_variant`; ``"trials"`` the best of all trials,
                which of several seeds is often a lucky one, of another variant than the best.

        Returns:
            The trial; `model` gives what it trained, ``builder_arguments`` and ``fit_arguments`` what to
            train again.

        Raises:
            StudyError: there is no such metric, it is not known whether small or large values are better,
                nothing finished, or an argument is wrong.

        Example:
            >>> best = study.best("loss")
            >>> best.hyperparameters["learning_rate"]
            0.1
            >>> model = build(**best.builder_arguments)  # and model.fit(x, y, **best.fit_arguments)
        """
        records = list(self._store)
        arguments.one_of("of", of, ("variant", "trials"))
        found = ranking.choosing(records, self._metric(metric), mode, at)
        for note in found.notes_of_values:
            warnings.warn(note, FairlaneWarning, stacklevel=_CALLER)
        return ranking.best_of(records, found, of).trial

    @arguments.checked
    def model(self, trial: Trial | int) -> keras.Model:
        """A trial's trained, compiled model, built anew: it shares nothing with any other.

        Its name is the one it was built with and the trial's number, ``sequential_trial_0``, with another
        number after it from the second on, so that any models of studies can stand in one Keras model.

        Of a trial that was interrupted, it is the model after its last finished epoch.

        Args:
            trial: the trial, or its number.

        Returns:
            The model, with its trained weights and its optimizer's state. Each call builds another.

        Raises:
            StudyError: there is no such trial, or it has no trained state.

        Example:
            >>> model = study.model(study.best("loss"))
            >>> model.predict(x, verbose=0).shape
            (8, 1)
        """
        record = self._record(trial)
        weights = self._store.weights(record.trial) or self._cut_off(record)
        model = self._rebuild(record.trial, weights)
        remember_learning_rate(model)  # callbacks may have changed the one that is written now
        write_weights(model, weights, str(record.trial))
        rename(model, f"trial_{record.trial.number}")
        return model

    def _cut_off(self, record: Record) -> Weights:
        """The state of a trial that was not trained to its end."""
        stopped = record.state in (TrialState.RUNNING, TrialState.INTERRUPTED)
        found = self._store.cut_off(record.trial) if stopped else None
        if found is None:
            why = f": {record.error}" if record.error else ""
            which = "has no state that was kept" if stopped and record.epochs else "has no trained state"
            raise StudyError(f"{record.trial} is {record.state}{why}; it {which}, so there is no model of it")
        if found.epoch < next_epoch(record):
            warnings.warn(
                f"the newest state that is kept of {record.trial} is that after "
                f"{_plural(found.epoch, 'epoch')}, and it has finished {next_epoch(record)}: the model is "
                "that of the earlier one",
                FairlaneWarning,
                stacklevel=_CALLER + 1,
            )
        return found.weights

    @arguments.checked
    def save(self, trial: Trial | int, path: str | os.PathLike[str]) -> None:
        """Write a trial's trained, compiled model to a file, for ``keras.saving.load_model``.

        Args:
            trial: the trial, or its number.
            path: a name that ends with ``.keras``.

        Raises:
            StudyError: as `model`; or the name ends otherwise.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "trial0.keras")
            ...     study.save(0, path)
            ...     keras.saving.load_model(path).count_params()
            3
        """
        file = arguments.path("path", path, "model.keras")
        if not file.name.endswith(".keras"):
            raise StudyError(f"path: a model's file ends with .keras, not as {str(path)!r} does")
        if not file.parent.is_dir():
            raise StudyError(f"path: the folder {file.parent} does not exist")
        self.model(trial).save(file)

    @arguments.checked
    def to_tensorboard(self, dir: str | os.PathLike[str]) -> int:
        """Write TensorBoard's event files: a run per trial, for ``tensorboard --logdir <dir>``.

        Args:
            dir: as for `fairlane.trackers.TensorBoard`. What was written of the same trials is replaced.

        Returns:
            How many trials were written; those that never began are not.

        Raises:
            StoreError: the package ``tensorboard`` is not installed.
            StudyError: the files can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_tensorboard(folder)
            4
        """
        return trackers.replay(self._store, self.name, trackers.TensorBoard(arguments.folder("dir", dir)))

    @arguments.checked
    def to_mlflow(self, uri: str | None = None, experiment: str = "fairlane") -> int:
        """Write MLflow's runs: a parent for the study, a child for each trial.

        Args:
            uri: as for `fairlane.trackers.MLflow`. The runs of a study with a name are replaced.
            experiment: the name of the experiment that the runs belong to.

        Returns:
            How many trials were written; those that never began are not.

        Raises:
            StoreError: neither ``mlflow`` nor ``mlflow-skinny`` is installed.
            StudyError: the runs can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_mlflow(f"sqlite:///{folder}/mlflow.db")
            4
        """
        return trackers.replay(self._store, self.name, trackers.MLflow(uri, experiment))

    @arguments.checked
    def to_wandb(
        self,
        project: str = "fairlane",
        *,
        dir: str | os.PathLike[str] | None = None,
        mode: Literal["offline", "online"] = "offline",
        entity: str | None = None,
    ) -> int:
        """Write Weights & Biases' runs, one per trial, in a group of the study's name; new ones each time.

        Args:
            project: the project that the runs belong to.
            dir: the folder in which wandb makes its folder ``wandb``; by default the current one.
            mode: ``"offline"`` writes files alone, for ``wandb sync``; ``"online"`` sends them, as the user
                who is logged in.
            entity: the user or team that the project belongs to; by default as wandb has it.

        Returns:
            How many trials were written; those that never began are not.

        Raises:
            StoreError: the package ``wandb`` is not installed.
            StudyError: an unknown mode, or the runs can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_wandb("my project", dir=folder)
            4
        """
        return trackers.replay(self._store, self.name, trackers.WandB(project, dir, mode, entity))

    def _record(self, trial: Trial | int) -> Record:
        records = list(self._store)
        if not (isinstance(trial, Trial) or arguments.is_whole(trial)):
            raise arguments.wrong(
                "trial", trial, f"a trial of this study, or its number, 0 to {len(records) - 1}"
            )
        number = None if isinstance(trial, Trial) else int(trial)
        for record in records:
            if record.trial is trial or record.trial.number == number:
                return record
        raise StudyError(f"there is no {trial!s} in this study; it has the trials 0 to {len(records) - 1}")

    def _headline(self) -> str:
        records = list(self._store)
        variants = len({record.trial.variant.number for record in records})
        states = [record.state for record in records]
        counts = [f"{states.count(s)} {s}" for s in TrialState if states.count(s)]
        title = f"Study {self.name!r}" if self.name else "Study"
        return f"{title}: {len(records)} trials of {_plural(variants, 'variant')} ({', '.join(counts)})"

    @arguments.checked
    def described(self, metric: str | None = None, *, mode: Modes = "auto") -> str:
        """The study in words: how far it is, and its variants, the best first; what ``print(study)`` shows.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.

        Returns:
            Some lines of text.

        Raises:
            StudyError: a metric was given, and there is none such, or it is not known whether small or large
                values are better.

        Example:
            >>> print(study.described("loss").splitlines()[0])
            Study: 4 trials of 2 variants (4 done)
        """
        table = self._table(metric, mode)
        if table is None:
            return self._headline()
        shown = table.head(20).to_string(index=False, float_format=lambda v: f"{v:.4g}")
        more = f"\n... and {len(table) - 20} more" if len(table) > 20 else ""
        return f"{self._headline()}\n{_what(table)}:\n{shown}{more}"

    def _table(self, metric: str | None = None, mode: Modes = "auto") -> pd.DataFrame | None:
        try:
            table = self._summary(metric, mode=mode)
        except StudyError:
            if metric is not None:
                raise
            return None
        spread = [name for name in table.columns if name.startswith(("median", "iqm"))]
        table = table.drop(columns=["metric", "selected_by", *spread])
        unknown = [n for n in ("low", "high", "probability", "p_value") if table[n].isna().all()]
        return table.drop(columns=unknown if table["unfinished"].any() else [*unknown, "unfinished"])

    def __repr__(self) -> str:
        return self.described()

    def _repr_html_(self) -> str:
        table = self._table()
        text = f"<p><b>{html.escape(self._headline())}</b></p>"
        if table is None:
            return text
        caption = f"<p>{html.escape(_what(table))}</p>"
        return text + caption + str(table.to_html(index=False, float_format=lambda v: f"{v:.4g}"))


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse a kind of figure that there is not, and options that it does not take."""
    if not isinstance(kind, str) or kind not in _PLOTS:
        raise StudyError(f"plot draws {', '.join(map(repr, _PLOTS))}, not {arguments.given(kind)}")
    for name in options:
        if name not in _PLOTS[kind]:
            raise StudyError(f"plot({kind!r}) takes no {name!r}; it takes title, {', '.join(_PLOTS[kind])}")
    if kind == "sweep" and "x" not in options:
        raise StudyError("plot('sweep') needs x=..., the name of a numeric hyperparameter")


def _what(table: pd.DataFrame) -> str:
    """What a summary is of: the metric, and in which epoch."""
    return f"{table.attrs['metric']} {table.attrs['when']}"


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
