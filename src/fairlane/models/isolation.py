"""What models share that should be independent.

In: Keras models. Out: the models, layers, variables, optimizers, metrics, seed generators, initializers and
callbacks that two or more of them hold in common (`shared_state`), or an error that lists them
(`check_independent`).

Only what training can change, or what decides where training starts, counts: a layer without state (such
as `Flatten`), an adapted preprocessing layer (such as `Normalization`), a frozen layer (``trainable =
False``) and a loss may be shared freely.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from fairlane.errors import SharedStateError
from fairlane.kit import arguments
from fairlane.kit.text import listing
from fairlane.models import keras_private

_WHY = {
    "model": "It is one model with two names: training either trains both.",
    "layer": "Training one model changes the layer's weights or random state in the other.",
    "variable": "Training one model changes the variable in the other.",
    "optimizer": "Its moments, step count and learning rate carry over from one model to the other.",
    "metric": "What one model adds to it shows in the other's logs.",
    "seed generator": "Each draw by one model moves the random numbers of the other.",
    "callback": "What it has seen of one model, its best value or its history, counts for the other.",
    "initializer": "It gives equal values for equal shapes, so the models do not start independently.",
}

PAST = ("initializer", "callback")
"""Kinds of `Shared` that matter before weights are drawn, or to a training that is over."""

_STATEFUL = ("layer", "variable", "seed generator")

_LISTED = 5


@dataclass(frozen=True)
class Shared:
    """One thing that two or more models hold in common.

    Attributes:
        kind: ``"model"``, ``"layer"``, ``"variable"``, ``"optimizer"``, ``"metric"``, ``"seed generator"``,
            ``"initializer"`` or ``"callback"``.
        name: its own name.
        where: for each model that holds it, the model's position and the path within the model, such as
            ``(0, "encoder/dense_1")`` or ``(1, "model.optimizer")``.
        why: why it matters, in one sentence.

    Example:
        >>> import fairlane as fl, keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="net")
        >>> (shared,) = fl.shared_state(model, model)
        >>> shared.kind, shared.models, shared.why
        ('model', (0, 1), 'It is one model with two names: training either trains both.')
    """

    kind: str
    name: str
    where: tuple[tuple[int, str], ...]
    why: str

    @property
    def models(self) -> tuple[int, ...]:
        """The positions of the models that hold it."""
        return tuple(position for position, _ in self.where)

    def __str__(self) -> str:
        places = "; ".join(f"{path} in model {position}" for position, path in self.where)
        return f"{self.kind} {self.name!r} ({places})"

    def __repr__(self) -> str:
        return f"<Shared {self}>"


@dataclass(frozen=True)
class _Found:
    """A thing that one model holds: what, where, and the ids of what it lies within."""

    thing: Any
    kind: str
    path: str
    within: tuple[int, ...]


Changed = Callable[[Any], Collection[int] | None]
"""A model → the ids of those of its variables that a training step changes; None where that is not known."""


def shared_state(*models: Any) -> list[Shared]:
    """What any two of the models share, and training one of them changes.

    A layer that is frozen in all of them, with ``trainable = False``, is not listed, if nothing in it draws
    random numbers or changes in another way.

    Where models share a layer, its variables and seed generators are not listed again; where the same
    model is given twice, only that is said. What a model shares with itself is not listed.

    Args:
        *models: Keras models, compiled or not, built or not.

    Returns:
        What they share, in the order of the models' layers; an empty list where they are independent.

    Raises:
        StudyError: one of them is not a Keras model.

    Example:
        >>> import fairlane as fl, keras
        >>> dense = keras.layers.Dense(1)
        >>> a = keras.Sequential([keras.Input((3,)), dense], name="a")
        >>> b = keras.Sequential([keras.Input((3,)), dense], name="b")
        >>> [shared.kind for shared in fl.shared_state(a, b)]
        ['layer']
        >>> fl.shared_state(a, keras.models.clone_model(a))
        []
    """
    return _shared(models, lambda model: None)


def _shared(models: Sequence[Any], changed: Changed) -> list[Shared]:
    positions: dict[int, list[int]] = {}
    for position, model in enumerate(models):
        if not isinstance(model, keras.layers.Layer):
            raise arguments.wrong(f"argument {position}", model, "a keras.Model")
        positions.setdefault(id(model), []).append(position)
    aliases = [places for places in positions.values() if len(places) > 1]
    inventories = {places[0]: _inventory(models[places[0]]) for places in positions.values()}
    again = [_alias(models[places[0]], places) for places in aliases]
    return [*again, *_common(inventories, models, _remembering(changed))]


def check_independent(
    *models: Any,
    names: Sequence[str] | None = None,
    ignore: Collection[str] = (),
    changed: Changed = lambda model: None,
) -> None:
    """Raise an error where models share state.

    Args:
        *models: Keras models that are meant to be trained independently.
        names: what the message calls the models; by default, their positions and ``model.name``.
        ignore: kinds of `Shared` that do not matter here.
        changed: for a model, the ids of the variables that a training step changes; called where a layer that
            is not trainable is shared. None, or without it, means that this is judged by the layers' classes.

    Raises:
        StudyError: one of them is not a Keras model.
        SharedStateError: two of them share state. The message says what, why it matters and what to do;
            its attribute ``shared`` is what `shared_state` returned.

    Example:
        >>> import fairlane as fl, keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="net")
        >>> fl.check_independent(model, keras.models.clone_model(model))
        >>> model_copy = model
        >>> fl.check_independent(model, model_copy)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        fairlane.errors.SharedStateError: Model 1 is a second name for model 0 ('net'), not a copy...
    """
    shared = [found for found in _shared(models, changed) if found.kind not in ignore]
    if shared:
        labels = [
            f"model {i} ({model.name!r})" if names is None else names[i] for i, model in enumerate(models)
        ]
        raise SharedStateError(_message(shared, labels), shared)


def _alias(model: Any, places: list[int]) -> Shared:
    return Shared("model", model.name, tuple((place, "model") for place in places), _WHY["model"])


def _common(inventories: Mapping[int, list[_Found]], models: Sequence[Any], changed: Changed) -> list[Shared]:
    """The things in more than one inventory that training changes, but those that lie within another "
    "such thing."""
    held: dict[int, dict[int, _Found]] = {}
    for position, inventory in inventories.items():
        for found in inventory:
            held.setdefault(id(found.thing), {}).setdefault(position, found)
    shared = {thing: places for thing, places in held.items() if len(places) > 1}
    outermost = [
        places
        for places in shared.values()
        if not any(
            outer in shared and places.keys() <= shared[outer].keys()
            for found in places.values()
            for outer in found.within
        )
    ]
    described = (_describe(places, [models[i] for i in sorted(places)], changed) for places in outermost)
    return [one for one in described if one is not None]


def _describe(places: Mapping[int, _Found], models: Sequence[Any], changed: Changed) -> Shared | None:
    """One shared thing, or None where no model's training changes it.

    A model that is a layer of another counts as a layer.
    """
    kinds = {found.kind for found in places.values()}
    kind = "layer" if "model" in kinds else kinds.pop()
    thing = next(iter(places.values())).thing
    why = _WHY[kind]
    if kind in _STATEFUL:
        reasons = [_change(thing, kind, model, changed) for model in models]
        if not any(reasons):
            return None
        why = next(filter(None, reasons))
    where = tuple((position, found.path) for position, found in sorted(places.items()))
    return Shared(kind, getattr(thing, "name", type(thing).__name__), where, why)


# --- what training leaves as it is ----------------------------------------------------------------------


def _remembering(changed: Changed) -> Changed:
    """The same, called once per model."""
    answers: dict[int, Collection[int] | None] = {}

    def once(model: Any) -> Collection[int] | None:
        if id(model) not in answers:
            answers[id(model)] = changed(model)
        return answers[id(model)]

    return once


def _change(thing: Any, kind: str, model: Any, changed: Changed) -> str:
    """Why training a model changes a thing that it holds, or may; empty where it does not."""
    layers = [thing, *keras_private.all_layers(thing)] if isinstance(thing, keras.Layer) else []
    if any(not layer.built for layer in layers):
        return (
            "It has no weights yet, so that what training changes in it can't be known: call it once before."
        )
    trained = {id(v) for v in getattr(model, "trainable_variables", ())}
    variables = _variables(thing, layers)
    if any(id(v) in trained for v in variables):
        return _WHY[kind]
    known = changed(model)
    if known is not None:
        moved = [v for v in variables if id(v) in known]
        return (
            f"Nothing in it is trainable, but each training step changes {moved[0].path!r}." if moved else ""
        )
    doubtful = [name for layer in layers for name in _doubtful(layer)]
    if layers and not doubtful:
        return ""
    what = doubtful[0] if doubtful else "it"
    return f"Nothing in it is trainable, but {what} may change with each training step."


def _variables(thing: Any, layers: Sequence[Any]) -> list[Any]:
    if isinstance(thing, keras.random.SeedGenerator):
        return [thing.state]
    if not layers:
        return [thing]
    metrics = [v for layer in layers for metric in keras_private.own_metrics(layer) for v in metric.variables]
    return [*thing.variables, *metrics]


def _doubtful(layer: Any) -> Iterator[str]:
    """What a training step may change in a layer that is frozen, as far as its class says."""
    yield from (f"its seed generator {one.name!r}" for one in keras_private.own_seed_generators(layer))
    yield from (f"its metric {one.name!r}" for one in keras_private.own_metrics(layer))
    frozen = isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable
    if not frozen and not _is_adapted(layer):
        yield from (f"its variable {v.path!r}" for v in keras_private.never_trainable(layer))


def _inventory(model: Any) -> list[_Found]:
    """All that a model holds, outer things before inner ones."""
    root = _Found(model, "model", "model", ())
    return [
        root,
        *_layer_state(model, "", (), set()),
        *_optimizers(model),
        *_compiled_metrics(model),
        *_callbacks(model),
    ]


def _layer_state(layer: Any, path: str, within: tuple[int, ...], seen: set[int]) -> Iterator[_Found]:
    """What a layer holds itself, then its layers with what those hold."""
    seen.add(id(layer))
    within = (*within, id(layer))
    for variable in keras_private.own_variables(layer):
        yield _Found(variable, "variable", path + variable.name, within)
    for generator in keras_private.own_seed_generators(layer):
        yield _Found(generator, "seed generator", path + generator.name, within)
    for metric in keras_private.own_metrics(layer):
        yield _Found(metric, "metric", path + metric.name, within)
    yield from _initializers(layer, path, within)
    for inner in keras_private.sublayers(layer):
        if id(inner) not in seen and not _is_adapted(inner):
            if not inner.built or inner.variables or inner.metrics:
                yield _Found(inner, "layer", path + inner.name, within)
            yield from _layer_state(inner, f"{path}{inner.name}/", within, seen)


def _is_adapted(layer: Any) -> bool:
    """Whether the layer learns from ``adapt`` and not from training."""
    return hasattr(layer, "adapt") and not layer.trainable_variables


def _initializers(layer: Any, path: str, within: tuple[int, ...]) -> Iterator[_Found]:
    """The initializers of a layer that draw, and the seed generators that they draw from."""
    constant = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)
    for name, value in vars(layer).items():
        if isinstance(value, keras.initializers.Initializer) and not isinstance(value, constant):
            yield _Found(value, "initializer", path + name, within)
            seed = getattr(value, "seed", None)
            if isinstance(seed, keras.random.SeedGenerator):
                yield _Found(seed, "seed generator", f"{path}{name}.seed", (*within, id(value)))


def _optimizers(model: Any) -> Iterator[_Found]:
    """The model's optimizer, any other that it holds (as GANs do), and those wrapped in them."""
    found = {"optimizer": getattr(model, "optimizer", None), **vars(model)}
    for name, value in found.items():
        within: tuple[int, ...] = (id(model),)
        path = f"model.{name.lstrip('_')}"
        while isinstance(value, keras.optimizers.Optimizer):
            yield _Found(value, "optimizer", path, within)
            within, path = (*within, id(value)), f"{path}.inner_optimizer"
            value = getattr(value, "inner_optimizer", None)


def _compiled_metrics(model: Any) -> Iterator[_Found]:
    """The metric objects among the compile arguments, whether the model has met data yet or not."""
    arguments = keras_private.compile_arguments(model)
    for name in ("metrics", "weighted_metrics"):
        for metric in keras.tree.flatten(arguments.get(name)):
            if isinstance(metric, keras.metrics.Metric):
                yield _Found(metric, "metric", f"model.{name}/{metric.name}", (id(model),))


def _callbacks(model: Any) -> Iterator[_Found]:
    """The callbacks that a model holds: its ``history``, which is the user's where ``fit`` was given one."""
    for name, value in vars(model).items():
        if isinstance(value, keras.callbacks.Callback):
            yield _Found(value, "callback", f"model.{name.lstrip('_')}", (id(model),))


def _message(shared: list[Shared], labels: Sequence[str]) -> str:
    """What happened, why it matters, and what to do."""
    alias = next((one for one in shared if one.kind == "model"), None)
    if alias is not None:
        first, second = (labels[i] for i in alias.models[:2])
        second = second.split(" (")[0]
        return (
            f"{_capital(second)} is a second name for {first}, not a copy: `model_copy = model` copies "
            f"nothing. Training either trains both, and a second `fit` continues from the end of the "
            f"first. {_REMEDY}"
        )
    models = sorted({position for one in shared for position in one.models})
    lines = [f"  - {one}. {one.why}" for one in shared[:_LISTED]]
    if len(shared) > _LISTED:
        lines.append(f"  - and {len(shared) - _LISTED} more")
    who = _capital(listing([labels[i] for i in models]))
    listed = "\n".join(lines)
    remedy = f"{_REMEDY} {REMEDY}" if any(one.kind in _STATEFUL for one in shared) else _REMEDY
    return f"{who} are not independent. They share:\n{listed}\n{remedy}"


REMEDY = (
    "What training can't change may be shared: set `trainable = False` on it before compile(). Else build "
    "it inside the builder, or, where it is a model, use `fl.copy(base)` in the builder."
)
"""What to do with something that models share."""

_REMEDY = (
    "Results of such models depend on which was trained first. Build each model in a function that makes "
    "everything new (layers, optimizer, metrics) and returns a fresh, compiled model, and call that "
    "function once per model: one optimizer per model, no layer in two."
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
