"""What is tuned: a `HyperModel`, or a function; and the objective.

In: what a user gives. Out: an object with ``build(hp)``, and the objective as `fairlane.search` takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.kerastuner.hyperparameters import HyperParameters


class HyperModel:
    """A search space of models: a class of your own with ``build(hp)``.

    Args:
        name: its name.
        tunable: whether what ``build`` requests is tuned; else it gets its default.
    """

    name: str | None = None
    tunable: bool = True

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name, self.tunable = name, tunable

    def build(self, hp: HyperParameters) -> keras.Model:
        """A fresh, compiled model. A class of your own replaces this.

        Args:
            hp: the hyperparameters.
        """
        raise NotImplementedError("a HyperModel needs a method build(self, hp), which returns a keras.Model")

    def fit(self, hp: HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Not called: models are trained side by side by ``Model.fit``'s rules.

        Args:
            hp: the hyperparameters.
            model: the model.
            *args: those of ``search``.
            **kwargs: those of ``search``.
        """
        return model.fit(*args, **kwargs)


class _Function(HyperModel):
    """A function as a `HyperModel`."""

    def __init__(self, function: Callable[[HyperParameters], keras.Model]) -> None:
        super().__init__()
        self.function = function

    def build(self, hp: HyperParameters) -> keras.Model:
        return self.function(hp)


def hypermodel_of(given: Any) -> Any:
    """The object whose ``build`` makes the models.

    Args:
        given: a `HyperModel`, also KerasTuner's own, or a function.

    Raises:
        StudyError: it is neither, or has a ``fit`` of its own.
    """
    if callable(getattr(given, "build", None)) and not isinstance(given, (type, keras.Model)):
        fit = getattr(type(given), "fit", None)
        if fit not in (None, HyperModel.fit) and not fit.__module__.startswith("keras_tuner."):
            raise StudyError(
                f"{type(given).__name__} has a fit of its own, and models that train side by side can't run "
                "it. Remove it: give what is the same for all models to search(), and search over arguments "
                "of Model.fit with fairlane.search, whose space may have names such as 'batch_size'"
            )
        return given
    if not callable(given) or isinstance(given, (type, keras.Model)):
        raise StudyError(
            "hypermodel must be a function build(hp) that returns a compiled keras.Model, or an instance of "
            f"a HyperModel; got {given!r}"
        )
    return _Function(given)


@dataclass(frozen=True)
class Objective:
    """What is to be small or large.

    Args:
        name: a log's name, such as ``"val_auc"``.
        direction: ``"min"`` or ``"max"``.

    Example:
        >>> print(Objective("val_auc", "max"))
        Objective(name="val_auc", direction="max")
    """

    name: str
    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max", "auto"):
            raise StudyError(f"the direction of {self.name!r} must be 'min' or 'max', not {self.direction!r}")

    def __str__(self) -> str:
        return f'Objective(name="{self.name}", direction="{self.direction}")'


def objectives_of(given: Any) -> list[Objective]:
    """The objectives that a tuner's argument stands for.

    Args:
        given: a log's name, an `Objective`, or a list of these.

    Raises:
        StudyError: there is none.
    """
    if isinstance(given, (list, tuple)) and given:
        return [one for part in given for one in objectives_of(part)]
    if isinstance(given, str):
        return [Objective(given, "auto")]
    if isinstance(getattr(given, "name", None), str) and hasattr(given, "direction"):
        return [Objective(given.name, given.direction)]
    raise StudyError(
        "objective must be a log's name such as 'val_loss', a kerastuner.Objective(name, 'min' or 'max'), or "
        f"a list of them; got {given!r}"
    )
