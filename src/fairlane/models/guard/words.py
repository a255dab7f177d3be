"""What the guard says.

In: what is known of a model. Out: the text of a warning: what happened, to which model, why it matters, and
what to do.
"""

from __future__ import annotations

from typing import Any

from fairlane.kit.call_sites import Place
from fairlane.kit.text import plural
from fairlane.models.guard import ledger

_CARRIED = {
    "optimizer": "Its moments, step count and learning rate carry over from one to the other",
    "metric": "What one model adds to it shows in the other's logs",
    "callback": "The best value that it has seen, its patience and its history carry over",
}


def _before(known: ledger.Past) -> str:
    if not known.epochs:
        return f"has been trained on batches, last at {known.trained}"
    epochs = plural(known.epochs, "epoch")
    where = f", last at {known.trained}" if known.trained else ""
    return f"has been trained for {epochs}{where}"


_WAYS_ON = (
    "To start again, train `fairlane.fresh(model)`; to continue in a second model, train "
    "`fairlane.copy(model)`; if training this one further is meant, say so: "
    "`with fairlane.continuing(model): ...`."
)


def trained_again(model: Any, known: ledger.Past, compiled: Place) -> str:
    """It was compiled again, and is trained on."""
    return (
        f"Model {model.name!r} {_before(known)}, and was compiled again at {compiled}. compile() gives it a "
        f"new optimizer and does not reset its weights, so this training continues from those weights: it is "
        f"not a new experiment. {_WAYS_ON}"
    )


def held_out(model: Any, known: ledger.Past, share: float) -> str:
    """It is judged by samples that it was trained on before."""
    return (
        f"Model {model.name!r} {_before(known)}. {share:.0%} of the samples that it is evaluated on were "
        f"left out of its last training, but not of an earlier one: it has seen them, so this is no "
        f"cross-validation. Build a model for each fold, or begin each with `fairlane.fresh(model)`."
    )


def layers_shared(model: Any, layers: list[str], lesson: ledger.Lesson) -> str:
    """Its layers were trained in another model."""
    shown = ", ".join(map(repr, layers[:4])) + (" ..." if len(layers) > 4 else "")
    return (
        f"Layers {shown} of model {model.name!r} were trained on the same samples in model "
        f"{lesson.past.name!r}, at {lesson.place}. The two share these weights: training one continues from "
        f"the other, and changes it. Make the layers in a function, and call it for each model; if it is "
        f"meant, say so: `with fairlane.continuing(model): ...`."
    )


def served_before(kind: str, thing: Any, model: Any, earlier: ledger.Service) -> str:
    """Something served another model before."""
    name = type(thing).__name__
    return (
        f"The {kind} {name} of model {model.name!r} served model {earlier.name!r} before, at "
        f"{earlier.place}. {_CARRIED[kind]}, so the two are not independent. Make a new {name} for each "
        f"model."
    )


def drawn_twice(model: Any, initializer: Any, names: list[str]) -> str:
    """An initializer gives several layers the same values."""
    layers = ", ".join(map(repr, names))
    return (
        f"One {type(initializer).__name__} object initializes layers {layers} of model {model.name!r}. An "
        f"initializer gives the same values each time it is called for the same shape, so such layers start "
        f"equal. Make a new one for each layer, or give its name as a string."
    )
