"""Which estimate a comparison takes: over seeds, which are independent; or over folds, which are not.

In: the values of a variant's replicates. Out: estimates and p-values, of `fairlane.results.statistics` and
`fairlane.results.pairs`, or of `fairlane.results.folds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StudyError
from fairlane.results import pairs, statistics
from fairlane.results.folds import over_folds, p_value_over_folds
from fairlane.results.ranking import Replicate
from fairlane.results.statistics import Estimate, Statistic

ByReplicate = Mapping[Replicate, float]


@dataclass(frozen=True, eq=False)
class Means:
    """Estimates with one set of options.

    Attributes:
        options: of `fairlane.results.statistics.estimate`.
        share: validation samples per training sample of the folds; None where there are no folds.

    Raises:
        StudyError: folds with a bootstrap, which would take them for independent.
    """

    options: Mapping[str, Any]
    share: float | None = None

    def __post_init__(self) -> None:
        if self.share is not None and self.options["interval"] != "t":
            raise StudyError(
                f"interval={self.options['interval']!r} takes folds for independent, and they share training "
                "samples; leave interval out, for that of the corrected resampled t test"
            )

    def of(self, values: ByReplicate, statistic: Statistic = "mean") -> Estimate:
        """A statistic of a variant's values, with its interval.

        Args:
            values: by replicate.
            statistic: as for `fairlane.results.statistics.estimate`.
        """
        if self.share is None:
            return statistics.estimate(list(values.values()), statistic, **self.options)
        if statistic == "mean":
            return self._over_folds(values, self.share)
        alone = statistics.estimate(list(values.values()), statistic, **self.options)
        return Estimate(alone.value, math.nan, math.nan)

    def difference(self, a: ByReplicate, b: ByReplicate) -> Estimate:
        """The mean difference of two variants, pair by pair, with its interval.

        Args:
            a: the values of one.
            b: of the other, for the same replicates.
        """
        if self.share is None:
            return pairs.paired_difference(list(a.values()), list(b.values()), **self.options)
        return self._over_folds(_minus(a, b), self.share)

    def p_value(self, a: ByReplicate, b: ByReplicate) -> float:
        """How likely chance alone gives their difference; arguments as for `difference`."""
        if self.share is None:
            of = {name: self.options[name] for name in ("resamples", "rng")}
            return pairs.paired_p_value(list(a.values()), list(b.values()), **of)
        difference = _minus(a, b)
        return p_value_over_folds(list(difference.values()), _folds(difference), self.share)

    def _over_folds(self, values: ByReplicate, share: float) -> Estimate:
        return over_folds(list(values.values()), _folds(values), share, self.options["confidence"])


def _folds(values: ByReplicate) -> list[int]:
    return [one[1] if isinstance(one, tuple) else 0 for one in values]


def _minus(a: ByReplicate, b: ByReplicate) -> dict[Replicate, float]:
    return {one: value - b[one] for one, value in a.items()}
