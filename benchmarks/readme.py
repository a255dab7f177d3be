"""Claim: the README quotes what these scripts measured. Writes its tables from ``results/*.csv``.

Run after the other scripts. A cell is a peer's time divided by Fairlane's in the same run; in brackets, its
seconds. Peers that a run left out have no cell.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
NAMES = {
    "fairlane": "Fairlane",
    "keras-jax": "loop, Keras on JAX",
    "keras-tensorflow": "loop, Keras on TensorFlow",
    "keras-torch": "loop, Keras on torch",
    "keras-tuner": "KerasTuner",
    "ray-tune": "Ray Tune",
}
MODELS = {"cnn": "small CNN", "lstm": "LSTM", "attention": "attention block"}
TITLES = {"digits": "digits MLP", "mnist": "MNIST MLP", "architectures": ""}


def cases(name: str) -> pd.DataFrame:
    """A row per case of one script: each peer's cell."""
    path = HERE / "results" / f"{name}.csv"
    if not path.exists():
        return pd.DataFrame()
    rows = pd.read_csv(path)
    seconds = rows.groupby(["case", "worker"], sort=False)["seconds"].median().unstack()
    title = f"{TITLES[name]}, " if TITLES[name] else ""
    table = {
        title + named(str(case)): {
            NAMES[worker]: cell(seconds.loc[case, worker], seconds.loc[case, "fairlane"])
            for worker in NAMES
            if worker in seconds.columns and pd.notna(seconds.loc[case, worker])
        }
        for case in dict.fromkeys(rows["case"])
    }
    return pd.DataFrame.from_dict(table, orient="index")


def named(case: str) -> str:
    """A case under its model's full name."""
    model, _, rest = case.partition(",")
    return f"{MODELS[model]},{rest}" if model in MODELS else case


def cell(seconds: float, fairlane: float) -> str:
    """``28.1× (133 s)``, and for Fairlane itself its seconds."""
    shown = f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return shown if seconds == fairlane else f"{seconds / fairlane:.1f}× ({shown})"


def markdown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    lines = ["| | " + " | ".join(table.columns) + " |", "|---" * (len(table.columns) + 1) + "|"]
    for case, row in table.iterrows():
        lines.append(f"| {case} | " + " | ".join("–" if pd.isna(c) else c for c in row) + " |")
    return "\n".join(lines)


def machine() -> str:
    """Where and with what it was measured, in one line."""
    about = json.loads((HERE / "results" / "digits.machine.json").read_text())
    versions = about["versions"]
    named = ", ".join(
        f"{n} {versions[n]}" for n in ("keras", "jax", "tensorflow-cpu", "torch", "keras-tuner", "ray")
    )
    return (
        f"Measured on {about['cores']} cores ({about['cpu']}), {about['date'][:10]}, Python "
        f"{about['python']}, {named}."
    )


def accelerator() -> str:
    """What an accelerator did: Fairlane's seconds, and the loop's, from its seconds per trial."""
    rows = pd.read_csv(HERE / "results" / "accelerator.csv")
    about = json.loads((HERE / "results" / "accelerator.machine.json").read_text())
    lines = ["| | Fairlane | loop, Keras on JAX |", "|---|---|---|"]
    models = rows["case"].str.partition(",")[0]
    for model in models.unique():
        mine = rows[models == model]
        loop = mine[mine["worker"] == "keras-jax"]
        per_trial = (loop["seconds"] / loop["trials"]).median()
        lanes = mine[mine["worker"] == "fairlane-lanes"].groupby("case", sort=False)
        for case, few in lanes:
            seconds, trials = few["seconds"].median(), int(few["trials"].iloc[0])
            whole = f"{TITLES[model]}, {case.partition(', ')[2]}" if model in TITLES else named(str(case))
            whole = whole.replace(", 1 trials", ", 1 trial")
            lines.append(f"| {whole} | {cell(seconds, seconds)} | {cell(per_trial * trials, seconds)} |")
    device, versions = about["device"].partition(": ")[2], about["versions"]
    told = (
        f"On one {device} with {about['cores']} cores beside it, {about['date'][:10]}, keras "
        f"{versions['keras']}, jax {versions['jax']}. The loop was timed\non {int(loop['trials'].iloc[0])} "
        "trials of each model; its seconds here are as many times those of one."
    )
    return f"{told}\n\n" + "\n".join(lines)


def main() -> None:
    """Write the tables into the README."""
    table = pd.concat([cases(name) for name in TITLES])
    table = table[[name for name in NAMES.values() if name in table.columns]]
    text = (
        f"{BEGIN}\nWhole runs with imports done; building and compiling count. How many times longer than "
        f"Fairlane each takes,\nside by side in one run of a [script](benchmarks/README.md):\n\n"
        f"{markdown(table)}\n\n{machine()}\n\n{accelerator()}\n{END}"
    )
    page = README.read_text()
    before, rest = page.split(BEGIN)
    README.write_text(before + text + rest.split(END)[1])


if __name__ == "__main__":
    main()
