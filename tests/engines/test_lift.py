"""Numbers of a lane's own: they calculate as Python's floats do, decide only what all lanes agree on, and give up loudly."""

from __future__ import annotations

import contextlib
import math
import operator

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.lift import LaneNumber, Lift
from fairlane.engines.program.slots import Slot
from fairlane.engines.program.structure import Structure

PATHS = ("a",), ("b",)


class Places:
    """Stands for a model with two numbers."""

    def __init__(self):
        self.held = dict.fromkeys(PATHS, 0.0)

    def structure(self):
        return Structure("", {}, {path: Slot(self.held, path) for path in PATHS})


def lanes_of(*values):
    return [dict(zip(PATHS, v, strict=True)) for v in values]


def explored(calculate, *values):
    """Run ``calculate(a, b)`` on lane numbers, as exploring a program does; what it became, per lane."""
    places, lanes = Places(), lanes_of(*values)
    lift = Lift(PATHS)
    with lift.applied(lanes, places.structure(), None):
        result = calculate(*places.held.values())
        if isinstance(result, LaneNumber):
            result = jnp.asarray(result)
    assert list(places.held.values()) == [0.0, 0.0]
    return lift, lift.values(lanes)


# --- arithmetic -----------------------------------------------------------------------------------------------

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-6)


def expressions():
    """Trees of operations over ``a``, ``b`` and constants, as functions of both."""
    leaves = st.one_of(
        st.just(lambda a, b: a),
        st.just(lambda a, b: b),
        NUMBERS.map(lambda c: lambda a, b: c),
        st.integers(-9, 9).map(lambda c: lambda a, b: c),
    )

    def larger(inner):
        binary = st.tuples(st.sampled_from(ARITHMETIC), inner, inner).map(
            lambda t: lambda a, b: t[0](t[1](a, b), t[2](a, b))
        )
        unary = st.tuples(st.sampled_from([operator.neg, abs]), inner).map(
            lambda t: lambda a, b: t[0](t[1](a, b))
        )
        return binary | unary

    return st.recursive(leaves, larger, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(expressions(), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3))
def test_arithmetic_is_that_of_python(calculate, values):
    try:
        expected = [calculate(a, b) for a, b in values]
    except (ZeroDivisionError, OverflowError):
        assume(False)
    assume(all(isinstance(v, (int, float)) and math.isfinite(v) and abs(v) < 1e30 for v in expected))
    try:
        lift, inputs = explored(lambda a, b: calculate(a, b) + 0 * a, *values)
    except CannotLift as error:  # a complex number on the way, or one too large
        assert "not a finite number" in str(error)  # noqa: PT017
        assume(False)
    assert len(lift.inputs) == len(inputs) == 1
    assert inputs[0].dtype == "float32"
    # To the last bit but for powers, where NumPy and the C library may round differently.
    np.testing.assert_allclose(inputs[0], np.asarray(expected, "float32"), rtol=2e-7, atol=1e-37)


def test_one_minus_a_rate_is_calculated_in_double_precision():
    _, inputs = explored(lambda a, b: 1 - a, (0.09, 0.0), (0.3, 0.0))
    assert inputs[0].tolist() == [np.float32(1 - 0.09), np.float32(1 - 0.3)]
    assert np.float32(1) - np.float32(0.09) != np.float32(1 - 0.09)  # which is why


@pytest.mark.parametrize("operation", ARITHMETIC)
@pytest.mark.parametrize("reflected", [False, True])
def test_with_tensors_it_is_a_tensor(operation, reflected):
    for tensor in (jnp.full(2, 3.0), np.full(2, 3.0, "float32"), keras.Variable([3.0, 3.0])):

        def calculate(a, b, tensor=tensor):
            result = operation(tensor, a) if reflected else operation(a, tensor)
            expected = operation(3.0, 0.5) if reflected else operation(0.5, 3.0)
            np.testing.assert_allclose(np.asarray(result), [expected] * 2, rtol=1e-6)

        lift, inputs = explored(calculate, (0.5, 0.0), (0.25, 0.0))
        assert lift.inputs == [("number", ("a",))]
        assert inputs[0].tolist() == [0.5, 0.25]


def test_numpy_scalars_count_as_numbers():
    _, inputs = explored(lambda a, b: np.float64(2) * a + a * np.float32(0.5), (1.0, 0.0), (3.0, 0.0))
    assert inputs[0].tolist() == [2.5, 7.5]


def test_equal_expressions_are_one_input():
    def calculate(a, b):
        return [jnp.asarray(v) for v in (1 - a, 1 - a, a * b, a * b)]

    lift, _ = explored(calculate, (0.1, 0.2), (0.3, 0.4))
    assert len(lift.inputs) == 2


def test_a_lane_number_is_no_more_strongly_typed_than_a_float():
    def calculate(a, b):
        assert (jnp.ones(2, "bfloat16") * a).dtype == "bfloat16"

    explored(calculate, (0.1, 0.2), (0.3, 0.4))


# --- comparisons ----------------------------------------------------------------------------------------------

COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(COMPARISONS),
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3),
    st.one_of(st.none(), NUMBERS),
)
def test_comparisons_are_answered_where_lanes_agree(compare, values, constant):
    def ask(a, b):
        return compare(a, b if constant is None else constant)

    answers = {ask(a, b) for a, b in values}
    if len(answers) > 1:
        with pytest.raises(CannotLift, match="differ in"):
            explored(ask, *values)
        return
    heard = []
    lift, _ = explored(lambda a, b: heard.append(ask(a, b)), *values)
    assert heard == list(answers)
    assert type(heard[0]) is bool
    assert lift.agrees(lanes_of(*values))


def test_other_lanes_may_answer_otherwise():
    lift, _ = explored(lambda a, b: 1 / a if a > 0 else b, (0.1, 1.0), (0.2, 1.0))
    assert lift.agrees(lanes_of((0.5, 1.0)))
    assert not lift.agrees(lanes_of((0.5, 1.0), (-1.0, 1.0)))
    with pytest.raises(CannotLift, match="answer a comparison otherwise"):
        lift.values(lanes_of((-1.0, 1.0)))


def test_whether_it_is_there_is_no_comparison():
    def calculate(a, b):
        assert a is not None
        assert a != None  # noqa: E711
        assert not a == None  # noqa: E711
        assert a != "name"

    lift, _ = explored(calculate, (0.0, 0.0), (1.0, 0.0))
    assert lift.decisions == {}


def test_truth_is_a_comparison_with_zero():
    lift, _ = explored(lambda a, b: bool(a), (0.1, 0.0), (0.2, 0.0))
    assert lift.agrees(lanes_of((3.0, 0.0)))
    with pytest.raises(CannotLift, match="differ in"):
        explored(lambda a, b: bool(a), (0.0, 0.0), (0.2, 0.0))


# --- what can't be lifted -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "want",
    [float, int, math.sqrt, round, range, lambda a: [1, 2][a], lambda a: np.zeros(a), lambda a: f"{a:.2f}"],
    ids=["float", "int", "sqrt", "round", "range", "index", "shape", "format"],
)
def test_a_plain_number_is_refused(want):
    with pytest.raises((CannotLift, TypeError)):
        explored(lambda a, b: want(a), (1.0, 0.0), (2.0, 0.0))


def test_what_exploring_did_not_meet_is_refused():
    places, lanes = Places(), lanes_of((1.0, 2.0), (3.0, 4.0))
    lift, _ = explored(lambda a, b: jnp.asarray(a), (1.0, 2.0), (3.0, 4.0))
    with (
        pytest.raises(CannotLift, match="was not met"),
        lift.applied(lanes, places.structure(), [jnp.ones(())]),
    ):
        jnp.asarray(places.held["b",])
    assert list(places.held.values()) == [0.0, 0.0]


def test_what_something_remembered_is_refused():
    """A function under ``jax.jit`` keeps what it traced first, with the number that it had then."""
    places, lanes = Places(), lanes_of((1.0, 2.0), (3.0, 4.0))
    remembers = jax.jit(lambda x: x * places.held["a",])
    lift = Lift(PATHS)
    with lift.applied(lanes, places.structure(), None, "piece"):
        remembers(jnp.ones(2))
    with (
        pytest.raises(CannotLift, match="remembered"),
        lift.applied(lanes, places.structure(), [jnp.ones(())], "piece"),
    ):
        remembers(jnp.ones(2))


def test_only_numbers_that_differ_are_lifted():
    lanes = lanes_of((1.0, 2.0), (1.0, 3.0))
    assert Lift.of(lanes).paths == (("b",),)
    assert Lift.of(lanes[:1], [("a",)]).paths == (("a",),)
    assert Lift.of(lanes, [("a",)]).paths == PATHS


def test_arrays_are_lifted_as_they_are():
    lanes = [{("a",): jnp.arange(3.0), ("b",): 1.0}, {("a",): jnp.ones(3), ("b",): 1.0}]
    places = Places()
    lift = Lift.of(lanes)
    assert lift.paths == (("a",),)
    with lift.applied(lanes, places.structure(), None):
        assert places.held["a",].shape == (3,)
    assert lift.values(lanes)[0].tolist() == [[0, 1, 2], [1, 1, 1]]


# --- layers of one's own, that get at their number in one way or another ------------------------------------------------

RNG = np.random.default_rng(8)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = np.tanh(X[:, :1]).astype("float32")


class Scaled(layers.Layer):
    """Multiplies by its factor, got at in one way or another."""

    def __init__(self, how, factor):
        super().__init__()
        self.factor, self.how = factor, how

    def call(self, x):
        if self.how == "float":
            return x * float(self.factor)
        if self.how == "sqrt":
            return x * math.sqrt(self.factor)
        if self.how == "branch":
            return x if self.factor > 1 else -self.factor * x
        if self.how == "int":
            return ops.concatenate([x] * int(self.factor * 2), axis=-1)[:, :4]
        if self.how == "isinstance":
            assert isinstance(self.factor, float)
            return x * self.factor
        if self.how == "formatted":
            return x * len(f"{self.factor:.{int(self.factor)}f}")
        if self.how == "jitted":
            return jax.jit(lambda x: x * self.factor)(x)
        if self.how == "tensor":
            return x * ops.convert_to_tensor(self.factor)
        if self.how == "numpy":
            return x * np.asarray([self.factor, 1, 2, self.factor], "float32")
        if self.how == "clip":
            return ops.clip(x, -self.factor, self.factor)
        assert self.how == "lifted"
        return x * self.factor


def build(how, factor):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), Scaled(how, factor), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    return model


@pytest.mark.parametrize(
    ("how", "shared"),
    [
        ("lifted", True),
        ("tensor", True),
        ("jitted", True),
        ("float", True),
        ("sqrt", True),
        ("branch", False),
        ("int", False),
        ("isinstance", True),
        ("formatted", True),
        ("numpy", True),
        ("clip", True),
    ],
)
def test_a_layer_of_ones_own_is_trained_rightly_however_it_reads_its_number(how, shared):
    grid = {"how": [how], "factor": [0.5, 1.5, 2.5]}
    arguments = {"epochs": 2, "batch_size": 16, "validation_split": 1 / 3}
    study = fl.compare(build, grid, X, Y, engine="lanes", verbose=0, on_error="raise", **arguments)
    assert (study.trials["fleet"].nunique() == 1) == shared
    for trial, factor in enumerate(grid["factor"]):
        alone = keras_alone(build, {"how": how, "factor": factor}, 0, X, Y, **arguments)
        assert_logs_agree(history_of(study, trial), alone.logs)


# --- numbers that exploring does not meet -------------------------------------------------------------------------


def unmet(lanes, reads="a"):
    lift, places = Lift.of(lanes), Places()
    with lift.applied(lanes, places.structure(), None):
        jnp.asarray(places.held[(reads,)])
    lift.end_exploring(lanes)
    return lift


def test_a_number_that_differs_and_was_not_met_is_not_lifted():
    with pytest.raises(CannotLift, match="b was not met"):
        unmet(lanes_of((1.0, 2.0), (2.0, 4.0)))


def test_a_number_that_stands_twice_may_be_met_once():
    lift = unmet(lanes_of((1.0, 1.0), (2.0, 2.0)))
    assert lift.twins == {("b",): ("a",)}
    assert lift.agrees(lanes_of((3.0, 3.0)))
    assert not lift.agrees(lanes_of((3.0, 4.0)))


def test_a_guess_that_was_not_met_is_dropped():
    lanes, places = lanes_of((1.0, 5.0), (2.0, 5.0)), Places()
    lift = Lift.of(lanes, [("b",)])
    with lift.applied(lanes, places.structure(), None):
        jnp.asarray(places.held["a",])
    lift.end_exploring(lanes)
    assert lift.paths == (("a",),)


def test_a_refusal_counts_where_the_code_goes_on_without_the_number():
    places, lanes = Places(), lanes_of((1.0, 2.0), (2.0, 2.0))
    with (
        pytest.raises(CannotLift, match="wanted as a plain float"),
        Lift.of(lanes).applied(lanes, places.structure(), None),
        contextlib.suppress(Exception),
    ):
        float(places.held["a",])
