"""What all tuners share: from KerasTuner's arguments to a call of `fairlane.search`, and back.

In: a `HyperModel`, and KerasTuner's arguments. Out: a `Tuner`, with a `fairlane.Study` after ``search``.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.kerastuner.discovery import discovered
from fairlane.kerastuner.hypermodel import hypermodel_of, objectives_of
from fairlane.kerastuner.hyperparameters import HyperParameters
from fairlane.kerastuner.scores import Scored, scored
from fairlane.kerastuner.translation import Translation
from fairlane.kit.text import did_you_mean
from fairlane.results.opening import open as open_study
from fairlane.results.study import Study

_REFUSED = {
    "distribution_strategy": "models train side by side on one device",
    "tuner_id": "there is one process, and no chief",
    "logger": "a study has its trackers",
    "optimizer": "compile the model in build",
    "loss": "compile the model in build",
    "metrics": "compile the model in build",
    "max_model_size": "check model.count_params() in build, and raise an error there",
}
_FIT = [name for name in inspect.signature(keras.Model.fit).parameters if name != "self"]


class Tuner:
    """What all tuners have. Use `RandomSearch`, `GridSearch`, `BayesianOptimization` or `Hyperband`.

    Args:
        hypermodel: a function ``build(hp)``, or a `HyperModel`.
        objective: a log's name, an `Objective`, or a list of them.
        seed: of all draws.
        hyperparameters: entries in advance.
        tune_new_entries: whether other entries of ``build`` are tuned.
        allow_new_entries: whether there may be others.
        executions_per_trial: the number of seeds of each variant.
        directory: a folder in which the study is stored; by default it stays in memory.
        project_name: the study's name.
        overwrite: whether a stored study of this name is deleted before the search.
        **others: refused, with the reason.

    Raises:
        StudyError: an argument can't be used here.
    """

    hypermodel: Any

    def __init__(
        self,
        hypermodel: Any,
        objective: Any,
        *,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        executions_per_trial: int = 1,
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **others: Any,
    ) -> None:
        _check_others(type(self).__name__, others)
        self.hypermodel = hypermodel_of(hypermodel)
        self.objectives = objectives_of(objective)
        self.seed = 0 if seed is None else seed
        self.executions_per_trial = executions_per_trial
        self.project_name = project_name or "untitled_project"
        self.directory = None if directory is None else Path(directory)
        self._overwrite = overwrite
        self._study: Study | None = None
        hps = discovered(self.hypermodel, hyperparameters, tune_new_entries, allow_new_entries)
        self._hps, self._translation = hps, Translation(hps)

    def __init_subclass__(cls) -> None:
        if "run_trial" in vars(cls):
            raise StudyError(
                f"{cls.__name__} has a run_trial of its own, and models that train side by side can't "
                "run it. Put what builds the model into build(hp), and give the rest to search()"
            )

    # What the kinds of tuners differ in

    def _course(self) -> dict[str, Any]:
        """The arguments of `fairlane.search` that say what is tried."""
        raise NotImplementedError

    _grid = False

    # Searching

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search, with these arguments of ``Model.fit``.

        Args:
            *fit_args: as for ``Model.fit``.
            **fit_kwargs: as for ``Model.fit``.

        Raises:
            StudyError: as `fairlane.search`.
        """
        arguments = dict(zip(_FIT, fit_args, strict=False)) | fit_kwargs
        store = self._store()
        if self._overwrite and store is not None and self._study is None:
            _delete(store)
        if store is not None:
            store.parent.mkdir(parents=True, exist_ok=True)
        arguments["callbacks"] = self._callbacks(arguments.pop("callbacks", None))
        named = [o.name if o.direction == "auto" else (o.name, o.direction) for o in self.objectives]
        search = import_module("fairlane.running.search").search
        self._study = search(
            self._builder(),
            self._translation.space(self._grid),
            **{
                **arguments,
                **self._course(),
                "objective": named[0] if len(named) == 1 else named,
                "seeds": self.executions_per_trial,
                "rng": self.seed,
                "store": None if store is None else str(store),
                "name": self.project_name,
            },
        )

    def _builder(self) -> Any:
        hypermodel = self.hypermodel

        def build(hp: HyperParameters) -> Any:
            return hypermodel.build(hp)

        return self._translation.builder(build)

    def _callbacks(self, given: Any) -> list[Any]:
        """The user's, and one that gives a model the weights of its best epoch, as KerasTuner does."""
        listed = list(given or [])
        if len(self.objectives) > 1:
            return listed
        one = self.objectives[0]
        best = keras.callbacks.EarlyStopping(
            one.name, mode=one.direction, patience=sys.maxsize, restore_best_weights=True
        )
        return [*listed, best]

    def _store(self) -> Path | None:
        return None if self.directory is None else self.directory / f"{self.project_name}.db"

    # Results

    @property
    def study(self) -> Study:
        """The study of the search; without a search, the stored one.

        Raises:
            StudyError: there is none.
        """
        if self._study is None:
            store = self._store()
            if store is None or self._overwrite or not store.exists():
                raise StudyError("there are no results yet: call search() first")
            self._study = open_study(str(store), self.project_name, build=self._builder())
        return self._study

    def _scored(self, number: int) -> list[Scored]:
        return scored(self.study._store, self.objectives)[:number]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The best variants' hyperparameters, the best first.

        Args:
            num_trials: how many.
        """
        found = self._scored(num_trials)
        return [self._translation.hyperparameters(one.hyperparameters) for one in found]

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The best variants' trained models, the best first, with the weights of their best epoch.

        Args:
            num_models: how many.
        """
        return [self.study.model(one.trial) for one in self._scored(num_models)]

    def search_space_summary(self, extended: bool = False) -> None:
        """Print the space.

        Args:
            extended: has no meaning, here or in KerasTuner.
        """
        print("Search space summary")
        print(f"Default search space size: {len(self._hps.space)}")
        for entry in self._hps.space:
            config = entry.get_config()
            print(f"{config.pop('name')} ({type(entry).__name__})")
            print(config)

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best variants and their scores.

        Args:
            num_trials: how many.
        """
        print("Results summary")
        print(f"Results in {self._store() or 'memory'}")
        print(f"Showing {num_trials} best trials")
        print(", ".join(map(str, self.objectives)))
        for one in self._scored(num_trials):
            print(f"\nTrial {one.number} summary\nHyperparameters:")
            values = self._translation.hyperparameters(one.hyperparameters).values
            print("\n".join(f"{k}: {v}" for k, v in values.items()) or "default configuration")
            print(f"Score: {one.score}")


def _check_others(tuner: str, others: dict[str, Any]) -> None:
    known = [name for name in inspect.signature(Tuner).parameters if name != "others"]
    for name, value in others.items():
        if name in ("max_retries_per_trial", "max_consecutive_failed_trials"):
            continue  # a retry gives the same failure again, and failures are rows of the results
        if name not in _REFUSED:
            raise StudyError(f"{tuner} has no argument {name!r}.{did_you_mean(name, known)}")
        if value is not None:
            raise StudyError(f"{tuner} does not take {name}: {_REFUSED[name]}")


def _delete(store: Path) -> None:
    """Delete a stored study's files."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{store}{ending}").unlink(missing_ok=True)
    shutil.rmtree(store.with_suffix(".artifacts"), ignore_errors=True)
