"""What models share that their training does not change: a frozen base, a teacher.

In: built models, and what a batch looks like. Out: which variables a training step changes
(`changed_by_step`); which variables a model has in common with those that were built before (`Known`); and a
watch over their values (`Held`), which restores them where a training changed them nevertheless.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import keras
import numpy as np

from fairlane.errors import SharedStateError
from fairlane.kit.values import same_values
from fairlane.models import keras_private
from fairlane.models.isolation import REMEDY
from fairlane.models.variables import read_state, variable_groups
from fairlane.trials import State


def changed_by_step(model: keras.Model, batch: Any) -> set[int] | None:
    """Which of a model's variables a training step changes, found by tracing one.

    What a step hands back just as it got it is not changed, whatever the numbers are.

    Args:
        model: compiled; the rest of it is built.
        batch: a training batch, or tensors of its shapes and dtypes.

    Returns:
        The ids of the variables; None where the step can't be traced, and on other backends than JAX.
    """
    if keras.backend.backend() != "jax" or batch is None or model.optimizer is None or model.run_eagerly:
        return None
    try:
        keras_private.symbolic_build_from(model, batch)
        state, data = jax.tree.map(_like, (tuple(read_state(model)), batch), is_leaf=_is_tensor)
        traced, shape = jax.make_jaxpr(model.train_step, return_shape=True)(state, data)
    except Exception:
        return None
    before, after = traced.jaxpr.invars, traced.jaxpr.outvars[len(jax.tree.leaves(shape[0])) :]
    variables = [v for group in variable_groups(model) for v in group]
    if len(after) != len(variables):
        return None
    return {id(v) for v, old, new in zip(variables, before, after, strict=False) if old is not new}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _like(array: Any) -> Any:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


class Known:
    """The variables of the models that a builder has given so far, in case it gives one of them again."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[weakref.ref[Any], bool, weakref.ref[Any]]] = {}
        self._shared: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()

    def take(self, model: keras.Model, who: str, to_train: bool = True) -> None:
        """Look at a new model, or at one that was changed since.

        Args:
            model: the model.
            who: what the error calls it.
            to_train: whether it is to be trained, and not only to be given weights.

        Raises:
            SharedStateError: it trains a variable that an earlier model has, or the other way round.
        """
        trained = {id(v) for v in model.trainable_variables}
        shared, before = [], {id(v) for v in self._shared.get(model, ())}
        for variable in model.variables:
            known, was_trained, last = self._seen.get(id(variable), (None, False, None))
            there: Any = None if known is None else known()
            own = last is not None and last() is model and id(variable) not in before
            if there is variable and not own:
                shared.append(variable)
                if to_train and (was_trained or id(variable) in trained):
                    raise SharedStateError(
                        f"{who} has the variable {variable.path!r} of an earlier trial's model, and one "
                        "of the two trains it, so each trial would go on from the weights of the one before. "
                        f"{REMEDY}"
                    )
            self._seen[id(variable)] = weakref.ref(variable), id(variable) in trained, weakref.ref(model)
        if shared:
            self._shared[model] = shared

    def shared_by(self, model: keras.Model) -> list[Any]:
        """The variables of a model that earlier ones have too."""
        return list(self._shared.get(model, ()))


def held_in_common(models: Sequence[keras.Model]) -> dict[int, Any]:
    """The variables that two or more of these models have, by id."""
    seen: dict[int, Any] = {}
    common: dict[int, Any] = {}
    for model in models:
        own = {id(v): v for v in model.variables}
        common |= {key: v for key, v in own.items() if key in seen}
        seen |= own
    return common


class Held:
    """The values of shared variables while one of the models is trained.

    Args:
        variables: the variables.
        who: the trial, for the error.
    """

    def __init__(self, variables: Iterable[Any], who: str) -> None:
        self._values = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in variables]
        self._who = who

    def __bool__(self) -> bool:
        return bool(self._values)

    def check(self) -> None:
        """Check that the variables have the values that they had, and restore these where they do not.

        Raises:
            SharedStateError: one had another value.
        """
        if changed := self.restore():
            raise SharedStateError(self._message(changed))

    def check_state(self, model: keras.Model, state: Any) -> None:
        """Check that a trained state of a model has those values.

        Raises:
            SharedStateError: it has another one.
        """
        if changed := self.differing(model, state):
            raise SharedStateError(self._message(changed))

    def differing(self, model: keras.Model, state: State) -> list[str]:
        """The variables of which a state has another value."""
        held = {id(v): value for v, value in self._values}
        return [
            variable.path
            for group, arrays in zip(variable_groups(model), state, strict=True)
            for variable, array in zip(group, arrays, strict=True)
            if id(variable) in held and not same_values(held[id(variable)], np.asarray(array))
        ]

    def restore(self) -> list[str]:
        """Restore the values that the variables had.

        Returns:
            The variables that had others.
        """
        changed = []
        for variable, value in self._values:
            if not _has(variable, value):
                changed.append(variable.path)
                variable.assign(value)
        return changed

    def _message(self, changed: Sequence[str]) -> str:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return (
            f"{self._who} has trained {changed[0]!r}{more}, which it shares with other trials: a callback "
            "made it trainable, or the step changes it. Its earlier values are restored, and the other "
            f"trials are not affected. {REMEDY}"
        )


def _has(variable: Any, value: Any) -> bool:
    try:
        return same_values(value, keras.ops.convert_to_numpy(variable))
    except Exception:  # a `fit` that raised may have deleted its value
        return False
