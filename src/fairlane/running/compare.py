"""``compare`` and ``fit``: the only composers.

In: what the user asks. Out: a `Study`, or trained models. They plan the trials, and let the driver run their
jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import keras

from fairlane.engines.contract import Pace
from fairlane.engines.data.folds import Fold
from fairlane.engines.resources import Builder
from fairlane.models.session import left_as_found
from fairlane.models.sharing import held_in_common
from fairlane.provenance.request import Request
from fairlane.results.study import Study
from fairlane.running.budget import Budget
from fairlane.running.callbacks import Callbacks
from fairlane.running.checks import (
    check_choices,
    check_resume,
    rehearsed,
    warn_of,
    warn_of_nothing,
    warn_of_shorter,
)
from fairlane.running.choosing import on_jax
from fairlane.running.crews import Ray, Shared, check_shared, check_workers, hired
from fairlane.running.data import Data
from fairlane.running.driver import Driver
from fairlane.running.evaluation import check_on_models, check_test_data
from fairlane.running.fit_arguments import check_argument_names, check_fit_arguments
from fairlane.running.folds import note_folds, samples_by_fold
from fairlane.running.jobs import arguments_of, epochs_of, jobs_of, pace_of, resources_of
from fairlane.running.keeping import kept_in
from fairlane.running.models import Models
from fairlane.running.own_models import check_models_apart, checked_models, drawn_seed
from fairlane.running.phases import Phases
from fairlane.running.plan import plan
from fairlane.running.progress import Progress
from fairlane.running.rebuilding import Rebuilt
from fairlane.running.samples import Samples
from fairlane.running.seeds import check_seed
from fairlane.running.sharing import LeasedFeed, Leases
from fairlane.running.working import joined, noted, watch_for
from fairlane.store import MemoryStore, Record, Store, next_epoch
from fairlane.trackers import LiveTrackers
from fairlane.trials import Trial, TrialState, Variant

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew
    from fairlane.store.shared import SharedStore


def compare(
    model: Any,
    variants: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    x: Any = None,
    y: Any = None,
    *,
    seeds: int | Sequence[int] = 1,
    data: Callable[..., Any] | None = None,
    cv: Any = None,
    groups: Any = None,
    then: Any = (),
    engine: str = "auto",
    store: Any = None,
    name: str | None = None,
    resume: str = "auto",
    checkpoint_every: int | str | timedelta | None = "60s",
    callbacks: Any = None,
    on_error: str = "record",
    verbose: Any = "auto",
    test_data: Any = None,
    trackers: Any = (),
    budget: str | float | timedelta | None = None,
    workers: int | str | Ray | Shared | None = None,
    **fit_arguments: Any,
) -> Study:
    """Train a model with every variant of its hyperparameters and every seed, and compare them.

    Each trial's history and weights are what a fresh process gives for
    ``keras.utils.set_random_seed(seed)``, ``build(**hyperparameters)`` and ``fit``, to float rounding,
    whatever runs beside it. A call does not change the session's state (random generators, name counters,
    dtype policy).

    Args:
        model: a builder, a function that takes hyperparameters and returns a fresh, compiled
            ``keras.Model``; or such a model as a template, which is read and never trained.
        variants: a dict of lists, which gives all combinations, or a list of dicts. Keys are arguments of the
            builder (for a template: dotted paths such as ``"optimizer.learning_rate"``), or arguments of
            ``Model.fit`` such as ``batch_size``.
        x: training inputs, as for ``Model.fit``.
        y: targets, as for ``Model.fit``.
        seeds: a number of replicates (their seeds are 0, 1, 2, ...), or the seeds themselves.
        data: in place of ``x`` and ``y``: a function of some of the hyperparameters, which also may take
            ``seed`` and ``fold``, that returns ``(x, y)``, ``(x, y, sample_weight)``, or a dict of
            ``Model.fit``'s data arguments. It is called once for each set of its arguments, before training.
            Hyperparameters that the builder does not take go to it alone.
        cv: cross-validation: each variant and seed is trained once for each fold, on the fold's training
            samples, and validated on its validation samples, as by
            ``fit(x[training], y[training], validation_data=(x[validation], y[validation]))``. A number of
            folds, as in scikit-learn: stratified where the targets are classes, else plain, and not shuffled;
            by groups where there are ``groups``. Or a splitter with ``split(x, y, groups)``, such as
            scikit-learn's or `fairlane.Folds`; or pairs of arrays of sample numbers. A sample's weight counts
            in training and validation. A builder that takes ``x_train`` or ``fold`` is given the fold's
            training inputs, to adapt layers to, or its number.
        groups: shape ``(samples,)``: the group of each sample, for ``cv``.
        then: further phases of training, as a list of `fairlane.Phase`: after the epochs of the first phase,
            a function changes the trial's model (sets ``trainable``, compiles it again), and training goes
            on. Epochs are counted through. Each phase has callbacks of its own.
        engine: ``"lanes"`` trains all trials together. ``"reference"`` calls ``Model.fit`` for one after
            another. ``"auto"`` uses lanes, and the reference engine for trials that lanes can't run
            (`Study.trials` gives the reason). If Keras does not run on JAX, lanes run in a worker process
            that does.
        store: where to store the study: the path of a SQLite file, such as ``"runs.db"``, or the URL of a
            PostgreSQL database, ``"postgresql+psycopg://user@host/database?artifacts=/a/folder"``. By
            default, it stays in memory. If the same call is made again, a stored study continues: trials
            that were trained to their end are read, and not trained again; others continue exactly from
            their last checkpoint; new variants, seeds and more ``epochs`` are added. `fairlane.open` reads
            it.
        name: the study's name, in figures and reports, and to find it in a store.
        resume: for a study that is already in the store: ``"auto"`` continues it if the model, data,
            arguments, callbacks and the session's settings are the same. If they differ, or if their state
            can't be read, it raises an error. ``"force"`` continues it also then. ``"never"`` always raises
            an error.
        checkpoint_every: for a study in a store, how often the state of each running trial is saved, to
            continue from after a crash: a number of epochs, or a time such as ``"60s"`` or ``"5min"``
            (saved at the end of the epoch). None saves it only when the trial ends.
        callbacks: a function that returns a list of fresh callbacks, called once per trial (with the
            `Trial`, if it takes an argument) before the first is trained; or a list, deep-copied for each
            trial. ``{trial}`` and ``{seed}`` in the paths of Keras's own callbacks are filled in.
        on_error: ``"record"`` records a failed trial and continues, ``"raise"`` stops at the first failure.
        verbose: 0 is silent, 1 and ``"auto"`` show progress, 2 prints a line per ended trial.
        test_data: ``(x, y)``, ``(x, y, sample_weight)``, ``(x,)``, or a dataset, which no trial sees until
            all are trained. Then each finished trial's model is evaluated on it once, as by
            ``Model.evaluate``. The results are the columns ``test_<metric>`` of `Study.trials`, and
            ``summary("test_loss")``.
        trackers: tools that show the study while it is trained: a list of `fairlane.trackers.TensorBoard`
            and `fairlane.trackers.MLflow`. If one raises an error, it is switched off with a warning, and
            training continues.
        budget: a time such as ``"10min"``, or seconds: no epoch begins that would end after it. What is there
            is compared after equal epochs; the same call continues a stored study.
        workers: which processes train: None for this one; a number of processes on this machine;
            ``"devices"``, one for each accelerator (without one, as many as there are cores); or a
            `fairlane.Ray`, for a cluster. They start and end with the call. Callbacks run there. A trial
            whose worker ends continues on another, from its last checkpoint. Or a `fairlane.Shared`: all
            processes that make the same call, with the same store, share its trials.
        **fit_arguments: other arguments of ``Model.fit``, with its defaults and meaning.

    Returns:
        The study; after Ctrl-C, with everything that was finished.

    Raises:
        StudyError: variants, seeds, data or arguments are wrong, two trials' callbacks would write one file,
            the stored study of this name differs, or a tracker can't begin; before any training.
        StoreError: the store can't be opened, or another process trains the study; before any training. Or
            the store can't be written any more; then the error's ``study`` has all results until then.
        BuilderError: the builder returns something other than a compiled model; before any training.
        SharedStateError: the builder's models share state, or two trials a callback; before any training.
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
    phases = Phases(then)
    check_argument_names(fit_arguments, compare, hyperparameters=phases.made_from)
    check_choices(engine, on_error)
    check_resume(resume)
    check_workers(workers)
    workers, allowed = joined(workers, budget, store)
    check_shared(workers, store, test_data)
    pace, live = pace_of(checkpoint_every), LiveTrackers(trackers)
    if (store is None and workers is None) or not on_jax():
        pace = None  # the state of other backends' random generators is not known
    samples = Samples({"x": x, "y": y, **fit_arguments}, data, cv, groups)
    with hired(workers) as crew:
        planned = _planned(model, variants, seeds, samples, phases, fit_arguments, engine, test_data)
        folds = samples_by_fold(planned.folds)
        described = list(phases.described(int(planned.common.get("epochs", 1))))
        with Request(
            *(model, planned.common, callbacks, test_data), folds=folds, made_by=data, phases=described
        ) as request:
            shared = workers if isinstance(workers, Shared) else None
            with kept_in(store, name, request, resume, shared is not None) as opened, planned.data.held():
                kept = opened.store
                run = _KeptRun(kept, planned, callbacks, pace, engine, store is not None, shared)
                study = opened.study = Study(kept, name, run.rebuilt, lambda: request.origin(kept.sites()))
                _train(run, study, on_error, verbose, test_data, live, allowed, crew)
            warn_of_nothing(run.records)
            noted(run.records, store)
            return study


@dataclass(frozen=True, eq=False)
class _Planned:
    """What a study consists of, checked before anything is stored or trained."""

    trials: list[Trial]
    common: Mapping[str, Any]
    data: Data
    models: Models
    folds: Sequence[Fold]


def _planned(
    model: Any,
    variants: Any,
    seeds: Any,
    samples: Samples,
    phases: Phases,
    fit_arguments: Mapping[str, Any],
    engine: str,
    test_data: Any,
) -> _Planned:
    others = samples.made_from | phases.made_from
    folds = samples.folds(lambda count: plan(model, variants, seeds, fit_arguments, count, others))
    trials = plan(model, variants, seeds, fit_arguments, len(folds) or None, others)
    common = samples.common
    samples.check([trial.variant for trial in trials])
    phases.check(trials)
    data = Data(common, trials, engine, samples.cut, samples.made)
    check_test_data(test_data, len(trials))
    models = Models(model, data, bool(folds), phases)
    fresh = rehearsed(models, trials[0], data, common, test_data)
    models.rehearse_phases(trials[0], partial(data.batch, trials[0]))
    check_on_models(fresh, {**common, **data.whole(trials[0]), "test_data": test_data}, trials[0])
    return _Planned(trials, common, data, models, folds)


class _KeptRun:
    """The trials of a study as its store numbers them, and the jobs of those that are not done."""

    def __init__(
        self,
        kept: Store,
        planned: _Planned,
        callbacks: Any,
        pace: Pace | None,
        engine: str,
        described: bool,
        shared: Shared | None,
    ) -> None:
        common, data, models = planned.common, planned.data, planned.models
        later = models.phases.epochs
        epochs = [epochs_of(arguments_of(common, trial)) + sum(later) for trial in planned.trials]
        self.store, self.engine = kept, engine
        self.trials = kept.adopt(planned.trials, epochs)
        warn_of_shorter(kept, self.trials, epochs)
        note_folds(kept, planned.folds)
        warn_of(kept)
        self.shared = shared
        left = [t for t in self.trials if kept.unfinished(t)] if shared else _left(kept, self.trials)
        data.need(left)
        makers = Callbacks(callbacks, left)
        builder = models.registered(described)
        self.jobs = [replace(j, phases=later) for j in jobs_of(left, common, data, makers, pace, engine)]
        self.resources = resources_of(builder, data, makers, watched=pace is not None)
        self.rebuilt = Rebuilt(kept, models, common, data, self.trials, compare)
        self.records = [kept[trial] for trial in self.trials]
        self.epochs = sum(epochs)
        self.batch_size = common.get("batch_size")

    def leased(self, show: Callable[[Record], None]) -> LeasedFeed | None:
        """The feed of this process's part, where several train the study."""
        if self.shared is None:
            return None
        store, batch = cast("SharedStore", self.store), self.shared.batch
        leases = Leases(store, batch, watch_for(self.shared), show, self.resources.release)
        return LeasedFeed(self.jobs, leases)


def _train(
    run: _KeptRun,
    study: Study,
    on_error: str,
    verbose: Any,
    test_data: Any,
    live: LiveTrackers,
    budget: Budget | None,
    crew: Crew | None,
) -> None:
    """Train what is left of a study, and evaluate it."""
    with (
        live.following(study.name, run.store, study._conclusion),
        Progress(run.records, run.epochs, verbose) as progress,
    ):
        driver = Driver(
            *(run.store, run.engine, on_error, study, progress.update, live.take),
            budget=budget,
            crew=crew,
            sharing=run.leased(progress.update),
        )
        driver.run(run.jobs, run.resources, interruptible=True)
        if test_data is not None:
            driver.test(study, run.trials, test_data, run.batch_size)
        run.store.close()


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
    """Train several compiled models at once, in place, each as its own ``fit`` would train it.

    Args:
        models: separately built, compiled models.
        x: training inputs, as for ``Model.fit``.
        y: targets, as for ``Model.fit``.
        seed: the seed of the batch order, the same for all models: each is trained as after
            ``keras.utils.set_random_seed(seed)``. By default, it is drawn once from NumPy's global generator.
        engine: as for `compare`.
        callbacks: as for `compare`: a function called once per model, or a list copied for each.
        verbose: as for `compare`.
        **fit_arguments: other arguments of ``Model.fit``, with its defaults and meaning.

    Returns:
        Each model's ``keras.callbacks.History``, which is its ``model.history`` too.

    Raises:
        SharedStateError: two of the models are one, or share variables, an optimizer, a metric or a
            callback; before any training.
        BuilderError: one of the models is not a compiled ``keras.Model``; before any training.
        StudyError: wrong arguments, or two models' callbacks would write one file; before any training.
        LanesError: ``engine="lanes"``, and a model can't be trained there.
        TrialError: the training of a model raised an error; the others have been trained to their end.

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
    check_choices(engine, "record")
    check_argument_names(fit_arguments, fit, compare)
    check_fit_arguments(fit_arguments)
    models = checked_models(models)
    common = {"x": x, "y": y, **fit_arguments}
    variants = [Variant(i, {"model": m.name}) for i, m in enumerate(models)]
    data = Data(common, [Trial(v.number, v, 0) for v in variants], engine)
    check_models_apart(models, data, variants)
    shared = held_in_common(models)
    with left_as_found() if seed is None else nullcontext():  # it counts as drawn when all is checked
        number = drawn_seed() if seed is None else check_seed(seed)
    trials = [Trial(v.number, v, number) for v in variants]
    makers = Callbacks(callbacks, trials)
    if seed is None:
        drawn_seed()

    def shared_by(model: keras.Model) -> list[Any]:
        return [v for v in model.variables if id(v) in shared] if shared else []

    own = dict(zip(trials, models, strict=True))
    jobs = [
        replace(job, alike=len(models), varying=())
        for job in jobs_of(trials, common, data, makers, None, engine)
    ]
    builder = Builder(own.__getitem__, in_place=True, shared=shared_by)
    resources = resources_of(builder, data, makers, watched=False)
    memory = MemoryStore(trials)
    epochs = sum(epochs_of(job.arguments) for job in jobs)
    with Progress(memory, epochs, verbose) as progress:
        driver = Driver(memory, engine, "record", None, progress.update)
        driver.run(jobs, resources, interruptible=False)
    driver.raise_first_failure()
    return [model.history for model in models]


# --- kept studies ---------------------------------------------------------------------------------------


def _left(kept: Store, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that are to be run: from where they were cut off, which the engine finds out."""
    left = [trial for trial in trials if kept.unfinished(trial)]
    for trial in left:
        if kept[trial].state is not TrialState.WAITING:
            kept.rewind(trial, next_epoch(kept[trial]))
    return left
