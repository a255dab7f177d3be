"""The command line: what it prints, what it writes, and how it says no."""

import os
import re
import struct
import sys

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import _processes
import fairlane
from fairlane import demo
from fairlane.cli import app
from fairlane.errors import StudyError
from fairlane.kit.kept_programs.folder import Folder

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def words_of(text):
    """Text without the line breaks and frames that depend on the width of the terminal."""
    return re.sub(r"[\s│]+", " ", text)


@pytest.fixture
def images(tmp_path):
    """A .npz file of little images in two classes that can be told apart."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 64)
    x = (rng.integers(0, 100, (64, 4, 4)) + 150 * y[:, None, None]).astype("uint8")
    path = tmp_path / "images.npz"
    np.savez(path, x_train=x, y_train=y)
    return path


def test_version():
    result = call("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"fairlane {fairlane.__version__}"


def test_help_names_the_commands():
    result = call("--help")
    assert result.exit_code == 0
    assert "demo" in result.output


def test_help_of_the_demo_names_its_options():
    result = call("demo", "--help")
    for option in ("--data", "--epochs", "--seeds", "--out"):
        assert option in result.output


def test_the_module_is_the_command_line():
    result = _processes.run([sys.executable, "-m", "fairlane", "--version"], capture_output=True, text=True)
    assert result.stdout.strip() == f"fairlane {fairlane.__version__}"


def test_help_loads_nothing_heavy():
    code = """
import sys
from typer.testing import CliRunner
from fairlane.cli import app
from fairlane.kit.kept_programs.folder import Folder
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print([m for m in ("keras", "jax", "pandas", "matplotlib", "numpy") if m in sys.modules])
"""
    result = _processes.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


# The demo


@pytest.mark.slow
def test_the_demo_tells_the_story_and_draws_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("demo", "--epochs", 2)
    assert result.exit_code == 0, result.output
    said = words_of(result.output)
    assert "model_copy = model" in said
    for words in ("one network", "the same network", "epochs 3 to 4", "its own network"):
        assert words in said
    for metric in ("loss", "accuracy", "val"):
        assert metric in said
    assert "fairlane-demo.png" in said
    assert_is_png(tmp_path / "fairlane-demo.png")


def assert_is_png(path):
    content = path.read_bytes()
    assert content.startswith(PNG_SIGNATURE)
    width, height = struct.unpack(">II", content[16:24])
    assert width > 1000
    assert height > 700
    assert 20_000 < len(content) < 1_000_000


@pytest.mark.slow
def test_the_demo_takes_images_seeds_and_a_place_for_the_figure(tmp_path, images):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    out = tmp_path / "here.png"
    result = call("demo", "--data", images, "--epochs", 1, "--seeds", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "images.npz" in result.output
    assert "2 networks (mean)" in words_of(result.output)
    assert_is_png(out)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_the_scripts_second_run_goes_on_where_the_first_ended(images):
    """The mistake is really made: the second run's first loss is far below a fresh network's."""
    task = demo.load(images)
    first, second = demo.script_with_alias(task, epochs=10)
    study, _ = demo.compared(task, epochs=10, seeds=1)
    fresh = study.history[study.history["learning_rate"] == demo.RATES[1]]["loss"].iloc[0]
    assert abs(second.logs["loss"][0] - first.logs["loss"][-1]) < 0.15
    assert fresh > second.logs["loss"][0] + 0.2


def test_the_scripts_first_run_is_fairlanes(images):
    task = demo.load(images)
    first, _ = demo.script_with_alias(task, epochs=2)
    study, _ = demo.compared(task, epochs=2, seeds=1)
    ours = study.history[study.history["learning_rate"] == demo.RATES[0]]
    for name in demo.LOGS:
        np.testing.assert_allclose(ours[name], first.logs[name], rtol=1e-5)


def test_the_demo_needs_no_choice_of_a_backend(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment["KERAS_HOME"] = str(tmp_path)
    code = """
from pathlib import Path
from fairlane.demo import digits
digits().network()
import keras
print(keras.backend.backend())
"""
    result = _processes.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == "jax", result.stderr


# Data


def test_bytes_are_scaled_and_flattened(images):
    task = demo.load(images)
    assert task.x.shape == (64, 16)
    assert task.x.dtype == "float32"
    assert 0 <= task.x.min() < task.x.max() <= 1
    np.testing.assert_array_equal(task.x[5], np.load(images)["x_train"][5].ravel() / np.float32(255))


def test_other_numbers_are_left_as_they_are(tmp_path):
    path = tmp_path / "floats.npz"
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.savez(path, x_train=x, y_train=np.arange(20) % 2)
    np.testing.assert_array_equal(demo.load(path).x, x.astype("float32"))


def test_images_of_784_pixels_get_the_larger_network(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=np.zeros((20, 28, 28), "uint8"), y_train=np.arange(20) % 10)
    task = demo.load(path)
    layers = [getattr(layer, "units", getattr(layer, "rate", None)) for layer in task.network().layers]
    assert layers == [256, 0.4, 128, 0.3, 10]
    assert task.batch_size == 128


# Errors


@pytest.mark.parametrize("option", ["--epochs", "--seeds"])
@pytest.mark.parametrize("number", [0, -1, "many"])
def test_numbers_that_can_not_be(option, number):
    result = call("demo", option, number)
    assert result.exit_code == 2
    assert option in result.output


@pytest.mark.parametrize("number", [0, -1])
def test_numbers_that_can_not_be_from_python(number, tmp_path):
    with pytest.raises(StudyError, match="epochs must be at least 1"):
        demo.run(None, number, 1, tmp_path / "a.png", Console())
    with pytest.raises(StudyError, match="seeds must be at least 1"):
        demo.run(None, 1, number, tmp_path / "a.png", Console())


def test_no_such_file(tmp_path):
    assert_refused("there is no file", "--data", tmp_path / "nothing.npz")


def test_a_folder_is_no_file(tmp_path):
    assert_refused("there is no file", "--data", tmp_path)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("x_train, y_train")
    assert_refused("can't be read as a .npz file", "--data", path)


def test_a_single_array(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert_refused("holds a single array", "--data", tmp_path / "one.npy")


def test_arrays_of_other_names(tmp_path):
    np.savez(tmp_path / "other.npz", x_test=np.zeros(3), y_train=np.zeros(3))
    assert_refused("has no array x_train; it has x_test, y_train", "--data", tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros(20), np.zeros(20, int), "x_train"),
        (np.array([["a"]] * 20), np.zeros(20, int), "x_train"),
        (np.zeros((20, 3)), np.zeros(19, int), "y_train .* 20 in all"),
        (np.zeros((20, 3)), np.zeros((20, 10), int), "y_train"),
        (np.zeros((20, 3)), np.zeros(20), "y_train"),
        (np.zeros((20, 3)), np.full(20, -1), "classes from 0 on"),
        (np.zeros((3, 3)), np.zeros(3, int), "only 3 images"),
        (np.array([[None]] * 20), np.zeros(20, int), "can't be read"),
    ],
)
def test_arrays_that_can_not_be(tmp_path, x, y, words):
    np.savez(tmp_path / "odd.npz", x_train=x, y_train=y)
    with pytest.raises(StudyError, match=words):
        demo.load(tmp_path / "odd.npz")


def test_no_folder_for_the_figure(tmp_path):
    assert_refused("there is no folder", "--out", tmp_path / "nowhere" / "demo.png")


def test_a_folder_in_place_of_the_figure(tmp_path):
    assert_refused("is a folder", "--out", tmp_path)


@pytest.mark.parametrize("name", ["demo", "demo.doc"])
def test_a_figure_of_an_unknown_kind(tmp_path, name):
    assert_refused("can't be written as", "--out", tmp_path / name)


def assert_refused(words, *arguments):
    result = call("demo", *arguments)
    assert result.exit_code == 2
    assert words in words_of(result.output)
    assert "Traceback" not in result.output


# --- cache ------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = Folder(tmp_path / "cache")
    monkeypatch.setenv("FAIRLANE_CACHE", str(folder.path))
    folder.write("a" * 64, bytes(3 * 2**20))
    folder.write("b" * 64, bytes(2**20))
    return folder


def test_cache_shows_the_folder_its_size_and_its_limit(cache):
    result = call("cache")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"folder    {cache.path}",
        "programs  2",
        "size      4.0 MiB",
        "limit     1,024.0 MiB; the least recently used programs are removed first",
    ]


def test_cache_clear_removes_the_programs(cache):
    result = call("cache", "--clear")
    assert result.exit_code == 0
    assert result.output.splitlines()[1:] == [
        "programs  0",
        "size      0.0 MiB",
        "limit     1,024.0 MiB; the least recently used programs are removed first",
        "removed   2 programs, 4.0 MiB",
    ]
    assert cache.contents().programs == 0


def test_cache_says_that_it_is_off(monkeypatch):
    monkeypatch.setenv("FAIRLANE_CACHE", "off")
    result = call("cache")
    assert result.exit_code == 0
    assert result.output == "the cache is off (FAIRLANE_CACHE=off)\n"


def test_cache_says_that_a_file_is_not_a_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRLANE_CACHE", str(tmp_path / "file"))
    result = call("cache")
    assert result.exit_code == 0
    assert f"folder    {tmp_path / 'file'}\nnot used  it is not a folder\n" in result.output


def test_cache_shows_the_whole_path_of_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAIRLANE_CACHE", "here")
    assert f"folder    {tmp_path / 'here'}\n" in call("cache").output


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root can write everywhere")
def test_cache_says_why_a_folder_can_not_be_written_to(cache):
    cache.path.chmod(0o500)
    assert "not used  you can't write to it" in call("cache").output
    cache.path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_cache_says_why_a_folder_is_not_used(cache):
    cache.path.chmod(0o777)
    result = call("cache")
    assert result.exit_code == 0
    assert (
        "not used  another user owns it or can write to it, and their programs are not safe to run"
        in result.output.splitlines()
    )
