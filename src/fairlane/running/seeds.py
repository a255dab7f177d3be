"""The argument ``seeds`` → the seeds of a study's trials.

In: a number of replicates, or the seeds themselves. Out: distinct integers that NumPy accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fairlane.errors import StudyError

_LARGEST_SEED = 2**32 - 1
"""Of ``numpy.random.seed``, which ``keras.utils.set_random_seed`` calls."""


def seeds_of(seeds: Any) -> list[int]:
    """The seeds of a study.

    Args:
        seeds: a number of replicates, or the seeds themselves.

    Raises:
        StudyError: it is neither, or a seed is given twice.
    """
    if isinstance(seeds, (bool, float, str)):
        raise StudyError(_not_a_seed(seeds))
    if isinstance(seeds, (int, np.integer)):
        if seeds < 1:
            raise StudyError(f"seeds={seeds} leaves nothing to train; give at least 1 replicate")
        return list(range(int(seeds)))
    if not isinstance(seeds, Iterable):
        raise StudyError(_not_a_seed(seeds))
    numbers = [check_seed(seed) for seed in seeds]
    if not numbers:
        raise StudyError("the list of seeds is empty, so there is nothing to train")
    twice = {seed for seed in numbers if numbers.count(seed) > 1}
    if twice:
        raise StudyError(
            f"seed {min(twice)} is given twice: its two trials would be equal, but count as two replicates"
        )
    return numbers


def check_seed(seed: Any) -> int:
    """A seed as Python's integer.

    Args:
        seed: an integer of Python's or NumPy's.

    Raises:
        StudyError: it is not an integer, or out of NumPy's range.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise StudyError(_not_a_seed(seed))
    if not 0 <= seed <= _LARGEST_SEED:
        raise StudyError(f"seed {seed} is outside NumPy's range, 0 to {_LARGEST_SEED}")
    return int(seed)


def _not_a_seed(value: Any) -> str:
    return (
        f"a seed is an integer, not {value!r}; give seeds= as a number of replicates (5 for the seeds "
        "0 to 4) or a list of integers"
    )
