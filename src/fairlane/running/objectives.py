"""What a search looks for: the argument ``objective``, and the values of trials by it.

In: ``"val_loss"``, a name with its direction, or a list of these; and the records of a variant's trials. Out:
a value per objective, of which small ones are better, or an error where there is no such log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.text import did_you_mean
from fairlane.results.directions import bare, find_direction
from fairlane.results.logs import known_directions
from fairlane.results.pareto import PARAMETERS, named
from fairlane.store import Record
from fairlane.trials import OF_NO_EPOCH, Trial, TrialState


def _is_step(freq: Any) -> bool:
    return isinstance(freq, int) and freq > 0  # all else is refused with the other arguments of fit


class Objectives:
    """What a search looks for.

    Args:
        given: a log's name; a pair of a name and ``"min"`` or ``"max"``; or a list of these.
        validates: whether there are validation data.

    Attributes:
        names: of the objectives.

    Raises:
        StudyError: it is something else, or there are no validation data.
    """

    def __init__(self, given: Any, validates: bool) -> None:
        listed = given if isinstance(given, list) else [given]
        pairs = [named(one) for one in listed]
        self.names = [name for name, _ in pairs]
        self._modes: dict[str, str | None] = dict(pairs)
        if not pairs or len(set(self.names)) < len(self.names):
            raise StudyError(f"objective must name one or more different logs, not {given!r}")
        self.check_validation(validates)
        if self.names[0] == PARAMETERS:
            raise StudyError(f"the first objective must be a log, such as 'val_loss', not {PARAMETERS!r}")
        self._pauses = False
        self._signs = {PARAMETERS: -1 if self._modes.get(PARAMETERS) == "max" else 1}

    @property
    def main(self) -> str:
        """The first objective's name."""
        return self.names[0]

    @property
    def counts(self) -> bool:
        """Whether the number of trained parameters is one of them."""
        return PARAMETERS in self.names

    @property
    def given(self) -> list[list[str]]:
        """Pairs of a name and ``"min"``, ``"max"`` or ``"auto"``, as JSON data."""
        return [[name, mode or "auto"] for name, mode in self._modes.items()]

    @property
    def described(self) -> list[str]:
        """Their names, with the directions that are given and that the names do not say themselves."""
        by_name = {name: find_direction(name, "auto") for name in self.names}
        return [
            f"{name} ({mode})" if mode and mode != by_name[name] else name
            for name, mode in self._modes.items()
        ]

    @property
    def mode(self) -> Any:
        """Its direction as `fairlane.Study.summary` takes it."""
        return self._modes[self.main] or "auto"

    def is_large_better(self) -> bool:
        """Whether large values of the first objective are better; it is known from the first epoch on."""
        return self._signs.get(self.main, 1) < 0

    def check_validation(self, validates: bool) -> None:
        """Refuse logs of a validation that there is not.

        Args:
            validates: whether there are validation data.

        Raises:
            StudyError: there are none.
        """
        for name in self.names:
            if name.startswith("val_") and not validates:
                raise StudyError(
                    f"objective={name!r} needs validation data, so that variants are not chosen by what they "
                    "were trained on: give validation_data=... or validation_split=..., or another objective"
                )

    def check_epochs(self, freq: Any, epochs: int, stop: str) -> None:
        """Refuse a ``validation_freq`` that leaves out epochs that variants are compared in.

        Args:
            freq: as ``Model.fit`` takes it, or what it may be; None where it is not given.
            epochs: the most that a variant gets.
            stop: the rule that ends variants early, in words; empty where there is none.

        Raises:
            StudyError: why, and what to do.
        """
        name = next((name for name in self.names if name.startswith("val_")), None)
        if name is None or freq is None or freq == 1:
            return
        what = f"validation_freq={freq!r} leaves out the validation of some epochs"
        if stop:
            raise StudyError(
                f"{what}, and stop={stop} compares variants by {name!r} after other epochs too; leave "
                "validation_freq out, or give stop=None"
            )
        listed = freq if isinstance(freq, list) else range(freq, epochs + 1, freq) if _is_step(freq) else [1]
        if not any(epoch in range(1, epochs + 1) for epoch in listed):
            raise StudyError(
                f"validation_freq={freq!r} validates in none of {epochs} epochs, so no variant would have "
                f"{name!r}; leave it out, or give a smaller one"
            )
        self._pauses = True

    def check_logs(self, logs: Mapping[str, Iterable[str]], trial: Trial) -> None:
        """Refuse what a trial will not log, before it is trained.

        Args:
            logs: what it will log, and which values are better as far as Keras knows it.
            trial: the trial.

        Raises:
            StudyError: the name, with the nearest one that is logged; or as `check`.
        """
        for name in self.names:
            if name == PARAMETERS:
                continue
            if name not in logs:
                raise StudyError(
                    f"objective={name!r}, and {trial} will not log it.{did_you_mean(name, logs)} It will log "
                    f"{', '.join(logs)}. Nothing was trained"
                )
            self._better(name, {bare(one): better for one, better in logs.items() if better})

    def check(self, record: Record) -> None:
        """See that a trial's first epoch has logged what is looked for.

        Raises:
            StudyError: it has not, or it is not known whether small or large values are better.
        """
        logs, known = record.last_logs, known_directions([record])
        for name in self.names:
            if name in self._signs or (self._pauses and name.startswith("val_") and name not in logs):
                continue
            if name not in logs:
                raise StudyError(
                    f"objective={name!r}, and {record.trial} did not log it.{did_you_mean(name, logs)} It "
                    f"logged {', '.join(logs)}"
                )
            self._signs[name] = -1 if self._better(name, known) == "max" else 1

    def _better(self, name: str, known: Mapping[str, Iterable[str]]) -> str:
        better = self._modes[name] or find_direction(name, "auto", known)
        if better is None:
            raise StudyError(
                f"it is not known whether small or large values of {name!r} are better; give "
                f"objective=({name!r}, 'min') or ({name!r}, 'max')"
            )
        return better

    def values(
        self, records: Sequence[Record], epochs: int, parameters: Callable[[int], float]
    ) -> tuple[float, ...]:
        """The objectives of a variant: means over its trials, small ones being better.

        Infinite where one of them failed, or its value is not finite.

        Args:
            records: of its trials.
            epochs: after how many epochs; a trial that ended before counts with the epoch of its weights.
            parameters: a variant's number → how many of its parameters are trained; NaN where not known.
        """
        return tuple(self._mean(name, records, epochs, parameters) for name in self.names)

    def _mean(
        self, name: str, records: Sequence[Record], epochs: int, parameters: Callable[[int], float]
    ) -> float:
        if name == PARAMETERS:
            found = [parameters(records[0].trial.variant.number)]
        else:
            found = [self._value(name, record, epochs) for record in records]
        mean = math.fsum(found) / len(found) if all(map(math.isfinite, found)) else math.inf
        return self._signs.get(name, 1) * mean if math.isfinite(mean) else math.inf

    def _value(self, name: str, record: Record, epochs: int) -> float:
        if record.state is TrialState.FAILED or not record.epochs:
            return math.inf
        until = epochs - 1
        of_weights = record.weights_epoch
        if record.state.ended and record.epochs[-1][0] <= until and of_weights not in (None, OF_NO_EPOCH):
            until = of_weights or 0
        logged = [logs[name] for epoch, logs in record.epochs if epoch <= until and name in logs]
        lost = any(
            not math.isfinite(logs.get("loss", 0.0)) for epoch, logs in record.epochs if epoch <= until
        )
        return math.inf if lost or not logged else float(logged[-1])
