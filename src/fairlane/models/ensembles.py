"""Several trained models → one ``keras.Model``, the mean of them, which Keras saves and loads by itself.

In: models with the same inputs and outputs, and how often each counts. Out: a functional model with them as
its parts. A mean of outputs is a mean of probabilities or of values. Where a loss has ``from_logits=True``,
outputs are logits, whose mean is not the logit of a mean: then the probabilities are averaged, and the model
gives the logits of their mean, so that the members' loss, metrics and thresholds are right for it too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.errors import StudyError
from fairlane.models import keras_private

_SOFTMAX = (
    keras.losses.CategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
)
_SIGMOID = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)
_LEAST = 1e-15
"""The least probability: the logarithm of zero is no number that a loss can use."""


class Scale(NamedTuple):
    """What an output is.

    Attributes:
        kind: ``"values"`` (or probabilities), ``"softmax"`` or ``"sigmoid"`` for logits of either.
        axis: of the classes.
    """

    kind: str = "values"
    axis: int = -1

    def to_mean(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs as what is averaged: values, or probabilities."""
        wide = np.asarray(outputs, "float64")
        if self.kind == "softmax":
            powers = np.exp(wide - wide.max(axis=self.axis, keepdims=True))
            return np.asarray(powers / powers.sum(axis=self.axis, keepdims=True))
        if self.kind == "sigmoid":
            return np.asarray(0.5 * (1 + np.tanh(wide / 2)))
        return wide

    def from_mean(self, mean: NDArray[Any]) -> NDArray[Any]:
        """A mean as an output."""
        if self.kind == "values":
            return mean
        mean = np.clip(mean, _LEAST, 1 - _LEAST)
        return np.asarray(np.log(mean) if self.kind == "softmax" else np.log(mean) - np.log1p(-mean))


def scales(model: Any) -> list[Scale]:
    """What each output of a compiled model is, by its loss.

    Raises:
        StudyError: an output is logits, and its loss is not one of Keras's, so that it is not known of what.
    """
    loss = keras_private.compile_arguments(model).get("loss")
    names, outputs = keras_private.names_of_outputs(model), model.outputs
    if isinstance(loss, Mapping):
        keys = keras_private.keys_of_outputs(model)
        of_each = [loss.get(name, loss.get(key)) for name, key in zip(names, keys, strict=True)]
    elif isinstance(loss, list | tuple):
        of_each = list(loss)
    else:
        of_each = [loss] * len(outputs)
    if len(of_each) != len(outputs):
        of_each = [None] * len(outputs)
    return [_scale(one, model.name) for one in of_each]


def _scale(loss: Any, name: str) -> Scale:
    """By a loss: an instance, for a text or a function names one that takes probabilities."""
    try:
        config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    except Exception:  # a loss of one's own that has no config
        config = {}
    named = config.get("from_logits") or getattr(loss, "from_logits", False)
    if not (named or _passes_logits(loss)):
        return Scale()
    axis = config.get("axis", -1)
    if isinstance(loss, _SOFTMAX):
        return Scale("softmax", axis if isinstance(axis, int) else -1)
    if isinstance(loss, _SIGMOID):
        return Scale("sigmoid")
    raise StudyError(
        f"the loss {_name_of(loss)} of model {name!r} has from_logits=True, and it is not known which "
        "probabilities its outputs stand for; average what you need of study.predict(x)"
    )


def _passes_logits(loss: Any) -> bool:
    """Whether a loss of one's own calls one of Keras's with ``from_logits=True``, as its code shows."""
    if isinstance(loss, functools.partial):
        return bool(loss.keywords.get("from_logits")) or _passes_logits(loss.func)
    function = getattr(type(loss), "call", None) if isinstance(loss, keras.losses.Loss) else loss
    of_keras = str(getattr(function, "__module__", "")).split(".")[0] == "keras"
    code = None if of_keras else getattr(function, "__code__", None)
    constants = () if code is None else code.co_consts
    names = [one for one in constants if isinstance(one, tuple)]
    return True in constants and any("from_logits" in one for one in names)


def _name_of(loss: Any) -> str:
    function = getattr(loss, "func", loss)
    return getattr(function, "__name__", type(loss).__name__)


def ensemble(members: Sequence[Any], counts: Sequence[int], name: str) -> Any:
    """The mean of models, each as often as it counts, as one model.

    Args:
        members: compiled models, which become its parts and get the names ``member_0``, ``member_1``, ...
        counts: how often each counts; 1 or more.
        name: the new model's.

    Returns:
        A functional model, compiled with the first member's loss and metrics.

    Raises:
        StudyError: the members are not graphs of layers, or differ in their inputs or outputs.
    """
    first = members[0]
    _check_alike(members)
    kinds = scales(first)
    for number, member in enumerate(members):
        member.name = f"member_{number}"
    inputs = keras.tree.map_structure(_input_like, keras_private.structure_of_inputs(first))
    outputs = [member(inputs) for member in members]
    flat = [keras.tree.flatten(one) for one in outputs]
    names = keras_private.names_of_outputs(first)
    means = [
        _mean([one[i] for one in flat], counts, kind, output)
        for i, (kind, output) in enumerate(zip(kinds, names, strict=True))
    ]
    model = keras.Model(inputs, keras.tree.pack_sequence_as(outputs[0], means), name=name)
    _compile_like(first, model)
    return model


def _check_alike(members: Sequence[Any]) -> None:
    shapes = []
    for member in members:
        if not keras_private.is_graph(member):
            raise StudyError(
                f"model {member.name!r} is of a class of its own ({type(member).__name__}), so Keras "
                "can't load a model that contains it without that class. An ensemble needs functional models "
                "or Sequential; for others, average study.predict(x)"
            )
        shapes.append(
            (
                keras.tree.map_structure(_shape, keras_private.structure_of_inputs(member)),
                [_shape(output) for output in member.outputs],
                scales(member),
            )
        )
    for member, its in zip(members, shapes, strict=True):
        for what, a, b in zip(("inputs", "outputs", "losses"), shapes[0], its, strict=True):
            if a != b:
                raise StudyError(
                    f"models {members[0].name!r} and {member.name!r} have different {what} ({a} and {b}), so "
                    "they have no mean; choose others by trials= or variant="
                )


def _shape(tensor: Any) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"


def _input_like(tensor: Any) -> Any:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, sparse=tensor.sparse, name=tensor.name)


def _mean(outputs: Sequence[Any], counts: Sequence[int], scale: Scale, name: str) -> Any:
    """A tensor of a graph: the mean of some."""
    total, dtype = sum(counts), outputs[0].dtype
    if scale.kind == "softmax":
        return keras.layers.Identity(name=name)(
            _log_mean([keras.ops.log_softmax(one, axis=scale.axis) for one in outputs], counts)
        )
    if scale.kind == "sigmoid":
        yes, no = (
            _log_mean([keras.ops.log_sigmoid(sign(one)) for one in outputs], counts)
            for sign in (lambda tensor: tensor, keras.ops.negative)
        )
        return keras.layers.Identity(name=name)(keras.ops.subtract(yes, no))
    if len(outputs) == 1:
        return keras.layers.Identity(name=name, dtype=dtype)(outputs[0])
    if len(set(counts)) == 1:
        return keras.layers.Average(name=name, dtype=dtype)(list(outputs))
    shares = [
        keras.layers.Rescaling(count / total, dtype=dtype)(one)
        for one, count in zip(outputs, counts, strict=True)
    ]
    return keras.layers.Add(name=name, dtype=dtype)(shares)


def _log_mean(logs: Sequence[Any], counts: Sequence[int]) -> Any:
    """The logarithm of a mean of probabilities, from their logarithms."""
    total = sum(counts)
    shifted = [keras.ops.add(one, math.log(count / total)) for one, count in zip(logs, counts, strict=True)]
    return keras.ops.logsumexp(keras.ops.stack(shifted), axis=0)


def _compile_like(member: Any, model: Any) -> None:
    """Compile with a member's loss and metrics, and an optimizer that has not begun."""
    given = keras_private.compile_arguments(member)
    if not given:
        return
    again = {name: _renewed(given.get(name)) for name in ("optimizer", "metrics", "weighted_metrics")}
    kept = ("loss", "loss_weights", "run_eagerly", "jit_compile", "auto_scale_loss")
    model.compile(**again, **{name: given[name] for name in kept if name in given})
    if (
        model.optimizer is not None
    ):  # Keras builds it when it loads the model, and warns where it was not built
        model.optimizer.build(model.trainable_variables)


def _renewed(value: Any) -> Any:
    """New objects like those of the members, which keep theirs."""
    if isinstance(value, Mapping):
        return {key: _renewed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_renewed(one) for one in value]
    if isinstance(value, keras.Metric | keras.optimizers.Optimizer):
        return type(value).from_config(value.get_config())
    return value
