"""``search``: variants are proposed while others train.

In: what the user asks. Out: a `Study`. It composes the course of a search with the store, the jobs and the
driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from fairlane.engines.contract import Job, Pace
from fairlane.engines.data.folds import Fold
from fairlane.engines.resources import Resources
from fairlane.errors import StudyError
from fairlane.provenance.request import Request
from fairlane.results.study import Study
from fairlane.running.budget import Budget
from fairlane.running.callbacks import Callbacks
from fairlane.running.checks import check_choices, check_resume, rehearsed, warn_of, warn_of_nothing
from fairlane.running.choosing import on_jax
from fairlane.running.compare import compare
from fairlane.running.crews import Ray, Shared, check_shared, check_workers, hired
from fairlane.running.data import Data
from fairlane.running.driver import Driver
from fairlane.running.evaluation import check_on_models, check_test_data
from fairlane.running.fit_arguments import check_argument_names
from fairlane.running.folds import note_folds, samples_by_fold
from fairlane.running.jobs import jobs_of, pace_of, resources_of
from fairlane.running.keeping import kept_in
from fairlane.running.logged import logs_of
from fairlane.running.models import Models
from fairlane.running.phases import Phases
from fairlane.running.plan import plan
from fairlane.running.progress import Progress
from fairlane.running.rebuilding import Rebuilt
from fairlane.running.samples import Samples
from fairlane.running.searching import Replicate, Search, StoredLog
from fairlane.running.shared_search import SharedLog, SharedSearch
from fairlane.running.sharing import Leases
from fairlane.running.wanted import Wanted, check_places, wanted_of, warn_of_programs, whole
from fairlane.running.working import joined, noted, watch_for
from fairlane.searching.course import Course
from fairlane.searching.domains import Domain, Int
from fairlane.searching.samplers import grouping
from fairlane.searching.space import Space
from fairlane.searching.stopping import Everything
from fairlane.store import MemoryStore, Store
from fairlane.trackers import LiveTrackers
from fairlane.trials import Trial, TrialState, Variant

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew
    from fairlane.store.shared import SharedStore


def search(
    model: Any,
    space: Mapping[str, Any] | Space,
    x: Any = None,
    y: Any = None,
    *,
    trials: int,
    objective: Any = "val_loss",
    epochs: int = 1,
    seeds: int | Sequence[int] = 1,
    data: Callable[..., Any] | None = None,
    cv: Any = None,
    groups: Any = None,
    then: Any = (),
    sampler: Any = "auto",
    stop: Any = None,
    confirm: int | tuple[int, int] | None = None,
    budget: str | float | timedelta | None = None,
    width: int | None = None,
    rng: int = 0,
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
    workers: int | str | Ray | None = None,
    **fit_arguments: Any,
) -> Study:
    """Search a space of hyperparameters: variants are proposed, trained, stopped and replaced, side by side.

    Each trial is the same as in `compare`: its history and weights are what a fresh process gives with
    ``fit``. A trial that is promoted by a rung is the trial that was never paused. The same call proposes the
    same variants and takes the same decisions on every run, on any machine; a stored search that was killed
    continues with the same ones.

    Args:
        model: a builder or a template, as for `compare`.
        space: name → `Float`, `Int`, `Choice`, `When`, a list (a choice), one of Optuna's distributions, or
            another value, which is fixed. Names are those of `compare`'s variants.
        x: training inputs, as for ``Model.fit``.
        y: targets, as for ``Model.fit``.
        trials: how many variants to propose. Fewer are trained where the space has no more.
        objective: what to improve: a log's name, ``(name, "min" or "max")``, or a list of these; then the
            first one decides at rungs, and the others are for samplers that take several. ``"parameters"`` is
            the number of trained parameters.
        epochs: the most that a variant gets.
        seeds: replicates of each variant, as for `compare`. A variant's value is the mean over them.
        data: a function of hyperparameters that makes the data, as for `compare`; it is called when the first
            variant that needs them begins.
        cv: folds, as for `compare`: a variant's value is the mean over its seeds and folds.
        groups: as for `compare`.
        then: further phases of training, as for `compare`. Their epochs are added to ``epochs``: rungs count
            all of them, and a rule may end a variant in any phase.
        sampler: ``"random"``, ``"sobol"``, ``"grid"``; with the extra ``fairlane[optuna]`` also ``"tpe"``,
            ``"gp"``, ``"cmaes"``, ``"nsga2"``, or a sampler of Optuna's. ``"auto"`` takes TPE from 64
            variants on, if Optuna is installed and ``stop`` has no brackets; else random draws.
        stop: ``"hyperband"``, ``"halving"``, ``"median"``, or a pruner of Optuna's ends variants early; None
            trains each to its last epoch.
        confirm: how many of the best variants to train again, with 10 seeds that the search has not used; or
            a pair of both numbers. `Study.summary` and the report then show these trials only, because the
            value that a variant was chosen by is too good.
        budget: a time such as ``"10min"``, or seconds: no epoch begins that would end after it. The same call
            continues a stored search.
        width: how many variants train together. By default 32 where proposals depend on results, 64 where a
            rule compares after each epoch, else as many as fit.
        rng: the seed of the sampler's draws.
        engine: as for `compare`.
        store: as for `compare`.
        name: as for `compare`.
        resume: as for `compare`.
        checkpoint_every: as for `compare`.
        callbacks: as for `compare`.
        on_error: as for `compare`.
        verbose: as for `compare`.
        test_data: as for `compare`.
        trackers: as for `compare`.
        workers: as for `compare`. Proposals and decisions are the same with any number of workers.
        **fit_arguments: other arguments of ``Model.fit``.

    Returns:
        The study. Trials that a rule has ended have the state ``"stopped"``.

    Raises:
        StudyError: space, sampler, objective, data or arguments are wrong, or the stored search of this name
            differs; before any training. So is an objective that will not be logged; where code of your own
            decides what is logged, that is known after the first epoch.
        StoreError: as for `compare`.
        BuilderError: as for `compare`.
        SharedStateError: as for `compare`.
        LanesError: as for `compare`.
        TrialError: as for `compare`.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build(learning_rate):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> space = {"learning_rate": fl.Float(1e-3, 1e-1, log=True)}
        >>> study = fl.search(build, space, x, y, trials=4, objective="loss", epochs=2, verbose=0)
        >>> len(study.trials)
        4
    """
    phases = Phases(then)
    check_argument_names(fit_arguments, search, compare, hyperparameters=phases.made_from)
    check_choices(engine, on_error)
    check_resume(resume)
    check_workers(workers)
    workers, spent = joined(workers, budget, store)
    check_shared(workers, store, test_data)
    pace = pace_of(checkpoint_every)
    live = LiveTrackers(trackers)
    if (store is None and workers is None) or not on_jax():
        pace = None  # the state of other backends' random generators is not known
    fit = {"x": x, "y": y, **fit_arguments, "epochs": whole("epochs", epochs)}
    samples = Samples(fit, data, cv, groups)
    held_out = cv is not None or data is not None  # what a function returns shows when it is called
    options = (space, trials, objective, seeds, held_out, sampler, stop, confirm, width, rng, fit)
    wanted = wanted_of(*options, sum(phases.epochs))
    with hired(workers) as crew:
        planned = _planned(model, wanted, samples, phases, engine, test_data, callbacks)
        described, folds = wanted.described(), samples_by_fold(planned.folds)
        changes = list(phases.described(fit["epochs"]))
        with Request(model, fit, callbacks, test_data, described, folds, data, changes) as request:
            shared = workers if isinstance(workers, Shared) else None
            with kept_in(store, name, request, resume, shared is not None) as opened, planned.data.held():
                kept = opened.store
                rebuilt = Rebuilt(kept, planned.models, fit, planned.data, (), compare)
                study = opened.study = Study(kept, name, rebuilt, lambda: request.origin(kept.sites()))
                run = _Run(kept, wanted, planned, callbacks, pace, engine, rebuilt, shared)
                _train(run, study, on_error, verbose, test_data, live, spent, crew)
            warn_of_nothing(list(kept))
            noted(list(kept), store, run.to_come)
            return study


@dataclass(frozen=True, eq=False)
class _Planned:
    data: Data
    models: Models
    fit_names: frozenset[str]
    folds: Sequence[Fold]

    def replicates(self, seeds: Sequence[int]) -> list[Replicate]:
        """Each of some seeds with each fold."""
        folds: list[int | None] = [fold.number for fold in self.folds]
        return [(seed, fold) for seed in seeds for fold in folds or [None]]


def _planned(
    model: Any,
    wanted: Wanted,
    samples: Samples,
    phases: Phases,
    engine: str,
    test_data: Any,
    callbacks: Any,
) -> _Planned:
    """The parts of all trials, checked before anything is stored or trained."""
    space, fit = wanted.space, samples.common
    every = {name: domain.value(0.5) for name, domain in space.domains.items()}
    everything = {name: every.get(name, space.fixed.get(name)) for name in space.names}
    arguments = {name: value for name, value in fit.items() if name not in ("x", "y")}
    middle = [space.at([0.5] * len(space.domains))]

    def planned(count: int | None, variants: Any = middle) -> list[Trial]:
        others = samples.made_from | phases.made_from
        return plan(model, variants, wanted.seeds[:1], arguments, count, others)

    folds = samples.folds(planned)
    names = planned(len(folds) or None, [everything])[0].variant.fit_arguments
    first = planned(len(folds) or None)[0]
    samples.check([Variant(0, everything, names)])
    phases.check([first])
    data = Data(fit, [first], engine, samples.cut, samples.made)
    parts = data.parts(first)
    if parts is not None and parts.once:
        raise StudyError(
            "x is a generator, which can be read once, and a search trains variants after each other; give "
            "arrays, or a keras.utils.PyDataset"
        )
    if parts is not None and parts.is_read and engine != "reference":
        check_places(wanted)
    check_test_data(test_data, 2)
    models = Models(model, data, bool(folds), phases)
    known = {**fit, **data.whole(first), "test_data": test_data}
    fresh = rehearsed(models, first, data, fit, test_data)
    check_on_models(fresh, known, first)
    models.rehearse_phases(first, partial(data.batch, first))
    held_out = bool(folds or known.get("validation_data") is not None or known.get("validation_split"))
    wanted.objectives.check_validation(held_out)
    makers = Callbacks(callbacks, ())
    if fresh and makers.are_listed and not phases:
        logs = logs_of(fresh[-1], data.batch(first), held_out, makers.example())
        if logs is not None:
            wanted.objectives.check_logs(logs, first)
    warn_of_programs(wanted)
    return _Planned(data, models, frozenset(names), folds)


class _Run:
    """A search's trials as its store numbers them, and their jobs as they begin."""

    def __init__(
        self,
        kept: Store,
        wanted: Wanted,
        planned: _Planned,
        callbacks: Any,
        pace: Pace | None,
        engine: str,
        rebuilt: Rebuilt,
        shared: Shared | None,
    ) -> None:
        self.store, self.wanted, self.planned, self.shared = kept, wanted, planned, shared
        self.engine, self._pace, self._rebuilt = engine, pace, rebuilt
        note_folds(kept, planned.folds)
        warn_of(kept)
        self._makers = Callbacks(callbacks, ())
        models, data = planned.models, planned.data
        builder = models.registered(describes=not isinstance(kept, MemoryStore))
        self.resources: Resources = resources_of(builder, data, self._makers, watched=pace is not None)
        log = StoredLog(kept) if shared is None else SharedLog(cast("SharedStore", kept))
        sampler = wanted.sampler_for(log)
        self._course = course = Course(
            *(wanted.space, sampler, wanted.stopping, wanted.trials, wanted.epochs),
            wanted.width_for(sampler),
            wanted.confirm,
            wanted.fresh,
            log,
        )
        different = wanted.space.count(sorted(data.made_from))
        if different is not None and different < wanted.trials:  # several variants have the same
            data.hold_while(lambda: course.begins)
        standing = isinstance(wanted.stopping, Everything)
        self.search = (Search if shared is None else SharedSearch)(
            *(course, kept, wanted.objectives),
            *(planned.replicates(wanted.seeds), planned.replicates(wanted.fresh), wanted.epochs),
            planned.fit_names,
            self._enlist,
            standing,
            log,
            rebuilt.parameters,
        )
        self.driver: Driver | None = None
        self.progress: Progress | None = None

    @property
    def to_come(self) -> int:
        """How many variants are still to begin; where that is not known, at least one."""
        return 0 if self._course.over else max(1, self._course.left())

    def share(self) -> SharedSearch | None:
        """Let the search know which trials are this process's, where several train it."""
        if not isinstance(self.search, SharedSearch):
            return None
        assert self.shared is not None
        assert self.progress is not None
        store, watch = cast("SharedStore", self.store), watch_for(self.shared)
        told = self.progress.update, self.resources.release
        self.search.leases = Leases(store, self.shared.batch, watch, *told)
        return self.search

    def _enlist(
        self, planned: Sequence[Trial], expected: Sequence[float], later: int
    ) -> tuple[list[Trial], list[Job]]:
        """Number trials, and make a job for each that is not trained yet."""
        trials = self.store.adopt(planned, [self.wanted.epochs] * len(planned))
        self.planned.data.add(trials)
        self._rebuilt.add(trials)
        left = [trial for trial in trials if self.store.unfinished(trial)]
        for trial in left if self.shared is None else ():  # else where it is leased
            if self.store[trial].state is not TrialState.WAITING:
                checkpoint = self.store.checkpoint(trial)
                self.store.rewind(trial, 0 if checkpoint is None else checkpoint.epoch)
        self.planned.data.need(left)
        self._makers.add(left)
        common = self.planned.data.common
        jobs = jobs_of(left, common, self.planned.data, self._makers, self._pace, self.engine)
        phases = self.planned.models.phases.epochs
        jobs = [
            replace(
                job,
                varying=self._varying(job.trial),
                alike=self._alike(job),
                extremes=self._extremes(job.trial),
                phases=phases,
            )
            for job in jobs
        ]
        assert self.driver is not None
        assert self.progress is not None
        self.driver.check(jobs, self.resources)
        self.progress.expect([self.store[trial] for trial in trials], expected, later)
        return trials, jobs

    def _varying(self, trial: Trial) -> tuple[float, ...]:
        """The numbers of a trial that others have otherwise."""
        values = (v for name, v in trial.hyperparameters.items() if name in self.wanted.space.domains)
        return tuple(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))

    def _extremes(self, trial: Trial) -> tuple[Trial, ...]:
        """A trial with the smallest whole numbers that others may have, and one with the largest."""
        given, variant = trial.hyperparameters, trial.variant
        ends = {
            name: _ends(domain)
            for name, domain in self.wanted.space.domains.items()
            if domain.whole and name in given and name not in variant.fit_arguments
        }
        variants = ({**given, **{name: pair[i] for name, pair in ends.items()}} for i in (0, 1))
        return tuple(
            replace(trial, variant=replace(variant, hyperparameters=one)) for one in variants if ends
        )

    def _alike(self, job: Job) -> int:
        """How many trials will probably share its program."""
        wanted = self.wanted
        kinds = min(wanted.space.kinds or wanted.trials, wanted.trials)
        group = grouping(wanted.space, wanted.trials)
        return max(
            job.alike, group, wanted.trials * len(self.planned.replicates(wanted.seeds)) // max(1, kinds)
        )


def _ends(domain: Domain) -> tuple[Any, Any]:
    """The smallest and the largest value of whole numbers."""
    if isinstance(domain, Int):
        return domain.value(0.0), domain.value(1.0)
    return min(domain.values()), max(domain.values())


def _train(
    run: _Run,
    study: Study,
    on_error: str,
    verbose: Any,
    test_data: Any,
    live: LiveTrackers,
    budget: Budget | None,
    crew: Crew | None,
) -> None:
    """Train the variants of a search as they are proposed, and evaluate them."""
    run.progress = Progress([], 0, verbose)
    run.driver = driver = Driver(
        *(run.store, run.engine, on_error, study, run.progress.update, live.take),
        policy=run.search,
        budget=budget,
        crew=crew,
        sharing=run.share(),
    )
    run.search.begin()
    with live.following(study.name, run.store, study._conclusion), run.progress:
        driver.run_feed(run.search, run.resources, interruptible=True)
        if test_data is not None:
            size = run.planned.data.common.get("batch_size")
            driver.test(study, run.search.trials, test_data, size)
        run.store.close()
