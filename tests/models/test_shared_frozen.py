"""What training can't change may be shared by all trials: a frozen base, a teacher, an embedding. What it can, may not."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT = {"epochs": 2, "batch_size": 8}
ENGINES = pytest.mark.parametrize("engine", ["lanes", "reference"])


def made_base(dropout=0.0):
    keras.utils.set_random_seed(11)
    inside = [layers.Dense(4, "tanh"), layers.BatchNormalization()]
    if dropout:
        inside.append(layers.Dropout(dropout))
    base = keras.Sequential([keras.Input((3,)), *inside], name="base")
    base.compile("sgd", "mse")
    base.fit(X, np.repeat(Y, 4, axis=1), epochs=1, verbose=0)  # pretrained
    base.trainable = False
    return base


def head_on(base):
    def build(rate=0.05):
        x = keras.Input((3,))
        model = keras.Model(x, layers.Dense(1)(base(x)))
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
        return model

    return build


def values(layer):
    return [np.array(v) for v in layer.variables]


def assert_same(before, after):
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


# --- allowed --------------------------------------------------------------------------------------------


@ENGINES
def test_a_frozen_base_is_shared(engine):
    base = made_base()
    build, before = head_on(base), values(base)
    alone = [keras_alone(build, {"rate": r}, s, X, Y, **FIT).logs for r in (0.05, 0.01) for s in (0, 1)]
    study = fl.compare(build, {"rate": [0.05, 0.01]}, X, Y, seeds=2, engine=engine, verbose=0, **FIT)
    for trial, logs in enumerate(alone):
        assert_logs_agree(history_of(study, trial), logs)
    assert_same(before, values(base))
    first, second = study.model(0), study.model(1)
    assert fl.shared_state(first, second) == []
    assert not {id(v) for v in first.variables} & {id(v) for v in base.variables}
    assert_same(before, values(first.layers[1]))
    loss = first.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    keras.utils.set_random_seed(0)
    model = build(0.05)
    model.fit(X, Y, verbose=0, **FIT)
    np.testing.assert_allclose(loss, model.evaluate(X, Y, verbose=0, return_dict=True)["loss"], rtol=1e-5)


def test_a_base_that_is_trained_later_is_not_put_back_by_an_old_model():
    base = made_base()
    study = fl.compare(head_on(base), [{}], X, Y, verbose=0, **FIT)
    before = values(base)
    base.trainable = True
    base.compile("sgd", "mse")
    base.fit(X, np.repeat(Y, 4, axis=1), verbose=0)
    base.trainable = False
    now = values(base)
    assert_same(before, values(study.model(0).layers[1]))
    assert_same(now, values(base))


class Student(keras.Model):
    """Distillation: the teacher is an attribute, and the class can't be copied."""

    def __init__(self, teacher, moving=False):
        super().__init__()
        self.teacher, self.moving = teacher, moving
        self.inside, self.out = layers.Dense(3, "tanh"), layers.Dense(4)

    def build(self, shape):
        self.inside.build(shape)
        self.out.build((None, 3))
        self.built = True

    def call(self, x):
        return self.out(self.inside(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.moving and training:
            self.teacher.layers[0].bias.assign(self.teacher.layers[0].bias * 0.9)
        soft = keras.ops.mean(keras.ops.square(self.teacher(x, training=False) - y_pred))
        return soft + keras.ops.mean(keras.ops.square(keras.ops.mean(y_pred, axis=1, keepdims=True) - y))


def student_of(teacher, moving=False):
    def build(rate=0.05):
        model = Student(teacher, moving)
        model.build((None, 3))
        model.compile(keras.optimizers.Adam(rate))
        return model

    return build


@ENGINES
def test_a_teacher_is_shared(engine):
    teacher = made_base(dropout=0.5)
    build, before = student_of(teacher), values(teacher)
    alone = [keras_alone(build, {"rate": r}, 0, X, Y, **FIT).logs for r in (0.05, 0.01)]
    study = fl.compare(build, {"rate": [0.05, 0.01]}, X, Y, engine=engine, verbose=0, **FIT)
    for trial, logs in enumerate(alone):
        assert_logs_agree(history_of(study, trial), logs)
    assert_same(before, values(teacher))
    assert study.model(1).evaluate(X, Y, verbose=0) < alone[1]["loss"][0]
    teacher.layers[0].bias.assign(
        [1.0, 2.0, 3.0, 4.0]
    )  # and then the class's models would change what is now
    changed = values(teacher)
    with pytest.raises(fl.StudyError, match="the value has changed since the trial was trained"):
        study.model(1)
    assert_same(changed, values(teacher))


@ENGINES
def test_an_embedding_is_shared(engine):
    words = np.random.default_rng(1).integers(0, 9, (24, 5))
    embedding = layers.Embedding(9, 4)
    embedding.build()
    embedding.trainable = False

    def build(rate=0.05):
        inside = [embedding, layers.GlobalAveragePooling1D(), layers.Dropout(0.2), layers.Dense(1)]
        model = keras.Sequential([keras.Input((5,)), *inside])
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    before = values(embedding)
    logs = keras_alone(build, {"rate": 0.01}, 1, words, Y, **FIT).logs
    study = fl.compare(build, {"rate": [0.05, 0.01]}, words, Y, seeds=[1], engine=engine, verbose=0, **FIT)
    assert_logs_agree(history_of(study, 1), logs)
    assert_same(before, values(embedding))


@ENGINES
def test_fit_trains_models_on_one_base(engine):
    base = made_base()
    build, before = head_on(base), values(base)
    alone = []
    for rate in (0.05, 0.01):
        keras.utils.set_random_seed(2)
        model = build(rate)
        keras.utils.set_random_seed(5)
        alone.append(model.fit(X, Y, verbose=0, **FIT).history)
    models = []
    for rate in (0.05, 0.01):
        keras.utils.set_random_seed(2)
        models.append(build(rate))
    with fl.guard(), warnings.catch_warnings():
        warnings.simplefilter("error", fl.AlreadyTrainedWarning)
        histories = fl.fit(models, X, Y, seed=5, engine=engine, verbose=0, **FIT)
    for one, other in zip(histories, alone, strict=True):
        assert_logs_agree(one.history, other)
    assert_same(before, values(base))
    assert models[0].layers[1] is models[1].layers[1] is base


def test_what_a_frozen_layer_holds_is_no_shared_state():
    assert fl.shared_state(*[head_on(made_base())() for _ in range(2)]) == []
    base = made_base()
    assert fl.shared_state(head_on(base)(), head_on(base)()) == []
    base = made_base(0.5)  # without data, nobody knows whether it drops out anything
    (shared,) = fl.shared_state(head_on(base)(), head_on(base)())
    assert shared.kind == "layer"
    assert "Nothing in it is trainable, but its seed generator" in shared.why


# --- refused --------------------------------------------------------------------------------------------


class Counting(layers.Layer):
    """Changes a variable of its own in each step, though it is frozen."""

    def build(self, shape):
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")

    def call(self, x):
        self.steps.assign_add(1.0)
        return x + 0 * self.steps


def unfrozen():
    base = made_base()
    base.trainable = True
    return head_on(base)


def counting():
    layer = Counting()
    layer.build((None, 3))
    layer.trainable = False

    def build():
        model = keras.Sequential([keras.Input((3,)), layer, layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return build


def unbuilt():
    layer = layers.Dense(2, trainable=False)

    def build():
        model = keras.Sequential([layer, layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return build


REFUSED = {
    "trainable": (unfrozen, "Training one model changes the layer's weights"),
    "draws": (lambda: head_on(made_base(0.5)), "each training step changes '.*seed_generator_state'"),
    "counts": (counting, "each training step changes '.*steps'"),
    "moves": (lambda: student_of(made_base(), moving=True), "each training step changes '.*bias'"),
    "not built": (unbuilt, "can't be known: call it once before"),
}


@pytest.mark.parametrize("case", ["trainable", "draws", "counts", "moves", "not built"])
def test_what_a_step_changes_is_refused_and_the_reason_is_true(case):
    made, reason = REFUSED[case]
    build = made()
    with pytest.raises(fl.SharedStateError, match=reason) as error:
        fl.compare(build, [{}], X, Y, verbose=0, **FIT)
    assert "build it inside the builder" in str(error.value)
    assert "`fl.copy(base)` in the builder" in str(error.value)


def test_fit_refuses_it_too_and_leaves_the_models_as_they_were():
    build = head_on(made_base(0.5))
    models = [build(), build()]
    with pytest.raises(fl.SharedStateError, match="each training step changes"):
        fl.fit(models, X, Y, verbose=0, **FIT)
    assert not any(model.optimizer.built for model in models)
    base = made_base()
    base.trainable = True
    source = iter([(X, Y)] * 9)
    batches = (batch for batch in source)
    with pytest.raises(fl.SharedStateError, match="changes the layer's weights"):
        fl.fit([head_on(base)(), head_on(base)()], batches, steps_per_epoch=1, verbose=0)
    assert len(list(source)) == 9  # nor is a generator read


@ENGINES
def test_a_later_variant_that_trains_it_fails_and_the_others_are_right(engine):
    base = made_base()
    before = values(base)

    def build(frozen):
        base.trainable = not frozen
        return head_on(base)()

    study = fl.compare(build, {"frozen": [True, False]}, X, Y, seeds=2, engine=engine, verbose=0, **FIT)
    states = study.trials["state"].tolist()
    assert states[2:] == ["failed", "failed"]
    assert "one of the two trains it" in study.trials["error"][2]
    assert_same(before, values(base))
    # On lanes, those that train still when the builder makes the base trainable, for all models, fail too.
    assert engine == "lanes" or states[:2] == ["done", "done"]
    for seed, state in enumerate(states[:2]):
        assert state in ("done", "failed")
        if state == "done":
            alone = keras_alone(build, {"frozen": True}, seed, X, Y, **FIT)
            assert_logs_agree(history_of(study, seed), alone.logs)


@ENGINES
def test_a_callback_that_changes_it_fails_its_trial_alone(engine):
    base = made_base()
    before = values(base)

    class Changes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.layers[1].layers[0].bias.assign([1.0, 2.0, 3.0, 4.0])

    def callbacks(trial):
        return [Changes()] if trial.seed == 1 else []

    study = fl.compare(
        head_on(base), [{}], X, Y, seeds=3, engine=engine, callbacks=callbacks, verbose=0, **FIT
    )  # fmt: skip
    assert study.trials["state"].tolist() == ["done", "failed", "done"]
    assert "which it shares with other trials" in study.trials["error"][1]
    assert_same(before, values(base))
    for seed in (0, 2):
        assert_logs_agree(history_of(study, seed), keras_alone(head_on(base), {}, seed, X, Y, **FIT).logs)


@ENGINES
@pytest.mark.parametrize("moment", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_who_is_built_while_a_changed_trial_waits_sees_no_change(engine, moment):
    """Variants train one after another to a rung; the first waits there, and a callback of it has changed the base."""
    base = made_base()
    before, seen = values(base), []

    class Changes(keras.callbacks.Callback):
        pass

    setattr(Changes, moment, lambda self, *_, **__: base.layers[0].bias.assign([1.0, 2.0, 3.0, 4.0]))

    def build(rate):
        seen.append(values(base))
        return head_on(base)()

    study = fl.search(
        build,
        {"rate": fl.Float(0.1, 0.2)},
        X,
        Y,
        objective="loss",
        trials=3,
        stop="halving",
        width=1,
        engine=engine,
        callbacks=lambda trial: [Changes()] if trial.number == 0 else [],
        verbose=0,
        **{**FIT, "epochs": 3},
    )
    for found in [*seen, values(base)]:
        assert_same(before, found)
    states = study.trials["state"].tolist()
    assert states[0] in ("failed", "stopped" if moment == "on_train_end" else "failed")
    assert "failed" not in states[1:]


@ENGINES
@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_a_callback_that_unfreezes_it_trains_nothing_of_it(engine):
    base = made_base()
    before = values(base)

    class Unfreezes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.layers[1].trainable = True

    study = fl.compare(
        head_on(base), [{}], X, Y, seeds=2, engine=engine, callbacks=lambda: [Unfreezes()], verbose=0, **FIT
    )  # fmt: skip
    assert study.trials["state"].tolist() == ["failed", "failed"]
    assert_same(before, values(base))
    base.trainable = False
    models = [head_on(base)(), head_on(base)()]
    with pytest.raises(fl.TrialError):
        fl.fit(models, X, Y, engine=engine, callbacks=lambda: [Unfreezes()], verbose=0, **FIT)
    assert_same(before, values(base))
