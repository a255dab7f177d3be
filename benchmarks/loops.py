"""Claim: the loops that the lanes engine chooses are the fast ones. Each loop on each kind of model.

Milliseconds per model-epoch once compiled, with all threads busy: chunks of 1, 2, 4, 8 or 16 lanes in a
scan, and one dispatch per batch; with the step rewritten for the CPU, and without. It reaches into the
engine, which chooses for itself otherwise.
"""

from __future__ import annotations

from typing import Any

import _common

CASES = {
    "digits": [(1, False), (2, False), (4, False), (8, False), (16, False)],
    "mnist": [(1, False), (2, False)],
    "cnn": [(1, False), (4, False), (1, True)],
    "lstm": [(1, False), (4, False), (8, False)],
    "attention": [(1, False), (4, False), (8, False)],
}


def worker(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train one kind of model with one loop."""
    import _tasks
    import fairlane as fl
    from fairlane.engines.lanes import chunk, engine, fleet, fleets, loops

    width, stepwise = parameters["width"], parameters["stepwise"]
    fleets.choose = lambda model: loops.Loop(width, stepwise)
    if not parameters["rewritten"]:
        program = fleet.Program
        fleet.Program = lambda *parts, on_cpu, **more: program(*parts, on_cpu=False, **more)
    seen: list[float] = []
    account = chunk.Chunk.account

    def noted(self: Any, outcome: Any) -> None:
        if self.width == width:
            seen.append(outcome.seconds)
        account(self, outcome)

    chunk.Chunk.account = noted
    task = task_of(_tasks, name, parameters["data"], width * engine.default_threads())
    study = fl.compare(
        task.build, task.grid, task.x, task.y, seeds=task.seeds, engine="lanes", verbose=0, **task.fit
    )
    assert set(study.trials["state"]) == {"done"}, study.trials["error"].tolist()
    seconds = min(seen)
    # Each thread's chunk took this long for its lanes, and all threads ran at once.
    return {"seconds": seconds, "ms_per_model_epoch": seconds * 1e3 / width / engine.default_threads()}


def task_of(tasks: Any, name: str, data: str | None, trials: int) -> Any:
    """A task with one lane for each place of the chunks."""
    if name == "digits":
        task = tasks.digits(2, 20)
    elif name == "mnist":
        task = tasks.mnist(3, data)
    else:
        task = tasks.architecture(name, 2, 4, data)
    task.grid["learning_rate"][:] = task.grid["learning_rate"][:1]
    task.seeds[:] = range(trials)
    return task


def main() -> None:
    """Run every loop in a process of its own."""
    parser = _common.parser(__doc__)
    parser.add_argument("--data", help="an .npz with x_train and y_train of MNIST")
    options = parser.parse_args()
    if _common.served(options, worker):
        return
    rows = []
    for name, loops in CASES.items():
        for rewritten in (True, False):
            for width, stepwise in loops[:1] if options.quick else loops:
                parameters = {
                    "width": width,
                    "stepwise": stepwise,
                    "rewritten": rewritten,
                    "data": options.data,
                }
                row = _common.run_worker(__file__, _common.Job(name, name, parameters), options.timeout)
                loop = f"{'step' if stepwise else 'scan'}×{width}"
                rows.append({"model": name, "loop": loop, "rewritten": rewritten, **row})
    table = _common.new_table("loops", ["model", "loop", "rewritten", "ms per model-epoch"])
    for row in rows:
        cell = _common.number(row.get("ms_per_model_epoch"), ".2f")
        table.add_row(row["model"], row["loop"], str(row["rewritten"]), cell)
    _common.console.print(table)
    kept = ("model", "loop", "rewritten", "ms_per_model_epoch")
    _common.write(_common.result_name("loops", options), [{k: row.get(k) for k in kept} for row in rows])


if __name__ == "__main__":
    main()
