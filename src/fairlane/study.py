"""``compare``, ``fit`` and ``Study``: the only composer.

In: what the user asks. Out: a `Study`, or trained models. Plans the trials, lets engines run them, writes
their events to the store, and turns the store into frames and figures.
"""

from __future__ import annotations

import html
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from importlib import metadata
from types import GeneratorType
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from fairlane import _keras, comparison, fingerprint, frames, plots, stats
from fairlane.callbacks import Callbacks
from fairlane.copies import remember_learning_rate
from fairlane.data import DATA_ARGUMENTS, Batches, FitData
from fairlane.description import description, model_of, write_weights
from fairlane.engine import Declined, Feed, Job, Pace, lanes, reference
from fairlane.engine.memory import room_for_data
from fairlane.errors import (
    BuilderError,
    FairlaneWarning,
    LanesError,
    StoreError,
    StudyError,
    TrialError,
)
from fairlane.isolation import PAST, check_independent
from fairlane.plan import Models, check_fit_arguments, check_seed, data_reason, plan
from fairlane.progress import Progress
from fairlane.session import Session, left_as_found
from fairlane.store import MemoryStore, Record, Records, Store, next_epoch, written
from fairlane.testing import check_test_data, evaluate
from fairlane.trial import EpochEnded, Event, Tested, Trial, TrialFailed, TrialState, Variant

_ENGINES = ("auto", "lanes", "reference")
_ON_ERROR = ("record", "raise")
_RESUME = ("auto", "force", "never")
_ASKED = ("metric", "select", "at", "mode", "interval", "confidence", "resamples", "rng")
_PLOTS = {
    "curves": ("metrics", "confidence"),
    "final": _ASKED,
    "sweep": ("x", *_ASKED),
    "paired": ("baseline", *_ASKED),
}


def compare(
    model: Any,
    variants: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    x: Any = None,
    y: Any = None,
    *,
    seeds: int | Sequence[int] = 1,
    engine: str = "auto",
    store: Any = None,
    name: str | None = None,
    resume: str = "auto",
    checkpoint_every: int | str | timedelta | None = "60s",
    callbacks: Any = None,
    on_error: str = "record",
    verbose: Any = "auto",
    test_data: Any = None,
    **fit_arguments: Any,
) -> Study:
    """Train a model with every variant of its hyperparameters and every seed, and compare them.

    Each trial's history and weights are what a fresh process gives for
    ``keras.utils.set_random_seed(seed)``, ``build(**hyperparameters)`` and ``fit``, to float rounding,
    whatever runs beside it. The session (random generators, name counters, dtype policy) is left as found.

    Args:
        model: a builder, a function that takes hyperparameters and returns a fresh, compiled
            ``keras.Model``; or such a model as a template, which is read and never trained.
        variants: a dict of lists, whose grid is meant, or a list of dicts. Keys are arguments of the
            builder (for a template: dotted paths such as ``"optimizer.learning_rate"``), or arguments of
            ``Model.fit`` such as ``batch_size``.
        x: training inputs, as for ``Model.fit``.
        y: targets, as for ``Model.fit``.
        seeds: a number of replicates (their seeds are 0, 1, 2, ...), or the seeds themselves.
        engine: ``"lanes"`` trains all at once, ``"reference"`` calls ``Model.fit`` for one after another,
            ``"auto"`` uses lanes and leaves to the reference what can't run there (`Study.trials` says why).
            Where Keras does not run on JAX, lanes run in a worker process that does.
        store: where the study is kept: the path of an SQLite file, such as ``"runs.db"``, or the URL of a
            PostgreSQL database, ``"postgresql+psycopg://user@host/database?artifacts=/a/folder"``. By
            default in memory. A study that is kept goes on where it ended when it is asked for again:
            trials that were trained to their end are read, and not trained again; others go on from their
            last checkpoint, exactly; new variants, seeds and more ``epochs`` are added. `fairlane.open` reads
            it.
        name: a name for the study, shown with it, and to find it by in a store.
        resume: for a study that the store has already: ``"auto"`` goes on with it, if the model, data,
            arguments and callbacks are the same; ``"force"`` though they differ; ``"never"`` refuses.
        checkpoint_every: of a study that is kept, how often the states of trials that are trained are kept
            too, to go on from after a crash: a number of epochs, or a time, such as ``"60s"`` or ``"5min"``,
            after which the end of the epoch is waited for. None keeps them only at their end.
        callbacks: a function that returns a list of fresh callbacks, called once per trial (with the
            `Trial`, if it takes an argument) before the first is trained; or a list, deep-copied for each
            trial. ``{trial}`` and ``{seed}`` in the paths of Keras's own are filled in.
        on_error: ``"record"`` goes on when a trial fails, ``"raise"`` stops at the first that does.
        verbose: 0 is silent, 1 and ``"auto"`` show progress.
        test_data: ``(x, y)`` or ``(x, y, sample_weight)``, or a dataset, which no trial sees until all are
            trained. Then each finished trial's model is evaluated on it once, as by ``Model.evaluate``: the
            columns ``test_<metric>`` of `Study.trials`, and ``summary("test_loss")``.
        **fit_arguments: other arguments of ``Model.fit``, with its defaults and meaning.

    Returns:
        The study. After Ctrl-C, too, with everything that was finished.

    Raises:
        StudyError: wrong variants, seeds or arguments, two trials' callbacks would write one file, or a
            stored study that is another; before any training.
        StoreError: the store can't be opened, or another process trains the study; before any training. Or
            it can't be written any more: the error's ``study`` is what was trained until then.
        BuilderError: the builder returns something other than a compiled model; before any training.
        SharedStateError: the builder's models share state, or two trials a callback; before any training.
        ValueError: what Keras raises for wrong data; before any training.
        LanesError: ``engine="lanes"``, and a trial can't run there.
        TrialError: ``on_error="raise"``, and a trial failed.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build(learning_rate=0.1):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> study = fl.compare(build, {"learning_rate": [0.1, 0.01]}, x, y, epochs=2, verbose=0)
        >>> study.trials["state"].tolist()
        ['done', 'done']
    """
    _check_choices(engine, on_error)
    _check_resume(resume)
    pace = _pace(checkpoint_every)
    if store is None or keras.backend.backend() != "jax":
        pace = None  # other backends have random generators that can't be told
    trials = plan(model, variants, seeds, fit_arguments)
    common = {"x": x, "y": y, **fit_arguments}
    data = _Data(common, [trial.variant for trial in trials], engine)
    check_test_data(test_data, len(trials))
    models = Models(model)
    models.rehearse(trials[0])
    kept = (
        MemoryStore() if store is None else _opened(store, name, resume, model, common, callbacks, test_data)
    )
    study: Study | None = None
    try:
        trials = kept.adopt(trials, [_epochs_of(_arguments(common, trial)) for trial in trials])
        _warn_of(kept)
        left = _left(kept, trials)
        build = models.build if store is None else _Describing(models, kept, data).build
        jobs = _jobs(left, build, common, Callbacks(callbacks, left), data, models.builder, kept, pace)
        study = Study(kept, name, _Rebuilt(kept, models, common, data, trials))
        records = [kept[trial] for trial in trials]
        epochs = sum(_epochs_of(_arguments(common, trial)) for trial in trials)
        with Progress(records, epochs, verbose) as progress:
            driver = _Driver(kept, engine, on_error, study, progress.update)
            driver.run(jobs, interruptible=True)
            if test_data is not None:
                driver.test(study, trials, test_data, common.get("batch_size"))
            kept.close()
    except StoreError as error:
        error.study = study
        raise
    finally:
        kept.close()
    _warn_of(kept)
    return study


def fit(
    models: Sequence[keras.Model],
    x: Any = None,
    y: Any = None,
    *,
    seed: int | None = None,
    engine: str = "auto",
    callbacks: Any = None,
    verbose: Any = "auto",
    **fit_arguments: Any,
) -> list[keras.callbacks.History]:
    """Train several compiled models at once, in place, each as its own ``fit`` would have.

    Args:
        models: separately built, compiled models.
        x: training inputs, as for ``Model.fit``.
        y: targets, as for ``Model.fit``.
        seed: of the batch order, the same for all models: each is trained as after
            ``keras.utils.set_random_seed(seed)``. By default drawn once from NumPy's global generator.
        engine: as for `compare`.
        callbacks: as for `compare`: a function called once per model, or a list copied for each.
        verbose: as for `compare`.
        **fit_arguments: other arguments of ``Model.fit``, with its defaults and meaning.

    Returns:
        Each model's ``keras.callbacks.History``, which is its ``model.history`` too.

    Raises:
        SharedStateError: two of the models are one, or share variables, an optimizer, a metric or a
            callback; before any training.
        BuilderError: one of the models is no compiled ``keras.Model``; before any training.
        StudyError: wrong arguments, or two models' callbacks would write one file; before any training.
        LanesError: ``engine="lanes"``, and a model can't be trained there.
        TrialError: training a model raised; the others have been trained to their end.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", loss="mse")
        ...     return model
        >>> histories = fl.fit([build(), build()], np.ones((8, 2)), np.ones((8, 1)), epochs=3, verbose=0)
        >>> [len(h.history["loss"]) for h in histories]
        [3, 3]
    """
    _check_choices(engine, "record")
    check_fit_arguments(fit_arguments)
    models = _checked_models(models)
    common = {"x": x, "y": y, **fit_arguments}
    variants = [Variant(i, {"model": m.name}) for i, m in enumerate(models)]
    data = _Data(common, variants, engine)
    with left_as_found() if seed is None else nullcontext():  # it counts as drawn when all is checked
        number = _drawn_seed() if seed is None else check_seed(seed)
    trials = [Trial(v.number, v, number) for v in variants]
    makers = Callbacks(callbacks, trials)
    if seed is None:
        _drawn_seed()
    jobs = [
        _in_place(trial, model, common, makers, Session(trial.seed), len(models), data)
        for trial, model in zip(trials, models, strict=True)
    ]
    memory = MemoryStore(trials)
    epochs = sum(_epochs_of(job.arguments) for job in jobs)
    with Progress(memory, epochs, verbose) as progress:
        driver = _Driver(memory, engine, "record", None, progress.update)
        driver.run(jobs, interruptible=False)
    driver.raise_first_failure()
    return [model.history for model in models]


class Study:
    """All trials of one question, and their results.

    Made by `compare`.
    """

    def __init__(self, store: Records, name: str | None, rebuild: Callable[[Trial], keras.Model]) -> None:
        self._store = store
        self._rebuild = rebuild
        self.name = name

    @property
    def history(self) -> pd.DataFrame:
        """A row per trial × epoch: trial, hyperparameters, seed, epoch (from 0), and Keras's logs."""
        return frames.history(self._store)

    def to_frame(self, long: bool = False) -> pd.DataFrame:
        """The history as a data frame.

        Args:
            long: a row per value, with columns ``metric``, ``data`` (``"training"`` or
                ``"validation"``) and ``value``, instead of a column per log.
        """
        return frames.long(self._store) if long else self.history

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: hyperparameters, seed, state, epochs, last logs, seconds, engine, error."""
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
        that
        chose: best of all, one of ``compare(..., test_data=...)``.

        Args:
            metric: what to show: a log's name, or one of the test data such as ``"test_loss"``; by default
                ``"val_loss"`` where there is one, else ``"loss"``.
            select: what to rank variants and choose epochs by; by default the metric itself, and for one
                of the test data its validation counterpart. The columns ``selected_by`` and ``selected`` say
                so.
            report: the same as ``metric``, for ``summary(select="val_loss", report="test_loss")``.
            at: ``"last"`` takes each trial's last epoch, ``"best"`` the one with the best value of
            ``select``.
            mode: ``"min"`` or ``"max"``; ``"auto"`` knows Keras's own metrics. Or a dict of such, by metric.
            baseline: the variant to compare with: its number, or hyperparameters that it alone has, as a
                dict; by default the best.
            interval: ``"t"`` or ``"bootstrap"``, over seeds; see `fairlane.stats.estimate` for which is
            right.
            confidence: of the intervals.
            resamples: of the bootstrap, and the most signings to try for a p-value.
            rng: the generator that resamples, or a seed for one; by default seed 0, so that two calls
                give the same.

        Returns:
            See `fairlane.comparison.summary`. Where seeds are too few to say, NaN and a `FairlaneWarning`.

        Raises:
            StudyError: there is no such metric or baseline, or nothing finished.
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
        """
        names, title = frames.hyperparameters(self._store), title or self.name
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

        Raises:
            StudyError: there is no such metric, or nothing finished.
        """
        return frames.best(self._store, metric or self._default_metric(), mode=mode, at=at).trial

    def model(self, trial: Trial | int) -> keras.Model:
        """A trial's trained, compiled model, built anew: it shares nothing with any other.

        Args:
            trial: the trial, or its number.

        Raises:
            StudyError: there is no such trial, or it has no trained state.
        """
        record = self._record(trial)
        weights = self._store.weights(record.trial)
        if weights is None:
            why = f": {record.error}" if record.error else ""
            raise StudyError(
                f"{record.trial} is {record.state}{why}; only a trial that was trained to its end has a model"
            )
        model = self._rebuild(record.trial)
        remember_learning_rate(model)  # callbacks may have changed the one that is written now
        write_weights(model, weights, str(record.trial))
        return model

    def save(self, trial: Trial | int, path: str | os.PathLike[str]) -> None:
        """Write a trial's trained, compiled model to a file, for ``keras.saving.load_model``.

        Args:
            trial: the trial, or its number.
            path: a name that ends with ``.keras``.

        Raises:
            StudyError: as `model`; or the name ends otherwise.
        """
        if not str(path).endswith(".keras"):
            raise StudyError(f"a model's file ends with .keras, not as {str(path)!r} does")
        self.model(trial).save(path)

    def _record(self, trial: Trial | int) -> Record:
        records = list(self._store)
        number = trial if isinstance(trial, (int, np.integer)) and not isinstance(trial, bool) else None
        for record in records:
            if record.trial is trial or record.trial.number == number:
                return record
        raise StudyError(f"there is no {trial!s} in this study; it has the trials 0 to {len(records) - 1}")

    def _default_metric(self) -> str:
        logged = {name for record in self._store for name in record.last_logs}
        return "val_loss" if "val_loss" in logged else "loss"

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


class _Driver:
    """Lets engines run jobs, and writes what they tell to the store."""

    def __init__(
        self,
        store: Store,
        engine: str,
        on_error: str,
        study: Study | None,
        tell: Callable[[Record], None],
    ) -> None:
        self._store, self._engine, self._on_error = store, engine, on_error
        self._study, self._tell = study, tell
        self._failure: TrialFailed | None = None

    def run(self, jobs: Sequence[Job], interruptible: bool) -> None:
        """Run the jobs to their end.

        Args:
            jobs: what to run.
            interruptible: whether Ctrl-C ends it with a warning instead of ``KeyboardInterrupt``.
        """
        source = self._events(jobs)
        try:
            with left_as_found():
                for event in source:
                    self._take(event)
        except KeyboardInterrupt:
            source.close()
            self._store.interrupt()
            if not interruptible:
                raise
            warnings.warn(
                "interrupted: the study holds the epochs that were finished; trials cut off are "
                "marked 'interrupted'",
                FairlaneWarning,
                stacklevel=3,
            )
        finally:
            source.close()

    def test(self, study: Study, trials: Sequence[Trial], test_data: Any, batch_size: int | None) -> None:
        """Evaluate every finished trial's model on the test data, one after another.

        After Ctrl-C, before it or during it, the rest is left untested.

        Args:
            study: whose trials have ended.
            trials: which of them to evaluate.
            test_data: as `compare` takes it.
            batch_size: of the trials, where their hyperparameters do not say.
        """
        records = [self._store[trial] for trial in trials]
        if any(record.state is TrialState.INTERRUPTED for record in records):
            return
        done = [record.trial for record in records if record.state is TrialState.DONE]
        try:
            with left_as_found():
                for trial in done:
                    size = trial.variant.fit_arguments.get("batch_size", batch_size)
                    self._take(evaluate(trial, partial(study.model, trial), test_data, size))
        except KeyboardInterrupt:
            warnings.warn(
                "interrupted while evaluating on test_data: trials without a test value were not evaluated",
                FairlaneWarning,
                stacklevel=3,
            )

    def raise_first_failure(self) -> None:
        """Raise the first failure, where there was one."""
        if self._failure is not None:
            raise self._error(self._failure) from self._failure.exception

    def _events(self, jobs: Sequence[Job]) -> Generator[Event]:
        left: list[Job] = []
        if self._engine == "reference":
            left += jobs
            for job in jobs:
                job.reason = ""  # it was asked for
        else:
            yield from self._on_lanes(jobs, left)
        yield from reference.run(Feed(left), self._take)

    def _on_lanes(self, jobs: Sequence[Job], left: list[Job]) -> Generator[Event]:
        able: list[Job] = []
        for job in jobs:
            if job.reason or job.data is None:
                self._decline(job, job.reason, left)
            else:
                able.append(job)
        if not able:
            return
        source = _lanes()(Feed(able))
        try:
            for event in source:
                if isinstance(event, Declined):
                    self._decline(event.job, event.reason, left)
                else:
                    yield event
        finally:
            source.close()

    def _decline(self, job: Job, reason: str, left: list[Job]) -> None:
        if job.data is not None and job.data.once:
            if len(self._store) > 1:
                raise StudyError(
                    f"{job.trial} can't run on lanes: {reason}. The data have a generator, which only lanes "
                    "can read together; give arrays, or a keras.utils.PyDataset"
                )
            job.arguments = {**job.arguments, **job.data.again()}
        if self._engine == "lanes":
            raise LanesError(
                f"{job.trial} can't run on lanes: {reason}. With engine='auto' it runs on the reference "
                "engine, which calls Model.fit"
            )
        job.reason = reason
        left.append(job)

    def _take(self, event: Event) -> None:
        record = self._store.write(event)
        self._tell(record)
        if isinstance(event, TrialFailed) and self._failure is None:
            self._failure = event
        if self._on_error != "raise":
            return
        if isinstance(event, Tested) and event.error:
            raise TrialError(f"{event.trial}: {record.error}", event.trial, self._study)
        if isinstance(event, TrialFailed):
            self._store.interrupt()
            raise self._error(event) from event.exception
        if isinstance(event, EpochEnded) and record.error:
            self._store.interrupt(diverged=event.trial)
            raise TrialError(f"{event.trial} diverged: {record.error}", event.trial, self._study)

    def _error(self, event: TrialFailed) -> TrialError:
        where = "before its first epoch" if event.epoch is None else f"in epoch {event.epoch}"
        return TrialError(f"{event.trial} failed {where}: {event.error}", event.trial, self._study)


# --- kept studies ------------------------------------------------------------------------------------------


def _opened(
    store: Any,
    name: str | None,
    resume: str,
    model: Any,
    common: Mapping[str, Any],
    callbacks: Any,
    test_data: Any,
) -> Store:
    """The store, with what is asked compared with what was."""
    versions = {"fairlane": metadata.version("fairlane"), "keras": keras.__version__}
    if keras.backend.backend() == "jax":
        versions["jax"] = metadata.version("jax")
    return written(store, name, fingerprint.spec(model, common, callbacks, test_data), versions, resume)


def _left(kept: Store, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that are to be run: from where they were cut off, which the engine finds out."""
    left = [trial for trial in trials if kept.unfinished(trial)]
    for trial in left:
        if kept[trial].state is not TrialState.WAITING:
            kept.rewind(trial, next_epoch(kept[trial]))
    return left


def _pace(checkpoint_every: Any) -> Pace | None:
    """How often checkpoints are taken.

    Raises:
        StudyError: it is neither a number of epochs nor a time.
    """
    if checkpoint_every is None:
        return None
    whole = isinstance(checkpoint_every, (int, np.integer)) and not isinstance(checkpoint_every, bool)
    if whole and checkpoint_every >= 1:
        return Pace(epochs=int(checkpoint_every))
    try:
        if isinstance(checkpoint_every, (str, timedelta)):
            seconds = pd.Timedelta(checkpoint_every).total_seconds()
            if seconds >= 0:
                return Pace(seconds=seconds)
    except ValueError:
        pass
    raise StudyError(
        "checkpoint_every is a number of epochs, 1 or more, or a time such as '60s' or '5min', or None for "
        f"never; not {checkpoint_every!r}"
    )


def _jobs(
    trials: Sequence[Trial],
    build: Callable[[Trial], keras.Model],
    common: Mapping[str, Any],
    makers: Callbacks,
    data: _Data,
    builder: Any,
    kept: Store,
    pace: Pace | None,
) -> list[Job]:
    varying, alike = _varying_names(trials), Counter(map(_likeness, trials))
    return [
        Job(
            trial,
            partial(build, trial),
            _arguments(common, trial),
            makers.of(trial),
            partial(Session, trial.seed),
            varying=_varying(trial, varying),
            alike=alike[_likeness(trial)],
            reason=data.reason(trial.variant),
            data=data.parts(trial.variant),
            builder=builder,
            resume=None if pace is None else partial(kept.checkpoint, trial),
            pace=pace,
        )
        for trial in trials
    ]


class _Describing:
    """Builds models, and tells the store how the first one of each variant is built."""

    def __init__(self, models: Models, kept: Store, data: _Data) -> None:
        self._models, self._kept, self._data = models, kept, data
        self._told: set[int] = set()

    def build(self, trial: Trial) -> keras.Model:
        """The trial's model."""
        model = self._models.build(trial)
        if trial.variant.number not in self._told:
            self._told.add(trial.variant.number)
            self._kept.describe(trial, description(model, self._batch(trial)))
        return model

    def _batch(self, trial: Trial) -> Any:
        """A batch, or tensors of its shapes and dtypes; None where it is not known."""
        parts = self._data.parts(trial.variant)
        if parts is None:
            return None
        try:
            return _one_shape(parts.training) if isinstance(parts.training, Batches) else parts.first
        except Exception:  # data of a kind without a dtype of Keras's; the model's own inputs have to do
            return None


def _one_shape(training: Batches) -> Any:
    size = min(training.samples, int(training.adapter.batch_size))

    def like(array: Any) -> Any:
        dtype = keras.backend.standardize_dtype(array.dtype)
        return keras.KerasTensor((size, *array.shape[1:]), dtype)

    return keras.tree.map_structure(like, training.arrays)


class _Rebuilt:
    """Builds a trial's model again: as this study's builder does, or for others as the store says."""

    def __init__(
        self,
        kept: Records,
        models: Models,
        common: Mapping[str, Any],
        data: _Data,
        trials: Sequence[Trial],
    ) -> None:
        self._kept, self._models, self._common, self._data = kept, models, common, data
        self._own = {id(trial) for trial in trials}

    def __call__(self, trial: Trial) -> keras.Model:
        if id(trial) in self._own:
            return _rebuilt(self._models, self._common, self._data, trial)
        return model_of(self._kept.description(trial) or "null")


def _warn_of(kept: Records) -> None:
    """Pass on what the store has to say."""
    notes, kept.notes[:] = list(kept.notes), []
    for note in notes:
        warnings.warn(note, FairlaneWarning, stacklevel=3)


# --- checks and small parts -----------------------------------------------------------------------------


def _check_choices(engine: str, on_error: str) -> None:
    if engine not in _ENGINES:
        raise StudyError(f"engine is one of {', '.join(map(repr, _ENGINES))}, not {engine!r}")
    if on_error not in _ON_ERROR:
        raise StudyError(f"on_error is 'record' or 'raise', not {on_error!r}")


def _check_resume(resume: Any) -> None:
    if resume not in _RESUME:
        raise StudyError(f"resume is one of {', '.join(map(repr, _RESUME))}, not {resume!r}")


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse a kind of figure that there is not, and options that it does not take."""
    if kind not in _PLOTS:
        raise StudyError(f"plot draws {', '.join(map(repr, _PLOTS))}, not {kind!r}")
    for name in options:
        if name not in _PLOTS[kind]:
            raise StudyError(f"plot({kind!r}) takes no {name!r}; it takes title, {', '.join(_PLOTS[kind])}")
    if kind == "sweep" and "x" not in options:
        raise StudyError("plot('sweep') needs x=..., the name of a numeric hyperparameter")


class _Data:
    """The data of each variant, taken apart once for all trials that share them.

    Args:
        common: ``Model.fit``'s arguments that are the same for all.
        variants: one for each trial.
        engine: as for `compare`.

    Raises:
        StudyError: they can't be trained on.
        ValueError: what Keras raises for them.
    """

    def __init__(self, common: Mapping[str, Any], variants: Sequence[Variant], engine: str) -> None:
        self._common = common
        self._session = _session_reason()
        self._known: dict[Any, tuple[FitData | None, str]] = {}
        on_lanes = engine != "reference" and not self._session
        for variant in variants:
            key, chosen = self._chosen(variant)
            if key not in self._known:
                elsewhere = _elsewhere_reason(chosen) if on_lanes else ""
                here = on_lanes and not elsewhere
                reason = data_reason(chosen.get("x"), chosen, len(variants), here) or elsewhere
                self._known[key] = self._taken_apart(chosen, here) if not reason else None, reason

    def reason(self, variant: Variant) -> str:
        """Why a variant can't run on lanes, as far as session and data tell; empty where it can."""
        return self._session or self._known[self._chosen(variant)[0]][1]

    def parts(self, variant: Variant) -> FitData | None:
        """A variant's data; None where they can't be taken apart for lanes."""
        return self._known[self._chosen(variant)[0]][0]

    def _chosen(self, variant: Variant) -> tuple[Any, dict[str, Any]]:
        given = {**self._common, **variant.fit_arguments}
        chosen = {name: given[name] for name in DATA_ARGUMENTS if name in given}
        return tuple((name, id(value)) for name, value in chosen.items()), chosen

    def _taken_apart(self, chosen: Mapping[str, Any], on_lanes: bool) -> FitData | None:
        generators = {id(v) for v in chosen.values() if isinstance(v, GeneratorType)}
        if generators and not on_lanes:
            return None  # taking it apart would read its first batches
        for parts, _ in self._known.values():
            if generators and parts is not None and parts.once:
                raise StudyError(
                    "the data have a generator, which can be read once, and the variants read it in "
                    "different ways; leave steps_per_epoch and the like the same, or give a "
                    "keras.utils.PyDataset"
                )
        return FitData.of(chosen, room_for_data() if on_lanes and _on_jax() else math.inf)


def _checked_models(models: Any) -> list[keras.Model]:
    if isinstance(models, keras.Model):
        raise StudyError("fit takes a list of models; for one model, write [model], or model.fit(...)")
    if not isinstance(models, Iterable):
        raise StudyError(f"fit takes a list of models, not {type(models).__name__}")
    listed = list(models)
    if not listed:
        raise StudyError("the list of models is empty, so there is nothing to train")
    for i, model in enumerate(listed):
        if not isinstance(model, keras.Model):
            raise BuilderError(f"model {i} is not a keras.Model but {type(model).__name__}")
        if not model.compiled:
            raise BuilderError(
                f"model {i} ({model.name!r}) is not compiled, so it has no optimizer and no loss; call "
                "model.compile(...) first"
            )
    check_independent(*listed, ignore=PAST)
    return listed


def _in_place(
    trial: Trial,
    model: keras.Model,
    common: Mapping[str, Any],
    makers: Callbacks,
    session: Session,
    alike: int,
    data: _Data,
) -> Job:
    return Job(
        trial,
        lambda: model,
        common,
        makers.of(trial),
        lambda: session,
        in_place=True,
        alike=alike,
        reason=data.reason(trial.variant),
        data=data.parts(trial.variant),
    )


def _drawn_seed() -> int:
    return int(np.random.randint(0, 2**31 - 1))  # noqa: NPY002


def _session_reason() -> str:
    """Why no trial of this session can run on lanes; empty where they can."""
    if _keras.has_tensorflow_strategy():
        return "a tf.distribute strategy is set, and lanes place arrays themselves"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set, and lanes place arrays themselves"
    return ""


def _lanes() -> Callable[[Feed], Generator[Event | Declined]]:
    """The lanes engine: in this process where Keras runs on JAX, else in a worker process of its own."""
    if _on_jax():
        return lanes.run
    from fairlane import worker

    return worker.run


def _elsewhere_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process; empty where they can, or need not."""
    if _on_jax():
        return ""
    from fairlane import worker

    return worker.data_reason(arguments)


def _on_jax() -> bool:
    return bool(keras.backend.backend() == "jax")


def _varying_names(trials: Sequence[Trial]) -> set[str]:
    """The hyperparameters that are not the same in all trials."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.hyperparameters.items():
            seen.setdefault(name, set()).add(repr(value))
    return {name for name, values in seen.items() if len(values) > 1}


def _varying(trial: Trial, names: set[str]) -> tuple[float, ...]:
    """The numbers among a trial's hyperparameters that another trial has otherwise."""
    values = (value for name, value in trial.hyperparameters.items() if name in names)
    return tuple(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))


def _likeness(trial: Trial) -> Any:
    """What trials must have in common to share a program, as far as hyperparameters show it."""
    return tuple(
        (name, repr(value))
        for name, value in trial.hyperparameters.items()
        if not isinstance(value, float) and name != "epochs"
    )


def _arguments(common: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """``Model.fit``'s arguments for a trial."""
    return {**common, **trial.variant.fit_arguments}


def _epochs_of(arguments: Mapping[str, Any]) -> int:
    return max(0, int(arguments.get("epochs", 1)) - int(arguments.get("initial_epoch") or 0))


def _rebuilt(models: Models, common: Mapping[str, Any], data: _Data, trial: Trial) -> keras.Model:
    """A trial's model, built as it was before its first epoch."""
    parts = data.parts(trial.variant)
    with Session(trial.seed):
        model = models.build(trial)
        if parts is None:
            _keras.symbolic_build(model, _one_batch(common["x"]))
        elif parts.first is not None:
            _keras.symbolic_build_from(model, parts.first)
        else:
            _keras.symbolic_build(model, parts.training.iterator(int(model.steps_per_execution)))
    return model


def _one_batch(x: Any) -> Any:
    """Keras's iterator over data that are not arrays."""
    try:
        return _keras.epoch_iterator(x, steps_per_epoch=1)
    except ValueError as error:
        if not isinstance(x, GeneratorType):
            raise
        raise StudyError(
            "the model can't be built anew, because x is a generator and used up; give a "
            "keras.utils.PyDataset, or keep the model with a keras.callbacks.ModelCheckpoint"
        ) from error


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
