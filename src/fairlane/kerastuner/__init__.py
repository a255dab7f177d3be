"""KerasTuner's names, for programs that change one import: ``from fairlane import kerastuner as kt``.

In: a build function that takes ``hp``, and a tuner's arguments. Out: `fairlane.search` of the same space, and
its study in KerasTuner's words. KerasTuner itself is not needed.
"""

from fairlane.kerastuner.entries import Entry as HyperParameter
from fairlane.kerastuner.hypermodel import HyperModel, Objective
from fairlane.kerastuner.hyperparameters import HyperParameters
from fairlane.kerastuner.tuner import Tuner
from fairlane.kerastuner.tuners import BayesianOptimization, GridSearch, Hyperband, RandomSearch

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "HyperModel",
    "HyperParameter",
    "HyperParameters",
    "Hyperband",
    "Objective",
    "RandomSearch",
    "Tuner",
]
