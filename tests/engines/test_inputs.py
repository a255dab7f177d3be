"""What can't be done is refused before anything is trained, in words that say what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest

import fairlane as fl
from _trial import X, Y, build


class _Spy:
    """Gives out builders, and knows every model that came of them."""

    def __init__(self) -> None:
        self.models: list[keras.Model] = []

    def __call__(self, lr: float = 0.1, units: int = 2) -> keras.Model:
        self.models.append(build(lr, units))
        return self.models[-1]


@contextmanager
def refused(error: type[Exception], *words: str, models: Any = ()) -> Iterator[_Spy]:
    """The block raises ``error`` with all of ``words`` in its message, and no model is trained."""
    spy = _Spy()
    with pytest.raises(error) as info:
        yield spy
    assert type(info.value) is error
    for word in words:
        assert word in str(info.value), str(info.value)
    for model in (*spy.models, *models):
        assert model.optimizer.iterations.numpy() == 0


def compare(model: Any, variants: Any = ({},), x: Any = X, y: Any = Y, **arguments: Any) -> fl.Study:
    variants = list(variants) if isinstance(variants, tuple) else variants
    return fl.compare(model, variants, x, y, verbose=0, **arguments)


# --- variants -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({}, ["the grid is empty", "[{}]"]),
        ([], ["the list of variants is empty", "[{}]"]),
        ({"lr": []}, ["the list of values of 'lr' is empty"]),
        ({"lr": 0.1}, ["the values of 'lr' must be a list, not 0.1", "write [0.1] for one value"]),
        ({"lr": "abc"}, ["the values of 'lr' must be a list, not 'abc'", "write ['abc']"]),
        ({"lr": {"a": 1}}, ["the values of 'lr' must be a list"]),
        ({"lr": [0.1, 0.2, 0.1]}, ["'lr' has the value 0.1 twice", "two variants"]),
        ({"lr": np.array([0.1, 0.1])}, ["'lr' has the value", "twice"]),
        ([{"lr": 0.1}, {"lr": 0.1}], ["variants 0 and 1 are the same", "use seeds"]),
        ([{"lr": 0.1}, 5], ["variant 1 is not a dict but int: 5"]),
        ("lr", ["variants must be a dict of lists", "got str"]),
        (0.1, ["variants must be a dict of lists", "{'learning_rate': [1e-3, 1e-4]}", "got float"]),
        (X, ["variants must be a dict of lists", "got ndarray"]),
        ({"learning_rte": [1]}, ["'learning_rte' is neither an argument of the builder nor of Model.fit"]),
        (
            {"unit": [1]},
            [
                "'unit' is neither an argument of the builder",
                "Did you mean 'units'?",
                "The builder's arguments are: lr, units",
            ],
        ),
        (
            {"batchsize": [1]},
            ["'batchsize' is neither an argument of the builder", "Did you mean 'batch_size'?"],
        ),
        ({3: [1]}, ["name must be a string, not 3"]),
        ({"x": [X]}, ["'x' must be the same for all trials: give it as an argument, x=..."]),
        ({"callbacks": [[]]}, ["'callbacks' must be the same for all trials"]),
        ({"batch_size": [8, 0]}, ["batch_size=0: batch_size must be a whole number, 1 or more"]),
        ({"epochs": [1, "3"]}, ["epochs='3': epochs must be a whole number"]),
    ],
)
def test_variants_are_refused(variants, words):
    with refused(fl.StudyError, *words) as build:
        compare(build, variants)


@pytest.mark.parametrize("name", ["epoch", "seed", "trial", "metric", "value", "mean", "state"])
def test_a_hyperparameter_may_not_have_the_name_of_a_column(name):
    def builder(**hyperparameters):
        raise AssertionError("was built")

    with refused(fl.StudyError, f"can't have the name {name!r}", "a column of that name", f"'{name}_'"):
        compare(builder, {name: [1, 2]})


def test_a_builder_that_needs_more_than_the_variants_give():
    def builder(lr, units):
        raise AssertionError("was built")

    words = [
        "can't be called with variant 1",
        "missing a required argument: 'units'",
        "give the argument a default",
    ]
    with refused(fl.StudyError, *words):
        compare(builder, [{"lr": 0.1, "units": 2}, {"lr": 0.1}])


def test_a_key_given_both_as_a_variant_and_as_an_argument():
    with refused(fl.StudyError, "'batch_size' is given twice: in the variants, and as") as build:
        compare(build, {"batch_size": [8, 16]}, batch_size=4)


def test_a_template_has_no_such_place():
    template = build()
    for path, hint in (("optimizer.learning_rat", "learning_rate"), ("dense_9.units", "layers")):
        with refused(fl.StudyError, repr(path), hint, models=[template]):
            compare(template, {path: [1, 2]})


# --- seeds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (0, ["seeds=0 leaves nothing to train"]),
        (-1, ["seeds=-1 leaves nothing to train"]),
        (True, ["a seed is an integer, not True", "a list of integers"]),
        (2.0, ["a seed is an integer, not 2.0"]),
        ("3", ["a seed is an integer, not '3'"]),
        (None, ["a seed is an integer, not None"]),
        ([], ["the list of seeds is empty"]),
        ([0, 1.5], ["a seed is an integer, not 1.5"]),
        ([0, True], ["a seed is an integer, not True"]),
        ([4, 2, 4], ["seed 4 is given twice"]),
        ([-1], ["seed -1 is outside NumPy's range, 0 to 4294967295"]),
        ([2**32], ["seed 4294967296 is outside"]),
    ],
)
def test_seeds_are_refused(seeds, words):
    with refused(fl.StudyError, *words) as build:
        compare(build, seeds=seeds)


@pytest.mark.parametrize("seeds", [range(3, 5), np.array([3, 4]), (3, 4), {3, 4}])
def test_other_ways_to_give_seeds(seeds):
    study = compare(build, seeds=seeds)
    assert study.trials["seed"].tolist() == [3, 4]


def test_the_largest_seed():
    assert compare(build, seeds=[2**32 - 1]).trials["seed"].tolist() == [2**32 - 1]


# --- arguments of Model.fit, and of compare ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"epoch": 3}, ["'epoch' is not an argument of compare or Model.fit", "Did you mean 'epochs'?"]),
        (
            {"validation": 3},
            ["'validation' is not an argument of compare or Model.fit", "those of Model.fit: batch_size,"],
        ),
        ({"worker": 2}, ["'worker' is not an argument of compare or Model.fit", "Did you mean 'workers'?"]),
        ({"phases": []}, ["'phases' is not an argument of compare or Model.fit", "Did you mean 'then'?"]),
        ({"epochs": "3"}, ["epochs='3': epochs must be a whole number, 0 or more"]),
        ({"epochs": 3.0}, ["epochs=3.0: epochs must be a whole number"]),
        ({"epochs": -1}, ["epochs=-1: epochs must be a whole number"]),
        ({"epochs": None}, ["epochs=None: epochs must be a whole number"]),
        ({"epochs": True}, ["epochs=True: epochs must be a whole number"]),
        ({"initial_epoch": 0.5}, ["initial_epoch=0.5: initial_epoch must be a whole number, 0 or more"]),
        ({"batch_size": -1}, ["batch_size=-1: batch_size must be a whole number, 1 or more, or None"]),
        ({"batch_size": 0}, ["batch_size=0: batch_size must be a whole number, 1 or more"]),
        ({"batch_size": "32"}, ["batch_size='32'"]),
        ({"steps_per_epoch": 2.5}, ["steps_per_epoch=2.5: steps_per_epoch must be a whole number"]),
        ({"validation_steps": 0}, ["validation_steps=0"]),
        ({"validation_batch_size": -8}, ["validation_batch_size=-8"]),
        ({"validation_split": 1.5}, ["validation_split=1.5", "at least 0 and less than 1"]),
        ({"validation_split": 1}, ["validation_split=1: validation_split must be the share"]),
        ({"validation_split": -0.1}, ["validation_split=-0.1"]),
        ({"validation_split": "0.2"}, ["validation_split='0.2'"]),
        ({"validation_freq": "x"}, ["validation_freq='x': validation_freq must be a whole number"]),
        ({"validation_freq": 0}, ["validation_freq=0"]),
        ({"validation_freq": (1, 2)}, ["validation_freq=(1, 2)", "or a list of epochs, counted from 1"]),
        ({"shuffle": "batches"}, ["shuffle='batches': shuffle must be True, False or 'batch'"]),
        ({"shuffle": None}, ["shuffle=None"]),
        ({"class_weight": [1, 2]}, ["class_weight=[1, 2]: class_weight must be a dict from class"]),
        ({"engine": "fast"}, ["engine must be one of 'auto', 'lanes', 'reference', not 'fast'"]),
        ({"on_error": "ignore"}, ["on_error must be 'record' or 'raise', not 'ignore'"]),
        ({"store": "runs.db"}, ["a stored study needs a name, to be found again: give name="]),
    ],
)
def test_arguments_are_refused(arguments, words):
    with refused(fl.StudyError, *words) as build:
        compare(build, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"epochs": 3.5}, {"batch_size": -1}, {"validation_split": 2}, {"epoch": 1}, {"engine": "fast"}],
)
def test_fit_refuses_the_same_arguments(arguments):
    models = [build(), build()]
    with refused(fl.StudyError, next(iter(arguments)), models=models):
        fl.fit(models, X, Y, verbose=0, **arguments)


@pytest.mark.parametrize("seed", [-1, "3", 1.0, True, 2**32, [1]])
def test_fit_refuses_such_a_seed(seed):
    models = [build(), build()]
    with refused(fl.StudyError, "seed", models=models):
        fl.fit(models, X, Y, seed=seed, verbose=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": np.int64(1), "batch_size": np.int32(8)},
        {"epochs": 1, "validation_split": np.float32(0.25), "validation_freq": [1]},
        {"epochs": 1, "shuffle": np.bool_(False), "steps_per_epoch": 1},
        {"batch_size": None, "validation_split": 0, "class_weight": None, "steps_per_epoch": None},
    ],
)
def test_numpys_numbers_and_none_are_taken(arguments):
    study = compare(build, **arguments)
    assert study.trials["error"].tolist() == [""]


def test_no_epochs_at_all():
    study = compare(build, epochs=0)
    assert study.trials["state"].tolist() == ["done"]
    assert study.trials["epochs"].tolist() == [0]
    assert study.history.empty
    keras.utils.set_random_seed(0)
    for a, b in zip(study.model(0).get_weights(), build().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# --- data -----------------------------------------------------------------------------------------------


def test_lengths_that_differ_are_refused_in_keras_words():
    with pytest.raises(ValueError, match="Make sure all arrays contain the same number") as theirs:
        build().fit(X, Y[:-1], verbose=0)
    words = ("'x' sizes: 42", "'y' sizes: 41", "Given: x: float32 (42, 3); y: float32 (41, 1)")
    assert all(word in str(theirs.value) for word in words[:2])
    with refused(fl.StudyError, *words) as spy:
        compare(spy, y=Y[:-1])
    models = [build(), build()]
    with refused(fl.StudyError, *words, models=models):
        fl.fit(models, X, Y[:-1], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"validation_data": (X, Y[:5])}, "Keras can't use validation_data: Data cardinality is ambiguous"),
        ({"validation_data": (X, Y, Y, Y)}, "Keras can't use validation_data: Data is expected"),
        ({"sample_weight": np.ones(3)}, "Keras can't use the training data: Data cardinality"),
        ({"sample_weight": np.ones(42), "class_weight": {0: 1.0}}, "Keras can't use the training data: "),
        ({"validation_split": 0.999}, "Keras can't use the training data: Training data contains 42 samples"),
    ],
)
def test_other_data_that_keras_refuses(arguments, words):
    with refused(fl.StudyError, words) as build:
        compare(build, **arguments)


def test_data_that_only_one_variant_has_is_checked_too():
    with refused(fl.StudyError, "same number of samples") as build:
        compare(build, {"sample_weight": [None, np.ones(3)]})
    with refused(fl.StudyError, "not sufficient to split") as build:
        compare(build, {"validation_split": [0.2, 0.999]})


def test_x_is_missing():
    with refused(fl.StudyError, "x is missing") as build:
        fl.compare(build, [{}])
    models = [globals()["build"]()]
    with refused(fl.StudyError, "x is missing", models=models):
        fl.fit(models)


def _batches() -> Iterator[Any]:
    while True:
        yield X[:8], Y[:8]


def test_the_reference_engine_reads_a_generator_for_one_trial_only():
    words = "which can be read only once, but 2 trials"
    with refused(fl.StudyError, f"x is a generator, {words}") as b:
        compare(b, x=_batches(), y=None, seeds=2, steps_per_epoch=2, engine="reference")
    with refused(fl.StudyError, f"validation_data is a generator, {words}") as b:
        compare(b, seeds=2, validation_data=_batches(), validation_steps=1, engine="reference")
    study = compare(
        build, x=_batches(), y=None, steps_per_epoch=2, epochs=2, shuffle=False, engine="reference"
    )
    assert study.trials["state"].tolist() == ["done"]
    assert study.model(0).optimizer.iterations == 4


def test_a_generator_that_is_used_up_leaves_nothing_to_build_the_model_with():
    batches = ((X[:8], Y[:8]) for _ in range(2))
    study = compare(build, x=batches, y=None, steps_per_epoch=2, shuffle=False, engine="reference")
    assert study.trials["state"].tolist() == ["done"]
    with pytest.raises(
        fl.StudyError, match=r"x is a generator that was read to its end; give a keras\.utils"
    ):
        study.model(0)


# --- models ---------------------------------------------------------------------------------------------


def _uncompiled() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (_uncompiled, ["not compiled", "call model.compile(...) in the builder"]),
        (lambda: None, ["returned None, not a keras.Model", "ends with `return model`"]),
        (lambda: 3, ["returned a int, not a keras.Model"]),
        (lambda: build, ["returned a function, not a keras.Model"]),
        (lambda: keras.layers.Dense(1), ["returned a Dense, not a keras.Model"]),
    ],
)
def test_what_a_builder_may_not_return(made, words):
    def my_builder(lr):
        return made()

    with refused(fl.BuilderError, "my_builder() for trial 0 (lr=0.1, seed 0)", *words):
        compare(my_builder, {"lr": [0.1, 0.2]})


@pytest.mark.parametrize("model", [5, "model", None, X])
def test_what_is_no_builder(model):
    with refused(
        fl.BuilderError, "the first argument must be a builder, which is a function", type(model).__name__
    ):
        compare(model, {"lr": [0.1]})


def test_a_template_that_is_not_compiled():
    with refused(fl.BuilderError, "is not compiled"):
        compare(_uncompiled(), {"batch_size": [4]})


def test_a_builder_that_returns_one_model_again():
    one = build()
    with refused(fl.SharedStateError, "returned a model that it has returned before", models=[one]):
        compare(lambda: one, seeds=2)


def _with_optimizer(optimizer: Any) -> Any:
    def builder(lr=0.1):
        model = _uncompiled()
        model.compile(optimizer, "mse")
        return model

    return builder


def test_a_builder_whose_models_share_an_optimizer():
    optimizer = keras.optimizers.SGD(name="mine")
    with refused(fl.SharedStateError, "They share:", "optimizer 'mine'", "one optimizer per model") as _:
        compare(_with_optimizer(optimizer), {"lr": [0.1, 0.2]})
    assert not optimizer.built


def test_a_builder_whose_models_share_a_layer():
    layer = keras.layers.Dense(2, name="common")

    def builder(lr=0.1):
        model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    with refused(fl.SharedStateError, "The first model that builder() returned", "layer 'common'"):
        compare(builder, {"lr": [0.1, 0.2]})


def test_a_model_that_comes_back_in_a_later_trial_fails_that_trial():
    models = [build() for _ in range(3)]

    def builder(lr):
        return models[0] if lr == 0.2 else models.pop()

    study = compare(builder, {"lr": [0.1, 0.2, 0.3]})
    assert "failed" in study.trials["state"].tolist()


# --- callbacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (5, ["callbacks must be a function that returns a list", "got int"]),
        ([5], ["5 in callbacks is not a keras.callbacks.Callback"]),
        ("early", ["callbacks must be a function", "got str"]),
        ([keras.callbacks.EarlyStopping], ["EarlyStopping'> in callbacks is not"]),
    ],
)
def test_callbacks_are_refused(callbacks, words):
    with refused(fl.StudyError, *words) as spy:
        compare(spy, callbacks=callbacks)
    models = [build()]
    with refused(fl.StudyError, *words, models=models):
        fl.fit(models, X, Y, callbacks=callbacks, verbose=0)


def test_a_callbacks_function_that_returns_something_else_is_refused():
    words = "callbacks() for trial 0 (the only variant, seed 0) returned a int in its list, not a Callback"
    with refused(fl.StudyError, words) as spy:
        compare(spy, callbacks=lambda: [5])


# --- fit ------------------------------------------------------------------------------------------------


def test_fit_takes_a_list_of_compiled_models():
    model = build()
    with refused(fl.StudyError, "the list of models is empty"):
        fl.fit([], X, Y)
    with refused(fl.StudyError, "fit takes a list of models; for one model, write [model]", models=[model]):
        fl.fit(model, X, Y)
    with refused(fl.StudyError, "fit takes a list of models, not int"):
        fl.fit(5, X, Y)
    with refused(fl.BuilderError, "model 1 is not a keras.Model but int", models=[model]):
        fl.fit([model, 5], X, Y)
    with refused(fl.BuilderError, "model 1 is not a keras.Model but function", models=[model]):
        fl.fit([model, build], X, Y)
    words = ["model 1 ('plain') is not compiled", "call model.compile(...) first"]
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="plain")
    with refused(fl.BuilderError, *words, models=[model]):
        fl.fit([model, plain], X, Y)


def test_fit_refuses_one_model_with_two_names():
    model = build()
    model_copy = model
    words = [f"Model 1 is a second name for model 0 ({model.name!r}), not a copy", "copies nothing"]
    with refused(fl.SharedStateError, *words, models=[model]):
        fl.fit([model, model_copy], X, Y)


def test_fit_refuses_models_that_share_an_optimizer():
    optimizer = keras.optimizers.Adam(name="mine")
    a, b, c = build(), _with_optimizer(optimizer)(), _with_optimizer(optimizer)()
    words = [
        f"Model 1 ({b.name!r}) and model 2 ({c.name!r}) are not independent",
        "optimizer 'mine' (model.optimizer in model 1; model.optimizer in model 2)",
        "moments, step count and learning rate carry over",
    ]
    with refused(fl.SharedStateError, *words, models=[a, b, c]):
        fl.fit([a, b, c], X, Y)


def test_fit_names_its_own_argument_and_the_function_that_takes_another():
    with pytest.raises(fl.StudyError, match=r"Did you mean 'seed'\? compare takes 'seeds', and fit does not"):
        fl.fit([build(), build()], X, Y, seeds=2)


def test_the_names_in_messages_are_spelt_out():
    """Every word of the refusal of a misspelt argument is one that `Model.fit` knows."""
    with pytest.raises(fl.StudyError) as info:
        compare(build, epoch=1)
    named = re.findall(r"[a-z_]+", str(info.value).split("those of Model.fit:")[1])
    assert {"epochs", "batch_size", "validation_split", "class_weight"} <= set(named)
    assert not {"x", "y", "self", "verbose", "callbacks"} & set(named)
