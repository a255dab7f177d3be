"""Models whose steps need not be traced: what is known of them is what tracing them gives."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest
from keras import layers
from test_sizes import (
    attention,
    branches,
    built,
    compiled,
    dense,
    groups,
    images,
    like,
    norms,
    recurrent,
    reshaped,
    words,
)

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.program import tracing
from fairlane.engines.program.lift import Lift
from fairlane.engines.program.sizes import family, jax_private
from fairlane.engines.program.sizes.family import FamilySteps
from fairlane.engines.program.sizes.symbols import NotAPattern, Pattern, Term
from fairlane.engines.program.sizes.uniform import Learning, Seen, Uniform
from fairlane.engines.program.steps import TemplateSteps
from fairlane.engines.program.structure import structure
from fairlane.engines.program.tracing import LOGS, kind_of, traced_steps
from fairlane.models.variables import read_state

SIZES = (17, 23, 20, 31)


def seen_at(make, sizes=SIZES):
    """Models of several sizes, what tracing each gives, and the kinds of steps."""
    models, batch = built(make, sizes)
    kinds = [kind_of(what, jax.tree.map(like, batch), True) for what in ("train", "test")] + [LOGS]
    found = []
    for model in models:
        state = jax.tree.map(like, read_state(model))
        found.append(Seen(structure(model), state, traced_steps(model, state, kinds)))
    return models, found, kinds


def family_of(models, seen, uniform):
    """The steps of some models together."""
    steps = {}
    for key, model, one in zip("abcd", models, seen, strict=False):
        steps[key] = TemplateSteps(model, one.structure, Lift(()))
        steps[key].take_over(one.steps)
    states = {key: one.state for key, one in zip(steps, seen, strict=True)}
    return FamilySteps(steps, states, uniform, Lift(()), [{}])


@pytest.mark.parametrize("make", [dense, norms, groups, images, words, branches, reshaped])
def test_a_model_that_is_not_traced_has_the_row_that_tracing_it_gives(make):
    models, seen, kinds = seen_at(make)
    uniform = Uniform.of(seen[:2], models[1], kinds)
    assert uniform is not None
    assert all(uniform.covers(one.structure, one.state, kinds) for one in seen)
    order = [0, 3, 1, 2]  # the smallest and the largest are traced, the others are not
    models, seen = [models[i] for i in order], [seen[i] for i in order]
    derived = family_of(models, seen, dict.fromkeys("cd", uniform))
    every = family_of(models, seen, {})
    for steps in (derived, every):
        steps.prepare(kinds, seen[0].state, [{}])
    assert sorted(derived._own) == ["a", "b"]
    for key in "abcd":
        ours, traced = ([*map(np.asarray, steps.lift._row(key))] for steps in (derived, every))
        assert all(map(np.array_equal, ours, traced)), key


def test_where_jax_has_other_names_each_size_is_traced(monkeypatch):
    models, seen, kinds = seen_at(dense)
    assert Uniform.of(seen[:2], models[1], kinds) is not None
    monkeypatch.setattr(jax_private, "_DimExpr", None)
    assert Uniform.of(seen[:2], models[1], kinds) is None


def test_dimensions_of_other_scopes_are_no_matter():
    ours, theirs = jax.export.symbolic_shape("s0, s1"), jax.export.symbolic_shape("dynamic_dimension, s0")
    with jax_private.taken_for_unequal(ours) as unequal:
        # As JAX's caches, Keras in another thread and an earlier trace compare them.
        assert theirs[0] != 2
        assert theirs[0] != theirs[1]
        assert theirs[0] != ours[0]
        assert ours[0] != theirs[1]
        assert bool(theirs[0])
        assert unequal == []
        assert ours[0] != ours[1]
        assert ours[0] + 1 != 4
        assert bool(ours[1])
    assert list(map(str, unequal)) == ["(s0, s1)", "(s0 + 1, 4)", "(s1, 0)"]


def test_models_are_traced_where_a_constant_does_not_follow_from_sizes_by_whole_numbers():
    models, seen, kinds = seen_at(attention)  # it divides by the square root of one
    uniform = Uniform.of(seen[:2], models[1], kinds)
    steps = family_of(models, seen, dict.fromkeys("bc", uniform))
    steps.prepare(kinds, seen[0].state, [{}])
    assert sorted(steps._own) == ["a", "b", "c", "d"]


def test_what_jax_does_otherwise_with_symbols_is_not_taken_for_known():
    models, seen, kinds = seen_at(recurrent, SIZES[:2])  # JAX looks up an element with other operations
    assert Uniform.of(seen, models[1], kinds) is None


def test_a_model_is_traced_where_two_of_its_sizes_happen_to_be_equal():
    models, seen, kinds = seen_at(dense, (17, 23, 8, 6, 3, 1))
    uniform = Uniform.of(seen[:2], models[1], kinds)
    covered = [uniform.covers(one.structure, one.state, kinds) for one in seen]
    # Batches have 8 samples, which have 6 features; 2 × 3 is 6 again; an axis of one element is broadcast.
    assert covered == [True, True, False, False, False, False]
    assert not uniform.covers(seen[0].structure, seen[1].state, kinds)
    assert not uniform.covers(seen[0].structure, seen[0].state, [*kinds, kind_of("train", (), False)])


def test_a_step_that_asks_for_a_size_is_not_taken_for_known():
    class Odd(layers.Layer):
        def __init__(self, asks):
            super().__init__()
            self.asks = asks

        def call(self, x):
            return x * 2 if self.asks(keras.ops.shape(x)[-1]) else x * 3

    def odd(asks):
        def make(units):
            i = keras.Input((6,))
            return compiled(i, Odd(asks)(layers.Dense(units)(i)))

        return make

    for asks in (lambda n: n % 2, lambda n: n % 2 == 1, lambda n: n % 2 in (1, 5), lambda n: n != 30):
        models, seen, kinds = seen_at(odd(asks), (17, 23, 25, 30))
        uniform = Uniform.of(seen[:2], models[1], kinds)
        assert uniform is None or not uniform.covers(seen[3].structure, seen[3].state, kinds)
    for asks in (lambda n: n > 20, lambda n: max(n, 20) == n, int):
        models, seen, kinds = seen_at(odd(asks), (21, 23))
        assert Uniform.of(seen, models[1], kinds) is None


def test_sizes_whose_products_are_equal_in_what_was_traced_and_not_in_others():
    """The means are over 18 numbers in the smallest and largest models, and over 20 and 30 in the others."""

    def build(a, b):
        inputs = keras.Input((11,))
        left = keras.ops.expand_dims(layers.Dense(a)(inputs), 2)
        outer = left * keras.ops.expand_dims(layers.Dense(b)(inputs), 1)
        mean = keras.ops.expand_dims(keras.ops.mean(outer, axis=(1, 2)), 1)
        model = keras.Model(inputs, layers.Dense(1)(mean))
        model.compile("sgd", "mse")
        return model

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 11)).astype("float32"), rng.normal(size=(48, 1)).astype("float32")
    sizes = [{"a": a, "b": b} for a, b in ((2, 9), (9, 2), (4, 5), (5, 6))]
    arguments = {"epochs": 1, "batch_size": 16}
    study = fl.compare(build, sizes, x, y, seeds=1, verbose=0, **arguments)
    for trial in (2, 3):
        alone = keras_alone(build, sizes[trial], 0, x, y, **arguments)
        assert_logs_agree(history_of(study, trial), alone.logs)


def test_sizes_that_only_seemed_to_go_together_are_told_apart_by_a_third_model():
    def two(units):
        i = keras.Input((6,))
        return compiled(i, layers.Dense(units[1], "relu")(layers.Dense(units[0])(i)))

    models, seen, kinds = seen_at(two, ((17, 34), (20, 40), (21, 29), (26, 38)))
    learning = Learning()
    for model, one in zip(models[:3], seen[:3], strict=True):
        assert learning.known_of(one.structure, one.state, kinds) is None
        learning.add(one, model, "the same")
    assert learning.known_of(seen[3].structure, seen[3].state, kinds) is not None


def test_sizes_are_written_with_few_symbols():
    pattern = Pattern.of([[16, (64, 16), (48,), 7, 80], [20, (64, 20), (60,), 7, 84]])
    assert pattern.columns == {"s0": (16, 20)}
    assert pattern.entries == [
        Term("s0", 1, 0),
        (64, Term("s0", 1, 0)),
        (Term("s0", 3, 0),),
        7,
        Term("s0", 1, 64),
    ]
    assert pattern.env([18, (64, 18), (54,), 7, 82]) == {"s0": 18}
    for other in (
        [18, (64, 18), (55,), 7, 82],
        [18, (64, 18), (54,), 8, 82],
        [18, (64, 18), 54, 7, 82],
        [18],
    ):
        assert pattern.env(other) is None
    with pytest.raises(NotAPattern, match="constants that are no sizes"):
        Pattern.of([[1.5], [2.5]])
    with pytest.raises(NotAPattern, match="other numbers of sizes"):
        Pattern.of([[3], [3, 4]])
    with pytest.raises(NotAPattern, match="other axes"):
        Pattern.of([[(3,)], [(3, 4)]])


def test_a_search_of_sizes_traces_few_of_them_has_one_program_and_equals_keras(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(44, 6)).astype("float32"), rng.integers(0, 3, size=44)

    def build(units, rate, learning_rate):
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(units, "relu"), layers.LayerNormalization()]
        )
        model.add(layers.Dropout(rate))
        model.add(layers.Dense(3, "softmax"))
        model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")
        return model

    traced, plain = [], family.FamilySteps._traced
    monkeypatch.setattr(FamilySteps, "_traced", lambda self, *a: traced.append(a) or plain(self, *a))
    looks, look = [], tracing.traced_steps
    monkeypatch.setattr(
        "fairlane.engines.lanes.examination.traced_steps", lambda *a: looks.append(a) or look(*a)
    )
    space = {
        "units": fl.Int(11, 40),
        "rate": fl.Float(0.1, 0.5),
        "learning_rate": fl.Float(1e-3, 1e-1, log=True),
    }
    fit = {"epochs": 2, "batch_size": 8, "validation_split": 0.25}
    study = fl.search(
        build, space, x, y, trials=9, sampler="random", engine="lanes", width=3, verbose=0, **fit
    )
    assert study.trials["fleet"].nunique() == 1
    assert study.trials["units"].nunique() > 5
    assert len(traced) <= 4
    assert len(looks) <= 4
    for trial in (0, 5, 8):
        row = study.trials.iloc[trial]
        given = {name: row[name].item() for name in space}
        alone = keras_alone(build, given, 0, x, y, **fit)
        assert_logs_agree(history_of(study, trial), alone.logs)
