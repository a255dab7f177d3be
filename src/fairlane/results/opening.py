"""Stored studies, read back.

In: a store, and the name of a study in it. Out: the `Study`, without the program that made it; or a table of
all studies. Nothing in the store is executed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import pandas as pd

from fairlane.errors import BuilderError, FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models.recipes.description import difference, model_of, with_variables
from fairlane.models.recipes.individual import is_individual
from fairlane.models.session import Session
from fairlane.results.cells import frame_of
from fairlane.results.study import Study
from fairlane.store import Records, overview, read
from fairlane.store.coding import Named
from fairlane.trials import Trial, TrialState, Weights


@arguments.checked
def open(
    store: Any,
    name: str,
    *,
    build: Callable[..., keras.Model] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Study:
    """Read a stored study, also while another process trains it.

    The store is read again on each use of the study, so that results of a running training appear. Models are
    built from Keras's own configs, in Keras's safe mode: a class or function that is not Keras's is used only
    if it is given here, and nothing in the store is ever executed.

    Args:
        store: as for `compare`.
        name: the study's name.
        build: the study's builder, for models that can't be built from a config.
        custom_objects: name → class or function, for those that its models use and that are not Keras's own.

    Returns:
        The study: history, trials, summary, figures, and trained models.

    Raises:
        StudyError: there is no such study; the message lists the studies of the store.
        StoreError: there is no such store, or it can't be read.

    Example:
        >>> import fairlane as fl, keras, numpy as np, os, tempfile
        >>> def build(units=1):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
        ...     model.compile("sgd", loss="mse")
        ...     return model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = os.path.join(folder, "runs.db")
        ...     _ = fl.compare(build, [{}], np.ones((8, 2)), np.ones((8, 1)), store=runs, name="a", verbose=0)
        ...     study = fl.open(runs, "a")
        ...     study.trials["state"].tolist(), study.model(0).count_params()
        (['done'], 3)
    """
    if build is not None:
        arguments.function(
            "build", build, "a builder, a function that returns a compiled keras.Model, or None"
        )
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise arguments.wrong(
            "custom_objects", custom_objects, "a dict from name to class or function, or None"
        )
    records = read(store, name)
    return Study(records, name, _ModelsOfStore(records, build, dict(custom_objects or {})), records.origin)


@arguments.checked
def studies(store: Any) -> pd.DataFrame:
    """The studies of a store.

    Args:
        store: as given to `compare`.

    Returns:
        A row per study, the oldest first: ``study``, ``created`` (a time in UTC), ``trials``, ``done`` (how
        many of them were trained to their end), ``stopped`` (by a search), ``failed`` (failed or diverged),
        and ``trained_by`` (the process that trains it now, or empty).

    Raises:
        StoreError: there is no such store, or it can't be read.

    Example:
        >>> import fairlane as fl, keras, numpy as np, os, tempfile
        >>> def build():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = os.path.join(folder, "runs.db")
        ...     _ = fl.compare(build, [{}], x, y, seeds=2, store=runs, name="a", verbose=0)
        ...     fl.studies(runs)[["study", "trials", "done", "failed"]]
          study  trials  done  failed
        0     a       2     2       0
    """
    rows = overview(store)
    failed = (TrialState.FAILED, TrialState.DIVERGED)
    return frame_of(
        {
            "study": [row["name"] for row in rows],
            "created": pd.to_datetime([row["created"] for row in rows], unit="s", utc=True).floor("s"),
            "trials": [row["trials"] for row in rows],
            "done": [row["states"].get(TrialState.DONE, 0) for row in rows],
            "stopped": [row["states"].get(TrialState.STOPPED, 0) for row in rows],
            "failed": [sum(row["states"].get(state, 0) for state in failed) for row in rows],
            "trained_by": [row["writer"] for row in rows],
        }
    )


class _ModelsOfStore:
    """Builds a trial's model from its description in the store, or with the builder."""

    def __init__(
        self, records: Records, build: Callable[..., keras.Model] | None, custom_objects: dict[str, Any]
    ) -> None:
        self._records, self._build, self._custom_objects = records, build, custom_objects
        self._warned: set[str] = set()

    def builds_alike(self, trial: Trial) -> bool:
        """Whether all models of the trial's variant are built from one description."""
        return self._build is None and not is_individual(self._records.description(trial))

    def __call__(self, trial: Trial, weights: Weights) -> keras.Model:
        description = self._records.description(trial)
        if self._build is None:
            if description is None:
                raise StudyError(
                    f"the store does not describe how to build the model of {trial}: give the study's "
                    "builder as build="
                )
            return model_of(description, self._custom_objects, weights)
        for name, value in trial.variant.builder_arguments.items():
            if isinstance(value, Named):
                raise StudyError(
                    f"{trial} has {name}={value}, an object of which the store has only the name: give a "
                    "builder with that object as the default, or leave build= out"
                )
        try:
            inspect.signature(self._build).bind(**trial.builder_arguments)
        except TypeError as error:
            raise StudyError(
                f"build can't be called with the hyperparameters of {trial} ({error}): give the study's own "
                "builder"
            ) from None
        with Session(trial.seed):
            model = self._build(**trial.builder_arguments)
        if not isinstance(model, keras.Model) or not model.compiled:
            raise BuilderError(
                f"the builder returned no compiled keras.Model for {trial}: give the study's own builder"
            )
        self._warn_of_difference(trial, model, description, weights)
        return with_variables(model, description)

    def _warn_of_difference(
        self, trial: Trial, model: keras.Model, description: str | None, weights: Weights
    ) -> None:
        """Warn of a model that is not the trained one, and whose weights fit; others are refused later."""
        shapes = [tuple(variable.shape) for variable in model.trainable_variables]
        fits = shapes == [tuple(array.shape) for array in weights.state.trainable]
        what = difference(model, description) if fits else ""
        if what and what not in self._warned:
            self._warned.add(what)
            warn_at(
                caller(),
                f"build gives {trial} another model than the one that was trained ({what}), so it will give "
                "other predictions; give the study's own builder, or leave build= out",
                FairlaneWarning,
            )
