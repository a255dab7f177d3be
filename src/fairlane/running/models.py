"""A builder or a template → each trial's fresh model.

In: the first argument of ``compare``, and a trial. Out: a compiled model that is independent of all others,
or an error that says what is wrong with the builder.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import keras

from fairlane.engines.data.folds import Fold, samples_of
from fairlane.engines.resources import Builder, DataArguments
from fairlane.errors import BuilderError, FairlaneWarning, SharedStateError, StudyError
from fairlane.kit.call_sites import caller, warn_at
from fairlane.kit.error_text import one_line
from fairlane.models import keras_private
from fairlane.models.adaptations import adaptations
from fairlane.models.initial_values import drawn_quickly
from fairlane.models.isolation import PAST, check_independent
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.models.session import Session, left_as_found
from fairlane.models.sharing import Known, changed_by_step
from fairlane.models.template import Template
from fairlane.running.phases import Phases
from fairlane.running.unwritten import unwritable
from fairlane.trials import Trial


class Samples(Protocol):
    """What `Models` needs of the data."""

    def whole(self, trial: Trial) -> Mapping[str, Any]:
        """``Model.fit``'s data arguments of a trial, of all samples."""

    def fold(self, trial: Trial) -> Fold | None:
        """The samples of a trial's fold; None where it has all samples."""


class Models:
    """Gives each trial its fresh model.

    Args:
        model: a builder or a template.
        data: of all trials; None where the builder takes nothing of them.
        folded: whether they are cut into folds.
        phases: of training, that follow on the first.

    Attributes:
        given: the builder or template itself.
        builder: the builder itself; None for a template.
        sees_folds: whether the builder takes the fold, or its training samples.
        phases: of training, that follow on the first.
    """

    def __init__(
        self, model: Any, data: Samples | None = None, folded: bool = False, phases: Phases | None = None
    ) -> None:
        self.given, self.phases = model, phases or Phases()
        self._data, self._folded, self._takes = data, folded, of_the_fold(model, folded)
        self.sees_folds = bool(folded and self._takes)
        self._build: Callable[[dict[str, Any]], Any]
        self.builder: Callable[..., Any] | None = None if isinstance(model, keras.Model) else model
        if isinstance(model, keras.Model):
            self._build, self.what = Template(model).build, f"the template {model.name!r}"
        else:
            self._build = lambda hyperparameters: model(**hyperparameters)
            self.what = f"{getattr(model, '__name__', 'the builder')}()"
        self._given: weakref.WeakSet[Any] = weakref.WeakSet()
        self.known = Known()

    def registered(self, describes: bool) -> Builder:
        """What gives engines the models.

        Args:
            describes: whether they are to be described, the first of each variant.
        """
        return Builder(
            self.build,
            shared=self.known.shared_by,
            portable=None if self.sees_folds else self.builder,
            describes=describes,
            sees_folds=self.sees_folds,
            change=self.change if self.phases else None,
            elsewhere=_Elsewhere(self.given, self._folded, describes, self.phases),
        )

    def build(self, trial: Trial, to_train: bool = True) -> keras.Model:
        """The trial's model.

        Args:
            trial: the trial.
            to_train: whether it will be trained; a model that only gets trained weights will not.

        Raises:
            BuilderError: the builder returned something else.
            SharedStateError: the builder returned a model again, or the model trains what an earlier one has
                too.
        """
        model = self._built(trial)
        self.known.take(model, f"{self.what} for {trial}", to_train)
        return model

    def change(self, trial: Trial, model: keras.Model, number: int, to_train: bool = True) -> None:
        """Change a trial's model as a phase of its training wants it.

        Args:
            trial: the trial.
            model: its model, with all its variables.
            number: of the phase, from 1.
            to_train: as for `build`.

        Raises:
            StudyError: the function of the phase raised an error.
            BuilderError: it can't be trained any more.
            SharedStateError: it trains now what another model has, too.
        """
        self.phases.change(trial, model, number)
        self.known.take(model, f"{self.what} for {trial}, in phase {number} of then,", to_train)

    def _built(self, trial: Trial) -> keras.Model:
        with drawn_quickly():
            model = self._build(self._of_fold(trial) | trial.variant.builder_arguments)
        who = f"{self.what} for {trial}"
        if not isinstance(model, keras.Model):
            raise BuilderError(
                f"{who} returned {_article(model)}, not a keras.Model; a builder ends with `return model`"
            )
        if not model.compiled:
            raise BuilderError(
                f"{who} returned a model that is not compiled, so it has no optimizer and no loss; "
                "call model.compile(...) in the builder"
            )
        if model in self._given:
            raise SharedStateError(
                f"{who} returned a model that it has returned before. That model would continue its training "
                "instead of starting fresh; create the model inside the function"
            )
        self._given.add(model)
        return model

    def _of_fold(self, trial: Trial) -> dict[str, Any]:
        """What the builder takes of the trial's fold."""
        given: dict[str, Any] = {}
        if "fold" in self._takes:
            given["fold"] = trial.fold
        if "x_train" in self._takes and self._data is not None:
            x, fold = self._data.whole(trial)["x"], self._data.fold(trial)
            given["x_train"] = unwritable(x) if fold is None else samples_of(x, fold.training)
        return given

    def rehearse(self, trial: Trial, batch: Callable[[], Any] = lambda: None) -> list[keras.Model]:
        """Build one trial's model twice, and check that both are compiled and independent.

        If the builder itself raises an error, none is raised here: that trial fails, and others continue.

        Args:
            trial: the trial.
            batch: returns a batch like those of training; None where that is not known.

        Returns:
            Both models, for a trial of the data only; an empty list where the builder raised.

        Raises:
            BuilderError: the builder returns something else than a compiled model.
            SharedStateError: the two models share state.
        """
        models = []
        for _ in range(2):
            try:
                with left_as_found(), Session(trial.seed), adaptations() as adapted:
                    models.append(self._built(trial))
            except (BuilderError, SharedStateError):
                raise
            except Exception:
                return []

        self._warn_of_adapted(adapted, trial)
        changed = partial(_changed_by_step, trial, batch)
        names = [f"the {nth} model that {self.what} returned" for nth in ("first", "second")]
        check_independent(*models, names=names, ignore=PAST, changed=changed)
        for model in models:
            self.known.take(model, f"{self.what} for {trial}")
        return models

    def rehearse_phases(self, trial: Trial, batch: Callable[[], Any]) -> None:
        """Change two models of a trial as its phases will, and check that they stay independent.

        If the builder itself raises an error, or no batch is known, none is raised here.

        Args:
            trial: the trial.
            batch: as for `rehearse`.

        Raises:
            StudyError: a phase's function raised an error, or leaves a model that the batch does not fit.
            BuilderError: as `change`.
            SharedStateError: the two models share state, such as an optimizer.
        """
        example = batch() if self.phases else None
        if example is None:
            return
        models = []
        for _ in range(2):
            with left_as_found(), Session(trial.seed):
                try:
                    model = self._built(trial)
                    keras_private.symbolic_build_from(model, example)
                except Exception:
                    return  # the trial itself fails of it, and says so
                for number in range(1, len(self.phases.listed) + 1):
                    self.phases.change(trial, model, number)
                    self._try_step(trial, model, number, example)
                models.append(model)
        names = [f"the {nth} model of {self.what}, changed as in then," for nth in ("first", "second")]
        check_independent(*models, names=names, ignore=PAST, changed=partial(_changed_by_step, trial, batch))

    def _try_step(self, trial: Trial, model: keras.Model, number: int, batch: Any) -> None:
        try:
            keras_private.symbolic_build_from(model, batch)
        except Exception as error:
            raise StudyError(
                f"phase {number} of then can't begin: its function leaves a model of {trial} that can't be "
                f"trained on the data: {one_line(error)}"
            ) from error

    def _warn_of_adapted(self, adapted: Sequence[tuple[str, int]], trial: Trial) -> None:
        """Warn of a layer that is adapted to as many samples as all folds have together."""
        if self._data is None or not self._folded:
            return
        every = {int(leaf.shape[0]) for leaf in keras.tree.flatten(self._data.whole(trial)["x"])}
        for name, samples in adapted:
            if samples in every:
                warn_at(
                    caller(),
                    f"{self.what} adapts the layer {name!r} to {samples} samples, as many as there are in "
                    "all folds together. If they are the samples that validate, validation looks "
                    "better than it is; let the builder take x_train, the training inputs of its fold, and "
                    "adapt the layer to these",
                    FairlaneWarning,
                )
                return


def _changed_by_step(trial: Trial, batch: Callable[[], Any], model: keras.Model) -> set[int] | None:
    with left_as_found(), Session(trial.seed):
        return changed_by_step(model, batch())


@dataclass(frozen=True, eq=False)
class _Elsewhere:
    """Makes a `Builder` in another process; it can be pickled where the builder or template can.

    Attributes:
        given: the builder, or the template.
        folded: whether the samples are cut into folds.
        describes: whether models are to be described.
        phases: of training, that follow on the first.
    """

    given: Any
    folded: bool
    describes: bool
    phases: Phases

    def __call__(self, arguments: DataArguments) -> Builder:
        """The builder there.

        Args:
            arguments: gives the data arguments of a trial: those of its fold, where there are folds.
        """
        given = self.given
        if isinstance(given, PortableRecipe):
            with left_as_found():
                given = given.make()
        return Models(given, _OfTrials(arguments), self.folded, self.phases).registered(self.describes)

    def __reduce__(self) -> tuple[Any, ...]:
        template = isinstance(self.given, keras.Model)
        given = PortableRecipe.of(self.given) if template else self.given
        return _Elsewhere, (given, self.folded, self.describes, self.phases)


@dataclass(frozen=True, eq=False)
class _OfTrials:
    """The data of trials where their folds have been cut out."""

    arguments: DataArguments

    def whole(self, trial: Trial) -> Mapping[str, Any]:
        """A trial's data arguments."""
        return self.arguments(trial)

    def fold(self, trial: Trial) -> None:
        """All of them are the fold's."""


def of_the_fold(model: Any, folded: bool) -> frozenset[str]:
    """Which arguments of a builder are given by its trial's fold: ``fold``, its number, and ``x_train``.

    Without folds these have their defaults; ``x_train`` without a default is all of ``x``.

    Args:
        model: a builder or a template.
        folded: whether there are folds.
    """
    if isinstance(model, keras.Model) or not callable(model):
        return frozenset()
    parameters = inspect.signature(model).parameters
    if folded:
        return frozenset({"fold", "x_train"} & set(parameters))
    needed = "x_train" in parameters and parameters["x_train"].default is inspect.Parameter.empty
    return frozenset({"x_train"}) if needed else frozenset()


def _article(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
