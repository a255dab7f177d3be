"""Models of different sizes in one program: each lane's numbers are those of Keras's own step, at its own size."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import fairlane as fl
from _alone import assert_logs_agree, assert_variables_agree, history_of, keras_alone, variables
from fairlane.engines.program import tracing
from fairlane.engines.program.lift import Lift
from fairlane.engines.program.outline import outline
from fairlane.engines.program.sizes import known
from fairlane.engines.program.sizes.aligned import CannotUnify, skeleton
from fairlane.engines.program.sizes.derived import derive
from fairlane.engines.program.sizes.family import MEMBER, FamilySteps
from fairlane.engines.program.sizes.run import run, shapes_of
from fairlane.engines.program.sizes.table import Table
from fairlane.engines.program.steps import TemplateSteps
from fairlane.engines.program.structure import structure
from fairlane.engines.program.tracing import batch_of, kind_of, step_function, traced
from fairlane.models import keras_private
from fairlane.models.variables import read_state

RNG = np.random.default_rng(6)
SIZES = (3, 5)


def compiled(inputs, outputs, optimizer="sgd", **more):
    model = keras.Model(inputs, layers.Dense(4)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **more)
    return model


def dense(units):
    i = keras.Input((6,))
    h = layers.Dropout(0.3)(layers.Dense(units, "relu")(i))
    h = layers.BatchNormalization()(layers.Dense(2 * units, "sigmoid", kernel_regularizer="l2")(h))
    return compiled(i, h, keras.optimizers.Adam(0.01, clipnorm=1.0))


def norms(units):
    i = keras.Input((6,))
    h = layers.GaussianNoise(0.1)(layers.LayerNormalization()(layers.Dense(units, "gelu")(i)))
    h = layers.RMSNormalization()(layers.Dense(units + 1, "softmax", kernel_constraint="max_norm")(h))
    return compiled(i, layers.AlphaDropout(0.2)(h))


def groups(units):
    i = keras.Input((6,))
    return compiled(i, layers.UnitNormalization()(layers.GroupNormalization(1)(layers.Dense(units)(i))))


def images(filters):
    i = keras.Input((8, 8, 1))
    h = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(i))
    h = layers.SpatialDropout2D(0.2)(layers.Conv2D(filters + 3, 2, padding="same", strides=2)(h))
    return compiled(i, layers.Flatten()(h))


def channels(filters):
    i = keras.Input((8, 8, 2))
    h = layers.SeparableConv2D(filters, 2)(layers.DepthwiseConv2D(3)(layers.Conv2D(filters, 3)(i)))
    return compiled(i, layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(h)))


def sequences(filters):
    i = keras.Input((9, 3))
    h = layers.GlobalMaxPooling1D()(layers.Conv1D(filters, 3, activation="elu", padding="causal")(i))
    return compiled(i, h)


def recurrent(units):
    i = keras.Input((5, 3))
    h = layers.GRU(units)(layers.Bidirectional(layers.LSTM(units, return_sequences=True))(i))
    return compiled(i, h)


def words(dimension):
    i = keras.Input((7,), dtype="int32")
    return compiled(i, layers.GlobalAveragePooling1D()(layers.Embedding(20 + dimension, dimension)(i)))


def attention(key_dim):
    i = keras.Input((5, 6))
    h = layers.Add()([i, layers.MultiHeadAttention(2, key_dim, dropout=0.1, use_bias=False)(i, i)])
    return compiled(i, layers.Flatten()(layers.LayerNormalization()(h)))


def heads(number):
    i = keras.Input((5, 6))
    return compiled(i, layers.Flatten()(layers.MultiHeadAttention(number, 4, use_bias=False)(i, i)))


def branches(units):
    i = keras.Input((6,))
    parts = [layers.Dense(units)(i), layers.Dense(2 * units, "tanh")(i), layers.Dense(3)(i)]
    joined = layers.Concatenate()(parts)
    both = layers.Multiply()([layers.Dense(units)(joined), layers.Dense(units)(i)])
    return compiled(i, both)


def reshaped(units):
    i = keras.Input((6,))
    h = layers.Permute((2, 1))(layers.Reshape((3, units))(layers.Dense(3 * units)(i)))
    return compiled(i, layers.Flatten()(layers.ZeroPadding1D(1)(h)))


KINDS = (dense, norms, groups, images, channels, sequences, recurrent, words, attention, heads, branches)
OPTIMIZERS = ("adamw", "adamax", "nadam", "adadelta", "ftrl", "lion")


def batch_for(model, samples=8):
    shape = (samples, *model.input_shape[1:])
    words = model.inputs[0].dtype == "int32"
    x = RNG.integers(0, 20, size=shape).astype("int32") if words else RNG.normal(size=shape).astype("float32")
    return x, RNG.integers(0, 4, size=samples).astype("int32"), None


def like(array):
    return jax.ShapeDtypeStruct(np.shape(array), jax.dtypes.canonicalize_dtype(array.dtype))


def built(make, sizes=SIZES):
    """Models of several sizes, and a batch for all."""
    models, batch = [], None
    for size in sizes:
        keras.utils.set_random_seed(sum(size) if isinstance(size, tuple) else size)
        model = make(size)
        batch = batch or batch_for(model)
        keras_private.symbolic_build_from(model, batch)
        models.append(model)
    return models, batch


def steps_agree(make, sizes=SIZES, steps=2, rtol=2e-4):
    """A padded program gives what each model's own step gives; its padding is full of NaN."""
    models, batch = built(make, sizes)
    kind = kind_of("train", batch, True)
    states = [read_state(model) for model in models]
    pairs = zip(models, states, strict=True)
    kinds = jax.tree.map(like, batch)
    own = [traced(step_function(m, kind), jax.tree.map(like, s), kinds).program for m, s in pairs]
    assert len(set(map(skeleton, own))) == 1
    flat = [jax.tree.leaves((state, batch)) for state in states]
    whole = shapes_of([[like(a) for a in arrays] for arrays in flat])
    table = Table()

    def of_lane(row, arrays):
        return run(own, table.read(*row), arrays)

    rows = [jax.ShapeDtypeStruct((256,), dtype) for dtype in ("int32", "float32")]
    jax.eval_shape(of_lane, rows, whole)  # fills the table
    lanes = [
        np.stack(column)
        for column in zip(*(table.arrays(table.row(i)) for i in range(len(sizes))), strict=True)
    ]
    stacked = [
        np.stack([with_nan(a, s.shape) for a in arrays]) for *arrays, s in zip(*flat, whole, strict=True)
    ]
    padded, alone = jax.jit(jax.vmap(of_lane)), [jax.jit(jax.extend.core.jaxpr_as_fun(one)) for one in own]
    of_state = len(jax.tree.leaves(states[0]))
    for _ in range(steps):
        results = padded(lanes, stacked)
        for i, step in enumerate(alone):
            expected = step(*flat[i])
            for ours, theirs in zip(results, expected, strict=True):
                mine = np.asarray(ours[i])[tuple(map(slice, theirs.shape))]
                np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=2e-5)
            flat[i][:of_state] = expected[len(expected) - of_state :]
        stacked[:of_state] = [np.asarray(a) for a in results[len(results) - of_state :]]


def with_nan(array, shape):
    array = np.asarray(array)
    if array.shape == tuple(shape):
        return array
    room = np.full(shape, np.nan if array.dtype.kind == "f" else 77, array.dtype)
    room[tuple(map(slice, array.shape))] = array
    return room


class Lookup(layers.Layer):
    """Looks rows up by numbers of few bits, such as pixels."""

    def __init__(self, rows, mode):
        super().__init__()
        self.rows, self.mode = rows, mode

    def build(self, shape):
        # Not trained: at the compiler's level of the tests, XLA itself adds to other rows by such numbers.
        self.table = self.add_weight(shape=(self.rows, 3), name="table", trainable=False)

    def call(self, pixels):
        rows = keras.ops.cast(pixels, "uint8") + 250  # some are beyond the table
        return jnp.take(jnp.asarray(self.table.value), rows, axis=0, mode=self.mode)

    def compute_output_shape(self, shape):
        return (*shape, 3)


@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_numbers_of_few_bits_look_up_in_long_tables(mode):
    def make(rows):
        i = keras.Input((4,), dtype="int32")
        return compiled(i, layers.Flatten()(Lookup(rows, mode)(i)))

    steps_agree(make, (252, 310))


@pytest.mark.parametrize("make", [*KINDS, reshaped], ids=lambda make: make.__name__)
def test_a_padded_step_is_each_model_s_own(make):
    steps_agree(make)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_sees_its_own_arrays(optimizer):
    def make(units):
        i = keras.Input((6,))
        return compiled(i, layers.Dense(units, "tanh")(i), optimizer)

    steps_agree(make)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adafactor(0.01),
        lambda: keras.optimizers.Lamb(0.01),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, global_clipnorm=0.5),
        lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
        lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    ],
    ids=["adafactor", "lamb", "global_clipnorm", "ema", "loss scaling", "accumulation"],
)
def test_what_looks_at_whole_arrays_sees_no_padding(optimizer):
    def make(units):
        i = keras.Input((6,))
        return compiled(i, layers.Dense(units, "tanh")(i), optimizer())

    steps_agree(make)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    stack=st.lists(
        st.sampled_from(["dense", "norm", "batch", "dropout", "double", "join"]), min_size=1, max_size=4
    ),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=3, unique=True),
)
def test_any_stack_of_layers_at_any_width(stack, sizes):
    def make(units):
        i = h = keras.Input((5,))
        for kind in stack:
            h = {
                "dense": lambda h: layers.Dense(units, "tanh")(h),
                "norm": lambda h: layers.LayerNormalization()(h),
                "batch": lambda h: layers.BatchNormalization()(h),
                "dropout": lambda h: layers.Dropout(0.4)(h),
                "double": lambda h: layers.Dense(2 * units)(h),
                "join": lambda h: layers.Concatenate()([h, layers.Dense(units)(h)]),
            }[kind](h)
        return compiled(i, h)

    try:
        steps_agree(make, sizes, steps=2, rtol=1e-3)
    except (CannotUnify, AssertionError) as error:
        # With one unit Keras may do other operations: then there are separate programs.
        if 1 not in sizes or (isinstance(error, AssertionError) and "skeleton" not in str(error)):
            raise


# --- batches of another size -----------------------------------------------------------------------------


def of_samples(batch, samples):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((samples, *a.shape[1:]), a.dtype), batch)


def assert_derived(steps, sizes):
    """`steps`: of two models, for batches of two sizes each."""
    (shown, changed), (own, expected) = steps
    ours, theirs = outline(derive(shown, changed, own, sizes)), outline(expected)
    assert ours.digest == theirs.digest
    for a, b in zip(ours.numbers, theirs.numbers, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_step_for_smaller_batches_is_derived_exactly(make):
    models, batch = built(make)
    samples = len(jax.tree.leaves(batch)[0])
    for what in ("train", "test"):
        kinds = [kind_of(what, of_samples(batch, n), False) for n in (samples, samples - 2)]
        states = [jax.tree.map(like, read_state(model)) for model in models[:2]]
        steps = [
            [traced(step_function(m, kind), state, batch_of(kind)).program for kind in kinds]
            for m, state in zip(models, states, strict=False)
        ]
        assert_derived(steps, (samples, samples - 2))


def of_arrays(function, samples, units):
    return jax.make_jaxpr(function)(jax.ShapeDtypeStruct((samples, units), "float32"))


def test_numbers_of_elements_are_derived():
    def flat(x):
        return x.reshape(-1) / x.size

    steps = [[of_arrays(flat, samples, units) for samples in (32, 6)] for units in (8, 12)]
    assert_derived(steps, (32, 6))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * max(x.shape),
        lambda x: x * (x.shape[0] + x.shape[1]),
        lambda x: x / np.sqrt(x.size),
        lambda x: x if x.shape[0] < x.shape[1] else -x,
    ],
    ids=["largest", "sum", "root", "branch"],
)
def test_what_depends_on_both_sizes_is_not_derived(function):
    (shown, changed), (own, _) = ([of_arrays(function, n, u) for n in (32, 6)] for u in (16, 40))
    with pytest.raises(CannotUnify, match=r"depends on the batch's size and|other operations|for batches of"):
        derive(shown, changed, own, (32, 6))


def test_sizes_for_which_nothing_can_be_derived_are_traced(monkeypatch):
    def refuse(*arguments):
        raise CannotUnify("not here")

    seen = []
    for deriving in (derive, refuse):
        monkeypatch.setattr(known, "derive", deriving)
        study = fl.compare(build, {"units": [4, 6, 9, 12]}, X, Y, verbose=0, engine="lanes", **FIT)
        assert study.trials["loop"].unique().tolist() == ["scan×2, 4 sizes"]
        seen.append(study.history[["trial", "epoch", "loss", "val_loss"]])
    assert seen[0].equals(seen[1])


def test_other_operations_are_refused():
    def make(units):
        i = keras.Input((6,))
        h = layers.Dense(units)(i)
        return compiled(i, h if units == 3 else layers.Activation("relu")(h))

    models, batch = built(make)
    kind = kind_of("train", batch, False)
    programs = [
        traced(step_function(m, kind), jax.tree.map(like, read_state(m)), jax.tree.map(like, batch)).program
        for m in models
    ]
    assert len(set(map(skeleton, programs))) == 2
    with pytest.raises(CannotUnify, match=r"other operations|does .* where others do not"):
        run(programs, Table(), jax.tree.leaves((read_state(models[0]), batch)))


# --- in a study -----------------------------------------------------------------------------------------

X = RNG.normal(size=(44, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
FIT = {"epochs": 2, "batch_size": 16, "validation_split": 0.25}
EVEN = X[:43], Y[:43]
"""Two whole batches: where a smaller last batch, of which there are other tests, would be one more program of each."""


def build(units=4, rate=0.2, learning_rate=0.05):
    i = keras.Input((6,))
    h = layers.Dropout(rate)(layers.Dense(units, "relu")(i))
    return compiled(
        i, layers.LayerNormalization()(layers.Dense(units // 2)(h)), keras.optimizers.Adam(learning_rate)
    )


def test_widths_and_numbers_share_one_program():
    variants = [
        {"units": u, "rate": r, "learning_rate": lr}
        for u, r, lr in zip((4, 6, 9, 12), (0.2, 0.3) * 2, (0.05, 0.01, 0.02, 0.03), strict=True)
    ]
    study = fl.compare(build, variants, X, Y, seeds=2, verbose=0, engine="lanes", **FIT)
    assert study.trials["fleet"].nunique() == 1
    assert study.trials["reason"].tolist() == [""] * 8
    assert study.trials["loop"].unique().tolist() == ["scan×4, 4 sizes"]
    for trial in study.trials.itertuples():
        if (trial.trial // 2 + trial.seed) % 2 == 0:
            continue  # lanes that were mixed up are seen all the same
        own = {"units": trial.units, "rate": trial.rate, "learning_rate": trial.learning_rate}
        alone = keras_alone(build, own, trial.seed, X, Y, **FIT)
        assert_logs_agree(history_of(study, trial.trial), alone.logs, what=str(own))
        assert_variables_agree(variables(study.model(trial.trial)), alone.variables, what=str(own))


class Scaled(layers.Layer):
    """Code of the user's own, which reads a size and a number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return self.factor * keras.ops.tanh(inputs) / inputs.shape[-1] ** 0.5


def own_code(units=4, factor=2.0, learning_rate=0.05):
    i = keras.Input((6,))
    h = layers.Dropout(0.2)(layers.Dense(units, lambda x: keras.ops.maximum(x, 0.1 * x))(i))
    return compiled(i, Scaled(factor)(h), keras.optimizers.Adam(learning_rate))


def test_models_with_code_of_the_user_s_own_share_one_program():
    variants = [
        {"units": u, "factor": f, "learning_rate": r}
        for u, f, r in zip((4, 7, 4, 7), (2.0, 1.5, 0.5, 2.0), (0.05, 0.01, 0.02, 0.05), strict=True)
    ]
    study = fl.compare(own_code, variants, X, Y, verbose=0, engine="lanes", **FIT)
    assert study.trials["loop"].unique().tolist() == ["scan×2, 2 sizes"]
    for trial, own in enumerate(variants):
        alone = keras_alone(own_code, own, 0, X, Y, **FIT)
        assert_logs_agree(history_of(study, trial), alone.logs, what=str(own))
        assert_variables_agree(variables(study.model(trial)), alone.variables, what=str(own))


@pytest.mark.parametrize("builder", [build, own_code], ids=lambda builder: builder.__name__)
def test_sizes_that_come_later_join_a_program(builder):
    number = "rate" if builder is build else "factor"
    space = {"units": fl.Choice([5, 9, 4, 6, 8, 7]), number: fl.Float(0.1, 0.5)}
    given = {"objective": "val_loss", "sampler": "random", "width": 2, "engine": "lanes", "verbose": 0}
    study = fl.search(builder, space, X, Y, trials=7, **given, **FIT)
    trials = study.trials
    assert trials["units"].nunique() > 3
    assert trials["fleet"].nunique() < trials["units"].nunique()
    for trial in trials.itertuples():
        own = {"units": trial.units, number: getattr(trial, number)}
        alone = keras_alone(builder, own, trial.seed, X, Y, **FIT)
        assert_logs_agree(history_of(study, trial.trial), alone.logs, what=str(own))
        assert_variables_agree(variables(study.model(trial.trial)), alone.variables, what=str(own))


def family(make, sizes):
    """The unified steps of models, and their own."""
    models, batch = built(make, sizes)
    kind = kind_of("train", batch, False)
    lift = Lift(())
    steps, states = {}, {}
    for size, model in zip(sizes, models, strict=True):
        states[str(size)] = jax.tree.map(like, read_state(model))
        steps[str(size)] = TemplateSteps(model, structure(model), lift)
    return kind, steps, states, lift


@pytest.mark.parametrize(
    ("sizes", "new", "joins"),
    [
        ([(3, 4), (5, 7), (4, 5)], (4, 6), True),
        ([(3, 3), (5, 5), (4, 4)], (4, 5), False),  # the two were one size to the program
        ([(3, 4), (5, 7)], (6, 4), False),  # larger than what is padded to
    ],
    ids=["between", "another relation", "larger"],
)
def test_which_sizes_join_a_program(sizes, new, joins):
    def make(units):
        i = keras.Input((6,))
        h = layers.LayerNormalization()(layers.Dense(units[0], "tanh")(i))
        return compiled(i, layers.LayerNormalization()(layers.Dense(units[1], "tanh")(h)))

    kind, steps, states, lift = family(make, [*sizes, new])
    key = str(new)
    last, state = steps.pop(key), states.pop(key)
    together = FamilySteps(steps, states, {}, lift, [{}])
    together.prepare([kind], together.padded, [{}])
    before = {str(size): together.lift.values([{MEMBER: str(size)}]) for size in sizes}
    assert together.join(key, last, state, [{}]) == joins
    assert (key in together.members) == joins
    for size in sizes:
        for a, b in zip(before[str(size)], together.lift.values([{MEMBER: str(size)}]), strict=True):
            assert np.array_equal(a, b)
    if joins:
        assert set(new) <= set(np.asarray(together.lift.values([{MEMBER: key}])[0]).ravel().tolist())


def test_arrays_of_the_user_s_own_code_are_not_padded():
    def masked(units, kept):
        i = keras.Input((6,))
        mask = np.arange(units) % kept == 0
        h = layers.Dense(units, lambda x: x * mask)(i)
        return compiled(i, h)

    variants = [{"units": u, "kept": k} for u in (4, 7) for k in (2, 3)]
    study = fl.compare(masked, variants, *EVEN, verbose=0, engine="lanes", **FIT)
    assert "sizes" not in "".join(study.trials["loop"])
    for trial, own in enumerate(variants):
        assert_logs_agree(history_of(study, trial), keras_alone(masked, own, 0, *EVEN, **FIT).logs)


def test_arrays_of_one_value_in_the_user_s_own_code_are_padded():
    def shifted(units, by):
        i = keras.Input((6,))
        shift = np.full(units, by, "float32")
        return compiled(i, layers.Dense(units, lambda x: x + shift)(i))

    @cache
    def alone(**own):
        return keras_alone(shifted, own, 0, *EVEN, **FIT).logs

    for grid, together in (
        ({"units": [4, 7], "by": [0.5]}, True),
        ({"units": [4, 7], "by": [0.5, 1]}, False),
    ):
        study = fl.compare(shifted, grid, *EVEN, verbose=0, engine="lanes", **FIT)
        assert ("2 sizes" in study.trials["loop"].iloc[0]) == together
        for trial in study.trials.itertuples():
            assert_logs_agree(history_of(study, trial.trial), alone(units=trial.units, by=trial.by))


def test_what_runs_in_a_step_is_looked_at_once(monkeypatch):
    """Of models of the same classes, whatever their sizes: to look is slow."""
    looks = []
    watched = tracing.watched

    def counted():
        looks.append(1)
        return watched()

    monkeypatch.setattr(tracing, "watched", counted)
    study = fl.compare(build, {"units": [4, 6, 9, 12]}, X, Y, verbose=0, engine="lanes", **FIT)
    assert study.trials["fleet"].nunique() == 1
    assert len(looks) == 1


def test_a_size_at_which_other_operations_run_is_looked_at_too(monkeypatch):
    looks = []
    watched = tracing.watched

    def counted():
        looks.append(1)
        return watched()

    def grouped(units):
        i = keras.Input((6,))
        return compiled(i, layers.Dense(units)(layers.Dense(units)(i)))

    monkeypatch.setattr(tracing, "watched", counted)
    variants = [{"units": 4}, {"units": 1}]
    study = fl.compare(grouped, variants, *EVEN, verbose=0, engine="lanes", **FIT)
    for trial, own in enumerate(variants):
        assert_logs_agree(history_of(study, trial), keras_alone(grouped, own, 0, *EVEN, **FIT).logs)
    assert len(looks) == study.trials["fleet"].nunique()


def test_a_lane_that_diverges_stays_alone():
    variants = [{"units": 4}, {"units": 6, "learning_rate": 1e38}, {"units": 9}]
    study = fl.compare(build, variants, *EVEN, verbose=0, engine="lanes", **FIT)
    assert study.trials["state"].tolist() == ["done", "diverged", "done"]
    for trial in (0, 2):
        alone = keras_alone(build, variants[trial], 0, *EVEN, **FIT)
        assert_logs_agree(history_of(study, trial), alone.logs)


def test_callbacks_and_stores_see_a_lane_s_own_shapes(tmp_path):
    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["width"] = float(self.model.layers[1].kernel.shape[1])
            self.model.layers[1].bias.assign(self.model.layers[1].bias + 0.01)

    given = {"store": tmp_path / "runs.db", "name": "sizes", "callbacks": lambda: [Looks()], "verbose": 0}
    variants = {"units": [4, 6, 9]}
    fl.compare(build, variants, *EVEN, checkpoint_every=1, **given, **{**FIT, "epochs": 1})
    study = fl.compare(build, variants, *EVEN, checkpoint_every=1, **given, **FIT)
    for trial, units in enumerate(variants["units"]):
        alone = keras_alone(build, {"units": units}, 0, *EVEN, callbacks=[Looks()], **FIT)
        assert_logs_agree(history_of(study, trial), alone.logs)
        assert_variables_agree(variables(study.model(trial)), alone.variables)


def test_what_can_not_be_unified_has_programs_of_its_own():
    def deep(layers_, units):
        i = h = keras.Input((6,))
        for _ in range(layers_):
            h = layers.Dense(units)(h)
        return compiled(i, h)

    variants = [{"layers_": n, "units": u} for n in (1, 2) for u in (4, 7)]
    study = fl.compare(deep, variants, *EVEN, verbose=0, engine="lanes", **FIT)
    assert study.trials["fleet"].tolist() == [0, 0, 1, 1]
    for trial, own in enumerate(variants):
        assert_logs_agree(history_of(study, trial), keras_alone(deep, own, 0, *EVEN, **FIT).logs)


class Read(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.arrays = x, y

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return tuple(a[15 * i : 15 * i + 15] for a in self.arrays)


@pytest.mark.parametrize(
    ("own_code", "reason"), [(False, "convolution by groups"), (True, "code of your own")]
)
def test_why_models_of_other_sizes_have_programs_of_their_own_is_said(own_code, reason):
    def by_channel(multiplier):
        i = keras.Input((5, 3))
        h = layers.DepthwiseConv1D(2, depth_multiplier=multiplier)(i)
        return compiled(i, layers.Flatten()(layers.Lambda(lambda t: t * 2.0)(h) if own_code else h))

    x = RNG.normal(size=(44, 5, 3)).astype("float32")
    grid, fit = {"multiplier": [2, 3]}, {"epochs": 2}
    data = (Read(x, Y), None) if own_code else (x, Y)
    study = fl.compare(by_channel, grid, *data, verbose=0, engine="lanes", **fit)
    assert study.trials["fleet"].nunique() == 2
    assert study.trials["reason"].str.contains(reason).all()
    for trial, multiplier in enumerate(grid["multiplier"]):
        alone = keras_alone(by_channel, {"multiplier": multiplier}, 0, *data, **fit)
        assert_logs_agree(history_of(study, trial), alone.logs)


def test_why_large_models_have_a_program_apart_from_small_ones_is_said():
    def build(units):
        model = keras.Sequential(
            [keras.Input((2,)), layers.Dense(units), layers.Dense(units), layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        return model

    x = RNG.normal(size=(4, 2)).astype("float32")
    study = fl.compare(build, {"units": [3, 600, 5]}, x, x[:, :1], engine="lanes", batch_size=4, verbose=0)
    assert study.trials["fleet"].tolist() == [0, 1, 0]
    assert study.trials["reason"].str.contains("more than 250,000 parameters share a program").all()


def test_models_of_one_size_each_leave_no_place_empty():
    """Whole numbers that are no sizes: nothing shares a program, and no program is wider than its lane."""

    def deep(depth):
        i = h = keras.Input((6,))
        for _ in range(depth):
            h = layers.Dense(4)(h)
        return compiled(i, h)

    study = fl.compare(deep, {"depth": [1, 2, 3, 4]}, X, Y, verbose=0, engine="lanes", epochs=1)
    assert study.trials["loop"].tolist() == ["scan×1"] * 4


def test_other_precisions_have_a_fleet_for_each_rate():
    """Their numbers are no inputs of a program: no lane may get another's rate."""

    def mixed(units, rate):
        policy = "mixed_bfloat16"
        i = keras.Input((6,))
        h = layers.Dropout(rate, dtype=policy)(layers.Dense(units, "relu", dtype=policy)(i))
        return compiled(i, h)

    grid = {"units": [4, 6], "rate": [0.1, 0.6]}
    study = fl.compare(mixed, grid, *EVEN, verbose=0, engine="lanes", **FIT)
    assert study.trials["fleet"].nunique() == 2
    for trial in study.trials.itertuples():
        alone = keras_alone(mixed, {"units": trial.units, "rate": trial.rate}, 0, *EVEN, **FIT)
        assert_logs_agree(history_of(study, trial.trial), alone.logs, rtol=1e-3)
