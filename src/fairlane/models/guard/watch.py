"""The guard: warns where a trained model is compiled, or an optimizer used for a second model, by mistake.

In: `guard`, switched on. Out: an `AlreadyTrainedWarning` at the line that makes the mistake, once per line.
While it is on, ``keras.Model.compile`` and ``keras.Model.fit`` are watched when they are called; nothing
that they do is changed, and when it is switched off they are the same functions as before.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from fairlane.errors import AlreadyTrainedWarning
from fairlane.kit import arguments
from fairlane.kit.call_sites import Place, caller, warn_at
from fairlane.kit.text import plural
from fairlane.models import keras_private
from fairlane.models.copies import remember_learning_rate
from fairlane.models.guard import ledger

_STATEFUL_CALLBACKS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.BackupAndRestore,
    keras.callbacks.History,
)

_CARRIED = {
    "optimizer": "Its moments, step count and learning rate carry over from one to the other",
    "metric": "What one model adds to it shows in the other's logs",
    "callback": "The best value that it has seen, its patience and its history carry over",
}


class Guard:
    """The guard: a context manager when called, or switched on for good.

    While it is on, it warns with an `AlreadyTrainedWarning`, once per line of the program,

    - of a ``compile()`` on a model that has been trained, and of a ``fit()`` after it that continues from
      the earlier training: compiling does not reset weights;
    - of an optimizer, metric or callback object that served another model before;
    - of an initializer object that several layers draw their weights from.

    It does not warn of ``fit`` called again without ``compile``, of models loaded from files, of models
    that share layers and take turns (as in a GAN), nor of what is done inside `continuing`.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import fairlane as fl
        >>> x, y = np.zeros((8, 2)), np.zeros((8, 1))
        >>> with fl.guard():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     _ = model.fit(x, y, verbose=0)
        ...     with fl.continuing(model):  # without this line, the next one warns
        ...         model.compile("adam", "mse")
    """

    def __init__(self) -> None:
        self._depth = 0
        self._watch: _Watch | None = None

    @arguments.checked
    @contextmanager
    def __call__(self) -> Iterator[None]:
        """On within a ``with`` block; blocks may lie within each other.

        Example:
            >>> import fairlane as fl
            >>> with fl.guard():
            ...     fl.guard.enabled
            True
        """
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @property
    def enabled(self) -> bool:
        """Whether it is on.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enabled
            False
        """
        return self._watch is not None

    def enable(self) -> None:
        """Switch it on until `disable`; it then warns again also of lines that it has warned of before.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enable()
            >>> fl.guard.enabled
            True
            >>> fl.guard.disable()
        """
        self.disable()
        self._enter()

    def disable(self) -> None:
        """Switch it off, however often it was switched on.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enable()
            >>> fl.guard.disable()
            >>> fl.guard.enabled
            False
        """
        self._depth = min(self._depth, 1)
        self._leave()

    def _enter(self) -> None:
        self._depth += 1
        if self._watch is None:
            self._watch = _Watch()
            self._watch.install()

    def _leave(self) -> None:
        self._depth = max(0, self._depth - 1)
        if not self._depth and self._watch is not None:
            self._watch.remove()
            self._watch = None


guard = Guard()
"""The guard of this session: `Guard` says what it does."""


@contextmanager
def continuing(*models: Any) -> Iterator[None]:
    """Say that training these models further is meant, so that `guard` does not warn of it.

    Args:
        *models: the models that are compiled, or trained, inside the block though they have been trained.

    Raises:
        StudyError: one of them is not a Keras model.

    Example:
        >>> import keras
        >>> import fairlane as fl
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> with fl.continuing(model):
        ...     model.trainable = False
        ...     model.compile("sgd", "mse")
    """
    for position, model in enumerate(models):
        if not isinstance(model, keras.layers.Layer):
            raise arguments.wrong(f"argument {position}", model, "a keras.Model")
    marked = [ledger.of(model) for model in models]
    for one in marked:
        one.continuing += 1
    try:
        yield
    finally:
        for one in marked:
            one.continuing -= 1


class _Fitting(threading.local):
    """How many of Keras's ``fit`` this thread is in."""

    depth = 0


@dataclass(eq=False)
class _Watch:
    """One period for which the guard is on."""

    warned: set[tuple[str, Place]] = field(default_factory=set)
    undo: list[Callable[[], None]] = field(default_factory=list)
    fitting: _Fitting = field(default_factory=_Fitting)

    def install(self) -> None:
        """Put watching functions in the places of Keras's."""
        self._wrap("compile", self._compile)
        self._wrap("fit", self._fit)

    def remove(self) -> None:
        """Put Keras's own functions back."""
        for step in reversed(self.undo):
            step()
        self.undo.clear()

    def _wrap(self, name: str, watched: Callable[..., Any]) -> None:
        # Where Keras defines it: Keras itself compares a model's `compile` with that one.
        home = next(cls for cls in keras.Model.__mro__ if name in vars(cls))
        original = vars(home)[name]

        @functools.wraps(original)
        def call(model: Any, *args: Any, **kwargs: Any) -> Any:
            return watched(original, model, *args, **kwargs)

        setattr(home, name, call)
        self.undo.append(lambda: setattr(home, name, original))

    # --- compile --------------------------------------------------------------------------------

    def _compile(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        known = _past_of(model)
        if known.epochs and not known.continuing and not _takes_turns(model, known):
            self._warn("compile", caller(), _compiled_again(model, known))
            known.recompiled = True
        elif known.continuing:
            known.recompiled = False
        result = original(model, *args, **kwargs)
        self._after_compile(model)
        return result

    def _after_compile(self, model: Any) -> None:
        place = caller()
        remember_learning_rate(model)
        optimizer = getattr(model, "optimizer", None)
        while optimizer is not None:
            self._serve("optimizer", optimizer, model, place)
            optimizer = getattr(optimizer, "inner_optimizer", None)
        arguments = keras_private.compile_arguments(model)
        for name in ("metrics", "weighted_metrics"):
            for metric in keras.tree.flatten(arguments.get(name)):
                if isinstance(metric, keras.metrics.Metric):
                    self._serve("metric", metric, model, place)
        self._check_initializers(model, place)

    def _serve(self, kind: str, thing: Any, model: Any, place: Place) -> None:
        earlier = ledger.serve(thing, model, place)
        if earlier is not None and not ledger.of(model).continuing:
            self._warn(kind, place, _served_before(kind, thing, model, earlier))

    def _check_initializers(self, model: Any, place: Place) -> None:
        """Layers of the model that draw from one initializer object."""
        users: dict[int, tuple[Any, dict[int, str]]] = {}
        for layer in _layers_of_graphs(model):
            for value in vars(layer).values():
                if isinstance(value, keras.initializers.Initializer) and not isinstance(value, _CONSTANT):
                    users.setdefault(id(value), (value, {}))[1][id(layer)] = layer.name
        for initializer, names in users.values():
            if len(names) > 1:
                self._warn("initializer", place, _drawn_twice(model, initializer, [*names.values()]))

    # --- fit ------------------------------------------------------------------------------------

    def _fit(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.fitting.depth:  # a fit inside a fit is part of that one
            return original(model, *args, **kwargs)
        place = caller()
        known = _past_of(model)
        remember_learning_rate(model)
        if known.recompiled and not known.continuing:
            self._warn("fit", place, _trained_on(model, known))
        for callback in _listed(kwargs.get("callbacks", args[5] if len(args) > 5 else None)):
            if isinstance(callback, _STATEFUL_CALLBACKS):
                self._serve("callback", callback, model, place)
        before = _epochs_of(model)
        self.fitting.depth += 1
        try:
            return original(model, *args, **kwargs)
        finally:
            self.fitting.depth -= 1
            _note_training(model, known, place, before)

    def _warn(self, kind: str, place: Place, message: str) -> None:
        if (kind, place) not in self.warned:
            self.warned.add((kind, place))
            warn_at(place, message, AlreadyTrainedWarning)


_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
    keras.initializers.Identity,
)


def _past_of(model: Any) -> ledger.Past:
    """What is known of a model, with what its own `history` records from before the guard was on."""
    known = ledger.of(model)
    epochs = _epochs_of(model)
    if not known.epochs and epochs:
        known.epochs = len(epochs)
        known.order = ledger.next_order()
    return known


def _epochs_of(model: Any) -> list[int] | None:
    """The epochs of the model's last training; a new list for each."""
    epochs: list[int] | None = getattr(getattr(model, "history", None), "epoch", None)
    return epochs


def _note_training(model: Any, known: ledger.Past, place: Place, before: list[int] | None) -> None:
    """After ``fit``, also one that was interrupted; not after one that failed before it trained."""
    epochs = _epochs_of(model)
    if epochs is None or epochs is before:
        return
    known.epochs += len(epochs)
    known.trained = place
    known.order = ledger.next_order()
    known.recompiled = False


def _takes_turns(model: Any, known: ledger.Past) -> bool:
    """Whether a model that shares layers with this one was trained after it, as when two take turns."""
    own: set[int] | None = None
    for other, its in ledger.known_models():
        if other is not model and its.order > known.order:
            own = own or {id(layer) for layer in keras_private.all_layers(model)}
            if any(id(layer) in own for layer in keras_private.all_layers(other)):
                return True
    return False


def _layers_of_graphs(model: Any) -> Iterator[Any]:
    """The layers that a user put into a model or a model inside it; not those that Keras put into a layer."""
    for layer in keras_private.sublayers(model):
        if isinstance(layer, keras.Model):
            yield from _layers_of_graphs(layer)
        else:
            yield layer


def _listed(callbacks: Any) -> list[Any]:
    """The callbacks that ``fit`` was given, in whichever form Keras takes them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    if isinstance(callbacks, list | tuple):
        return list(callbacks)
    return [] if callbacks is None else [callbacks]


# --- words ------------------------------------------------------------------------------------------


def _before(known: ledger.Past) -> str:
    epochs = plural(known.epochs, "epoch")
    where = f", last at {known.trained}" if known.trained else ""
    return f"has been trained for {epochs}{where}"


_WAYS_ON = (
    "To start again, train `fairlane.fresh(model)`; to continue in a second model, train "
    "`fairlane.copy(model)`; if training this one further is meant, say so: "
    "`with fairlane.continuing(model): ...`."
)


def _compiled_again(model: Any, known: ledger.Past) -> str:
    return (
        f"Model {model.name!r} {_before(known)}, and is compiled again here. compile() gives it a new "
        f"optimizer and does not reset its weights, so what it learned stays. {_WAYS_ON}"
    )


def _trained_on(model: Any, known: ledger.Past) -> str:
    return (
        f"Model {model.name!r} {_before(known)}, and was compiled again since. This fit() continues from "
        f"those weights: it is not a new experiment. {_WAYS_ON}"
    )


def _served_before(kind: str, thing: Any, model: Any, earlier: ledger.Service) -> str:
    name = type(thing).__name__
    return (
        f"The {kind} {name} of model {model.name!r} served model {earlier.name!r} before, at "
        f"{earlier.place}. {_CARRIED[kind]}, so the two are not independent. Make a new {name} for each "
        f"model."
    )


def _drawn_twice(model: Any, initializer: Any, names: list[str]) -> str:
    layers = ", ".join(map(repr, names))
    return (
        f"One {type(initializer).__name__} object initializes layers {layers} of model {model.name!r}. An "
        f"initializer gives the same values each time it is called for the same shape, so such layers start "
        f"equal. Make a new one for each layer, or give its name as a string."
    )
