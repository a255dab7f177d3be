"""The conformance suite: whatever ``Model.fit`` can train, lanes train with the same result.

One body for all of ``cases.py``: two learning rates, as two lanes of one program, against the reference
engine; the logs of all epochs, and the weights after the first. The reference engine trains one of the two, the
first or the second in turns. With ``FAIRLANE_CONFORMANCE=PATH`` in the environment it trains both, and what was
found is written to ``PATH`` as JSON, a file per process, for ``table.py``.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fairlane as fl
import fairlane.engines.lanes.engine
from conformance.cases import CASES, Case

EPOCHS = 3

# Keras asks JAX for 64 bits, in metrics and where a case does, and JAX says each time that it has 32.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the two trials are lanes of one vectorised program, and not one of each of two threads."""
    monkeypatch.setattr(fairlane.engines.lanes.engine, "default_threads", lambda: 1)


class Weights(keras.callbacks.Callback):
    """Keeps the weights after the first epoch."""

    def __init__(self, kept: dict[float, list[Any]], rate: float) -> None:
        super().__init__()
        self.kept, self.rate = kept, rate

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            self.kept[self.rate] = [np.asarray(w, "float64") for w in self.model.get_weights()]


def run(case: Case, engine: str, rates: Sequence[float]) -> tuple[Any, dict[float, list[Any]]]:
    weights: dict[float, list[Any]] = {}
    arguments = {"epochs": EPOCHS, "batch_size": 15, "validation_split": 0.25}
    if case.family == "optimizers" and "FAIRLANE_CONFORMANCE" not in os.environ:
        arguments |= {"batch_size": 20, "validation_split": 0.0}  # validation knows nothing of them
    arguments |= case.fit
    study = fl.compare(
        case.build,
        {"rate": list(rates)},
        case.x,
        case.y,
        engine=engine,
        callbacks=lambda trial: [Weights(weights, trial.hyperparameters["rate"])],
        verbose=0,
        **arguments,
    )
    assert study.trials["error"].tolist() == [""] * len(rates), study._record(0).traceback
    return study, weights


def difference(a: Any, b: Any) -> float:
    """The largest relative difference of two columns, of numbers or arrays; of values near zero, the absolute one times 100."""
    a, b = (np.stack([np.ravel(value) for value in column]).astype("float64") for column in (a, b))
    assert np.array_equal(np.isnan(a), np.isnan(b))
    gap = np.abs(a - b) / np.maximum(np.abs(b), 1e-2)
    return float(np.nanmax(gap)) if gap.size else 0.0


_NAN_BY_ITSELF = {"sparse categorical crossentropy, ignored class"} if keras.__version__ < "3.14" else set()
"""Where Keras alone trains to NaN: tried with 3.13.2, by ``Model.fit`` with nothing of Fairlane's."""


def marked(case: Case) -> Any:
    skip = pytest.mark.skipif(case.name in _NAN_BY_ITSELF, reason="this Keras, alone, trains it to NaN")
    return pytest.param(case, id=f"{case.family}: {case.name}", marks=skip)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_lanes_equal_the_reference(case: Case) -> None:
    compared = case.rates if "FAIRLANE_CONFORMANCE" in os.environ else (case.rates[CASES.index(case) % 2],)
    lanes, lanes_weights = run(case, "auto", case.rates)
    reference, reference_weights = run(case, "reference", compared)
    (engine,) = set(lanes.trials["engine"])
    (loop,) = set(lanes.trials["loop"])
    reason = lanes.trials["reason"][0]
    assert engine == case.engine, reason

    logs = [c for c in reference.history.columns if c not in ("trial", "rate", "seed", "epoch")]
    assert list(lanes.history.columns) == list(reference.history.columns)
    history = lanes.history[lanes.history["rate"].isin(compared)]
    gaps = {name: difference(history[name], reference.history[name]) for name in logs}
    apart = [
        float(np.max(np.abs(a - b), initial=0.0))
        for rate in compared
        for a, b in zip(lanes_weights[rate], reference_weights[rate], strict=True)
    ]
    note(case, engine, loop, reason, max(gaps.values()), max(apart))
    assert {name: gap for name, gap in gaps.items() if gap > case.rtol} == {}
    assert max(apart) <= case.atol
    assert not case.why or (case.rtol, case.atol) != (1e-5, 1e-5)


def note(case: Case, engine: str, loop: str, reason: str, logs: float, weights: float) -> None:
    folder = os.environ.get("FAIRLANE_CONFORMANCE")
    if folder:
        row = {
            "family": case.family,
            "case": case.name,
            "engine": engine,
            "loop": loop,
            "reason": reason,
            "logs": logs,
            "weights": weights,
        }
        row |= {"rtol": case.rtol, "atol": case.atol, "why": case.why}
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def test_there_are_enough_and_no_name_twice() -> None:
    names = [(case.family, case.name) for case in CASES]
    assert len(names) == len(set(names)) >= 80
    assert sum(case.engine == "lanes" for case in CASES) >= 0.9 * len(CASES)
