"""Stores that someone else wrote: nothing in them is executed, and no path leads out of their folder."""

import io
import json
import pickle
import sqlite3
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from _stores import finish, plan, run, save, start
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import fairlane as fl
from fairlane.errors import StoreError, StudyError
from fairlane.models.recipes.description import check, description, model_of
from fairlane.store import overview, read, tree, written
from fairlane.store.artifacts import Artifact, Artifacts, Damaged, new_folder
from fairlane.trials import EpochEnded, Site, Trial, Variant

EVIL = [
    "../../x",
    "/etc/passwd",
    "'; DROP TABLE fairlane_studies; --",
    '"; DROP TABLE fairlane_studies; --',
    "a\0b",
    "\ud800",
    "%s %(x)s :x ?",
    "x" * 200,
    "<script>alert(1)</script>",
    "\n\r\t\x1b[31m",
    "é ü 漢字 🙂",
]


@pytest.fixture
def runs(tmp_path):
    return str(tmp_path / "runs.db")


def a_study(runs, name="a"):
    store = written(runs, name, {}, {}, "auto")
    (trial, *_) = store.adopt(plan(), [3] * 4)
    start(store, trial)
    run(store, trial, 0, 1)
    save(store, trial, 1)
    finish(store, trial)
    store.close()
    return next(path for path in Path(runs).with_suffix(".artifacts").rglob("*.safetensors"))


def change(runs, statement, *values):
    connection = sqlite3.connect(runs)
    with connection:
        assert connection.execute(statement, values).rowcount
    connection.close()


# --- names and metrics are data ---


@pytest.mark.parametrize("evil", EVIL)
def test_names_of_all_kinds_are_kept_as_they_are(lasting, tmp_path, evil):
    name = f"{lasting.name[:0]}{evil}"[:190]
    store = written(lasting.store, name, {evil: evil}, {}, "auto", lambda: Site(evil, evil))
    variant = Variant(0, {evil: evil})
    (trial,) = store.adopt([Trial(0, variant, 0)], [3])
    start(store, trial)
    store.write(EpochEnded(trial, 0, {evil: 1.5, "loss": 1.0}))
    finish(store, trial)
    store.describe(trial, evil)
    store.close()
    (record,) = read(lasting.store, name)
    assert record.epochs == [(0, {evil: 1.5, "loss": 1.0})]
    assert dict(record.trial.hyperparameters) == {evil: evil}
    assert read(lasting.store, name).description(record.trial) == evil
    assert read(lasting.store, name).sites() == [Site(evil, evil)]
    assert name in [row["name"] for row in overview(lasting.store)]
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {
        ".db",
        ".db-wal",
        ".db-shm",
        ".safetensors",
    }


@pytest.mark.parametrize("name", ["x" * 201, "", " "])
def test_a_name_that_no_store_takes_is_refused(runs, name):
    with pytest.raises(StudyError):
        written(runs, name, {}, {}, "auto")


def test_an_unknown_name_is_data_too(runs):
    a_study(runs)
    with pytest.raises(StudyError, match=r"there is no study .*DROP TABLE.*; there are: 'a'"):
        read(runs, "'; DROP TABLE fairlane_studies; --")
    assert [row["name"] for row in overview(runs)] == ["a"]


# --- paths ---


@pytest.mark.parametrize("token", ["../../../x", "/etc/passwd", "", "0" * 15, "0123456789ABCDEF", "x\0", 7])
def test_a_file_named_by_a_store_is_one_that_was_written_here(runs, tmp_path, token):
    a_study(runs)
    outside = tmp_path / "x.safetensors"
    outside.write_bytes(b"secret")
    change(runs, "UPDATE fairlane_artifacts SET token = ?", token)
    words = "table fairlane_artifacts, row with id 2, column token: .* a file that Fairlane writes"
    with pytest.raises(StoreError, match=words):
        read(runs, "a")
    with pytest.raises(StoreError, match=words):
        written(runs, "a", {}, {}, "auto")  # which would sweep files
    assert outside.read_bytes() == b"secret"


@pytest.mark.parametrize("folder", ["../../x", "/etc", "", "..", "0" * 33, "s3://bucket/x"])
def test_a_folder_named_by_a_store_is_one_that_was_made_here(runs, folder):
    kept = a_study(runs)
    change(runs, "UPDATE fairlane_studies SET folder = ?", folder)
    words = "table fairlane_studies, row with id 1, column folder: .* a folder that Fairlane makes"
    with pytest.raises(StoreError, match=words):
        read(runs, "a")
    with pytest.raises(StoreError, match=words):
        written(runs, "a", {}, {}, "auto")
    with pytest.raises(StoreError, match="which Fairlane does not make; it is not opened"):
        Artifacts(kept.parents[1], folder)
    assert kept.exists()


def test_numbers_of_a_file_are_numbers(runs):
    a_study(runs)
    change(runs, "UPDATE fairlane_artifacts SET epoch = '../../x'")
    with pytest.raises(StoreError, match="table fairlane_artifacts, row with id 2, column epoch: "):
        read(runs, "a")


def test_another_file_in_its_place_is_found_by_its_sum(runs):
    kept = a_study(runs)
    kept.write_bytes(tree.to_bytes({"weights": {}}))
    change(runs, "UPDATE fairlane_artifacts SET size = ?", kept.stat().st_size)
    records = read(runs, "a")
    with pytest.raises(StoreError, match="is not as it was written: its SHA-256 has changed"):
        records.weights(next(iter(records)).trial)


def test_files_of_an_artifact_alone(tmp_path):
    files = Artifacts(tmp_path, new_folder())
    files.prepare()
    artifact = Artifact.of(1, 2, b"abc")
    files.write(artifact, b"abc")
    assert files.read(artifact) == b"abc"
    for wrong in (
        Artifact(1, 2, "../" * 5 + "x", 3, artifact.sha256),
        Artifact(-1, 2, artifact.token, 3, artifact.sha256),
        Artifact(1, 2, artifact.token, 3, "0"),
        Artifact(True, 2, artifact.token, 3, artifact.sha256),
    ):
        with pytest.raises(Damaged):
            files.read(wrong)


# --- files ---


class Bomb:
    """What is executed by whoever unpickles it."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def pickled_array():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], object), allow_pickle=True)
    return buffer.getvalue()


def with_manifest(text):
    return save_tensors({"tree": np.frombuffer(text.encode(), np.uint8), "0": np.zeros(4, np.uint8)})


DEEP = "[" * 200_000 + "]" * 200_000
FILES = {
    "a pickle": pickle.dumps(Bomb()),
    "a pickled array": pickled_array(),
    "nothing": b"",
    "a header of a terabyte": (2**40).to_bytes(8, "little") + b"{}",
    "no tree": save_tensors({"0": np.zeros(3)}),
    "no JSON": with_manifest("{"),
    "deep": with_manifest(DEEP),
    "objects": with_manifest('{"array": ["0", "|O", [1]]}'),
    "structures": with_manifest('{"array": ["0", "i4,O", [1]]}'),
    "a dtype of ml_dtypes' module": with_manifest('{"array": ["0", "finfo", [1]]}'),
    "a huge shape": with_manifest('{"array": ["0", "<f4", [1000000000000]]}'),
    "a negative shape": with_manifest('{"array": ["0", "<f4", [-7]]}'),
    "no such tensor": with_manifest('{"array": ["9", "<f4", [1]]}'),
    "an unknown kind": with_manifest('{"__reduce__": ["os.system", "true"]}'),
    "two kinds": with_manifest('{"tuple": [], "dict": {}}'),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_that_was_not_written_here_is_an_error_and_no_more(data):
    with pytest.raises(StoreError, match=r"are not a file that Fairlane writes|a tree can't hold"):
        tree.from_bytes(data)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, np.array([Bomb()], object), len, 1 + 2j])
def test_what_is_no_plain_data_is_not_written(value):
    with pytest.raises(tree.NotPlain):
        tree.to_bytes({"a": [value]})


def test_the_file_is_a_safetensors_file(runs):
    tensors = load_tensors(a_study(runs).read_bytes())
    assert tensors["0"].dtype == np.float32
    assert json.loads(bytes(tensors["tree"]).decode())["dict"].keys() == {"weights"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"values": 3}', '{"values": [{"name": "x"}], "fit": []}', DEEP]
)
def test_hyperparameters_that_were_not_written_here(runs, text):
    a_study(runs)
    change(runs, "UPDATE fairlane_variants SET hyperparameters = ?", text)
    with pytest.raises(StoreError, match="fairlane_variants, row with id 1, column hyperparameters: "):
        read(runs, "a")


def test_a_state_that_there_is_not(runs):
    a_study(runs)
    change(runs, "UPDATE fairlane_trials SET state = 'evil'")
    with pytest.raises(
        StoreError, match="fairlane_trials, row with id 1, column state: it is 'evil'; expected"
    ):
        read(runs, "a")


# --- models ---


def a_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d", activation="relu")])
    model.compile("sgd", loss="mse")
    return model


def changed(where, value):
    """The description of a model, with something else in one place."""
    told = json.loads(description(a_model()))
    inner = told
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return json.dumps(told)


DENSE = ("config", "config", "layers", 1)
OS = {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None}
HARMFUL = {
    "a function of os": (DENSE, OS),
    "a function of os in a setting": (
        (*DENSE, "config", "activation"),
        {**OS, "class_name": "function", "config": "system"},
    ),
    "an import": (DENSE, {"module": "this", "class_name": "s", "config": {}, "registered_name": "s"}),
    "a class of builtins": (
        DENSE,
        {"module": "builtins", "class_name": "exec", "config": {}, "registered_name": None},
    ),
    "a function of builtins": (
        (*DENSE, "config", "activation"),
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    ),
    "a download": (
        (*DENSE, "config", "activation"),
        {
            "module": "keras.utils",
            "class_name": "function",
            "config": "get_file",
            "registered_name": "get_file",
        },
    ),
    "no module": (DENSE, {"class_name": "Lambda2", "config": {}}),
    "a loader": (
        DENSE,
        {"module": "keras.saving", "class_name": "load_model", "config": {}, "registered_name": None},
    ),
    "a private module": (
        DENSE,
        {"module": "keras.src.utils.python_utils", "class_name": "func_load", "config": {}},
    ),
    "a class that is a number": (DENSE, {"module": "keras.layers", "class_name": 3, "config": {}}),
}


@pytest.mark.parametrize(("where", "value"), HARMFUL.values(), ids=HARMFUL)
def test_a_config_names_keras_building_blocks_and_nothing_else(where, value):
    before = set(sys.modules)
    with pytest.raises(StudyError, match=r"which is not one of Keras's building blocks: give it"):
        model_of(changed(where, value))
    assert "this" not in set(sys.modules) - before


@pytest.mark.parametrize(
    "name", ["Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"]
)
def test_code_in_a_config_is_refused(name):
    layer = {
        "module": "keras.layers",
        "class_name": name,
        "config": {"function": "x"},
        "registered_name": None,
    }
    with pytest.raises(StudyError, match=f"the model has a {name}, whose code would have to be executed"):
        model_of(changed(DENSE, layer))


def test_a_lambda_is_refused_where_it_was_written_in_good_faith(tmp_path):
    def build():
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1), keras.layers.Lambda(lambda x: x * 2)]
        )
        model.compile("sgd", loss="mse")
        return model

    runs, x = tmp_path / "runs.db", np.ones((4, 2), "float32")
    study = fl.compare(build, [{}], x, x[:, :1], store=runs, name="a", verbose=0)
    kept = fl.open(runs, "a")
    with pytest.raises(
        StudyError, match=r"the model has a Lambda, whose code .* which Fairlane never does; give its"
    ):
        kept.model(0)
    again = fl.open(runs, "a", build=build).model(0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), study.model(0).predict(x, verbose=0))


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '{"config": null}', '{"config": {}}', '{"config": 3}', DEEP]
)
def test_what_is_no_description_builds_no_model(text):
    with pytest.raises(StudyError, match="give its builder"):
        model_of(text)


def test_a_batch_of_any_size_is_not_made():
    told = json.loads(description(a_model()))
    told["batch"] = {"tuple": [{"shape": [10**15, 2], "dtype": "float32"}] * 2}
    with pytest.raises(StudyError, match="which is too large for one"):
        model_of(json.dumps(told))


def test_the_models_that_are_kept_pass_the_check():
    inputs = keras.Input((4, 3))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(inputs)
    hidden = keras.layers.MultiHeadAttention(1, 2)(hidden, hidden) + 1.0
    hidden = keras.ops.relu(hidden)[:, 0]
    outputs = keras.layers.Dense(2, activation=keras.activations.softmax, kernel_regularizer="l2")(hidden)
    model = keras.Model(inputs, outputs)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss=keras.losses.categorical_crossentropy,
        metrics=["accuracy", keras.metrics.AUC(), keras.metrics.top_k_categorical_accuracy],
    )
    again = model_of(description(model))
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]
    check(json.loads(description(model))["config"], {})


def test_a_class_of_the_users_own_is_made_if_it_is_given():
    class Mine(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential([keras.Input((2,)), Mine()])
    model.compile("sgd", loss="mse")
    told = description(model)
    with pytest.raises(
        StudyError, match=r"'Mine' of .* custom_objects=\{'Mine': \.\.\.\}\), or give its builder"
    ):
        model_of(told)
    assert isinstance(model_of(told, {"Mine": Mine}).layers[0], Mine)


def test_weights_of_another_model_are_refused_and_change_nothing(tmp_path):
    x = np.ones((4, 2), "float32")

    def build(units=1):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
        model.compile("sgd", loss="mse")
        return model

    runs = tmp_path / "runs.db"
    fl.compare(build, [{"units": 3}], x, x[:, :1], store=runs, name="a", verbose=0)
    with pytest.raises(
        StudyError, match=r"the weights of trial 0 .* are of another model: the trainable variables"
    ):
        fl.open(runs, "a", build=lambda units: build(7)).model(0)
