"""The scripts of ``examples/``, each run as its reader would: by itself, in an empty folder."""

import os
import re
import sys
from pathlib import Path

import pytest

import _processes
from _r import environment, rscript
from fairlane.check import check_paths

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("examples/*.py"), *ROOT.glob("examples/*.R")])
NOTEBOOKS = sorted(ROOT.glob("examples/*.ipynb"))

EXPECTED = {
    "two_learning_rates.py": [
        r"learning_rate +seeds +mean +low +high",
        r"0\.001 +6 +0\.\d+",
        r"0\.0001 +6 +0\.\d+",
        r"0\.0001 +-0\.\d+ +-0\.\d+ +-0\.\d+ +0 +0\.03125",
    ],
    "k_seeds.py": [
        r"per seed: \{0: 0\.\d+, .*, 9: 0\.\d+\}",
        r"95 % interval 0\.\d+ to 0\.\d+",
        r"7: (0\.\d+),.*seed 7 by itself: \1$",
    ],
    "template.py": [r"0\.010 +0\.1 +0\.\d+ +0\.\d+", "template's own: +64 units, never trained"],
    "callbacks_per_trial.py": [
        r"trial 0 \(learning_rate=0\.1, seed 0\) stopped after \d+ epochs",
        r"trial 3 \(learning_rate=0\.01, seed 1\) stopped after \d+ epochs",
    ],
    "failures.py": [
        "trial 0: done after 5 epochs",
        "trial 1: diverged after 5 epochs",
        "trial 2: failed after 0 epochs\n +ValueError",
        "the best: trial 0",
        "TrialError: trial 0",
    ],
    "resume_in_a_store.py": [
        r"the same again: +4 trials, of \[5\] epochs",
        r"more seeds: +6 trials, of \[5\] epochs",
        r"more epochs: +6 trials, of \[8\] epochs",
        r"its model: +2410 parameters",
        r"learning rates +6 +6 +0",
    ],
    "models_you_have.py": [
        "its own: True",
        "the copy predicts the same: True",
        r"the fresh model's accuracy: +0\.[0-2]",
        r"model and other share: +\[\]",
        "SharedStateError: Model 1 is a second name for model 0",
    ],
    "select_then_report.py": [r"chosen by val_accuracy: learning rate 0\.01", r"its test accuracy: 0\.9"],
    "guard.py": [
        "was compiled again at ",
        "this training continues from those weights",
        "`continuing`: no warning",
    ],
    "from_r.R": [r"5 +4 +0\.001 +1 +done +lanes", r"setosa", r'\[1\] "done"'],
}
LEFT = {
    "two_learning_rates.py": ["two_learning_rates.png"],
    "callbacks_per_trial.py": [f"log-{n}.csv" for n in range(4)],
    "resume_in_a_store.py": ["runs.artifacts", "runs.db"],
    "from_r.R": ["report.html"],
}
NEEDS = {"resume_in_a_store.py": ("sqlalchemy", "safetensors")}


def test_each_script_has_a_test():
    assert [path.name for path in SCRIPTS] == sorted(EXPECTED)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_each_script_is_in_the_documents(path):
    pages = [page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.md")]
    assert sum(f"examples/{path.name}" in page for page in pages) == 1


def interpreter(path):
    """What runs a script; skips the test where it is not here."""
    if path.suffix == ".py":
        for package in NEEDS.get(path.name, ()):
            pytest.importorskip(package, reason=f"needs the extra that brings {package!r}")
        return [sys.executable]
    return [rscript()]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_runs_by_itself(path, tmp_path):
    run = _processes.run(
        [*interpreter(path), path],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    for pattern in EXPECTED[path.name]:
        assert re.search(pattern, run.stdout, re.DOTALL | re.MULTILINE), (pattern, run.stdout)
    if "FAIRLANE_EXAMPLES" in os.environ:  # for the site, which shows it: see docs/hooks/examples.py
        kept = Path(os.environ["FAIRLANE_EXAMPLES"]) / f"{path.stem}.txt"
        kept.write_text(run.stdout, encoding="utf-8")
    left = sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(("-shm", "-wal")))
    assert left == sorted(LEFT.get(path.name, []))


def test_the_checker_finds_the_one_mistake_that_is_made_on_purpose():
    report = check_paths([ROOT / "examples"])
    assert not report.failures
    assert report.checked == len([*SCRIPTS, *NOTEBOOKS, *ROOT.glob("examples/*/*.py")])
    first = {Path(found.path).name: found for found in reversed(report.findings)}
    assert set(first) == {"guard.py", "the_mistake.ipynb"}
    assert all(found.source[0].strip().startswith("model_copy = model") for found in first.values())
