"""The page: one file, whose names can't break out of it, and which loads nothing; and who writes it."""

import base64
import hashlib
import math
import re

import keras
import numpy as np
import pytest
from _made import HOSTILE, Page, diverge, facts, fail, study
from typer.testing import CliRunner

import fairlane as fl
from fairlane.cli import app
from fairlane.errors import StudyError
from fairlane.results import report


def test_the_page_is_whole_and_holds_the_facts():
    given = facts(study())
    page = Page(report.page(given))
    assert page.facts == given
    assert page.words["title", ""] == "Study a study"
    assert given["verdict"]["sentence"] in page.words["p", ""]


def test_hostile_names_stay_texts():
    records = study(2, names=lambda n: {HOSTILE: HOSTILE * (n + 1)}, logs=("val_loss", HOSTILE))
    fail(records[0], HOSTILE, HOSTILE)
    records[1].reason = records[1].engine = records[1].loop = HOSTILE
    given = facts(records, name=HOSTILE)
    text = report.page(given)
    page = Page(text)
    assert page.facts == given
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert "<img" not in text


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    given = facts(study(1), name="\ud800")
    path = report.write(given, tmp_path / "report.html")
    assert Page(path.read_text(encoding="utf-8")).facts["title"] == "Study \ud800"


def test_the_policy_allows_the_pages_own_style_and_program_alone():
    page = Page(report.page(facts(study())))

    def hashed(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert page.policy == (
        f"default-src 'none'; style-src {hashed(page.words['style', ''])}; "
        f"script-src {hashed(page.words['script', ''])}; img-src blob:; base-uri 'none'"
    )


def test_nothing_is_loaded_from_elsewhere():
    text = report.page(facts(study()))
    addresses = set(re.findall(r"https?://[^\"'\s]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, which no browser asks for


def test_64_trials_of_30_epochs_take_less_than_a_megabyte_and_a_half():
    logs = [f"{data}{name}" for data in ("", "val_") for name in ("loss", "accuracy", "auc", "precision")]
    records = study(16, seeds=4, epochs=30, logs=logs)
    for record in records:
        for _, values in record.epochs:
            values.update({log: value / 3 for log, value in values.items()})
    assert len(report.page(facts(records)).encode()) < 750_000


def test_200_variants_and_values_that_are_no_numbers():
    records = study(200, seeds=1, epochs=3)
    diverge(records[7])
    records[8].epochs[1][1]["loss"] = math.inf
    page = Page(report.page(facts(records)))
    assert len(page.facts["variants"]) == len(page.facts["compared"]) == 200


# Written by a study


def build(units=1):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model


X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A small study that is kept, and where."""
    store = tmp_path_factory.mktemp("stored") / "runs.db"
    asked = {"seeds": 2, "epochs": 2, "batch_size": 4, "verbose": 0, "validation_data": (X, Y)}
    return fl.compare(build, {"units": [1, 2]}, X, Y, store=store, name="kept", **asked), store


def told(path):
    return Page(path.read_text(encoding="utf-8")).facts


def test_a_study_writes_its_report(stored, tmp_path):
    path = stored[0].report(tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    found = told(path)
    assert found["counts"] == "4 trials of 2 variants: 4 done"
    assert found["verdict"]["metric"] == "val_loss"
    request = dict(found["requested"])
    assert re.fullmatch(r"float32 \(8, 2\), SHA-256 [0-9a-f]{32}", request["Data, x"])
    assert request["fit, batch_size"] == "4"
    assert request["Epochs"] == "2"
    assert request["keras"] == keras.__version__
    assert "Keras on jax" in request["Machine"]
    assert "keras.Input((2,))" in dict(found["sources"])["Model"]


def test_a_stored_study_tells_the_same_but_for_machine_and_commit(stored, tmp_path):
    study, store = stored
    mine = told(study.report(tmp_path / "mine.html"))
    read = told(fl.open(store, "kept").report(tmp_path / "read.html"))
    own = ("Machine", "Commit", "Started")
    for one in (mine, read):
        one["requested"] = [pair for pair in one["requested"] if pair[0] not in own]
        del one["written"]
    assert mine == read


def test_the_command_line_writes_it(stored, tmp_path):
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(stored[1]), "kept", "-o", str(out), "--metric", "loss"])
    assert result.output == f"wrote {out}\n"
    assert told(out)["verdict"]["metric"] == "loss"


def test_the_command_line_says_what_can_not_be_done(stored, tmp_path):
    arguments = ["report", str(stored[1]), "other", "-o", str(tmp_path / "report.html")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "fairlane report: there is no study 'other'" in result.output


def test_a_wrong_metric_or_folder_leaves_what_was_there(stored, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(StudyError, match=r"no trial has logged a metric 'los'. Did you mean 'loss'"):
        stored[0].report(path, metric="los")
    with pytest.raises(StudyError, match=r"the folder .* does not exist"):
        stored[0].report(tmp_path / "none" / "report.html")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_of_a_study_in_memory_are_read_for_a_report_alone(monkeypatch, tmp_path):
    from fairlane.models.identity import objects

    read = []
    array = objects.array_text
    monkeypatch.setattr(objects, "array_text", lambda value: read.append(1) or array(value))
    study = fl.compare(build, [{}], X, Y, verbose=0)
    assert not read
    found = told(study.report(tmp_path / "report.html"))
    assert len(read) == 2
    assert "SHA-256" in dict(found["requested"])["Data, y"]
    study.report(tmp_path / "report.html")
    assert len(read) == 2
