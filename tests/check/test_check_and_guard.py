"""One table of programs, to which the checker and the guard are held: what one excuses, the other excuses.

The programs are run, with the guard on, and are read, by the checker. The guard knows no names: what only a
second name gives away, without a new compile, is the checker's alone.
"""

import linecache
import textwrap
import warnings

import numpy as np
import pytest

import fairlane as fl
from fairlane.check import check_text
from fairlane.errors import AlreadyTrainedWarning
from fairlane.models.guard.samples import MOST_ROWS, Relation, of

START = """\
import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(0)
x = rng.normal(size=(24, 3)).astype("float32")
y = x.sum(axis=1, keepdims=True)


def build():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])


def fit(model, x=x, y=y, **more):
    return model.fit(x, y, verbose=0, **more)


"""
LINES = START.count("\n")

# A name, the program, and what both say: the rules, or nothing.
PROGRAMS = {
    "alias": (
        """\
        model = build()
        def train(rate):
            copy = model
            copy.compile(keras.optimizers.SGD(rate), "mse")
            return copy.fit(x, y, verbose=0)
        a = train(0.01)
        b = train(0.1)
        """,
        {"FL001"},
    ),
    "sweep": (
        """\
        model, losses = build(), []
        for rate in (0.01, 0.1):
            model.compile(keras.optimizers.SGD(rate), "mse")
            losses.append(model.fit(x, y, verbose=0))
        """,
        {"FL003"},
    ),
    "sweep by batches": (
        """\
        model, losses = build(), []
        for rate in (0.01, 0.1):
            model.compile(keras.optimizers.SGD(rate), "mse")
            for k in range(3):
                losses.append(model.train_on_batch(x[k * 8 : k * 8 + 8], y[k * 8 : k * 8 + 8]))
        """,
        {"FL003"},
    ),
    "two trainings": (
        """\
        model = build()
        model.compile("adam", "mse")
        model.fit(x, y, verbose=0)
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        """,
        {"FL002"},
    ),
    "folds": (
        """\
        from sklearn.model_selection import KFold
        model = build()
        model.compile("sgd", "mse")
        for train, test in KFold(3).split(x):
            model.fit(x[train], y[train], validation_data=(x[test], y[test]), verbose=0)
        """,
        {"FL010"},
    ),
    "folds by hand": (
        """\
        model = build()
        model.compile("sgd", "mse")
        for k in range(3):
            out = np.arange(24) % 3 == k
            model.fit(x[~out], y[~out], verbose=0)
            model.evaluate(x[out], y[out], verbose=0)
        """,
        {"FL010"},
    ),
    "random splits": (
        """\
        from sklearn.model_selection import train_test_split
        model = build()
        model.compile("sgd", "mse")
        for state in range(3):
            a, b, c, d = train_test_split(x, y, random_state=state)
            model.fit(a, c, verbose=0)
            model.evaluate(b, d, verbose=0)
        """,
        {"FL010"},
    ),
    "folds compiled again": (
        """\
        from sklearn.model_selection import KFold
        model = build()
        for train, test in KFold(3).split(x):
            model.compile("sgd", "mse")
            model.fit(x[train], y[train], verbose=0)
            model.evaluate(x[test], y[test], verbose=0)
        """,
        {"FL010"},
    ),
    "one optimizer for three": (
        """\
        adam = keras.optimizers.SGD()
        for model in [build(), build(), build()]:
            model.compile(adam, "mse")
            model.fit(x, y, verbose=0)
        """,
        {"FL004"},
    ),
    "one log file": (
        """\
        import os, tempfile
        log = keras.callbacks.CSVLogger(os.path.join(tempfile.mkdtemp(), "log.csv"))
        for size in (8, 12):
            model = build()
            model.compile("sgd", "mse")
            model.fit(x, y, batch_size=size, callbacks=[log], verbose=0)
        """,
        {"FL005"},
    ),
    "one metric": (
        """\
        error = keras.metrics.MeanAbsoluteError()
        for size in (8, 12):
            model = build()
            model.compile("sgd", "mse", metrics=[error])
            model.fit(x, y, batch_size=size, verbose=0)
        """,
        {"FL006"},
    ),
    "one initializer": (
        """\
        he = keras.initializers.HeNormal()
        inner = [layers.Dense(3, kernel_initializer=he), layers.Dense(3, kernel_initializer=he)]
        model = keras.Sequential([keras.Input((3,)), *inner, layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        """,
        {"FL007"},
    ),
    "layers in two models": (
        """\
        stack = [layers.Dense(2), layers.Dense(1)]
        for rate in (0.01, 0.1):
            model = keras.Sequential(stack)
            model.compile(keras.optimizers.SGD(rate), "mse")
            model.fit(x, y, verbose=0)
        """,
        {"FL008"},
    ),
    "a trainable base in two models": (
        """\
        base = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        for width in (1, 2):
            model = keras.Sequential([base, layers.Dense(width), layers.Dense(1)])
            model.compile("sgd", "mse")
            model.fit(x, y, verbose=0)
        """,
        {"FL008"},
    ),
    "fine-tuning": (
        """\
        base = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        base.trainable = False
        model = keras.Sequential([base, layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        base.trainable = True
        model.compile(keras.optimizers.SGD(1e-5), "mse")
        model.fit(x, y, verbose=0)
        """,
        set(),
    ),
    "phases": (
        """\
        model = build()
        model.compile("adam", "mse")
        phase_1 = model.fit(x, y, verbose=0)
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        phase_2 = model.fit(x, y, verbose=0)
        """,
        set(),
    ),
    "weights restored": (
        """\
        model, losses = build(), []
        first = model.get_weights()
        for rate in (0.01, 0.1):
            model.set_weights(first)
            model.compile(keras.optimizers.SGD(rate), "mse")
            losses.append(model.fit(x, y, verbose=0))
        """,
        set(),
    ),
    "weights of an inner model loaded": (
        """\
        import os, tempfile
        path = os.path.join(tempfile.mkdtemp(), "first.weights.h5")
        inner = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        inner.save_weights(path)
        model, losses = keras.Sequential([inner, layers.Dense(1)]), []
        for rate in (0.01, 0.1):
            inner.load_weights(path)
            model.compile(keras.optimizers.SGD(rate), "mse")
            losses.append(model.fit(x, y, verbose=0))
        """,
        set(),
    ),
    "compiled again to evaluate": (
        """\
        model = build()
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        model.compile("sgd", "mse", metrics=["mae"])
        model.evaluate(x, y, verbose=0)
        """,
        set(),
    ),
    "other samples": (
        """\
        model = build()
        model.compile("sgd", "mse")
        model.fit(x[:12], y[:12], verbose=0)
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        model.fit(x[12:], y[12:], verbose=0)
        """,
        set(),
    ),
    "a stream": (
        """\
        model = build()
        for day in range(3):
            model.compile(keras.optimizers.SGD(0.1 / (day + 1)), "mse")
            model.fit(x[day * 8 : day * 8 + 8], y[day * 8 : day * 8 + 8], verbose=0)
        """,
        set(),
    ),
    "snapshots": (
        """\
        model, members = build(), []
        for cycle in range(3):
            model.compile("sgd", "mse")
            model.fit(x, y, verbose=0)
            members.append(model.get_weights())
        """,
        set(),
    ),
    "more epochs": (
        """\
        model = build()
        model.compile("sgd", "mse")
        for _ in range(3):
            model.fit(x, y, verbose=0)
            model.evaluate(x, y, verbose=0)
        """,
        set(),
    ),
    "resumed": (
        """\
        model = build()
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=1, verbose=0)
        model.compile("sgd", "mse")
        model.fit(x, y, initial_epoch=1, epochs=2, verbose=0)
        """,
        set(),
    ),
    "walking forward": (
        """\
        from sklearn.model_selection import TimeSeriesSplit
        model = build()
        model.compile("sgd", "mse")
        for train, test in TimeSeriesSplit(3).split(x):
            model.fit(x[train], y[train], verbose=0)
            model.evaluate(x[test], y[test], verbose=0)
        """,
        set(),
    ),
    "greedy layers": (
        """\
        a, b = layers.Dense(2), layers.Dense(2)
        for layer in (a, b):
            part = keras.Sequential([layer, layers.Dense(1)])
            part.compile("sgd", "mse")
            part.fit(x, y, verbose=0)
        c = layers.Dense(1)
        inputs = keras.Input((3,))
        deep = keras.Model(inputs, c(layers.add([a(inputs), b(inputs)])))
        deep.compile("sgd", "mse")
        deep.fit(x, y, verbose=0)
        """,
        set(),
    ),
    "autoencoder and classifier": (
        """\
        inputs, code = keras.Input((3,)), layers.Dense(2)
        auto = keras.Model(inputs, layers.Dense(3)(code(inputs)))
        auto.compile("sgd", "mse")
        auto.fit(x, x, verbose=0)
        other = keras.Model(inputs, layers.Dense(1)(code(inputs)))
        other.compile("sgd", "mse")
        other.fit(x, y, verbose=0)
        """,
        set(),
    ),
    "rolled back": (
        """\
        import os, tempfile
        path = os.path.join(tempfile.mkdtemp(), "best.keras")
        best = keras.callbacks.ModelCheckpoint(path)
        model = build()
        model.compile("sgd", "mse")
        model.fit(x, y, callbacks=[best], verbose=0)
        model = keras.models.load_model(path)
        model.compile("sgd", "mse")
        model.fit(x, y, callbacks=[best], verbose=0)
        """,
        set(),
    ),
    "resumed by a function": (
        """\
        def train(model):
            model.compile("sgd", "mse")
            fit(model)
        model = build()
        train(model)
        resume = train
        resume(model)
        """,
        set(),
    ),
    "folds from first weights, compiled once": (
        """\
        model = build()
        model.compile("sgd", "mse")
        first = model.get_weights()
        for k in range(3):
            part = np.arange(24) % 3 == k
            model.set_weights(first)
            model.fit(x[~part], y[~part], verbose=0)
            model.evaluate(x[part], y[part], verbose=0)
        """,
        set(),
    ),
    "one sample left out": (
        """\
        model, errors = build(), []
        model.compile("sgd", "mse")
        for i in range(2):
            model.fit(np.delete(x, i, 0), np.delete(y, i, 0), verbose=0)
            errors.append(model.predict(x[i : i + 1], verbose=0) - y[i])
        """,
        {"FL010"},
    ),
    "a model that is built once": (
        """\
        held = None
        def get():
            global held
            if held is None:
                held = build()
            return held
        for k in range(3):
            part = np.arange(24) % 3 == k
            get().compile("sgd", "mse")
            get().fit(x[~part], y[~part], validation_data=(x[part], y[part]), verbose=0)
        """,
        {"FL010"},
    ),
    "one graph, two models": (
        """\
        inputs = keras.Input((3,))
        outputs = layers.Dense(1)(inputs)
        models = [keras.Model(inputs, outputs) for _ in range(2)]
        for model in models:
            model.compile("sgd", "mse")
            model.fit(x, y, verbose=0)
        """,
        {"FL008"},
    ),
    "an agent that replays": (
        """\
        agent = build()
        agent.compile("sgd", "mse")
        for episode in range(3):
            agent.predict(x[episode : episode + 1], verbose=0)
            batch = rng.integers(0, 8, 4)
            agent.fit(x[batch], y[batch], verbose=0)
        """,
        set(),
    ),
    "said to continue": (
        """\
        import fairlane as fl
        model = build()
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        with fl.continuing(model):
            model.compile("adam", "mse")
            model.fit(x, y, verbose=0)
        """,
        set(),
    ),
}

# What each rule is, in the guard's words.
WORDS = {
    "FL001": "was compiled again",
    "FL002": "was compiled again",
    "FL003": "was compiled again",
    "FL004": "The optimizer ",
    "FL005": "The callback ",
    "FL006": "The metric ",
    "FL007": "object initializes layers",
    "FL008": "were trained on the same samples in model",
    "FL010": "",  # of folds that are compiled again, it says just that
}


def program(name):
    return START + textwrap.dedent(PROGRAMS[name][0])


def warned(text, path):
    """What the guard says while a program runs: lines and messages."""
    path.write_text(text)
    linecache.checkcache(str(path))
    with warnings.catch_warnings(record=True) as caught, fl.guard():
        warnings.simplefilter("always")
        exec(compile(text, str(path), "exec"), {"__name__": "program"})
    return [(w.lineno, str(w.message)) for w in caught if w.category is AlreadyTrainedWarning]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_checker(name):
    found = check_text(program(name), "program.py").findings
    assert {finding.code for finding in found} == PROGRAMS[name][1]
    assert len(found) == len(PROGRAMS[name][1])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_guard(name, tmp_path):
    codes = PROGRAMS[name][1]
    told = warned(program(name), tmp_path / "program.py")
    assert len(told) == len(codes)  # one mistake, one warning
    for (line, message), code in zip(told, codes, strict=True):
        assert WORDS[code] in message
        assert line > LINES


def test_both_name_one_line_for_what_is_shared(tmp_path):
    for name in ("one optimizer for three", "one log file", "one metric"):
        (finding,) = check_text(program(name), "program.py").findings
        ((line, _),) = warned(program(name), tmp_path / "program.py")
        assert finding.place.line == line


def test_samples_of_datasets_and_large_arrays():
    x = np.random.default_rng(0).normal(size=(5000, 40))
    assert of(x).relation(of(x.copy())) is Relation.SAME
    assert of(x[:2500]).relation(of(x[2500:])) is Relation.OTHERS
    assert of(x[:4000]).relation(of(x[1000:])) is Relation.SOME
    assert of(x, x).relation(of(x, x[:, :1])) is Relation.OTHERS
    share = of(x[:4000]).within(of(x[1000:]))
    assert share is not None
    assert abs(share - 0.75) < 0.05
    large = np.broadcast_to(np.zeros(1), (MOST_ROWS + 1,))
    assert of(large).relation(of(np.array(large))) is Relation.UNKNOWN
    assert of(large).relation(of(large)) is Relation.SAME
    assert of(iter(x)).relation(of(iter(x))) is Relation.UNKNOWN


def test_what_is_not_in_memory_is_not_read(tmp_path):
    class OnDisk:
        shape = (100, 4)
        dtype = np.dtype("float32")

        def __array__(self, *_, **__):
            raise AssertionError("read")

    large = np.memmap(tmp_path / "x.bin", dtype="float32", mode="w+", shape=(100, 4))
    for data in (OnDisk(), large):
        assert of(data).keys == frozenset()
        assert of(data).relation(of(data)) is Relation.SAME
