"""Files that a program saves models to and loads them from: training is carried over by them, too.

In: what is saved and loaded. Out: models that know where they come from, and when that was trained.
"""

from __future__ import annotations

from dataclasses import replace

from fairlane.check.forms import At
from fairlane.check.machine import Given, Machine, constant
from fairlane.check.values import Thing, Training, Value


def file_of(given: list[Given]) -> object:
    """The file among some arguments, as far as it can be told from others."""
    for one in given:
        if one.name in (None, "filepath", "path", "file"):
            return _key(one.value)
    return None


def _key(value: Value) -> object:
    """A text, or the variable's value if that is not known: one value is one file."""
    text = constant(value)
    if isinstance(text, str):
        return text
    return value if type(value) is Value else None


class Files:
    """What lies in the program's files.

    Args:
        machine: the program.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def saved(self, model: Thing, file: Value, at: At) -> None:
        """A model, or its weights, are saved."""
        training = self.machine.state.model(model).trained
        self.kept(_key(file), training if training is None else replace(training, carried=at))

    def kept(self, key: object, training: Training | None) -> None:
        """A file now holds what a training made of a model."""
        if key is None:
            return
        if training is not None and training.carried is None:
            training = replace(training, carried=training.at)
        self.machine.state.set(("file", key), "#saved", training)

    def loaded(self, model: Thing, given: list[Given]) -> None:
        """A model, or its weights, are loaded: with what training has made of them."""
        model.file = file_of(given)
        training = self.machine.state.get(("file", model.file), "#saved")
        if model.file is not None and isinstance(training, Training):
            self.machine.state.change(model, lambda old: replace(old, trained=training))
