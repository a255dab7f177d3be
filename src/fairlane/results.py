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

from fairlane import comparison, frames, plots, report, stats, trackers
from fairlane.copies import remember_learning_rate, rename
from fairlane.description import write_weights
from fairlane.errors import FairlaneWarning, StudyError
from fairlane.origin import Origin
from fairlane.store import Record, Records
from fairlane.trial import Trial, TrialState, Weights

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
        return frames.long(self._store) if long else self.history

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: hyperparameters, seed, state, epochs, last logs, seconds, engine, error.

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

    def summary(
        self,
        metric: str | None = None,
        *,
        select: str | None = None,
        report: str | None = None,
        at: Literal["last", "best"] = "last",
        mode: comparison.Modes = "auto",
        baseline: comparison.Baseline = None,
        interval: stats.Interval = "t",
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
            at: ``"last"`` takes each trial's last epoch, ``"best"`` the one with the best value of
                ``select``.
            mode: ``"min"`` or ``"max"``; ``"auto"`` knows Keras's own metrics. Or a dict of such, by metric.
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
            better), ``p_value`` (corrected for the number of variants), ``pairs`` and ``failed``. Where seeds
            are too few to say, NaN and a `FairlaneWarning`.

        Raises:
            StudyError: there is no such metric or baseline, or nothing finished.

        Example:
            >>> study.summary("loss")[["learning_rate", "seeds", "pairs", "failed"]]
               learning_rate  seeds  pairs  failed
            0           0.10      2      2       0
            1           0.01      2      2       0
        """
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
            warnings.warn(note, FairlaneWarning, stacklevel=2)
        return table

    def _summary(
        self, metric: str | None = None, rng: np.random.Generator | int | None = None, **options: Any
    ) -> pd.DataFrame:
        generator = np.random.default_rng(0 if rng is None else rng)
        return comparison.summary(self._store, metric or self._default_metric(), rng=generator, **options)

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
        names, title = frames.hyperparameters(self._store), frames.encodable(title or self.name)
        _check_options(kind, options | ({} if metrics is None else {"metrics": metrics}))
        if kind == "curves":
            found, note = self._curves_words()
            return plots.curves(
                self.history, names, metrics=metrics, best=found, title=title, note=note, **options
            )
        metric = options.pop("metric", None) or self._default_metric()
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
            values = comparison.values(self._store, self._default_metric())
        except StudyError:
            return None, note
        first = values.iloc[:1]
        return frames.variant_numbers(first, names)[1][0], note

    def report(self, path: str | os.PathLike[str], metric: str | None = None) -> Path:
        """Write a page that tells all of the study, and opens in any browser without a network.

        It says what was asked, what came out and how sure that is, and what was unusual; with curves and
        tables that can be filtered and sorted. Of a study without a store, the data are read once more, for
        their fingerprint.

        Args:
            path: the file, such as ``"report.html"``; one that is there is replaced.
            metric: what to judge by, a log's name or one of the test data; by default as for `summary`.

        Returns:
            The file's path.

        Raises:
            StudyError: there is no such metric, or no folder for the file.

        Example:
            >>> import os, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.report(os.path.join(folder, "report.html")).name
            'report.html'
        """
        facts = report.facts_of(self._store, self._origin(), self.name, metric)
        return report.write(facts, path)

    def best(
        self,
        metric: str | None = None,
        *,
        mode: Literal["auto", "min", "max"] = "auto",
        at: Literal["last", "best"] = "last",
    ) -> Trial:
        """The trial with the best value of a metric, among those that finished.

        Args:
            metric: as for `summary`.
            mode: as for `summary`.
            at: as for `summary`.

        Returns:
            The trial; `model` gives what it trained.

        Raises:
            StudyError: there is no such metric, or nothing finished.

        Example:
            >>> study.best("loss").hyperparameters["learning_rate"]
            0.1
        """
        return frames.best(self._store, metric or self._default_metric(), mode=mode, at=at).trial

    def model(self, trial: Trial | int) -> keras.Model:
        """A trial's trained, compiled model, built anew: it shares nothing with any other.

        Its name is the one it was built with and the trial's number, ``sequential_trial_0``, with another
        number after it from the second on, so that any models of studies can stand in one Keras model.

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
        weights = self._store.weights(record.trial)
        if weights is None:
            why = f": {record.error}" if record.error else ""
            raise StudyError(
                f"{record.trial} is {record.state}{why}; only a trial that was trained to its end has a model"
            )
        model = self._rebuild(record.trial, weights)
        remember_learning_rate(model)  # callbacks may have changed the one that is written now
        write_weights(model, weights, str(record.trial))
        rename(model, f"trial_{record.trial.number}")
        return model

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
        if not str(path).endswith(".keras"):
            raise StudyError(f"a model's file ends with .keras, not as {str(path)!r} does")
        self.model(trial).save(path)

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
        return trackers.replay(self._store, self.name, trackers.TensorBoard(dir))

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
        number = trial if isinstance(trial, (int, np.integer)) and not isinstance(trial, bool) else None
        for record in records:
            if record.trial is trial or record.trial.number == number:
                return record
        raise StudyError(f"there is no {trial!s} in this study; it has the trials 0 to {len(records) - 1}")

    def _default_metric(self) -> str:
        return frames.default_metric(self._store)

    def _headline(self) -> str:
        records = list(self._store)
        variants = len({record.trial.variant.number for record in records})
        states = [record.state for record in records]
        counts = [f"{states.count(s)} {s}" for s in TrialState if states.count(s)]
        title = f"Study {self.name!r}" if self.name else "Study"
        return f"{title}: {len(records)} trials of {_plural(variants, 'variant')} ({', '.join(counts)})"

    def _table(self) -> pd.DataFrame | None:
        try:
            table = self._summary()
        except StudyError:
            return None
        spread = [name for name in table.columns if name.startswith(("median", "iqm"))]
        table = table.drop(columns=["metric", "selected_by", *spread])
        unknown = [n for n in ("low", "high", "probability", "p_value") if table[n].isna().all()]
        return table.drop(columns=unknown)

    def __repr__(self) -> str:
        table = self._table()
        if table is None:
            return self._headline()
        shown = table.head(20).to_string(index=False, float_format=lambda v: f"{v:.4g}")
        more = f"\n... and {len(table) - 20} more" if len(table) > 20 else ""
        return f"{self._headline()}\n{self._default_metric()} in the last epoch:\n{shown}{more}"

    def _repr_html_(self) -> str:
        table = self._table()
        text = f"<p><b>{html.escape(self._headline())}</b></p>"
        if table is None:
            return text
        caption = f"<p>{html.escape(self._default_metric())} in the last epoch</p>"
        return text + caption + str(table.to_html(index=False, float_format=lambda v: f"{v:.4g}"))


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse a kind of figure that there is not, and options that it does not take."""
    if kind not in _PLOTS:
        raise StudyError(f"plot draws {', '.join(map(repr, _PLOTS))}, not {kind!r}")
    for name in options:
        if name not in _PLOTS[kind]:
            raise StudyError(f"plot({kind!r}) takes no {name!r}; it takes title, {', '.join(_PLOTS[kind])}")
    if kind == "sweep" and "x" not in options:
        raise StudyError("plot('sweep') needs x=..., the name of a numeric hyperparameter")


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
