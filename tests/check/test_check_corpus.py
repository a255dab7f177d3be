"""Programs written for the checker: correct ones give no finding, faulty ones give all of theirs, and no more.

What a faulty program is expected to give stands in its own lines, as ``# expect: FL001``, or as
``# expect: FL001 likely`` where it may be meant.
"""

import json
import re
from pathlib import Path

import pytest

from fairlane.check import RULES, Confidence, check_paths, check_text

CORPUS = Path(__file__).parent / "corpus"
CLEAN = sorted((CORPUS / "clean").iterdir())
FAULTY = sorted((CORPUS / "faulty").iterdir())
NOTE = {Confidence.CERTAIN: "", Confidence.LIKELY: " likely"}
IN_R = (".R", ".Rmd", ".qmd")
EXPECT = re.compile(r"# expect: (FL\d{3}(?: likely)?(?:, FL\d{3}(?: likely)?)*)")


def expected(path):
    """Cell, line and code of each finding that a file says it has."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = {n: "".join(cell["source"]) for n, cell in enumerate(cells, 1) if cell["cell_type"] == "code"}
    else:
        texts = {None: path.read_text(encoding="utf-8")}
    return [
        (cell, number, code)
        for cell, text in texts.items()
        for number, line in enumerate(text.split("\n"), 1)
        if (match := EXPECT.search(line))
        for code in match[1].split(", ")
    ]


def found(path):
    report = check_paths([path])
    assert report.failures == ()
    assert report.checked == 1
    return [
        (finding.place.cell, finding.place.line, f"{finding.code}{NOTE[finding.confidence]}")
        for finding in report.findings
    ]


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.name)
def test_a_correct_program_gives_no_finding(path):
    assert found(path) == []


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.name)
def test_a_faulty_program_gives_its_findings_and_no_others(path):
    wanted = expected(path)
    assert wanted
    assert found(path) == wanted


def test_the_corpora_are_large_enough():
    for corpus in (CLEAN, FAULTY):
        assert len(corpus) >= 40
        assert sum(path.suffix in IN_R for path in corpus) >= 12


def test_every_rule_has_a_faulty_program():
    assert {code[:5] for path in FAULTY for _, _, code in expected(path)} == set(RULES)


def test_every_rule_has_a_faulty_program_in_r():
    seen = {code[:5] for path in FAULTY if path.suffix in IN_R for _, _, code in expected(path)}
    assert seen == set(RULES)


# The program from which the project started

FOUNDING = """\
model <- keras_model_sequential() %>%
  layer_dense(units = 256, activation = "relu", input_shape = c(784)) %>%
  layer_dense(units = 10, activation = "softmax")

train <- function(learning_rate) {
  model_copy = model
  model_copy %>% compile(
    optimizer = optimizer_rmsprop(learning_rate),
    loss = "categorical_crossentropy", metrics = "accuracy"
  )
  history <- model_copy %>% fit(x_train, y_train, epochs = 30)
  data.frame(history)
}

first <- train(0.001)
second <- train(0.0001)
"""


@pytest.mark.parametrize("library", ["", "library(keras)\n", "library(keras3)\n"])
@pytest.mark.parametrize("pipe", ["%>%", "|>"])
@pytest.mark.parametrize("arrow", ["=", "<-"])
def test_the_founding_program(library, pipe, arrow):
    text = library + FOUNDING.replace("%>%", pipe).replace("model_copy = model", f"model_copy {arrow} model")
    (finding,) = check_text(text, "founding.R").findings
    shift = bool(library)
    assert (finding.code, finding.place.line) == ("FL001", 6 + shift)
    words = f"the trainings of lines {15 + shift} and {16 + shift} (fit in line {11 + shift}) train"
    assert words in finding.message
    lines = [place.line - shift for place, _ in finding.related]
    assert lines == [1, 15, 16, 7, 11]


def test_the_founding_program_corrected():
    inside = FOUNDING.replace(
        "  model_copy = model\n", f"  model_copy = {FOUNDING.partition('train <-')[0][9:]}"
    )
    assert check_text(inside, "inside.R").findings == ()
    build = FOUNDING.partition("train <-")[0]
    function = FOUNDING.partition("\n\n")[2].partition("\n\nfirst")[0]
    handed = (
        build.replace("model <-", "model_1 <-")
        + build.replace("model <-", "model_2 <-")
        + function.replace("learning_rate) {", "model, learning_rate) {", 1)
        + "\n\nfirst <- train(model_1, 0.001)\nsecond <- train(model_2, 0.0001)\n"
    )
    assert check_text(handed, "handed.R").findings == ()
    same = handed.replace("model_2, 0.0001", "model_1, 0.0001")
    assert [finding.code for finding in check_text(same, "same.R").findings] == ["FL001"]
