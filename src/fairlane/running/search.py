"""``search``: variants are proposed while others train.

In: what the user asks. Out: a `Study`. It composes the course of a search with the store, the jobs and the
driver.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fairlane.engines.contract import Job, Pace
from fairlane.engines.resources import Builder, Resources
from fairlane.errors import FairlaneWarning, StoreError, StudyError
from fairlane.kit.call_sites import caller, warn_at
from fairlane.provenance.machine import versions
from fairlane.provenance.request import Request
from fairlane.results.study import Study
from fairlane.running.budget import Budget
from fairlane.running.callbacks import Callbacks
from fairlane.running.checks import check_choices, check_resume, rehearsed, warn_of, warn_of_nothing
from fairlane.running.choosing import on_jax
from fairlane.running.data import Data
from fairlane.running.driver import Driver
from fairlane.running.evaluation import check_on_models, check_test_data
from fairlane.running.jobs import jobs_of, pace_of, resources_of
from fairlane.running.models import Models
from fairlane.running.objectives import Objectives
from fairlane.running.plan import plan
from fairlane.running.progress import Progress
from fairlane.running.rebuilding import Rebuilt
from fairlane.running.searching import Search, StoredLog
from fairlane.running.seeds import seeds_of
from fairlane.searching.course import Course
from fairlane.searching.samplers import Sampler, grouping, sampler_named
from fairlane.searching.space import Space
from fairlane.searching.stopping import Everything, Median, Stopping, stopping_of
from fairlane.store import MemoryStore, Store, written
from fairlane.trackers import LiveTrackers
from fairlane.trials import Trial, TrialState

_WIDTH_OF_LEARNERS, _WIDTH_BY_EPOCH, _ALL = 32, 64, 10**9
"""How many variants train together: where proposals learn, where each epoch is compared, and else."""
_LEARNS_FROM = 64
"""From how many variants on ``"auto"`` takes TPE."""
_CONFIRMING_SEEDS = 10
"""With fewer, no test over seeds could tell five variants apart: five pairs give no p-value below 1/16."""


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
        **fit_arguments: other arguments of ``Model.fit``.

    Returns:
        The study. Trials that a rule has ended have the state ``"stopped"``.

    Raises:
        StudyError: space, sampler, objective, data or arguments are wrong, or the stored search of this name
            differs; before any training. Or the first epoch does not log the objective.
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
    check_choices(engine, on_error)
    check_resume(resume)
    pace = pace_of(checkpoint_every)
    live, spent = LiveTrackers(trackers), Budget.of(budget)
    if store is None or not on_jax():
        pace = None  # the state of other backends' random generators is not known
    fit = {"x": x, "y": y, **fit_arguments, "epochs": _whole("epochs", epochs)}
    wanted = _wanted(space, trials, objective, seeds, sampler, stop, confirm, width, rng, fit)
    planned = _planned(model, wanted, fit, engine, test_data)
    with Request(model, fit, callbacks, test_data, wanted.described()) as request:
        kept: Store = (
            MemoryStore(site=request.site)
            if store is None
            else written(store, name, request.spec, versions(), resume, request.site)
        )
        study: Study | None = None
        try:
            rebuilt = Rebuilt(kept, planned.models, fit, planned.data, ())
            study = Study(kept, name, rebuilt, lambda: request.origin(kept.sites()))
            run = _Run(kept, wanted, planned, callbacks, pace, engine, rebuilt)
            _train(run, study, on_error, verbose, test_data, live, spent)
        except StoreError as error:
            error.study = study
            with suppress(StoreError):  # closing it fails for the same reason, and knows of no study
                kept.close()
            raise
        finally:
            kept.close()
        warn_of(kept)
        warn_of_nothing(list(kept))
        return study


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What is searched, checked."""

    space: Space
    objectives: Objectives
    sampler: Any
    stopping: Stopping
    stop: Any
    trials: int
    epochs: int
    seeds: list[int]
    confirm: int
    fresh: list[int]
    width: int | None
    rng: int

    def described(self) -> dict[str, Any]:
        """What must be the same where a stored search continues."""
        named = isinstance(self.stop, str | Stopping) or self.stop is None
        stop = self.stop if named else type(self.stop).__name__
        name = self.sampler if isinstance(self.sampler, str) else type(self.sampler).__name__
        return {
            "space": str(self.space),
            "objective": ", ".join(self.objectives.names),
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "sampler": name,
            "stop": str(stop),
            "width": str(self.width),
            "rng": str(self.rng),
        }

    def sampler_for(self, log: StoredLog) -> Sampler:
        """The sampler; for ``"auto"``, the one that an earlier run took."""
        past, name = log.find("search"), self.sampler
        if name == "auto":
            name = past["sampler"] if past else self._chosen()
        if past is None:
            words = name if isinstance(name, str) else type(name).__name__
            log.add("search", sampler=words, objective=self.objectives.main, mode=self.objectives.mode)
        found = sampler_named(name, self.rng, self.trials)
        if found is None:
            from fairlane.searching.optuna_samplers import optuna_sampler

            found = optuna_sampler(name, self.rng, self.trials)
        found.check(self.space, len(self.objectives.names))
        return found

    def _chosen(self) -> str:
        learns = self.trials >= _LEARNS_FROM and isinstance(self.stopping, Everything | Median)
        if not learns or len(self.objectives.names) > 1:
            return "random"
        if importlib.util.find_spec("optuna") is not None:
            return "tpe"
        warn_at(
            caller(),
            f"sampler='auto' takes 'random', because Optuna is not installed; for {self.trials} variants "
            "'tpe' finds better ones: pip install 'fairlane[optuna]'. sampler='random' does not warn",
            FairlaneWarning,
        )
        return "random"

    def width_for(self, sampler: Sampler) -> int:
        """How many variants train together."""
        if self.width is not None:
            return self.width
        if sampler.learns:
            return _WIDTH_OF_LEARNERS
        return _WIDTH_BY_EPOCH if self.stopping.by_epoch else _ALL


def _wanted(
    space: Any,
    trials: Any,
    objective: Any,
    seeds: Any,
    sampler: Any,
    stop: Any,
    confirm: Any,
    width: Any,
    rng: Any,
    fit: Mapping[str, Any],
) -> _Wanted:
    checked = space if isinstance(space, Space) else Space(space)
    if "epochs" in checked.names:
        raise StudyError(
            "'epochs' can't be in the space of a search: epochs=... is the most that a variant gets, and "
            "stop=... ends variants earlier"
        )
    validates = fit.get("validation_data") is not None or bool(fit.get("validation_split"))
    top, again = confirm if isinstance(confirm, tuple) and len(confirm) == 2 else (confirm, _CONFIRMING_SEEDS)
    numbers = seeds_of(seeds)
    first = max(numbers) + 1
    objectives, stopping = (
        Objectives(objective, validates or "validation_split" in checked.names),
        stopping_of(stop),
    )
    if len(objectives.names) > 1 and confirm is not None:
        raise StudyError("confirm= needs one objective, by which the best variants are chosen")
    return _Wanted(
        checked,
        objectives,
        sampler,
        stopping,
        stop,
        _whole("trials", trials),
        int(fit["epochs"]),
        numbers,
        0 if top is None else _whole("confirm", top),
        list(range(first, first + _whole("the number of seeds in confirm", again))),
        None if width is None else _whole("width", width),
        _whole("rng", rng, 0),
    )


def _whole(what: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise StudyError(f"{what} must be a whole number, {least} or more; not {value!r}")
    return int(value)


@dataclass(frozen=True, eq=False)
class _Planned:
    data: Data
    models: Models
    fit_names: frozenset[str]


def _planned(model: Any, wanted: _Wanted, fit: Mapping[str, Any], engine: str, test_data: Any) -> _Planned:
    """The parts of all trials, checked before anything is stored or trained."""
    space = wanted.space
    every = {name: domain.value(0.5) for name, domain in space.domains.items()}
    everything = {name: every.get(name, space.fixed.get(name)) for name in space.names}
    arguments = {name: value for name, value in fit.items() if name not in ("x", "y")}
    names = plan(model, [everything], [0], arguments)[0].variant.fit_arguments
    first = plan(model, [space.at([0.5] * len(space.domains))], wanted.seeds[:1], arguments)[0]
    data = Data(fit, [first.variant], engine)
    parts = data.parts(first.variant)
    if parts is not None and parts.once:
        raise StudyError(
            "x is a generator, which can be read once, and a search trains variants after each other; give "
            "arrays, or a keras.utils.PyDataset"
        )
    check_test_data(test_data, 2)
    models = Models(model)
    check_on_models(rehearsed(models, first, data, fit, test_data), {**fit, "test_data": test_data}, first)
    _warn_of_programs(wanted)
    return _Planned(data, models, frozenset(names))


def _warn_of_programs(wanted: _Wanted) -> None:
    """Warn of a space in which hardly any two variants share a program."""
    space, trials = wanted.space, wanted.trials
    structures = space.structures
    many = structures is None or structures >= trials
    if trials >= 8 and many and grouping(space, trials) == 1:
        names = ", ".join(repr(name) for name, one in space.domains.items() if not one.numeric)
        warn_at(
            caller(),
            f"almost every one of the {trials} variants needs a program of its own, because {names} decide "
            "the model's structure; compiling them may take longer than training. A list of few values, or a "
            "larger step=, lets variants share programs",
            FairlaneWarning,
        )


class _Run:
    """A search's trials as its store numbers them, and their jobs as they begin."""

    def __init__(
        self,
        kept: Store,
        wanted: _Wanted,
        planned: _Planned,
        callbacks: Any,
        pace: Pace | None,
        engine: str,
        rebuilt: Rebuilt,
    ) -> None:
        self.store, self.wanted, self.planned = kept, wanted, planned
        self.engine, self._pace, self._rebuilt = engine, pace, rebuilt
        warn_of(kept)
        self._makers = Callbacks(callbacks, ())
        models, data = planned.models, planned.data
        builder = Builder(
            models.build,
            shared=models.known.shared_by,
            portable=models.builder,
            describes=not isinstance(kept, MemoryStore),
        )
        self.resources: Resources = resources_of(builder, data, self._makers, watched=pace is not None)
        log = StoredLog(kept)
        sampler = wanted.sampler_for(log)
        course = Course(
            *(wanted.space, sampler, wanted.stopping, wanted.trials, wanted.epochs),
            wanted.width_for(sampler),
            wanted.confirm,
            wanted.fresh,
            log,
        )
        standing = isinstance(wanted.stopping, Everything)
        self.search = Search(
            *(course, kept, wanted.objectives, wanted.seeds, wanted.fresh, wanted.epochs),
            planned.fit_names,
            self._enlist,
            standing,
        )
        self.driver: Driver | None = None
        self.progress: Progress | None = None

    def _enlist(
        self, planned: Sequence[Trial], expected: Sequence[float], later: int
    ) -> tuple[list[Trial], list[Job]]:
        """Number trials, and make a job for each that is not trained yet."""
        trials = self.store.adopt(planned, [self.wanted.epochs] * len(planned))
        self.planned.data.add([trial.variant for trial in trials])
        self._rebuilt.add(trials)
        left = [trial for trial in trials if self.store.unfinished(trial)]
        for trial in left:
            if self.store[trial].state is not TrialState.WAITING:
                checkpoint = self.store.checkpoint(trial)
                self.store.rewind(trial, 0 if checkpoint is None else checkpoint.epoch)
        self._makers.add(left)
        common = self.planned.data.common
        jobs = jobs_of(left, common, self.planned.data, self._makers, self._pace, self.engine)
        jobs = [replace(job, varying=self._varying(job.trial), alike=self._alike(job)) for job in jobs]
        assert self.driver is not None
        assert self.progress is not None
        self.driver.check(jobs)
        self.progress.expect([self.store[trial] for trial in trials], expected, later)
        return trials, jobs

    def _varying(self, trial: Trial) -> tuple[float, ...]:
        """The numbers of a trial that others have otherwise."""
        values = (v for name, v in trial.hyperparameters.items() if name in self.wanted.space.domains)
        return tuple(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))

    def _alike(self, job: Job) -> int:
        """How many trials will probably share its program."""
        wanted = self.wanted
        structures = min(wanted.space.structures or wanted.trials, wanted.trials)
        group = grouping(wanted.space, wanted.trials)
        return max(job.alike, group, wanted.trials * len(wanted.seeds) // max(1, structures))


def _train(
    run: _Run,
    study: Study,
    on_error: str,
    verbose: Any,
    test_data: Any,
    live: LiveTrackers,
    budget: Budget | None,
) -> None:
    """Train the variants of a search as they are proposed, and evaluate them."""
    run.progress = Progress([], 0, verbose)
    run.driver = driver = Driver(
        *(run.store, run.engine, on_error, study, run.progress.update, live.take),
        policy=run.search,
        budget=budget,
    )
    run.search.begin()
    with live.following(study.name, run.store), run.progress:
        driver.run_feed(run.search, run.resources, interruptible=True)
        if test_data is not None:
            size = run.planned.data.common.get("batch_size")
            driver.test(study, run.search.trials, test_data, size)
        run.store.close()
