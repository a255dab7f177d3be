"""Wrong arguments are Fairlane's own errors, before any training: which argument, what was given, what is expected."""

from __future__ import annotations

import contextlib
import doctest

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fairlane as fl
from fairlane.kit import arguments

X, Y = np.ones((12, 3), "float32"), np.ones((12, 1), "float32")
TRAINED: list[int] = []


class Trained(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        TRAINED.append(1)


def build(lr=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(lr), "mse", metrics=["mae"])
    return model


def compare(x=X, y=Y, **options):
    return fl.compare(
        build, {"lr": [0.1, 0.01]}, x, y, **{"verbose": 0, "callbacks": lambda: [Trained()], **options}
    )


@pytest.fixture(scope="module")
def study():
    return compare(seeds=2, epochs=2)


def test_doctests():
    results = doctest.testmod(arguments)
    assert results.attempted > 4
    assert results.failed == 0


NARROW = X[:, :2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"x": X[:5]},
            r"can't use the training data: .*'x' sizes: 5 .*Given: x: float32 \(5, 3\); y: float32 \(12, 1\)",
        ),
        ({"x": np.float32(3)}, "can't use the training data"),
        ({"x": X.tolist()}, "can't use the training data: Unrecognized data type.*x: a list: "),
        ({"x": X.astype(object)}, "Invalid dtype: object.*x: object"),
        ({"x": np.full((12, 3), "a")}, "can't use the training data: Invalid dtype.*x: str32"),
        ({"sample_weight": np.ones(5)}, r"sample_weight: float64 \(5,\)"),
        ({"validation_split": 0.99}, "not sufficient to split.*x: float32"),
        ({"validation_data": 3}, "can't use validation_data: Unrecognized data type.*validation_data: 3"),
        ({"validation_data": (X, Y, Y, Y)}, "can't use validation_data: Data is expected to be in format"),
        (
            {"validation_data": (X,)},
            r"validation_data can't be evaluated by the model of trial 0 .*it has no targets",
        ),
        (
            {"validation_data": (NARROW, Y)},
            r"validation_data can't be .*incompatible.*\(float32 \(12, 2\), float32 \(12, 1\)\)",
        ),
        ({"validation_data": (NARROW, Y), "validation_freq": 3}, "validation_data can't be evaluated"),
        ({"validation_data": (X, Y), "test_data": (NARROW, Y)}, "test_data can't be evaluated"),
        (
            {"test_data": (NARROW, Y)},
            "test_data can't be evaluated by the model of trial 0 .*incompatible",
        ),
        ({"test_data": X}, "test_data can't be evaluated .*it has no targets"),
        ({"test_data": (X,)}, "test_data can't be evaluated .*it has no targets"),
        ({"test_data": ()}, r"test_data must be \(x, y\), .*not a tuple of length 0"),
        ({"test_data": 3}, "can't use test_data: Unrecognized data type.*test_data: 3"),
        ({"test_data": (X, Y[:4])}, "can't use test_data: Data cardinality.*test_data: "),
        ({"class_weight": {"a": 1}}, "class_weight must be a dict from class"),
        (
            {"callbacks": lambda a, b: []},
            "without arguments, or with one argument, the trial; this one needs a, b",
        ),
        ({"callbacks": lambda *, rate: []}, "this one needs rate"),
    ],
)
def test_data_and_callbacks_are_checked_before_any_training(options, words, tmp_path):
    TRAINED.clear()
    with pytest.raises(fl.StudyError, match=words):
        compare(epochs=4, store=tmp_path / "runs.db", name="a", **options)
    assert not TRAINED


def test_a_refused_test_set_leaves_no_store(tmp_path):
    with pytest.raises(fl.StudyError, match="test_data can't be evaluated"):
        compare(test_data=(NARROW, Y), store=tmp_path / "runs.db", name="a")
    assert not list(tmp_path.iterdir())


def test_what_a_model_can_be_tested_on_without_targets():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            y = self.dense(x)
            self.add_loss(keras.ops.mean(keras.ops.square(y - x)))
            return y

    def builder():
        model = Own()
        model.compile("sgd")
        return model

    for held_out in ((X,), X, (X, None)):
        study = fl.compare(builder, [{}], X, validation_data=held_out, test_data=held_out, verbose=0)
        assert study.trials["error"].tolist() == [""]
        assert study.trials["test_loss"][0] == pytest.approx(study.trials["val_loss"][0])


def test_models_that_can_be_trained_on_nothing_fail_by_themselves():
    with pytest.warns(
        fl.FairlaneWarning, match="nothing was trained: each of the 2 trials failed before its first"
    ):
        study = compare(NARROW, validation_data=(NARROW, Y), test_data=(NARROW, Y))
    assert study.trials["state"].tolist() == ["failed", "failed"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.summary(3), "metric must be the name of a metric, such as 'val_loss', not 3"),
        (lambda s: s.summary(["loss"]), r"metric must be the name of a metric.*, not a list: \['loss'\]"),
        (lambda s: s.summary(""), "metric must be the name of a metric.*, not ''"),
        (lambda s: s.summary("loss", report=3), "report must be the name of a metric.*, not 3"),
        (lambda s: s.summary("loss", select=3), "select must be the name of a metric.*, not 3"),
        (lambda s: s.summary(mode={"x": "up"}), "mode of 'x' must be 'auto', 'min' or 'max', not 'up'"),
        (lambda s: s.summary(at=3), "at must be 'last' or 'best', not 3"),
        (lambda s: s.summary(confidence="a"), "confidence must lie between 0 and 1.*got 'a'"),
        (lambda s: s.summary(confidence=float("nan")), "confidence must lie between 0 and 1.*got nan"),
        (lambda s: s.summary(interval="bootstrap", resamples=10.5), "resamples must be at least 2.*got 10.5"),
        (lambda s: s.summary(rng="a"), "rng must be a numpy.random.Generator, or a seed: .*, not 'a'"),
        (lambda s: s.summary(rng=-1), "rng must be .*, not -1"),
        (lambda s: s.summary(zz=1), r"summary has no argument 'zz'\. It takes: metric, select"),
        (lambda s: s.summary(confidenc=0.9), r"no argument 'confidenc'\. Did you mean 'confidence'"),
        (lambda s: s.plot(confidence=3), "confidence must lie between 0 and 1.*got 3"),
        (lambda s: s.plot(title=3), "title must be a string, or None, not 3"),
        (lambda s: s.plot(metrics=3), "metrics must be a list of names of metrics"),
        (lambda s: s.plot(metrics=[3]), "metrics must be a list of names of metrics"),
        (lambda s: s.plot("final", metric=["loss"]), "metric must be the name of a metric"),
        (lambda s: s.plot(None), "plot draws 'curves', .*, not None"),
        (lambda s: s.plot(["final"]), "plot draws 'curves', .*, not a list"),
        (lambda s: s.report(None), "path must be the path of a file, such as 'report.html', not None"),
        (lambda s: s.report(3), "path must be the path of a file, .*, not 3"),
        (lambda s: s.report("."), "'.' is a folder"),
        (lambda s: s.report(""), "path must be the path of a file, .*, not ''"),
        (lambda s: s.report("r.html", 3), "metric must be the name of a metric"),
        (lambda s: s.report("r.html", mode="up"), "mode must be 'auto', 'min' or 'max'"),
        (lambda s: s.best(3), "metric must be the name of a metric.*, not 3"),
        (lambda s: s.best(["loss"]), "metric must be the name of a metric"),
        (lambda s: s.best(""), "metric must be the name of a metric"),
        (lambda s: s.best(of="all"), "of must be 'variant' or 'trials', not 'all'"),
        (lambda s: s.best_variant(at="first"), "at must be 'last' or 'best', not 'first'"),
        (
            lambda s: s.model([0]),
            r"trial must be a trial of this study, or its number, 0 to 3, not a list: \[0\]",
        ),
        (lambda s: s.model(s), "not a Study"),
        (lambda s: s.model(), r"model needs the argument 'trial'\. It takes: trial"),
        (lambda s: s.save(0, None), "path must be the path of a file, such as 'model.keras', not None"),
        (lambda s: s.save(0, "/nonexistent/a.keras"), "path: the folder /nonexistent does not exist"),
        (lambda s: s.to_frame("x"), "long must be True or False, not 'x'"),
        (lambda s: s.to_tensorboard(None), "dir must be the path of a folder, not None"),
        (lambda s: fl.shared_state(build(), 3), "argument 1 must be a keras.Model, not 3"),
        (lambda s: fl.check_independent(build, build()), "argument 0 must be a keras.Model, not a function"),
        (lambda s: fl.continuing(3).__enter__(), "argument 0 must be a keras.Model, not 3"),
        (
            lambda s: fl.guard(3),
            r"guard can't be called like this: too many positional arguments\. It takes: nothing",
        ),
        (lambda s: fl.open("runs.db"), "open needs the argument 'name'"),
        (lambda s: fl.open("runs.db", "a", build=3), "build must be a builder, .*, not 3"),
        (lambda s: fl.open("runs.db", "a", custom_objects=3), "custom_objects must be a dict .*, not 3"),
    ],
)
def test_wrong_arguments_of_results(study, ask, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fl.FairlaneError, match=words):
        ask(study)
    assert not list(tmp_path.iterdir())


def test_a_builder_that_does_not_fit_a_stored_study(tmp_path):
    compare(store=tmp_path / "runs.db", name="a")
    read = fl.open(tmp_path / "runs.db", "a", build=lambda: build())
    with pytest.raises(
        fl.StudyError, match=r"build can't be called with the hyperparameters of trial 0 .*'lr'"
    ):
        read.model(0)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=3), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2), st.just(object()), st.just(complex(0, 1)), st.just(np.array([1, 2])),
)  # fmt: skip


@given(
    st.sampled_from(
        ["metric", "select", "at", "mode", "baseline", "interval", "confidence", "resamples", "rng"]
    ),
    ANYTHING,
)
@settings(deadline=None, max_examples=120)
@pytest.mark.filterwarnings("ignore::fairlane.FairlaneWarning")
def test_whatever_is_given_the_error_is_fairlanes_own(study, name, value):
    if name == "resamples" and arguments.is_whole(value) and value > 10:
        value = 10
    with contextlib.suppress(fl.StudyError):
        study.summary(**{name: value})


@pytest.mark.parametrize(
    ("options", "words"),
    [(("oof",), "'oof'"), (("a", "b"), "'a' or 'b'"), (("a", "b", "c"), "'a', 'b' or 'c'")],
)
def test_all_options_are_named(options, words):
    with pytest.raises(fl.StudyError, match=f"^on must be {words}, not 'off'$"):
        arguments.one_of("on", "off", options)
