"""Optuna's samplers in a search: they learn, repeat themselves, and survive what the search does."""

import math
import sys

import numpy as np
import optuna
import pytest

import fairlane as fl
from fairlane.errors import StudyError
from fairlane.searching.optuna_samplers import optuna_sampler
from fairlane.searching.samplers import RandomSampler, Seen

PLAIN = {"a": fl.Float(0.0, 1.0), "b": fl.Float(1e-4, 1.0, log=True), "c": [1, 2, 4], "d": ["x", "y"]}
WITH_CONDITIONS = {**PLAIN, "m": fl.When({"d": "x"}, fl.Int(1, 9))}


def loss(one):
    return (
        (one["a"] - 0.3) ** 2 + abs(np.log10(one["b"]) + 2) + 0.1 * (one["c"] != 4) + 0.1 * (one["d"] == "x")
    )


def run(sampler, space, trials=60, width=8, states=("done",)):
    seen = []
    for number in range(trials):
        if number >= width:
            place = number - width
            one, value = seen[place].hyperparameters, loss(seen[place].hyperparameters)
            state = states[place % len(states)]
            seen[place] = Seen(one, state, (math.inf if state == "failed" else value,), 9, (value,))
        variant = sampler.propose(space, number, list(seen))
        seen.append(Seen(variant, "running"))
    return [one.hyperparameters for one in seen]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsga2"])
@pytest.mark.parametrize("given", [PLAIN, WITH_CONDITIONS], ids=["plain", "conditions"])
def test_every_proposal_is_of_the_space_and_comes_again(name, given):
    space = fl.Space(given)
    proposals = run(optuna_sampler(name, 0, 60), space, 40)
    assert proposals == run(optuna_sampler(name, 0, 60), space, 40)
    for one in proposals:
        assert set(one) == set(space.assigned({**{n: d.value(0.0) for n, d in space.domains.items()}, **one}))
        assert all(space.domains[n].contains(v) for n, v in one.items())


def test_tpe_learns():
    space = fl.Space(PLAIN)
    learned = [loss(one) for one in run(optuna_sampler("tpe", 0, 80), space, 80)]
    drawn = [loss(one) for one in run(RandomSampler(0, 80), space, 80)]
    assert np.mean(learned[-20:]) < np.mean(drawn[-20:]) / 2


def test_a_sampler_that_is_made_again_proposes_what_the_old_one_would():
    space = fl.Space(PLAIN)
    old = optuna_sampler("tpe", 0, 40)
    seen = [
        Seen(one, "done", (loss(one),), 9) if i < 12 else Seen(one, "running")
        for i, one in enumerate(run(old, space, 20))
    ]
    continued = optuna_sampler("tpe", 0, 40)
    for number in range(10, 20):
        continued.propose(space, number, seen[:number])
    fresh = optuna_sampler("tpe", 0, 40)
    assert continued.propose(space, 20, seen) == fresh.propose(space, 20, seen)


def test_stopped_and_diverged_variants_teach_too():
    states = ("done", "stopped", "failed")
    proposals = run(optuna_sampler("tpe", 0, 60), fl.Space(PLAIN), states=states)
    assert len(proposals) == 60


def test_a_sampler_of_ones_own_is_asked():
    sampler = optuna.samplers.RandomSampler(seed=1)
    assert len(run(optuna_sampler(sampler, 0, 20), fl.Space(PLAIN), 20)) == 20


def test_optunas_settings_are_left_as_found():
    before = optuna.logging.get_verbosity()
    run(optuna_sampler("tpe", 0, 20), fl.Space(PLAIN), 20)
    assert optuna.logging.get_verbosity() == before


def test_what_there_is_not_is_refused():
    with pytest.raises(fl.StudyError, match=r"there is no sampler 'tp'. Did you mean 'tpe'"):
        optuna_sampler("tp", 0, 9)
    with pytest.raises(fl.StudyError, match="sampler='cmaes' takes one objective, and 2 are given"):
        optuna_sampler("cmaes", 0, 9).check(fl.Space(PLAIN), 2)


def test_distributions_of_optuna_are_a_space():
    space = fl.Space(
        {
            "rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
            "units": optuna.distributions.IntDistribution(8, 64, step=8),
            "act": optuna.distributions.CategoricalDistribution(["relu", "gelu"]),
        }
    )
    assert space.domains["units"].values() == [8, 16, 24, 32, 40, 48, 56, 64]
    assert repr(space.domains["rate"]) == "Float(0.0001, 0.1, log=True)"
    assert space.domains["act"].values() == ["relu", "gelu"]


@pytest.mark.parametrize(
    ("missing", "name", "extra"),
    [("torch", "gp", "backends"), ("cmaes", "cmaes", "optuna"), ("optuna", "nsga2", "optuna")],
)
def test_what_a_sampler_needs_is_named(monkeypatch, missing, name, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    words = rf"sampler='{name}' needs the package '{missing}'.*pip install 'fairlane\[{extra}\]'"
    with pytest.raises(StudyError, match=words):
        optuna_sampler(name, 0, 4)


def test_tpe_needs_optuna_for_conditions_and_several_objectives_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert len(run(optuna_sampler("tpe", 0, 20), fl.Space(PLAIN), 20)) == 20
    optuna_sampler("tpe", 0, 4).check(fl.Space(PLAIN), 1)
    words = r"sampler='tpe' with conditions or several objectives needs the package 'optuna'"
    with pytest.raises(StudyError, match=words):
        optuna_sampler("tpe", 0, 4).check(fl.Space(WITH_CONDITIONS), 1)
    with pytest.raises(StudyError, match=words):
        optuna_sampler("tpe", 0, 4).check(fl.Space(PLAIN), 2)
