"""``then=``: phases of training, such as the fine-tuning of a model whose base was frozen at first.

In: ``compare``'s argument. Out: what each phase does to a trial's model, and for how many epochs it trains;
or an error, before anything is trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from fairlane.errors import BuilderError, StudyError
from fairlane.kit import arguments
from fairlane.kit.error_text import one_line
from fairlane.kit.text import listing
from fairlane.models import keras_private
from fairlane.provenance import fingerprint
from fairlane.trials import Trial

_OF_TRIAL = ("seed", "fold")


@dataclass(frozen=True, eq=False)
class Phase:
    """A further phase of training, which begins where the phase before has ended.

    It is what these two lines do in Keras, ``done`` being the number of epochs that the model has been
    trained for until then::

        change(model)
        model.fit(x, y, initial_epoch=done, epochs=done + epochs, ...)

    Everything else stays as it is: weights, random generators and, unless ``change`` compiles the model
    again, the optimizer's state. The other arguments of ``fit`` are those of the first phase. Callbacks are
    made anew.

    Args:
        change: a function that is called with the trial's model, and changes it: sets ``trainable``, compiles
            it again, sets a learning rate. It may also take hyperparameters by their names, ``seed`` and
            ``fold``. It returns nothing.
        epochs: how many epochs the phase trains, 1 or more.

    Raises:
        StudyError: ``change`` is no function that can be called with a model, or ``epochs`` is no such
            number.

    Example:
        >>> import fairlane as fl, keras
        >>> def unfreeze(model, fine_rate=1e-4):
        ...     model.get_layer("base").trainable = True
        ...     model.compile(keras.optimizers.Adam(fine_rate), loss="mse")
        >>> fl.Phase(unfreeze, epochs=5).epochs
        5
    """

    change: Callable[..., Any]
    epochs: int

    def __post_init__(self) -> None:
        if not callable(self.change):
            raise StudyError(
                "change must be a function of the model, such as def unfreeze(model): ...; got "
                f"{arguments.given(self.change)}"
            )
        if not arguments.is_whole(self.epochs) or self.epochs < 1:
            raise StudyError(
                f"epochs of a phase must be a whole number, 1 or more, not {self.epochs!r}: it counts from "
                "where the phase before has ended"
            )
        list(_named(self))


class Phases:
    """The phases of training that follow on the first.

    Args:
        then: ``compare``'s argument: a `Phase`, or several in a list.

    Attributes:
        listed: the phases.

    Raises:
        StudyError: it is something else.
    """

    def __init__(self, then: Any = ()) -> None:
        listed = [then] if isinstance(then, Phase) else then
        if not isinstance(listed, Sequence) or not all(isinstance(one, Phase) for one in listed):
            raise StudyError(
                "then must be a list of phases, such as then=[fl.Phase(unfreeze, epochs=5)]; got "
                f"{arguments.given(then)}"
            )
        self.listed: Sequence[Phase] = tuple(listed)

    def __bool__(self) -> bool:
        return bool(self.listed)

    @property
    def epochs(self) -> tuple[int, ...]:
        """How many epochs each of them trains."""
        return tuple(int(phase.epochs) for phase in self.listed)

    @property
    def made_from(self) -> frozenset[str]:
        """The hyperparameters that they take."""
        return frozenset(name for one in self.listed for name in _named(one)) - set(_OF_TRIAL)

    def check(self, trials: Sequence[Trial]) -> None:
        """Refuse trials without what a phase takes.

        Raises:
            StudyError: the argument.
        """
        for number, phase in enumerate(self.listed, 1):
            for trial in trials:
                given = _given(phase, trial)
                for name, parameter in _named(phase).items():
                    if name not in given and parameter.default is inspect.Parameter.empty:
                        raise StudyError(
                            f"{_called(phase, number)} needs {name!r}, which {trial} does not have; give it "
                            "a default, or put it into every variant"
                        )

    def change(self, trial: Trial, model: keras.Model, number: int) -> None:
        """Change a trial's model as a phase wants it.

        Args:
            trial: whose.
            model: its model, as the phase before has left it.
            number: of the phase, from 1.

        Raises:
            StudyError: the function raised an error.
            BuilderError: it returned another model, or has left this one without an optimizer, or with one
                that can't train its weights.
        """
        phase = self.listed[number - 1]
        who, before = _called(phase, number), model.optimizer
        try:
            returned = phase.change(model, **_given(phase, trial))
        except Exception as error:
            raise StudyError(
                f"phase {number} of then can't begin: {_name(phase)}, called with the model of {trial}, "
                f"raised {one_line(error)}"
            ) from error
        if returned is not None and returned is not model:
            raise BuilderError(
                f"{who} returned {arguments.given(returned)} for {trial}; it must change the model that it "
                "is given, and return nothing: training goes on with that one"
            )
        if not model.compiled:
            raise BuilderError(
                f"{who} has left the model of {trial} without an optimizer and a loss; call "
                "model.compile(...) in it"
            )
        if type(model).train_step is not keras.Model.train_step:
            return  # it may have optimizers of its own
        if model.optimizer is None:
            raise BuilderError(
                f"{who} has compiled the model of {trial} without an optimizer, so it can't be trained; give "
                "one: model.compile(optimizer=..., loss=...)"
            )
        if model.optimizer is before:
            _check_optimizer(model, f"{who} changes which weights of {trial} are trained")

    def described(self, epochs: int) -> Iterator[Mapping[str, Any]]:
        """What is requested, for a study's spec; the epochs of the last phase may grow.

        Args:
            epochs: of the first phase.
        """
        for phase, before in zip(self.listed, (epochs, *self.epochs), strict=False):
            yield {"change": fingerprint.source(phase.change), "after": f"{before} epochs"}


def _check_optimizer(model: keras.Model, changes: str) -> None:
    """Refuse an optimizer that was built for other weights than those that the model trains now.

    Keras raises an error at the phase's first step. Only on JAX, it does so for weights that are not trained
    any more, too.

    Raises:
        BuilderError: what to do about it.
    """
    if not model.optimizer.built:
        return
    trained = [id(variable) for variable in model.trainable_variables]
    known = [id(variable) for variable in keras_private.trained_variables(model.optimizer)]
    on_jax = keras.backend.backend() == "jax"
    if trained == known or (not on_jax and set(trained) <= set(known)):
        return
    new, old = len(set(trained) - set(known)), len(set(known) - set(trained))
    what = [f"{new} more"] * bool(new) + [f"{old} fewer"] * bool(old)
    raise BuilderError(
        f"{changes} (variables: {listing(what or ['another order'])}) and does not compile the model again, "
        "so its optimizer has no state for them. Keras can't train with it; call model.compile(...) with a "
        "new optimizer at the end of the function"
    )


def _named(phase: Phase) -> dict[str, inspect.Parameter]:
    """What a function takes besides the model.

    Raises:
        StudyError: that is not known, or it takes no model.
    """
    try:
        first, *others = inspect.signature(phase.change).parameters.values()
    except ValueError:
        raise StudyError(
            f"{_name(phase)} takes no argument; it must take the model, as in def unfreeze(model): ..."
        ) from None
    for parameter in (first, *others):
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            raise StudyError(
                f"{_name(phase)} takes {parameter}: which hyperparameters it depends on can't be known; name "
                "them, as in def unfreeze(model, fine_rate): ..."
            )
    if first.kind is inspect.Parameter.KEYWORD_ONLY:
        raise StudyError(f"{_name(phase)} must take the model as its first argument, not by name only")
    return {parameter.name: parameter for parameter in others}


def _given(phase: Phase, trial: Trial) -> dict[str, Any]:
    values = {**trial.hyperparameters, "seed": trial.seed, "fold": trial.fold}
    return {name: values[name] for name in _named(phase) if name in values}


def _name(phase: Phase) -> str:
    return f"{getattr(phase.change, '__name__', 'change')}()"


def _called(phase: Phase, number: int) -> str:
    return f"{_name(phase)}, of phase {number} of then,"
