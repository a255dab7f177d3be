"""Single points of the rules: what is a fault, and what turns it into none."""

import pytest

from fairlane.check import check_text

HEAD = """\
import keras
import tensorflow as tf
from keras import layers
from keras.optimizers import Adam
def build(units=8):
    model = keras.Sequential([layers.Dense(units), layers.Dense(1)])
    model.compile("adam", "mse")
    return model
model = build()
"""
TWICE = "model.compile('adam', 'mse'); a = model.fit(x, y)\n{}\nmodel.compile('sgd', 'mse'); b = model.fit(x, y)\n"


def codes(text, name="program.py"):
    report = check_text(text, name)
    assert report.failures == ()
    return [finding.code for finding in report.findings]


def test_trained_twice():
    assert codes(HEAD + TWICE.format("")) == ["FL002"]


@pytest.mark.parametrize(
    "between",
    [
        "model.set_weights(initial)",
        "model.load_weights('initial.weights.h5')",
        "model.layers[0].trainable = False",
        "model.trainable = False",
        "for layer in model.layers: layer.trainable = True",
        "model.get_layer('dense').trainable = False",
        "model = build()",
        "model = keras.models.clone_model(model)",
        "model = keras.models.load_model('model.keras')",
        "model.add(layers.Dense(1))",
        "reset(model)",
        "model.reset_everything()",
        "for layer in model.layers: layer.kernel.assign(draw())",
        "for weight in model.trainable_variables: weight.assign(draw())",
        "tf.train.Checkpoint(model=model).restore('there')",
        "model = unknown(model)",
        "del model",
        "x = more",
    ],
)
def test_what_comes_between_trainings(between):
    assert codes(HEAD + TWICE.format(between)) == []


@pytest.mark.parametrize(
    "between",
    [
        "print(model)",
        "model.summary()",
        "model.evaluate(x, y)",
        "model.save('model.keras')",
        "keras.utils.plot_model(model)",
        "keras.backend.clear_session()",
        "weights = model.get_weights()",
        "len(model.layers)",
        "models = [model]",
        "del a",
        "if unknown: print('well')",
        "try:\n    check()\nexcept ValueError:\n    pass",
        "with open('file') as file:\n    print(file)",
        "other = model",
    ],
)
def test_what_does_not_matter_between_trainings(between):
    assert codes(HEAD + TWICE.format(between)) == ["FL002"]


@pytest.mark.parametrize(
    "loop",
    [
        "for rate in rates:\n    ",
        "while unknown():\n    ",
        "for i in range(3):\n    ",
        "for i, rate in enumerate([0.1, 0.01]):\n    ",
        "for a, b in zip(rates, sizes):\n    ",
        "for rate in rates:\n  for size in sizes:\n    ",
        "for rate in rates:\n    if unknown: continue\n    ",
        "for name in ['adam', 'sgd']:\n    print(name)\n    ",
    ],
)
def test_loops(loop):
    wanted = [] if "continue" in loop else ["FL003"]  # perhaps only one round gets there
    assert codes(f"{HEAD}{loop}model.compile('adam', 'mse'); model.fit(x, y)\n") == wanted


@pytest.mark.parametrize("over", ["range(1)", "range(0)", "[0.1]", "()"])
def test_a_loop_of_one_round_is_none(over):
    assert codes(f"{HEAD}for i in {over}:\n    model.compile('adam', 'mse'); model.fit(x, y)\n") == []


def test_a_branch_per_round_is_no_certainty():
    text = "for i in range(9):\n    if unknown(i):\n        model.compile('adam', 'mse')\n        model.fit(x, y)\n"
    assert codes(HEAD + text) == []


def test_different_data_is_no_comparison():
    text = "def train(a, b):\n    model.compile('adam', 'mse')\n    model.fit(a, b)\n"
    assert codes(f"{HEAD}{text}train(x_1, y_1)\ntrain(x_2, y_2)\n") == []
    assert codes(f"{HEAD}{text}train(x_1, y_1)\ntrain(x_1, y_1)\n") == ["FL002"]


def test_functions_that_nothing_calls_are_checked_alone():
    inside = "    model.compile('adam', 'mse')\n    model.fit(x, y)\n"
    assert codes(f"{HEAD}{inside.replace('    ', '')}def again():\n{inside}") == []
    loop = inside.replace("    ", "        ")
    assert codes(f"{HEAD}def again():\n    for i in range(2):\n{loop}") == ["FL003"]


def test_a_cached_builder_gives_one_model():
    text = "import functools\n@functools.cache\ndef cached(): return build()\nfor i in range(2):\n    m = cached()\n"
    assert codes(HEAD + text + "    m.compile('adam', 'mse')\n    m.fit(x, y)\n") == ["FL003"]


def test_recursion_ends():
    assert codes(HEAD + "def f(n):\n    model.fit(x, y)\n    return f(n - 1)\nf(3)\n") == []


def test_an_optimizer_for_one_model_again_and_again():
    text = "opt = Adam()\nmodel.compile(opt, 'mse')\nmodel.fit(x, y)\nmodel.fit(x, y)\n"
    assert codes(HEAD + text) == []


def test_an_optimizer_of_a_model_that_is_never_trained():
    text = "opt = Adam()\nmodel.compile(opt, 'mse')\nother = build()\nother.compile(opt, 'mse')\nother.fit(x, y)\n"
    assert codes(HEAD + text) == []


def test_one_finding_for_a_fault():
    text = "def run(rate):\n    m = model\n    m.compile(Adam(rate), 'mse')\n    m.fit(x, y)\nfor r in rates: run(r)\n"
    assert codes(HEAD + text) == ["FL001"]


@pytest.mark.parametrize(
    "imports",
    [
        "import keras\nS, D = keras.Sequential, keras.layers.Dense",
        "import keras as K\nS, D = K.models.Sequential, K.layers.Dense",
        "import tensorflow as tf\nS, D = tf.keras.Sequential, tf.keras.layers.Dense",
        "from tensorflow import keras\nS, D = keras.models.Sequential, keras.layers.Dense",
        "from tensorflow.keras.models import Sequential as S\nfrom tensorflow.keras.layers import Dense as D",
        "from keras.models import *\nfrom keras.layers import *\nS, D = Sequential, Dense",
        "import keras.models, keras.layers as L\nS, D = keras.models.Sequential, L.Dense",
        "import tf_keras as keras\nS, D = keras.Sequential, keras.layers.Dense",
        "try:\n    from keras import Sequential as S\nexcept ImportError:\n    from keras.models import Sequential as S\nD = x",
    ],
)
def test_ways_to_import_keras(imports):
    text = "model = S([D(1)])\nfor i in range(2):\n    model.compile('adam', 'mse'); model.fit(x, y)\n"
    assert codes(f"{imports}\n{text}") == ["FL003"]


def test_names_that_are_not_of_keras():
    text = "from torch.nn import Sequential\nmodel = Sequential([])\nimport keras\n"
    assert codes(text + "for i in range(2):\n    model.compile(); model.fit(x, y)\n") == []


R_HEAD = "library(keras)\nmodel <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)\n"


@pytest.mark.parametrize(
    "loop",
    [
        "for (i in 1:3) {{ {} }}",
        "while (TRUE) {{ {} }}",
        "repeat {{ {}; if (done()) break }}",
        "lapply(rates, function(r) {{ {} }})",
        "sapply(X = rates, FUN = \\(r) {{ {} }})",
        "purrr::map(rates, ~ {{ {} }})",
        "rates %>% map(function(r) {{ {} }})",
        "replicate(3, {{ {} }})",
        "run <- function(r) {{ {} }}\nfor (r in rates) run(r)",
        "Map(function(r, s) {{ {} }}, rates, sizes)",
        "foreach(r = rates) %do% {{ {} }}",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        'model %>% compile("adam", "mse"); model %>% fit(x, y)',
        'compile(model, "adam", "mse"); fit(model, x, y)',
        'model |> keras::compile("adam", "mse"); keras::fit(model, x, y)',
        'model$compile("adam", "mse"); model$fit(x, y)',
        'model %<>% compile("adam", "mse"); h <- model %>% fit(x = x, y = y)',
        'model %>% compile("adam", "mse") %>% fit(., x, y)',
    ],
)
def test_loops_and_pipes_of_r(loop, body):
    assert codes(R_HEAD + loop.format(body), "program.R") == ["FL003"]


@pytest.mark.parametrize(
    "first",
    [
        "set_weights(model, initial)",
        "model %>% load_model_weights_hdf5('initial.h5')",
        "model <- clone_model(model)",
        "model <- keras_model_sequential() |> layer_dense(1)",
        "freeze_weights(model, to = 'dense')",
        "model$trainable <- FALSE",
        "reset_weights(model)",
        "model$layers[[1]]$trainable <- TRUE",
        "model <- load_model_hdf5('initial.h5')",
    ],
)
def test_what_starts_a_round_anew_in_r(first):
    loop = f"for (i in 1:3) {{\n  {first}\n  model %>% compile('adam', 'mse')\n  model %>% fit(x, y)\n}}"
    assert codes(R_HEAD + loop, "program.R") == []


def test_a_variable_of_r_hides_no_function():
    text = "fit <- 3\nfor (i in 1:2) { compile(model, 'adam', 'mse'); fit <- fit(model, x, y) }"
    assert codes(R_HEAD + text, "program.R") == ["FL003"]


def test_super_assignment_of_r():
    text = "build <- function() model <<- keras_model_sequential() %>% layer_dense(1)\n"
    loop = "for (i in 1:2) {{ {}model %>% compile('adam', 'mse'); model %>% fit(x, y) }}"
    assert codes(R_HEAD + text + loop.format("build(); "), "program.R") == []
    assert codes(R_HEAD + text + loop.format(""), "program.R") == ["FL003"]
