"""What the guard watches while it is on.

In: calls of Keras's ``compile``, ``fit``, ``train_on_batch``, ``evaluate`` and ``predict``, and of what sets
weights. Out: an `AlreadyTrainedWarning` for each mistake. Nothing that Keras does is changed.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import keras

from fairlane.errors import AlreadyTrainedWarning
from fairlane.kit.call_sites import Place, caller, warn_at
from fairlane.models import keras_private
from fairlane.models.copies import remember_learning_rate
from fairlane.models.guard import judging, ledger, samples, words

_STATEFUL_CALLBACKS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.BackupAndRestore,
    keras.callbacks.History,
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    keras.callbacks.SwapEMAWeights,
)
_CONSTANT = (
    keras.initializers.Zeros,
    keras.initializers.Ones,
    keras.initializers.Constant,
    keras.initializers.Identity,
)


class _Fitting(threading.local):
    """How many of Keras's ``fit`` and ``evaluate`` this thread is in."""

    depth = 0


@dataclass(eq=False)
class Watch:
    """One period for which the guard is on."""

    warned: set[tuple[str, object]] = field(default_factory=set)
    undo: list[Callable[[], None]] = field(default_factory=list)
    fitting: _Fitting = field(default_factory=_Fitting)

    def install(self) -> None:
        """Put watching functions in the places of Keras's."""
        self._wrap("compile", self._compile)
        self._wrap("fit", self._fit)
        self._wrap("train_on_batch", self._train_on_batch)
        self._wrap("evaluate", self._evaluate)
        self._wrap("predict", self._evaluate)
        self._wrap("set_weights", self._set_weights)
        self._wrap("load_weights", self._set_weights)
        for module, name in keras_private.loaders_of_models():
            self._put(module, name, self._load)

    def remove(self) -> None:
        """Put Keras's own functions back."""
        for step in reversed(self.undo):
            step()
        self.undo.clear()

    def _wrap(self, name: str, watched: Callable[..., Any]) -> None:
        # Where Keras defines it: Keras itself compares a model's `compile` with that one.
        home = next(cls for cls in keras.Model.__mro__ if name in vars(cls))
        self._put(home, name, watched)

    def _put(self, home: Any, name: str, watched: Callable[..., Any]) -> None:
        original = vars(home)[name]

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            return watched(original, *args, **kwargs)

        setattr(home, name, call)
        self.undo.append(lambda: setattr(home, name, original))

    # --- weights that are set -------------------------------------------------------------------

    def _set_weights(self, original: Callable[..., Any], layer: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(layer, *args, **kwargs)
        for inner in keras_private.all_layers(layer):
            ledger.note_setting(inner)
        return result

    def _load(self, original: Callable[..., Any], file: Any, *args: Any, **kwargs: Any) -> Any:
        model = original(file, *args, **kwargs)
        if isinstance(model, keras.Model) and isinstance(file, str | os.PathLike):
            ledger.of(model).loaded = os.path.abspath(file)
        return model

    # --- compile --------------------------------------------------------------------------------

    def _compile(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        known = _past_of(model)
        if known.continuing:
            known.recompiled = None
        elif known.order:
            known.recompiled = caller()
        result = original(model, *args, **kwargs)
        self._after_compile(model)
        return result

    def _after_compile(self, model: Any) -> None:
        place = caller()
        remember_learning_rate(model)
        optimizer = getattr(model, "optimizer", None)
        while optimizer is not None:
            if self._serve("optimizer", optimizer, model, place):
                break  # what it wraps is shared with it: one mistake
            optimizer = getattr(optimizer, "inner_optimizer", None)
        arguments = keras_private.compile_arguments(model)
        for name in ("metrics", "weighted_metrics"):
            for metric in keras.tree.flatten(arguments.get(name)):
                if isinstance(metric, keras.metrics.Metric):
                    self._serve("metric", metric, model, place)
        self._check_initializers(model, place)

    def _serve(self, kind: str, thing: Any, model: Any, place: Place) -> bool:
        """Whether a thing served another model before; it is told once for each thing."""
        earlier = ledger.serve(thing, model, place)
        if earlier is None or ledger.of(model).continuing:
            return False
        self._warn(kind, place, words.served_before(kind, thing, model, earlier), of=id(thing))
        return True

    def _check_initializers(self, model: Any, place: Place) -> None:
        """Layers of the model that draw from one initializer object."""
        users: dict[int, tuple[Any, dict[int, str]]] = {}
        for layer in _layers_of_graphs(model):
            for value in vars(layer).values():
                if isinstance(value, keras.initializers.Initializer) and not isinstance(value, _CONSTANT):
                    users.setdefault(id(value), (value, {}))[1][id(layer)] = layer.name
        for initializer, names in users.values():
            if len(names) > 1:
                message = words.drawn_twice(model, initializer, [*names.values()])
                self._warn("initializer", place, message, of=id(initializer))

    # --- training -------------------------------------------------------------------------------

    def _fit(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.fitting.depth:  # a fit inside a fit is part of that one
            return original(model, *args, **kwargs)
        place = caller()
        known = _past_of(model)
        remember_learning_rate(model)
        given = _given(original, model, args, kwargs)
        judging.forget_if_set(model, known)
        now = samples.of(given.get("x"), given.get("y"))
        self._before_training(model, known, now, place, given)
        before = _epochs_of(model)
        self.fitting.depth += 1
        try:
            return original(model, *args, **kwargs)
        finally:
            self.fitting.depth -= 1
            epochs = _epochs_of(model)
            if epochs is not None and epochs is not before:  # not after one that failed before it trained
                known.epochs += len(epochs)
                _note_training(model, known, place, now)

    def _before_training(
        self, model: Any, known: ledger.Past, now: samples.Samples, place: Place, given: Mapping[str, Any]
    ) -> None:
        if not given.get("initial_epoch"):
            self._check_again(model, known, now, place)
        validation = given.get("validation_data")
        if isinstance(validation, tuple | list) and validation:
            shown = samples.of(validation[0])
            if message := judging.validated_on_seen(model, known, now, shown):
                self._warn("again", place, message)
        if message := judging.layers_shared(model, known, now):
            self._warn("layers", place, message)
        for callback in _listed(given.get("callbacks")):
            if isinstance(callback, _STATEFUL_CALLBACKS) and not _wrote(callback, known):
                self._serve("callback", callback, model, place)

    def _check_again(self, model: Any, known: ledger.Past, now: samples.Samples, place: Place) -> None:
        """Warn of what is compiled and trained again: at the line that compiles, and once for both."""
        message = judging.trained_again(model, known, now, place)
        if message is not None and known.recompiled is not None:
            if ("again", place) not in self.warned:
                self._warn("again", known.recompiled, message)
            self.warned.add(("again", place))

    def _train_on_batch(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.fitting.depth:
            return original(model, *args, **kwargs)
        known = _past_of(model)
        place = caller()
        judging.forget_if_set(model, known)
        if known.recompiled is not None:
            self._check_again(model, known, samples.Samples(frozenset(), -1, None, None), place)
        result = original(model, *args, **kwargs)
        known.trained, known.order, known.recompiled = place, ledger.next_order(), None
        return result

    def _evaluate(self, original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
        known = ledger.of(model)
        if not self.fitting.depth and len(known.fits) > 1 and known.trained is not None:
            given = _given(original, model, args, kwargs)
            if message := judging.held_out(model, known, samples.of(given.get("x"))):
                self._warn("again", known.trained, message)
        self.fitting.depth += 1
        try:
            return original(model, *args, **kwargs)
        finally:
            self.fitting.depth -= 1

    def _warn(self, kind: str, place: Place, message: str, of: int = 0) -> None:
        """Warn once for a kind and a place, and once for a thing."""
        keys = {(kind, place), *([(kind, of)] if of else [])}
        if not keys & self.warned:
            warn_at(place, message, AlreadyTrainedWarning)
        self.warned |= keys


def _given(function: Callable[..., Any], model: Any, args: Any, kwargs: Any) -> Mapping[str, Any]:
    """The arguments of a call by their names; none where Keras will refuse them."""
    try:
        return inspect.signature(function).bind(model, *args, **kwargs).arguments
    except TypeError:
        return {}


def _past_of(model: Any) -> ledger.Past:
    """What is known of a model, with what its own `history` records from before the guard was on."""
    known = ledger.of(model)
    epochs = _epochs_of(model)
    if not known.order and epochs and known.trained is None:
        known.epochs = len(epochs)
        known.order = ledger.next_order()
    return known


def _epochs_of(model: Any) -> list[int] | None:
    """The epochs of the model's last training; a new list for each."""
    epochs: list[int] | None = getattr(getattr(model, "history", None), "epoch", None)
    return epochs


def _note_training(model: Any, known: ledger.Past, place: Place, now: samples.Samples) -> None:
    """After ``fit``, also one that was interrupted."""
    known.trained, known.order, known.recompiled = place, ledger.next_order(), None
    known.flags = judging.flags_of(model)
    known.fits.append(now)
    del known.fits[: -judging.MOST_FITS]
    for layer in keras_private.all_layers(model):
        if keras_private.own_variables(layer):
            trainable = bool(layer.trainable)
            ledger.note_lesson(layer, ledger.Lesson(known, ref(model), place, known.order, now, trainable))


def _wrote(callback: Any, known: ledger.Past) -> bool:
    """Whether a model was loaded from what this callback saved: it rolls back, and goes on."""
    file = getattr(callback, "filepath", None)
    return bool(known.loaded) and isinstance(file, str) and os.path.abspath(file) == known.loaded


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
