"""The commands about a store's studies: which study, which file, and what is refused."""

import io
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.cli import app

pytestmark = pytest.mark.filterwarnings("ignore:(An interval|probability)")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A store with one study."""
    path = tmp_path_factory.mktemp("one") / "runs.db"
    fl.compare(build, {"lr": [0.05, 0.01]}, X, Y, seeds=2, store=path, name="a", verbose=0, **FIT)
    return path


@pytest.fixture
def two(one, tmp_path):
    """A copy of that store, with a second study."""
    shutil.copytree(one.parent, tmp_path / "copy")
    path = tmp_path / "copy" / "runs.db"
    fl.compare(build, {"lr": [0.02]}, X, Y, seeds=2, store=path, name="b", verbose=0, **FIT)
    return path


def call(*arguments, **options):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_name_is_needed_only_where_there_are_several_studies(one, two):
    assert call("show", one).stdout == call("show", one, "a").stdout
    refused = call("show", two)
    assert refused.exit_code == 2
    assert refused.stderr == f"fairlane show: give a NAME: {two} has 2 studies: 'a', 'b'\n"


def test_show_takes_a_metric(one):
    assert "\nmae in the last epoch:\n" in call("show", one, "--metric", "mae").stdout


def test_a_report_is_html(one, tmp_path):
    refused = call("report", one, "-o", tmp_path / "r.pdf")
    assert refused.exit_code == 2
    assert "--out ends in .html, not '.pdf'" in refused.stderr
    assert call("report", one, "-o", tmp_path / "r.html").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_rows_go_to_standard_output(one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.read_csv(io.StringIO(call("export", one, "-o", "-").stdout))
    assert len(rows) == len(fl.open(one, "a").history)
    lines = call("export", one, "--what", "trials", "--format", "jsonl", "-o", "-").stdout.splitlines()
    assert len(lines) == 4
    assert not list(tmp_path.iterdir())


def test_warnings_are_notes_without_a_path_of_this_library(one, tmp_path):
    said = call("export", one, "--what", "summary", "-o", tmp_path / "s.csv").stderr
    assert said.startswith("fairlane export: note: Too few seeds")
    assert ".py" not in said


@pytest.mark.parametrize("command", ["plot", "export", "report"])
def test_a_folder_that_is_not_there_is_an_error_in_words(one, tmp_path, command):
    out = tmp_path / "no" / {"plot": "a.png", "export": "a.csv", "report": "a.html"}[command]
    result = call(command, one, "-o", out)
    assert result.exit_code == 2
    assert f"the folder {out.parent} does not exist" in result.stderr
    assert "Errno" not in result.stderr


@pytest.mark.parametrize("kind", ["final", "paired", "parallel", "slice", ("sweep", "--x", "lr")])
def test_every_kind_is_drawn(one, tmp_path, kind):
    kind = [kind] if isinstance(kind, str) else kind
    assert call("plot", one, "-o", tmp_path / "a.svg", "--kind", *kind).exit_code == 0
    assert (tmp_path / "a.svg").stat().st_size > 1000


def test_a_kind_that_needs_data_is_refused(one, tmp_path):
    result = call("plot", one, "-o", tmp_path / "a.svg", "--kind", "calibration")
    assert "--kind calibration needs data, so it is drawn in Python" in result.stderr


def test_studies_are_compared(two):
    lines = call("compare", two, "a", "b", "--metric", "loss").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "a", "b"]
    assert "lr=0.02" in lines[2]


def test_a_study_is_copied(two, tmp_path):
    to = tmp_path / "other.db"
    assert call("copy", two, "a", to).stdout == f"copied 'a' with its 4 trials to {to}\n"
    assert call("copy", two, "a", to, "--name", "c").stdout.endswith(f"to {to} as 'c'\n")
    assert fl.studies(to)["study"].tolist() == ["a", "c"]
    study, copy = fl.open(two, "a"), fl.open(to, "c")
    pd.testing.assert_frame_equal(study.history, copy.history)
    assert (study.model(0).predict(X, verbose=0) == copy.model(0).predict(X, verbose=0)).all()
    refused = call("copy", two, "b", to, "--name", "a")
    assert (refused.exit_code, fl.studies(to)["study"].tolist()) == (2, ["a", "c"])
    assert "there is already a study 'a'" in refused.stderr


def test_a_study_is_renamed(two):
    history = fl.open(two, "a").history
    assert call("rename", two, "a", "c").stdout == "'a' is 'c' now\n"
    assert fl.studies(two)["study"].tolist() == ["c", "b"]
    pd.testing.assert_frame_equal(fl.open(two, "c").history, history)
    assert "there is already a study 'b'" in call("rename", two, "c", "b").stderr
    assert "there is no study 'x'" in call("rename", two, "x", "y").stderr


def test_a_study_is_deleted_with_its_files_and_no_other(two):
    def files():
        return sorted(two.parent.rglob("*.safetensors"))

    before = files()
    assert call("delete", two, "a", input="n\n").stdout.endswith("nothing was deleted\n")
    assert files() == before
    assert call("delete", two, "a", "--yes").stdout == "deleted 'a' and its 4 trials\n"
    assert fl.studies(two)["study"].tolist() == ["b"]
    left = fl.open(two, "b")
    assert len(files()) < len(before)
    assert [left.model(trial).count_params() for trial in left.trials["trial"]]
    assert call("delete", two, "a", "--yes").exit_code == 2


def test_a_study_in_training_is_left_alone(two, monkeypatch):
    from fairlane.store import lease

    class Busy:
        def alive(self, now):
            return True

        def __str__(self):
            return "process 1"

    monkeypatch.setattr(lease.Writer, "of", classmethod(lambda cls, row: Busy()))
    for command in (
        ("copy", two, "a", two, "--name", "c"),
        ("rename", two, "a", "c"),
        ("delete", two, "a", "--yes"),
    ):
        result = call(*command)
        assert result.exit_code == 2
        assert "is being trained by process 1" in result.stderr
