"""What ``search`` is asked for, checked.

In: its arguments. Out: a `Wanted`; errors and warnings, before anything is trained.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models.identity import objects
from fairlane.provenance import fingerprint
from fairlane.running.objectives import Objectives
from fairlane.running.searching import StoredLog
from fairlane.running.seeds import seeds_of
from fairlane.searching.samplers import Sampler, grouping, sampler_named
from fairlane.searching.space import Space
from fairlane.searching.stopping import Everything, Median, PrunerOfOptuna, Stopping, settings_of, stopping_of

_WIDTH_OF_LEARNERS, _WIDTH_BY_EPOCH, _ALL = 32, 64, 10**9
"""How many variants train together: where proposals learn, where each epoch is compared, and else."""
_LEARNS_FROM = 64
"""From how many variants on ``"auto"`` takes TPE."""
_CONFIRMING_SEEDS = 10
"""With fewer, no test over seeds could tell five variants apart: five pairs give no p-value below 1/16."""


@dataclass(frozen=True, eq=False)
class Wanted:
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
        unreadable: list[str] = []

        def text(value: Any) -> str:
            found = fingerprint.described(value)
            unreadable.extend([found] if objects.is_unknown(found) else [])
            return found

        described: dict[str, Any] = {
            "space": self.space.described(text),
            "objective": ", ".join(self.objectives.described),
            "epochs": str(self.epochs),
            "seeds": str(self.seeds),
            "sampler": self.sampler if isinstance(self.sampler, str) else settings_of(self.sampler),
            "stop": str(self.stopping if isinstance(self.stopping, PrunerOfOptuna) else self.stop),
            "width": str(self.width),
            "rng": str(self.rng),
        }
        return described | {f"value {i} of the space": one for i, one in enumerate(unreadable)}

    def sampler_for(self, log: StoredLog) -> Sampler:
        """The sampler; for ``"auto"``, the one that an earlier run took."""
        past, name = log.find("search"), self.sampler
        if name == "auto":
            name = past["sampler"] if past else self._chosen()
        goal = self.objectives
        if past is None or past.get("objectives", goal.given) != goal.given:  # with resume="force"
            words = name if isinstance(name, str) else type(name).__name__
            log.add("search", sampler=words, objective=goal.main, mode=goal.mode, objectives=goal.given)
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
        """How many variants train together; a warning where a rule would then stop none."""
        width = _WIDTH_BY_EPOCH if self.stopping.by_epoch else _ALL
        width = self.width or (_WIDTH_OF_LEARNERS if sampler.learns else width)
        _warn_of_pruner(self, width)
        return width


def wanted_of(
    space: Any,
    trials: Any,
    objective: Any,
    seeds: Any,
    held_out: bool,
    sampler: Any,
    stop: Any,
    confirm: Any,
    width: Any,
    rng: Any,
    fit: Mapping[str, Any],
    later: int = 0,
) -> Wanted:
    """What a search is asked for.

    Args:
        space: as ``search`` takes it, as all up to ``rng``.
        trials: the number of variants.
        objective: what is looked for.
        seeds: of each variant.
        held_out: whether each trial is validated, though ``fit`` does not show it.
        sampler: what proposes.
        stop: the rule that ends variants.
        confirm: how many to train again, with how many seeds.
        width: how many train together.
        rng: the seed of the sampler's draws.
        fit: ``Model.fit``'s arguments.
        later: how many epochs the phases have that follow on the first.

    Raises:
        StudyError: one of them is not possible.
    """
    checked = space if isinstance(space, Space) else Space(space)
    if "epochs" in checked.names:
        raise StudyError(
            "'epochs' can't be in the space of a search: epochs=... is the most that a variant gets, and "
            "stop=... ends variants earlier"
        )
    validates = fit.get("validation_data") is not None or bool(fit.get("validation_split") or held_out)
    top, again = confirm if isinstance(confirm, tuple) and len(confirm) == 2 else (confirm, _CONFIRMING_SEEDS)
    numbers = seeds_of(seeds)
    first = max(numbers) + 1
    objectives = Objectives(objective, validates or "validation_split" in checked.names)
    stopping = stopping_of(stop, objectives.is_large_better)
    epochs = int(fit["epochs"]) + later
    often = checked.domains.get("validation_freq", checked.fixed.get("validation_freq"))
    often = fit.get("validation_freq") if often is None else often
    objectives.check_epochs(often, epochs, "" if isinstance(stopping, Everything) else repr(stop))
    if len(objectives.names) > 1 and confirm is not None:
        raise StudyError("confirm= needs one objective, by which the best variants are chosen")
    return Wanted(
        checked,
        objectives,
        sampler,
        stopping,
        stop,
        whole("trials", trials),
        epochs,
        numbers,
        0 if top is None else whole("confirm", top),
        list(range(first, first + whole("the number of seeds in confirm", again))),
        None if width is None else whole("width", width),
        whole("rng", rng, 0),
    )


def whole(what: str, value: Any, least: int = 1) -> int:
    """A whole number of at least ``least``.

    Raises:
        StudyError: ``what`` is something else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise StudyError(f"{what} must be a whole number, {least} or more; not {value!r}")
    return int(value)


def check_places(wanted: Wanted) -> None:
    """Refuse rungs at which some would wait for a place while others of the same reading train."""
    brackets = not (wanted.stopping.by_epoch or isinstance(wanted.stopping, Everything))
    learns = wanted.sampler not in ("auto", "random", "sobol", "grid")
    width = wanted.width or (_WIDTH_OF_LEARNERS if learns else _ALL)
    if brackets and width < wanted.trials:
        raise StudyError(
            f"stop={wanted.stop!r} with width={width} needs data in arrays: where data are read batch by "
            "batch, all trials that began together go through each epoch together, and here some wait at a "
            "rung while others train. Give arrays, stop='median', engine='reference', or "
            f"width={wanted.trials} (with a sampler that learns, proposals then learn little)"
        )


def _warn_of_pruner(wanted: Wanted, width: int) -> None:
    """Warn of a pruner of Optuna's that will find nothing to compare with."""
    stopping = wanted.stopping
    if isinstance(stopping, PrunerOfOptuna) and stopping.needs_ended and width >= wanted.trials:
        warn_at(
            caller(),
            f"stop={type(wanted.stop).__name__} compares a variant with those that were trained to their "
            f"end, and here all {wanted.trials} variants train together, so that it will stop none: give "
            f"width=, such as {max(1, wanted.trials // 4)}, or stop='median', which compares those that "
            "train",
            FairlaneWarning,
        )


def warn_of_programs(wanted: Wanted) -> None:
    """Warn of a space in which hardly any two variants share a program."""
    space, trials = wanted.space, wanted.trials
    kinds = space.kinds
    many = kinds is None or kinds >= trials
    if trials >= 8 and many and grouping(space, trials) == 1:
        domains = space.domains.items()
        structural = [repr(name) for name, one in domains if not (one.numeric or one.whole)]
        names = f"{', '.join(structural)} decide{'s' * (len(structural) == 1)}"
        warn_at(
            caller(),
            f"almost every one of the {trials} variants needs a program of its own, because {names} "
            "the model's structure; compiling them may take longer than training. Shorter lists let variants "
            "share programs",
            FairlaneWarning,
        )
