"""What was requested is known by its state: the same in every process, and another for another state."""

import collections
import copy
import dataclasses
import datetime
import enum
import functools
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.kit.libraries import is_installed
from fairlane.models.identity import functions, objects
from fairlane.provenance import fingerprint


class Ob:
    def __init__(self, held):
        self.held = held

    def __call__(self, lr):
        return self.held

    def method(self, lr):
        return self.held


class Slotted:
    __slots__ = ("__weakref__", "held")

    def __init__(self, held):
        self.held = held


class OwnRepr(Ob):
    def __repr__(self):
        return "always the same"


@dataclasses.dataclass
class Data:
    held: object
    other: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Named(collections.namedtuple("Named", "held")):
    __slots__ = ()


class Layer(keras.layers.Layer):
    def __init__(self, held, **kwargs):
        super().__init__(**kwargs)
        self.held, self.more = held, [held]

    def call(self, x):
        return x * self.held


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, held):
        self.held = held

    def __call__(self, step):
        return self.held

    def get_config(self):
        return {}  # which says nothing


def closure(held):
    return lambda lr: held


def default(held):
    return lambda lr, held=held: held


def wrapped(held):
    @functools.wraps(closure)
    def inner(lr):
        return held

    return inner


def with_attribute(held):
    def inner(lr):
        return inner.held

    inner.held = held
    return inner


def a_class(held):
    class Made:
        value = held

    return Made


KINDS = {
    "object": Ob,
    "object with slots": Slotted,
    "object with a repr": OwnRepr,
    "dataclass": Data,
    "named tuple": Named,
    "enum": lambda held: list(Colour)[held % 2],
    "bound method": lambda held: Ob(held).method,
    "method of a dict": lambda held: {"a": held}.get,
    "partial of an object": lambda held: functools.partial(Ob(held)),
    "closure": closure,
    "default": default,
    "behind a decorator": wrapped,
    "attribute of a function": with_attribute,
    "cached function": lambda held: functools.lru_cache(closure(held)),
    "class": a_class,
    "objects in containers": lambda held: [{"a": (Ob(held),)}, {Ob(held)}],
    "namespace": lambda held: types.SimpleNamespace(a=Ob(held)),
    "subclass of dict": lambda held: collections.OrderedDict(a=Ob(held)),
    "default dict": lambda held: collections.defaultdict(list, a=[held]),
    "deque": lambda held: collections.deque([held]),
    "large array in an object": lambda held: Ob(np.r_[np.zeros(9999), held]),
    "array of objects": lambda held: np.array([Ob(held)]),
    "random generator": np.random.default_rng,
    "date": lambda held: datetime.date(held, 1, 1),
    "layer": keras.layers.Dense,
    "layer of one's own": Layer,
    "schedule of one's own": Schedule,
    "loss of one's own": lambda held: (
        keras.losses.LossFunctionWrapper(lambda a, b: a * held)
        if hasattr(keras.losses, "LossFunctionWrapper")
        else keras.metrics.MeanMetricWrapper(lambda a, b: a * held)
    ),
    "variable": lambda held: keras.Variable(float(held)),
    "tensor": lambda held: keras.ops.convert_to_tensor([held]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_known_by_its_state(kind):
    make = KINDS[kind]
    assert fingerprint.described(make(3)) == fingerprint.described(make(3))
    assert fingerprint.described(make(3)) != fingerprint.described(make(4))
    assert not objects.is_unknown(fingerprint.described(make(3)))


@pytest.mark.parametrize(
    "make",
    [lambda: open(__file__), lambda: (i for i in [1]), lambda: Ob(i for i in [1])],  # noqa: SIM115
)
def test_what_can_not_be_read_is_not_taken_for_the_same(make):
    value = make()
    told = fingerprint.described([value])
    assert objects.is_unknown(told)
    assert "it[0]" in objects.in_words(told)
    getattr(value, "close", lambda: None)()


def test_what_is_nested_too_deeply_can_not_be_read():
    value = []
    for _ in range(5000):
        value = [value]
    assert "nested too deeply" in fingerprint.described(value)


class Handle:
    """Holds what can't be read, and says itself what it is."""

    def __init__(self, name):
        self.name, self.lines = name, (line for line in [name])

    def __repr__(self):
        return f"Handle({self.name!r})"


def test_a_repr_stands_for_what_can_not_be_read():
    assert fingerprint.described(Handle("a")) == fingerprint.described(Handle("a"))
    assert fingerprint.described(Handle("a")) != fingerprint.described(Handle("b"))


def test_an_object_without_a_state_of_its_own_has_no_address():
    assert fingerprint.described(object()) == fingerprint.described(object())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Ob, inner)
        | st.builds(Data, inner)
    ),
    max_leaves=8,
)


def plainly(value):
    """A value in a form that ``==`` and types compare."""
    if isinstance(value, Ob | Data):
        return type(value).__name__, plainly(value.held)
    if isinstance(value, list):
        return [plainly(item) for item in value]
    if isinstance(value, dict):
        return "dict", [(key, plainly(item)) for key, item in value.items()]
    return repr(value)


@settings(deadline=None, max_examples=150)
@given(plain, plain)
def test_two_values_have_one_description_if_they_are_of_one_state(one, other):
    assert fingerprint.described(one) == fingerprint.described(copy.deepcopy(one))
    alike = fingerprint.described(one) == fingerprint.described(other)
    assert alike is (plainly(one) == plainly(other))


# --- builders -------------------------------------------------------------------------------------------

PROGRAM = """
import functools, types
import numpy as np
import other

CFG = {"units": [8, {"deep": 3}]}
NS = types.SimpleNamespace(units=3)
COUNT = 0
CALLS = []
SEEN = {}

class Conf:
    units = 3
    @property
    def more(self):
        return NS.units

class Meta(type):
    deep = 3

class OfMeta(metaclass=Meta):
    pass

class Maker:
    def __init__(self, units):
        self.units = units
    def make(self):
        return helper(self.units)

def helper(units):
    return units + CFG["units"][1]["deep"]

def build(lr):
    global COUNT
    COUNT += 1
    CALLS.append(lr)
    SEEN[lr] = 1
    more = OfMeta.deep, globals()["CFG"], getattr(other, "named")
    return Maker(Conf.units).make(), Conf().more, other.table["a"], inner(lr), more

def inner(lr):
    from other import late
    return late() * lr
"""
OTHER = "table = {'a': 1}\nnamed = 1\nRATE = 2\ndef late():\n    return RATE\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "other.py").write_text(OTHER)
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    space = {"__name__": "program"}
    exec(compile(PROGRAM, str(path), "exec"), space)
    is_installed.cache_clear()
    yield space
    sys.modules.pop("other", None)


def other_module():
    return sys.modules["other"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda p: p["CFG"]["units"][1].update(deep=4), "build, CFG"),
        (lambda p: setattr(p["NS"], "units", 4), "Conf.more, NS"),
        (lambda p: setattr(p["Conf"], "units", 4), "Conf.units"),
        (lambda p: setattr(p["Maker"], "make", lambda self: 1), "Maker.make"),
        (lambda p: p.update(helper=lambda units: units), "<lambda>"),
        (lambda p: other_module().table.update(a=2), "build, other.table"),
        (lambda p: setattr(other_module(), "named", 2), "build, other.named"),
        (lambda p: setattr(p["Meta"], "deep", 4), "Meta.deep"),
        (lambda p: setattr(other_module(), "RATE", 3), "late, RATE"),
    ],
)
def test_what_a_builder_reads_belongs_to_it(program, change, where):
    before = fingerprint.source(program["build"])
    assert fingerprint.source(program["build"]) == before
    change(program)
    assert where in fingerprint.differences(
        {"model": before}, {"model": fingerprint.source(program["build"])}
    )


def test_what_a_builder_only_adds_to_is_no_part_of_it(program):
    before = fingerprint.source(program["build"])
    program["build"](0.1)
    assert fingerprint.source(program["build"]) == before


@pytest.mark.parametrize("name", ["json", "keras.layers", "numpy", "fairlane.running.compare", "builtins"])
def test_installed_modules_are_not_looked_into(name):
    assert is_installed(name)


SCRIPT = """
import functools, sys, types
import keras
from fairlane.provenance import fingerprint

class Ob:
    def __init__(self, k):
        self.k, self.names, self.me = k, {"b", "a", "c", ("x", 1)}, self
        self.fs = frozenset({1.5, "q"})
    def method(self):
        return self.k

NS = types.SimpleNamespace(o=Ob(1), s={"z", "y", "x"})

def build(lr, f=Ob(3)):
    if lr in {"p", "q", "r"}:
        return Ob
    return NS.o.method(), keras.layers.Dense

for _ in range(int(sys.argv[1])):
    keras.layers.Dense(1)  # so that Keras has counted names
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])
model.compile("sgd", "mse", metrics=[keras.metrics.AUC()])
print(fingerprint.source(build), fingerprint.described([Ob(2), Ob(2).method, functools.partial(build)]))
print({k: v for k, v in fingerprint.spec(model, {}, [keras.callbacks.EarlyStopping()]).items()})
"""


def test_another_process_finds_the_same(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(hashes, names):
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "KERAS_BACKEND": "jax"}
        command = [sys.executable, str(script), names]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert not done.returncode, done.stderr
        return done.stdout

    first = run("1", "0")
    assert "0x" not in first
    assert run("2", "3") == first


# --- templates and callbacks ----------------------------------------------------------------------------


def template(held, name="dense"):
    def loss(a, b):
        return keras.ops.mean((a - b) ** 2) * held

    layers = [keras.Input((2,)), Layer(2), keras.layers.Lambda(lambda x: x), keras.layers.Dense(1, name=name)]
    model = keras.Sequential(layers)
    model.compile("sgd", loss=loss)
    return model


def test_a_template_is_known_by_what_its_config_does_not_say():
    def spec(*given):
        return fingerprint.spec(template(*given), {}, None)["model"]

    assert spec(1) == spec(1)
    assert fingerprint.differences({"model": spec(1)}, {"model": spec(2)}) == (
        "model, template.<locals>.loss, held:\n    - 1\n    + 2"
    )
    assert spec(1, "block_1") != spec(1, "block_2")


def test_names_that_keras_counts_are_counted_anew():
    def config():
        a = keras.Input((2,))
        x, y = keras.layers.Dense(2)(a), keras.layers.Dense(2)(a)
        model = keras.Model(a, keras.layers.Add()([x, y]))
        return objects.template_config(model)

    one, two = config(), config()
    assert one == two
    names = [layer["config"]["name"] for layer in one["config"]["layers"]]
    assert names == ["input_layer 0", "dense 0", "dense 1", "add 0"]


class Own(keras.callbacks.Callback):
    def __init__(self, held):
        super().__init__()
        self._hidden = [held]


@pytest.mark.parametrize(
    "make",
    [
        lambda k: [keras.callbacks.EarlyStopping(patience=k)],
        lambda k: [Own(k)],
        lambda k: [keras.callbacks.LearningRateScheduler(Ob(k))],
        lambda k: [keras.callbacks.LearningRateScheduler(lambda epoch, rate: k)],
        lambda k: lambda: [Own(k)],
        lambda k: functools.partial(lambda held: [held], Own(k)),
        lambda k: Ob(k),
        lambda k: Ob(k).method,
    ],
)
def test_callbacks_are_known_by_what_they_hold(make):
    one, again, other = (fingerprint.spec(closure(0), {}, make(k)) for k in (3, 3, 4))
    assert one == again
    assert fingerprint.differences(one, other).startswith("callbacks, ")


def test_settings_are_part_of_what_was_requested():
    before = fingerprint.spec(closure(0), {}, None)
    keras.config.set_epsilon(1e-5)
    try:
        now = fingerprint.spec(closure(0), {}, None)
    finally:
        keras.config.set_epsilon(1e-7)
    assert fingerprint.differences(before, now) == ""
    assert fingerprint.changed_settings(before, now) == [
        "keras.config.epsilon was 1e-07 and is 1e-05 now; keras.config.set_epsilon(1e-07) sets it back"
    ]
    assert fingerprint.changed_settings({}, now) == []  # an older version did not keep them


def test_what_an_older_version_kept_is_compared():
    now = fingerprint.spec(closure(0), {"batch_size": 8}, None)
    older = {name: part for name, part in now.items() if name != "settings"}
    older["model"] = {
        name: part for name, part in now["model"].items() if name != "closure.<locals>.<lambda>, held"
    }
    assert fingerprint.differences(older, now) == ""
    older["arguments"] = {"batch_size": "9"}
    assert "arguments, batch_size" in fingerprint.differences(older, now)


def test_texts_are_of_the_function_that_runs():
    assert functions.text(wrapped(1)).startswith("@functools.wraps(closure)\ndef inner(lr):")


def test_a_file_that_holds_something_else_is_no_source(tmp_path):
    """Code that was compiled under the name of another file: Python's tokenizer may refuse what is there."""
    file = tmp_path / "page.md"
    file.write_text("text\n\ndef build(  # never closed\n")
    names = {}
    exec(compile("\n\ndef build():\n    return 1\n", str(file), "exec"), names)
    assert fingerprint.source(names["build"]) == fingerprint.source(names["build"])
