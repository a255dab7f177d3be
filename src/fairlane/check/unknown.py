"""Whether an unknown value is used as a Keras model.

In: the call of a method, and the text of the program. Out: a `Use`: not as a model, surely, or in a way that
another library's models allow as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from fairlane.check.known import Kind, names
from fairlane.check.machine import Given, constant
from fairlane.check.values import Thing

OPTIMIZERS = names("adam adamw sgd rmsprop nadam adagrad adadelta adamax ftrl lion adafactor lamb muon")
EPOCHS = names(
    "epochs nb_epoch steps_per_epoch validation_data validation_split initial_epoch validation_steps"
)
KERAS_ONLY = names("nb_epoch steps_per_epoch initial_epoch validation_steps")
_RESETTING_WRAPPERS = re.compile(
    r"scikeras|KerasClassifier|KerasRegressor|scikit_learn|skorch|fastai|TabNet|lightning|autokeras|GPflow"
)
_LOSS = re.compile(r"^(mse|mae|mape|msle|mean_|kld|logcosh|poisson|cosine)|crossentropy|hinge")
_KERAS = re.compile(r"keras|tensorflow|\btf\.")


class Use(Enum):
    """How a value is used."""

    NOT = auto()
    DOUBTFUL = auto()
    SURE = auto()


class Evidence:
    """Tells how values are used.

    Args:
        lines: the program.
        is_r: whether it is R.
    """

    def __init__(self, lines: Sequence[str], is_r: bool) -> None:
        text = "\n".join(lines)
        self.is_wrapped = _RESETTING_WRAPPERS.search(text) is not None
        self.has_threads = "threads" in text or "threading" in text
        self.is_keras = is_r or _KERAS.search(text) is not None

    def of(self, method: str, given: Sequence[Given]) -> Use:
        """What the call of a method shows.

        Args:
            method: its name.
            given: its arguments.

        Returns:
            how its owner is used.
        """
        named = {one.name for one in given if one.name is not None}
        if method == "compile":
            return self._compiled(given, named)
        if method in ("fit_generator", "train_on_batch"):
            return Use.SURE
        if method != "fit" or self.is_wrapped or not self.is_keras or not named & EPOCHS:
            return Use.NOT
        return Use.SURE if named & KERAS_ONLY else Use.DOUBTFUL

    def _compiled(self, given: Sequence[Given], named: set[str]) -> Use:
        kinds = {one.value.kind for one in given if isinstance(one.value, Thing)}
        first = constant(given[0].value) if given and given[0].name is None else None
        by_name = isinstance(first, str) and first.lower() in OPTIMIZERS
        second = constant(given[1].value) if len(given) > 1 and given[1].name is None else None
        by_name |= isinstance(second, str) and _LOSS.search(second.lower()) is not None
        if {"optimizer", "loss"} <= named or kinds & {Kind.OPTIMIZER, Kind.METRIC} or by_name:
            return Use.SURE
        return Use.DOUBTFUL if named & {"optimizer", "loss"} else Use.NOT
