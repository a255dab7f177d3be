"""Reports and figures of few and many variants and seeds, on a screen, in the dark, on a phone and on paper: to be looked at.

``python tests/report/_matrix.py FOLDER`` writes a picture of each, and sheets of them side by side. `test_report_matrix.py`
tries what of this can be tried without eyes.
"""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

VARIANTS, SEEDS = (1, 2, 8, 60, 200), (1, 5)
LOOKS = {
    "light": (1200, False, ""),
    "dark": (1200, True, ""),
    "phone": (390, False, ""),
    "print": (794, False, "print"),
}
KINDS = (
    "curves",
    "final",
    "paired",
    "sweep",
    "parallel",
    "slice",
    "contour",
    "importance",
    "optimization",
    "rungs",
)
_ACTIVATIONS = ("relu", "gelu", "a rather long name of an activation")


def hyperparameters(number):
    """A learning rate over decades, a whole number, a text, and a share."""
    return {
        "learning_rate": 10.0 ** -(1 + number % 4),
        "units": 8 * 2 ** (number // 4 % 5),
        "activation": _ACTIVATIONS[number // 20 % 3],
        "dropout": 0.1 * (number // 60),
    }


def records(variants, seeds, epochs=12):
    """Curves from a formula; where there are many, some trials failed and some diverged."""
    from fairlane.store import Record
    from fairlane.trials import Trial, TrialState, Variant

    made = []
    for number in range(variants):
        variant = Variant(number, hyperparameters(number))
        floor = 0.3 + 0.2 * abs(number % 4 - 1.3) + 0.05 * (number // 4 % 5) + 0.02 * math.sin(number)
        for seed in range(seeds):
            shift = 0.05 * math.sin(7 * number + 3 * seed)
            logs = []
            for epoch in range(epochs):
                loss = floor + shift + 2 * math.exp(-epoch / 3)
                validation = loss + 0.1 + 0.03 * math.sin(5 * epoch + number + seed)
                logs.append(
                    (
                        epoch,
                        {
                            "loss": loss,
                            "accuracy": 1 - loss / 3,
                            "val_loss": validation,
                            "val_accuracy": 1 - validation / 3,
                        },
                    )
                )
            record = Record(
                Trial(len(made), variant, seed),
                TrialState.DONE,
                logs,
                seconds=1.5,
                engine="lanes",
                loop="scan×8",
            )
            if number % 13 == 12:
                record.state, record.error, record.epochs = TrialState.FAILED, "ValueError: no", []
            made.append(record)
    return made


def study(variants, seeds):
    """The same as a study."""
    import fairlane as fl
    from fairlane.provenance.origin import Origin
    from fairlane.store import MemoryStore

    made = records(variants, seeds)
    store = MemoryStore([record.trial for record in made])
    store._records = {id(record.trial): record for record in made}
    return fl.Study(store, f"{variants} variants, {seeds} seeds", lambda trial, weights: None, Origin)


def facts(variants, seeds):
    """The same as the facts of a report, with notes."""
    from fairlane.provenance.origin import Origin
    from fairlane.results import report

    found = report.facts_of(records(variants, seeds), Origin(), f"{variants} variants, {seeds} seeds")
    return {**found, "notes": [{"variant": 0, "text": "the first one", "tags": ["good", "to be repeated"]}]}


def shown(browser, file, look):
    """Open a page as on this screen, or on paper."""
    width, dark, media = LOOKS[look]
    browser.open("about:blank", server="about:")
    browser.open(file, width=width, dark=dark)
    if media:
        browser.call("Emulation.setEmulatedMedia", media=media)
        browser.run("dispatchEvent(new Event('resize'))")


def figure(of, kind):
    """A figure of this kind as a picture, or the words of the error."""
    from fairlane.errors import StoreError, StudyError

    options = {"sweep": {"x": "learning_rate"}, "contour": {"x": "learning_rate", "y": "units"}}.get(kind, {})
    try:
        drawn = of.plot(kind, **options)
    except (StudyError, StoreError) as error:
        return str(error)
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=60)
    return file.getvalue()


def sheet(pictures, width, height, columns):
    """Pictures side by side, each with its name, cut off below."""
    from PIL import Image, ImageDraw

    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * (width + 8), rows * (height + 22)), "#888888")
    for i, (name, data) in enumerate(pictures.items()):
        at = (i % columns * (width + 8), i // columns * (height + 22))
        ImageDraw.Draw(whole).text((at[0] + 4, at[1] + 4), name, fill="white")
        if isinstance(data, str):
            ImageDraw.Draw(whole).text(
                (at[0] + 4, at[1] + 30),
                "\n".join(data[k : k + 50] for k in range(0, len(data), 50)),
                fill="white",
            )
            continue
        one = Image.open(io.BytesIO(data)).convert("RGB")
        one = one.resize((width, max(1, one.height * width // one.width)), Image.LANCZOS)
        whole.paste(one.crop((0, 0, width, min(height, one.height))), (at[0], at[1] + 20))
    return whole


def main(folder):
    """Write all pictures."""
    sys.path[:0] = [str(Path(__file__).parents[1])]
    from _chromium import Chromium
    from fairlane.results import report

    folder.mkdir(parents=True, exist_ok=True)
    browser = Chromium()
    for seeds in SEEDS:
        pages = {look: {} for look in LOOKS}
        for variants in VARIANTS:
            file = report.write(facts(variants, seeds), folder / f"{variants}-{seeds}.html")
            for look in LOOKS:
                shown(browser, file, look)
                pages[look][f"{variants} variants, {seeds} seeds, {look}"] = browser.picture()
            made = study(variants, seeds)
            figures = {f"{kind}, {variants} x {seeds}": figure(made, kind) for kind in KINDS}
            sheet(figures, 420, 330, 5).save(folder / f"figures-{variants}-{seeds}.png")
        for look, pictures in pages.items():
            for name, data in pictures.items():
                (folder / f"page {name}.png").write_bytes(data)
            sheet(pictures, 480, 1500, 5).save(folder / f"pages-{look}-{seeds}.png")
    browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
