"""What callbacks remember is told at once and given back exactly, or it is said what could not be."""

import collections
import datetime
import functools
import random
import types

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.models.callback_memory import attributes, trial_memory
from fairlane.models.callback_memory.capture import captured
from fairlane.models.callback_memory.outside_state import shared_by
from fairlane.models.callback_memory.plain_data import CannotGoOn, CannotTell
from fairlane.models.callback_memory.refill import refill
from fairlane.store import tree

K = keras.callbacks
EPOCHS, CUT = 7, 3


class Counting(K.Callback):
    """Logs what it remembers after each epoch."""

    def logged(self, epoch):
        logs = {}
        self.on_epoch_end(epoch, logs)
        return logs["n"]


class Aliased(Counting):
    def __init__(self):
        super().__init__()
        self.log = []
        self.view = self.log

    def on_epoch_end(self, epoch, logs=None):
        self.log.append(epoch)
        logs["n"] = len(self.view)


class InPlace(Counting):
    def __init__(self):
        super().__init__()
        self.total, self.seen = np.zeros(2), {"deep": [collections.deque(maxlen=4), {1}, bytearray(b"a")]}

    def on_epoch_end(self, epoch, logs=None):
        self.total += epoch
        window, numbers, text = self.seen["deep"]
        window.append(epoch)
        numbers.add(epoch)
        text.append(epoch)
        logs["n"] = (self.total.tolist(), list(window), sorted(numbers), bytes(text))


class Record:
    def __init__(self):
        self.calls = 0

    def __call__(self, epoch, *_):
        self.calls += 1
        return float(self.calls)

    def method(self, epoch, *_):
        return self(epoch)


class Slotted:
    __slots__ = ("calls",)

    def __init__(self):
        self.calls = []

    def __call__(self, epoch, *_):
        self.calls.append(epoch)
        return float(len(self.calls))


class Holding(Counting):
    """Holds an object of any kind that is called each epoch."""

    def __init__(self, called):
        super().__init__()
        self.called = called

    def on_epoch_end(self, epoch, logs=None):
        logs["n"] = self.called(epoch)


class Generators(Counting):
    def __init__(self):
        super().__init__()
        self.own = random.Random(1), np.random.default_rng(2), np.random.RandomState(3)

    def on_epoch_end(self, epoch, logs=None):
        logs["n"] = (self.own[0].random(), self.own[1].random(), self.own[2].rand())


class OfKeras(Counting):
    def __init__(self):
        super().__init__()
        self.metric, self.variable = keras.metrics.Mean(), keras.Variable([1.0, 2.0])

    def on_epoch_end(self, epoch, logs=None):
        self.metric.update_state(float(epoch))
        self.variable.assign(self.variable * 2.0)
        logs["n"] = (float(self.metric.result()), np.array(self.variable).tolist())


class Choosing(Counting):
    """Begins to use another of its own methods, and a list that it makes later."""

    def __init__(self):
        super().__init__()
        self.rule, self.later = self.early, None

    def early(self):
        return "early"

    def late(self):
        return f"late {len(self.later)}"

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.rule, self.later = self.late, [self.rule.__name__]
            self.same = self.later
        if epoch > 3:
            self.same.append(epoch)
        logs["n"] = self.rule()


def closure():
    seen, count = [], 0

    def end(epoch, logs):
        nonlocal count
        seen.append(epoch)
        count += 1
        logs["n"] = (len(seen), count)

    return end


def closure_within_a_closure():
    inner = closure()

    def end(epoch, logs):
        inner(epoch, logs)

    return end


def default(acc=None):
    def end(epoch, logs, acc=[]):  # noqa: B006
        acc.append(epoch)
        logs["n"] = len(acc)

    return end


def function_attribute():
    def end(epoch, logs):
        end.calls += 1
        logs["n"] = end.calls

    end.calls = 0
    return end


def to_log(called):
    """A function that logs what an object gives when it is called."""
    return lambda epoch, logs: logs.update(n=called(epoch))


def two():
    shared = []

    class First(Counting):
        def on_epoch_end(self, epoch, logs=None):
            shared.append(epoch)
            logs["n"] = 0

    class Second(Counting):
        def on_epoch_end(self, epoch, logs=None):
            logs["n"] = len(shared)

    return [First(), Second()]


def partial_of_list():
    seen = []
    return functools.partial(lambda held, epoch: held.append(epoch) or len(held), seen)


def held_twice():
    record = Record()
    return [Holding(record), Holding(record.method)]


def namespace():
    held = types.SimpleNamespace(calls=0)

    def call(epoch):
        held.calls += 1
        return held.calls

    return call


def lambda_callback(end):
    return K.LambdaCallback(on_epoch_end=end)


KINDS = {
    "two attributes, one list": lambda: [Aliased()],
    "arrays and containers, in place": lambda: [InPlace()],
    "an object": lambda: [Holding(Record())],
    "an object with slots": lambda: [Holding(Slotted())],
    "a bound method": lambda: [Holding(Record().method)],
    "a partial of an object": lambda: [Holding(functools.partial(Record(), 1))],
    "a partial with a list": lambda: [Holding(partial_of_list())],
    "a namespace in a closure": lambda: [Holding(namespace())],
    "random generators": lambda: [Generators()],
    "metrics and variables of Keras": lambda: [OfKeras()],
    "methods and lists that come later": lambda: [Choosing()],
    "a closure": lambda: [lambda_callback(closure())],
    "a closure in a closure": lambda: [lambda_callback(closure_within_a_closure())],
    "a default": lambda: [lambda_callback(default())],
    "an attribute of a function": lambda: [lambda_callback(function_attribute())],
    "a closure over an object": lambda: [lambda_callback(to_log(Record()))],
    "two callbacks, one list in their methods' closures": two,
    "two callbacks, one object": held_twice,
}


def run(callbacks, first, last):
    told = []
    for epoch in range(first, last):
        for callback in callbacks:
            logs = {}
            callback.on_epoch_end(epoch, logs)
            told.append(logs["n"])
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_told_at_once_goes_on_exactly(kind):
    make = KINDS[kind]
    callbacks = make()
    run(callbacks, 0, CUT)
    told = captured(callbacks)
    expected = run(callbacks, CUT, EPOCHS)  # in place, after it was told
    fresh = make()
    refill(fresh, tree.from_bytes(tree.to_bytes(told)))
    assert run(fresh, CUT, EPOCHS) == expected


def test_who_else_holds_the_list_sees_it_too():
    outer = []
    fresh, before = Holding(outer.append), Holding([1, 2].append)
    refill([fresh], captured([before]))
    assert outer == [1, 2]
    fresh.called(3)
    assert outer == [1, 2, 3]


def test_other_callbacks_are_refused():
    with pytest.raises(CannotGoOn, match=r"the callbacks were .*Aliased.* and are .*InPlace"):
        refill([InPlace()], captured([Aliased()]))


def file_like():
    return (line for line in ["a"])


def views():
    whole = np.zeros(3)
    return [whole, whole[:2]]


def test_what_was_given_to_a_callback_of_keras_is_not_passed_over():
    lines = file_like()
    for one in (lambda epoch, rate: next(lines), functools.partial(next, lines), Record()):
        schedule = K.LearningRateScheduler(one)
        if isinstance(one, Record):
            schedule.schedule.lines = lines
        with pytest.raises(CannotTell, match=r"callback LearningRateScheduler, .* is a generator"):
            captured([schedule])


@pytest.mark.parametrize(
    ("held", "what"),
    [
        (file_like, "callback Holding, attribute called is a generator, which is not plain data"),
        (lambda: [file_like()], r"callback Holding, attribute called\[0\] is a generator"),
        (lambda: np.array([object()]), "is an array of objects"),
        (views, "shares its memory with another array"),
        (lambda: to_log(file_like()), "called's outer variable called is a generator"),
    ],
)
def test_what_can_not_be_told_is_named(held, what):
    with pytest.raises(CannotTell, match=what):
        captured([Holding(held())])


def test_what_is_nested_too_deeply_can_not_be_told():
    value = []
    for _ in range(5000):
        value = [value]
    remembering = trial_memory.Remembering([Holding(value)])
    with pytest.raises(CannotGoOn, match="nested too deeply"):
        trial_memory.refuse_incomplete({"callbacks": remembering.now()})


def test_an_object_that_came_later_can_not_be_made_anew():
    before = Holding(None)
    before.called = [Record()]
    with pytest.raises(CannotGoOn, match=r"was a .*Record, which the new callbacks do not have there"):
        refill([Holding(None)], captured([before]))


def test_constants_have_to_be_the_same():
    told = captured([Holding(datetime.date(2020, 1, 1))])
    refill([Holding(datetime.date(2020, 1, 1))], told)
    with pytest.raises(CannotGoOn, match="attribute called is not what it was"):
        refill([Holding(datetime.date(2020, 1, 2))], told)


@pytest.mark.parametrize("damage", [{"states": []}, {"objects": []}, {"objects": [{}] * 9}])
def test_a_tree_of_something_else_is_refused(damage):
    with pytest.raises(CannotGoOn, match="can't be read"):
        refill([Aliased()], {**captured([Aliased()]), **damage})


def test_nothing_is_changed_where_it_can_not_go_on():
    before, fresh = Aliased(), Aliased()
    before.log.append(1)
    before.more = datetime.date(2020, 1, 1)
    with pytest.raises(CannotGoOn):
        refill([fresh], captured([before]))
    assert fresh.log == []


# --- outside of the callbacks ---------------------------------------------------------------------------

CALLS = [0]
SETTINGS = {"patience": 3}


class ReadsGlobal(Counting):
    def on_epoch_end(self, epoch, logs=None):
        CALLS[0] += SETTINGS["patience"]
        logs["n"] = CALLS[0]


class OnlyAdds(Counting):
    def on_epoch_end(self, epoch, logs=None):
        CALLS.append(SETTINGS["patience"])
        logs["n"] = 0


class OfClass(Counting):
    calls = 0

    def on_epoch_end(self, epoch, logs=None):
        type(self).calls += 1
        logs["n"] = type(self).calls


@pytest.mark.parametrize(
    ("kind", "why"),
    [(ReadsGlobal, "CALLS"), (OfClass, "OfClass.calls"), (OnlyAdds, None)],
)
def test_state_outside_of_callbacks_is_noticed_when_it_changes(kind, why):
    callbacks = [kind()]
    remembering = trial_memory.Remembering(callbacks)
    assert trial_memory.is_complete({"callbacks": remembering.now()})
    run(callbacks, 0, 2)
    told = {"callbacks": remembering.now()}
    assert trial_memory.is_complete(told) is (why is None)
    if why:
        with pytest.raises(CannotGoOn, match=f"{why} changes while the callbacks train"):
            trial_memory.refuse_incomplete(told)


def test_a_list_that_several_trials_hold_is_noticed_when_it_changes():
    log = []
    several = [[Holding(lambda epoch: log.append(epoch) or len(log))] for _ in range(2)]
    shared = shared_by(several)
    remembering = trial_memory.Remembering(several[0], shared)
    assert trial_memory.is_complete({"callbacks": remembering.now()})
    run(several[1], 0, 1)
    assert not trial_memory.is_complete({"callbacks": remembering.now()})
    alone = trial_memory.Remembering(several[0], shared_by(several[:1]))
    run(several[0], 0, 1)
    assert trial_memory.is_complete({"callbacks": alone.now()})


# --- any graph ------------------------------------------------------------------------------------------


class Graph(K.Callback):
    """Holds as many containers as there are, which hold each other and numbers."""

    def __init__(self, kinds, links):
        super().__init__()
        self.parts = [{"list": list, "dict": dict, "object": types.SimpleNamespace}[kind]() for kind in kinds]
        for place, (a, b) in enumerate(links):
            put(self.parts[a % len(kinds)], place, self.parts[b % len(kinds)])


def put(holder, place, item):
    if isinstance(holder, list):
        holder.append(item)
    elif isinstance(holder, dict):
        holder[place] = item
    else:
        setattr(holder, f"x{place}", item)


def shape(value, seen):
    """A graph in a form that ``==`` compares: an object that was met before is its number."""
    if not isinstance(value, list | dict | types.SimpleNamespace):
        return value
    if id(value) in seen:
        return ("again", seen[id(value)])
    seen[id(value)] = len(seen)
    items = (
        enumerate(value)
        if isinstance(value, list)
        else (value if isinstance(value, dict) else vars(value)).items()
    )
    return type(value).__name__, [(key, shape(item, seen)) for key, item in items]


links = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["list", "dict", "object"]), min_size=1, max_size=4), links, links)
def test_any_graph_comes_back_as_it_was(kinds, first, later):
    before, fresh = Graph(kinds, first), Graph(kinds, first)
    for place, (a, b) in enumerate(later):
        item = before.parts[b % len(kinds)] if b % 2 else b
        put(before.parts[a % len(kinds)], 100 + place, item)
    refill([fresh], tree.from_bytes(tree.to_bytes(captured([before]))))
    assert shape(fresh.parts, {}) == shape(before.parts, {})


def test_the_attributes_of_a_callback_go_to_another_one_without_the_model():
    stop = keras.callbacks.EarlyStopping(patience=2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    stop.set_model(model)
    stop.set_params({"epochs": 3})
    stop.best, stop.wait = 0.25, 1
    (own,) = attributes.own_attributes([stop])
    assert not {"_model", "model", "params"} & set(own)
    twin = keras.callbacks.EarlyStopping(patience=2)
    attributes.set_own_attributes([twin], [own])
    assert (twin.best, twin.wait, twin.params) == (0.25, 1, None)
    assert twin.model is None
