"""The class `Study`, put together from its parts."""

from __future__ import annotations

from fairlane.results.study.choice import Choice
from fairlane.results.study.figures import Figures
from fairlane.results.study.folds import Folded
from fairlane.results.study.noting import Noted
from fairlane.results.study.refitting import Refitting
from fairlane.results.study.runs import Runs


class Study(Figures, Folded, Choice, Refitting, Noted, Runs):
    """All trials of one question, and their results.

    `compare` returns it, and `fairlane.open` reads it back. The examples of its methods continue this one.

    Attributes:
        name: the study's name, or None.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build(learning_rate):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> study = fl.compare(build, {"learning_rate": [0.1, 0.01]}, x, y, seeds=2, epochs=3, verbose=0)
        >>> len(study.trials), len(study.history)
        (4, 12)
    """
