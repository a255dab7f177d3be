"""Curves as they grow: what is kept sorted is what looking at all curves gives."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.searching.curves import Curves

EPOCHS = 5
VALUES = st.sampled_from([0.0, 1.0, 1.0, 2.5, -3.0, math.inf, math.nan])
STEPS = st.lists(st.tuples(st.integers(0, 6), VALUES, st.booleans()), max_size=40)


def best(curve):
    return min((value for value in curve if not math.isnan(value)), default=math.inf)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_best_values_of_others_are_those_of_their_curves(steps):
    curves, plain, ended = Curves(EPOCHS), {}, set()
    for number, value, ends in steps:
        if number not in ended and len(plain.get(number, ())) < EPOCHS:
            plain.setdefault(number, []).append(value)
            curves.follow(number, list(plain[number]))
        if ends and number in plain:
            ended.add(number)
            curves.end(number)
    for number, own in plain.items():
        others = [c for n, c in plain.items() if n != number and (len(c) >= len(own) or n in ended)]
        assert curves.own(number) == own
        assert list(map(repr, curves.others(number))) == list(map(repr, others))
        assert curves.bests_of_others(number) == sorted(best(c[: len(own)]) for c in others)
        assert curves.best(number) == best(own)


def test_a_variant_without_a_value_that_ends_is_nobody_s_other():
    curves = Curves(EPOCHS)
    curves.follow(0, [1.0])
    curves.end(1)
    assert curves.others(0) == curves.bests_of_others(0) == []
