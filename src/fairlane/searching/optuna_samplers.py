"""Optuna's samplers, as a search uses them.

In: a sampler's name, or one of Optuna's samplers; and what is known of the variants. Out: proposals.

Optuna's study is only a copy, in memory, of what the search knows: it is filled again whenever that is not
what it was plus more. A variant whose loss was not finite has an infinite value, so that the sampler avoids
its neighbours: it would learn nothing from a failed one.

Source: the samplers are those of Optuna 5, https://optuna.readthedocs.io.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.kit.text import did_you_mean
from fairlane.searching.domains import Choice, Domain, Float, Int
from fairlane.searching.samplers import Sampler, Seen, SobolSampler
from fairlane.searching.space import Space
from fairlane.searching.tpe import Memory, usable

NAMES = ("tpe", "gp", "cmaes", "nsga2")
_FIRST = 10
"""Up to how many variants come from a Sobol sequence before the sampler knows enough to propose."""
_ALSO = {"gp": "torch", "cmaes": "cmaes"}
"""What some of Optuna's samplers need besides."""
_SEVERAL = ("tpe", "nsga2")
"""The samplers that take several objectives."""


def optuna_sampler(given: Any, seed: int, trials: int) -> Sampler:
    """One of Optuna's samplers.

    Args:
        given: ``"tpe"``, ``"gp"``, ``"cmaes"``, ``"nsga2"``, or an ``optuna.samplers.BaseSampler``.
        seed: of all draws; a sampler object has its own.
        trials: how many variants will be requested.

    Raises:
        StudyError: there is no such sampler, or what it needs is not installed.
    """
    if isinstance(given, str) and given not in NAMES:
        known = ("auto", "random", "sobol", "grid", *NAMES)
        raise StudyError(
            f"there is no sampler {given!r}.{did_you_mean(given, known)} There are: {', '.join(known)}"
        )
    needed("optuna", f"sampler={given!r}", StudyError)
    if given in _ALSO:
        needed(_ALSO[given], f"sampler={given!r}", StudyError)
    return _OptunaSampler(given, seed, trials)


def _copied(sampler: Any) -> Any:
    try:
        return copy.deepcopy(sampler)
    except Exception as error:
        raise StudyError(
            f"the sampler {type(sampler).__name__} can't be copied ({type(error).__name__}: {error}), so "
            "another search with it would propose other variants; give one that copy.deepcopy can copy"
        ) from error


class _OptunaSampler(Sampler):
    """Proposes what a sampler of Optuna's proposes."""

    learns = True

    def __init__(self, given: Any, seed: int, trials: int) -> None:
        self.name = given if isinstance(given, str) else type(given).__name__
        # Its draws are the caller's: the same call has to propose the same variants again.
        self._given, self._seed = given if isinstance(given, str) else _copied(given), seed
        self.remembers = given not in ("tpe", "gp")  # others keep their generations in Optuna's trials
        self._first = min(_FIRST, max(1, trials // 4))
        self._sobol = SobolSampler(seed, trials)
        self._study: Any = None
        self._told: list[Seen] = []
        self._numbers: list[int] = []
        self._kinds: dict[str, Any] = {}
        self._memory: Memory | None = None
        self._tpe: Any = None
        self._proposed: tuple[int, dict[str, Any]] | None = None

    def check(self, space: Space, objectives: int) -> None:
        """Refuse several objectives for a sampler that takes one.

        Raises:
            StudyError: which samplers take them.
        """
        one = type(self._given).__name__ in ("CmaEsSampler", "GPSampler") or self._given in ("gp", "cmaes")
        if objectives > 1 and one:
            raise StudyError(
                f"sampler={self.name!r} takes one objective, and {objectives} are given; "
                f"{' and '.join(map(repr, _SEVERAL))} take several"
            )

    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """The next variant: one of a Sobol sequence at first, then what Optuna proposes."""
        # Optuna's samplers learn from what has ended only; before, their draws are independent.
        ended = list(islice((one for one in seen if one.state != "running"), self._first))
        if number < self._first or len(ended) < self._first or not space.domains:
            return self._sobol.propose(space, number, seen)
        optuna = needed("optuna")
        if self._remembers(optuna, space, len(ended[0].values)):
            return self._remembered(optuna, space, number, seen)
        with quietly(optuna):
            self._tell(optuna, space, seen)
            self._study.sampler = self._sampler(optuna, space, number)
            trial, proposal = self._asked(space)
            self._proposed = trial.number, proposal
            return proposal

    # --- TPE, without a study of Optuna's ---

    def _remembers(self, optuna: Any, space: Space, objectives: int) -> bool:
        """Whether all is as `Memory` needs it."""
        if self._given != "tpe" or objectives > 1 or space.has_conditions:
            return False
        if self._tpe is None:
            with quietly(optuna):
                self._tpe = optuna.samplers.TPESampler(multivariate=True, n_startup_trials=1)
        return usable(self._tpe)

    def _remembered(self, optuna: Any, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any]:
        """What TPE proposes from what it remembers."""
        if self._memory is None or not self._memory.follow(seen, space.encode):
            kinds = {name: _distribution(optuna, space.domains[name]) for name in sorted(space.domains)}
            many = {name: kind for name, kind in kinds.items() if not kind.single()}
            self._memory = Memory(many, self._tpe)
            self._memory.follow(seen, space.encode)
        found = self._memory.propose(self._seed_of(number))
        only = {name: domain.value(0.0) for name, domain in space.domains.items() if name not in found}
        return space.assigned(only | {name: _value(space.domains[name], one) for name, one in found.items()})

    # --- what Optuna knows ---

    def _tell(self, optuna: Any, space: Space, seen: Sequence[Seen]) -> None:
        """Bring Optuna's study up to date: one trial of it for each variant, in order."""
        if self._study is None or not _goes_on(self._told, seen):
            objectives = max((len(one.values) for one in seen), default=1)
            self._study = optuna.create_study(directions=["minimize"] * max(1, objectives))
            self._told, self._numbers = [], []
            self._kinds = {name: _distribution(optuna, domain) for name, domain in space.domains.items()}
        self._take_proposal(optuna, space, seen)
        for one in seen[len(self._told) :]:
            self._numbers.append(len(self._study.get_trials(deepcopy=False)))
            self._study.add_trial(_running(optuna, space, one))
            self._told.append(_as_running(one))
        for place, one in enumerate(seen):
            if one.state != "running" and self._told[place].state == "running":
                self._end(optuna, self._numbers[place], one)
                self._told[place] = one

    def _take_proposal(self, optuna: Any, space: Space, seen: Sequence[Seen]) -> None:
        """See whether what was proposed last became the next variant; the search may have refused it."""
        if self._proposed is None:
            return
        number, proposal = self._proposed
        self._proposed = None
        place = len(self._told)
        if len(seen) > place and space.key(seen[place].hyperparameters) == space.key(proposal):
            self._numbers.append(number)
            self._told.append(_as_running(seen[place]))
        elif number < len(self._study.get_trials(deepcopy=False)):
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)

    def _end(self, optuna: Any, number: int, one: Seen) -> None:
        if one.state == "stopped" and len(one.values) == 1:
            storage, trial = self._study._storage, self._study.get_trials(deepcopy=False)[number]
            storage.set_trial_intermediate_value(trial._trial_id, one.epochs, one.values[0])
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(number, list(one.values))

    # --- what it proposes ---

    def _seed_of(self, number: int) -> int:
        """Draws depend on the sampler's seed and on the number of the proposal alone."""
        return int(np.random.default_rng([self._seed, number]).integers(2**31))

    def _sampler(self, optuna: Any, space: Space, number: int) -> Any:
        """The sampler, with draws of its own for this number, if it is one by name."""
        seed = self._seed_of(number)
        samplers = optuna.samplers
        if self._given == "tpe":
            options: dict[str, Any] = {"multivariate": True, "constant_liar": True, "n_startup_trials": 1}
            made = samplers.TPESampler(seed=seed, group=space.has_conditions, **options)
            if not space.has_conditions:
                # All variants have all hyperparameters; Optuna would compare all of its trials to see it.
                kinds = {name: self._kinds[name] for name in sorted(self._kinds)}
                relative = {name: kind for name, kind in kinds.items() if not kind.single()}
                made.infer_relative_search_space = lambda study, trial: relative
            return made
        if self._given == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=1)
        if self._given == "cmaes":
            return samplers.CmaEsSampler(seed=seed, n_startup_trials=1)
        if self._given == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        return self._given

    def _asked(self, space: Space) -> tuple[Any, dict[str, Any]]:
        """Ask for a variant: all hyperparameters together, or along the conditions."""
        if not space.has_conditions:
            trial = self._study.ask(self._kinds)
            params = trial.params
            return trial, space.assigned({n: _value(d, params[n]) for n, d in space.domains.items()})
        trial, values = self._study.ask(), dict[str, Any]()
        for name, domain in space.domains.items():
            if space.exists(name, {**space.fixed, **values}):
                values[name] = _value(domain, _suggested(trial, name, domain))
        first = {name: domain.value(0.0) for name, domain in space.domains.items()}
        return trial, space.assigned({**first, **values})


def _goes_on(told: Sequence[Seen], seen: Sequence[Seen]) -> bool:
    """Whether what was told is the beginning of what is known."""
    pairs = zip(told, seen, strict=False)  # of a search that goes on, they are the same objects
    same = (
        a.hyperparameters is b.hyperparameters or a.hyperparameters == b.hyperparameters for a, b in pairs
    )
    return len(seen) >= len(told) and all(same)


def _as_running(one: Seen) -> Seen:
    return Seen(one.hyperparameters, "running")


def _running(optuna: Any, space: Space, one: Seen) -> Any:
    """A variant as a trial of Optuna's that runs."""
    names = [name for name in space.domains if name in one.hyperparameters]
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params={name: space.domains[name].encode(one.hyperparameters[name]) for name in names},
        distributions={name: _distribution(optuna, space.domains[name]) for name in names},
    )


def _suggested(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step or 1)
    assert isinstance(domain, Choice)
    if domain.ordered:
        return trial.suggest_int(name, 0, len(domain.values()) - 1)
    return trial.suggest_categorical(name, list(range(len(domain.values()))))


def _distribution(optuna: Any, domain: Domain) -> Any:
    """A domain as one of Optuna's distributions; of a list, the places."""
    kinds = optuna.distributions
    if isinstance(domain, Float):
        return kinds.FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return kinds.IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
    assert isinstance(domain, Choice)
    if domain.ordered:
        return kinds.IntDistribution(0, len(domain.values()) - 1)
    return kinds.CategoricalDistribution(list(range(len(domain.values()))))


def _value(domain: Domain, encoded: Any) -> Any:
    """What Optuna proposes, as a value of the domain."""
    if isinstance(domain, Float):
        # With a step, Optuna's sums are rounded otherwise; a logarithm's rounding may leave the range.
        if domain.step is not None:
            return domain.value(domain.unit(float(encoded)))
        return min(max(float(encoded), domain.low), domain.high)
    return domain.decode(encoded)


@contextmanager
def quietly(optuna: Any) -> Iterator[None]:
    """Without Optuna's progress lines and its warnings of what is experimental there.

    Args:
        optuna: the package.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
