"""Claim: what 50 trained models predict takes a small part of the time of a loop of Keras's ``predict``.

The digits MLP (64-64-64-10, RMSprop) on scikit-learn's 1,797 digits, 50 seeds, trained for 2 epochs; training
is not on the clock. ``keras-jax``: ``predict`` of 50 models that are there already, one after another: the
first call of each, as in a script, and the second, when all is compiled. ``fairlane``: ``study.predict``,
which builds the models that it needs; likewise twice. The same for ``evaluate``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import _common

PEERS = ("keras-jax", "fairlane")


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Let all members predict, or be evaluated, with one peer."""
    import numpy as np

    import _data
    import _models
    import fairlane as fl

    x, y = _data.digits()
    members, what = parameters["members"], parameters["what"]
    study = fl.compare(
        _models.digits_mlp, [{"learning_rate": 1e-3}], x, y, seeds=members, epochs=2, verbose=0
    )
    once: Callable[[], Any]
    if name == "keras-jax":
        models = [study.model(trial) for trial in range(members)]
        if what == "predict":
            once = lambda: np.stack([model.predict(x, verbose=0) for model in models])  # noqa: E731
        else:
            once = lambda: np.stack([model.evaluate(x, y, verbose=0) for model in models])  # noqa: E731
    else:
        once = (lambda: study.predict(x)) if what == "predict" else lambda: study.evaluate(x, y)["loss"]
    start = time.perf_counter()
    found = once()
    first = time.perf_counter() - start
    start = time.perf_counter()
    once()
    again = time.perf_counter() - start
    if what == "predict":
        expected = study.model(members - 1).predict(x, verbose=0)
        assert np.abs(found[-1] - expected).max() < 1e-6
    timing = {"seconds": first, "trials": members, "epochs": 1, "outcomes": []}
    return {**timing, "second_call": again}


def main() -> None:
    """Run both peers side by side."""
    options = _common.parser(__doc__).parse_args()
    if _common.served(options, worker):
        return
    members = 4 if options.quick else 50
    jobs = [
        _common.Job(f"{what}, {members} models", peer, {"what": what, "members": members})
        for what in ("predict", "evaluate")
        for peer in _common.chosen(options, PEERS)
    ]
    rows = _common.run_jobs(__file__, jobs, options)
    _common.report("predict", "digits MLP", rows, options, same=("keras-jax",), data="scikit-learn's digits")


if __name__ == "__main__":
    main()
