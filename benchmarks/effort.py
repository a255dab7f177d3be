"""Claim: at a program that runs seldom, XLA should be quick: compiling it well takes longer than it saves.

The last, smaller batch of an epoch is a program of its own, as large as that of all others. For the models of
``_models.py``: processor time of compiling it, and of running it once, with the options that
``fairlane.engines.program.effort`` chooses between; and the work that the choice goes by.
"""

from __future__ import annotations

import time
from typing import Any

import _common

# Model → the shape of a sample, the batch size, how many lanes.
CASES: dict[str, tuple[tuple[int, ...], int, int]] = {
    "digits_mlp": ((64,), 32, 8),
    "mnist_mlp": ((784,), 128, 2),
    "lstm": ((28, 28), 64, 2),
    "cnn": ((28, 28, 1), 64, 1),
    "attention": ((28, 28), 64, 2),
}
RUNS = 7


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Compile and run one model's last batch with each choice."""
    import jax
    import numpy as np

    import _models
    import fairlane as fl
    from fairlane.engines.program import compiled, effort

    shape, batch, lanes = CASES[name]
    captured: list[tuple[Any, Any]] = []
    compile_own = compiled.Program._compile

    def capture(self: Any, run: Any, arguments: Any, executor: Any) -> Any:
        if run.training and run.batch != batch:
            captured.append((jax.jit(self._vectorised(run)).trace(*arguments), self.width))
        return compile_own(self, run, arguments, executor)

    compiled.Program._compile = capture  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    samples = batch + batch // 2 + 1
    x, y = rng.random((samples, *shape), "float32"), rng.integers(0, 10, samples)
    rates = np.linspace(1e-3, 2e-3, lanes).tolist()
    fl.compare(getattr(_models, name), {"learning_rate": rates}, x, y, epochs=1, batch_size=batch, verbose=0)
    ((traced, width),) = captured
    lowered, found = traced.lower(), {"seconds": 0.0, "width": width, "work": effort.work(traced.jaxpr)}
    found["operations"] = effort.operations(traced.jaxpr)
    for kind, options in (("less", effort._LESS), ("quick", effort._QUICK)):
        began = time.process_time()
        program = lowered.compile(compiler_options=options)
        found[f"{kind}_compiling"] = time.process_time() - began
        spent = []
        for _ in range(RUNS):
            arrays = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), lowered.args_info[0])
            began = time.process_time()
            jax.block_until_ready(program(*arrays))
            spent.append(time.process_time() - began)
        found[f"{kind}_running"] = min(spent)
        found["seconds"] += found[f"{kind}_compiling"]
    extra = found["quick_running"] - found["less_running"]
    found["ns_per_element"] = 1e9 * extra / found["work"]
    found["runs_until_even"] = (found["less_compiling"] - found["quick_compiling"]) / max(extra, 1e-9)
    return found


def main() -> None:
    """Measure each model in a process of its own."""
    options = _common.parser(__doc__).parse_args()
    if _common.served(options, worker):
        return
    cases = ["digits_mlp"] if options.quick else list(CASES)
    jobs = [_common.Job("the last batch", name) for name in cases]
    rows = _common.run_jobs(__file__, jobs, options)
    columns = ["less_compiling", "quick_compiling", "less_running", "quick_running", "work", "ns_per_element"]
    table = _common.new_table("the last batch of an epoch, seconds of processor time", ["model", *columns])
    for row in rows:
        table.add_row(row["worker"], *(f"{row[column]:.3g}" for column in columns))
    _common.console.print(table)
    _common.write(_common.result_name("effort", options), rows, options=_common.plain(options))


if __name__ == "__main__":
    main()
