"""A model as text that says how to build it, and back, without executing anything that the text says.

In: a compiled ``keras.Model``, and a batch that it is trained on. Out: JSON: Keras's own config of the model
and its compile arguments, and the batch's shapes and dtypes. And from such JSON, a built, compiled model:
only classes of Keras, and those that the caller names, are made; code in the config is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.models import layer_state
from fairlane.models.recipes.allowed import check
from fairlane.models.recipes.batches import Batch, build_for, shapes_of
from fairlane.models.recipes.individual import BUILD, loaded
from fairlane.models.session import left_as_found
from fairlane.models.variables import variable_groups
from fairlane.trials import Weights

_MODELS = frozenset({"Sequential", "Functional"})


def description(model: keras.Model, batch: Batch = None, phase: int = 0) -> str:
    """How to build the model, as JSON; where its config can't be read, the reason.

    Args:
        model: a compiled model; it is only read.
        batch: one that it is trained on, or None where it is not known yet.
        phase: in which phase of its training the model is so.
    """
    shapes = shapes_of(batch)
    try:
        config = keras.saving.serialize_keras_object(model)
        return json.dumps({"config": config, "batch": shapes, **({"phase": phase} if phase else {})})
    except Exception as error:  # a model or loss of the user's own, that has no config
        why = f"{type(error).__name__}: {error}"
        return json.dumps({"why": why, "batch": shapes})


def difference(model: keras.Model, text: str | None) -> str:
    """Where a model is another one than is described, in words; empty where it is not, or that is not known.

    Args:
        model: a compiled model.
        text: what `description` gave of another one, and a store has kept.
    """
    stored, now = loaded(text or "null"), loaded(description(model))
    if not isinstance(stored, dict) or "config" not in stored or "config" not in now:
        return ""
    return next(_differing(stored["config"], now["config"], ""), "")


def _differing(there: Any, here: Any, what: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        whose = f"{there['name']}, " if isinstance(there.get("name"), str) else ""
        for name in sorted(there.keys() & here.keys() - _NO_MATTER):
            yield from _differing(there[name], here[name], f"{whose}{name}" if whose else what or name)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for one, other in zip(there, here, strict=True):
            yield from _differing(one, other, what)
    elif there != here:
        yield f"{what} is {there!s:.60} there and {here!s:.60} here"


_NO_MATTER = frozenset({"name", "seed", "module", "registered_name", "build_config", "compile_config"})
"""What may differ between two processes, or is not of the outputs."""


def model_of(
    text: str, custom_objects: Mapping[str, Any] | None = None, weights: Weights | None = None
) -> keras.Model:
    """A compiled model, built from a description that may come from anywhere.

    Args:
        text: what `description` gave.
        custom_objects: name → class or function, for those that are not Keras's own.
        weights: those that the model will get: what its layers hold besides is needed to build some, such as
            lookups, which have as many outputs as words.

    Raises:
        StudyError: the description holds code, names what it must not, or builds no model.
    """
    stored = loaded(text)
    if not isinstance(stored, dict) or "config" not in stored:
        is_description = isinstance(stored, dict)
        why = stored.get("why", "it is missing") if is_description else "what is stored is not a description"
        raise StudyError(f"the store does not hold the model's config ({why!s:.300}); {BUILD}")
    known = dict(custom_objects or {})
    if weights is not None and stored.get("phase", 0) != weights.phase:
        raise StudyError(
            f"the store holds the config of the model in phase {stored.get('phase', 0)} of its training, and "
            f"these weights are those of phase {weights.phase} (the first is 0); {BUILD}"
        )
    if weights is not None:
        _configure(stored["config"], weights.layers)
    check(stored["config"], known)
    try:
        with left_as_found():
            model = keras.saving.deserialize_keras_object(
                stored["config"], custom_objects=known, safe_mode=True
            )
            if isinstance(model, keras.Model) and model.compiled:
                if weights is not None:
                    layer_state.write_layers(model, weights.layers, weights.state, strict=False)
                build_for(model, stored.get("batch"))
    except Exception as error:  # whatever Keras or a class of the user's raises for a stored config
        raise StudyError(
            f"no model can be built from the stored config ({type(error).__name__}: {error!s:.300}); {BUILD}"
        ) from error
    if not isinstance(model, keras.Model) or not model.compiled:
        raise StudyError(f"the stored config is not of a compiled model; {BUILD}")
    return model


def with_variables(model: keras.Model, text: str | None) -> keras.Model:
    """A compiled model with all variables made, for the shapes of a description's batch.

    Raises:
        StudyError: they can't be made.
    """
    stored = loaded(text or "null")
    try:
        with left_as_found():
            build_for(model, stored.get("batch") if isinstance(stored, dict) else None)
    except Exception as error:  # whatever a model of the user's raises for such a batch
        raise StudyError(
            f"model {model.name!r} can't be built for the stored batch "
            f"({type(error).__name__}: {error!s:.300})"
        ) from error
    return model


def write_weights(model: keras.Model, weights: Weights, what: str) -> None:
    """Give a model its stored state, if its variables fit.

    Args:
        model: a built model.
        weights: of a model of the same architecture.
        what: whose weights they are.

    Raises:
        StudyError: the model has other variables, or a layer does not accept its stored state.
    """
    try:
        layer_state.write_layers(model, weights.layers, weights.state)
    except StudyError as error:
        raise StudyError(f"the model of {what} can't be restored: {error}") from error
    pairs = []
    for kind, variables, arrays in zip(
        ("trainable", "non-trainable", "optimizer", "metric"),
        variable_groups(model),
        weights.state,
        strict=True,
    ):
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [tuple(array.shape) for array in arrays]:
            raise StudyError(
                f"the weights of {what} are of another model: the {kind} variables of this one have the "
                f"shapes {shapes}, the stored ones {[tuple(array.shape) for array in arrays]}"
            )
        pairs += list(zip(variables, arrays, strict=True))
    for variable, array in pairs:
        variable.assign(array)
    layer_state.compute_again(model, weights.layers)


# Configs of trials


def _configure(config: Any, states: Iterable[layer_state.LayerState] | None) -> None:
    """Put the configs of a trial's layers into that of its model, which is of one trial of each variant.

    What a layer learnt from data may stand there: the bins of a `Discretization`, how many words a lookup
    has.

    Args:
        config: of a model, as JSON has it; it is changed.
        states: what the trial's layers hold besides their variables.
    """
    wanted: dict[Any, list[Any]] = {}
    for state in states or ():
        try:
            found = json.loads(state["config"])
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            wanted.setdefault((state.get("class"), found.get("name")), []).append(found)
    nodes = [node for node in _serialised(config) if isinstance(node["config"].get("name"), str)]
    another = False
    for key, configs in wanted.items():
        there = [node for node in nodes if (node["class_name"], node["config"]["name"]) == key]
        if len(there) == len(configs) or len(configs) == 1:  # else it is not known which belongs to which
            for i, node in enumerate(there):
                other = configs[min(i, len(configs) - 1)]
                another |= node["config"] != other
                node["config"] = other
    for node in nodes:
        if another and node["class_name"] not in _MODELS:
            node.pop("build_config", None)  # others come after it, and may have other shapes


def _serialised(config: Any) -> Iterator[dict[str, Any]]:
    """The objects in a config, outer ones first, in the order in which they stand there."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
                yield value
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
