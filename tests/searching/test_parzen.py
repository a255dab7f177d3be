"""The densities of TPE, compared with Optuna's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.searching.domains import Choice, Domain, Float, Int
from fairlane.searching.parzen import Numbers, Parzen
from fairlane.searching.tpe import axis_of

optuna = pytest.importorskip("optuna")

DOMAINS: dict[str, Domain] = {
    "a": Float(-1.0, 2.0),
    "b": Float(1e-5, 1.0, log=True),
    "c": Float(0.0, 1.0, step=0.25),
    "d": Int(3, 15, step=4),
    "e": Int(1, 500, log=True),
    "f": Choice([3, 1, 2, 5]),
    "g": Choice([1, 2, 4, 8]),
}


def _theirs(names: list[str], rows: np.ndarray) -> Any:
    from fairlane.searching.optuna_samplers import _distribution

    sampler = optuna.samplers.TPESampler()
    kinds = {name: _distribution(optuna, DOMAINS[name]) for name in names}
    columns = {name: rows[:, place] for place, name in enumerate(names)}
    return sampler._parzen_estimator_cls(columns, kinds, sampler._parzen_estimator_parameters)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(DOMAINS)), min_size=1, max_size=4, unique=True),
    count=st.integers(0, 120),
    seed=st.integers(0, 10**6),
)
def test_density_and_candidates_are_those_of_optuna(names: list[str], count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Every other row repeats one of three, as good variants do, which makes kernels narrow.
    units = rng.random((count, len(names)))
    units[::2] = units[rng.integers(min(count, 3), size=len(units[::2]))] if count else units
    rows = np.array(
        [[DOMAINS[n].encode(DOMAINS[n].value(u)) for n, u in zip(names, one, strict=True)] for one in units],
        dtype=float,
    ).reshape(count, len(names))
    axes = [axis for name in names if (axis := axis_of(DOMAINS[name])) is not None]
    ours, theirs = Parzen(axes, rows), _theirs(names, rows)
    candidates = ours.sample(np.random.RandomState(seed), 24)
    drawn = theirs.sample(np.random.RandomState(seed), 24)
    for place, name in enumerate(names):
        np.testing.assert_allclose(candidates[:, place], drawn[name], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours.log_density(candidates), theirs.log_pdf(drawn), rtol=1e-5, atol=1e-5)


def test_candidates_stay_in_the_range() -> None:
    axis = Numbers(1e-4, 1.0, log=True)
    density = Parzen([axis], np.array([[1e-4]] * 60 + [[1.0]] * 60))
    candidates = density.sample(np.random.RandomState(0), 2000)
    assert candidates.min() >= 1e-4
    assert candidates.max() <= 1.0
    assert np.isfinite(density.log_density(candidates)).all()


def test_a_step_that_does_not_divide_the_range_ends_before_it() -> None:
    assert axis_of(Int(3, 17, step=4)) == Numbers(3.0, 15.0, step=4.0)
    assert axis_of(Int(1, 10**9)) == Numbers(1.0, 1e9, step=1.0)  # without a list of them
    assert axis_of(Float(0.5, 0.5)) is None
