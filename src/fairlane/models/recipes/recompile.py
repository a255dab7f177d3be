"""Compiles a rebuilt model as the first one was compiled, with changes.

In: a compiled model, and one of the same architecture. Out: the second one, compiled with new objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from fairlane.errors import BuilderError
from fairlane.models import keras_private
from fairlane.models.recipes.compiled import (
    Exclusions,
    has_own_compile,
    plain_arguments,
    read_exclusions,
    write_exclusions,
)
from fairlane.models.recipes.configs import BUILDER_INSTEAD
from fairlane.models.recipes.instances import Changes, PathChanges


class Recompile:
    """One compilation.

    Args:
        model: the first model, compiled.
        changes: what to change; of layers, nothing is changed here.
        others: ``id`` of an object of the first model → the new one; the optimizer is added.
        renew: makes a new object like one, with changes.
        counterpart: what takes a value's place in the new model.
    """

    def __init__(
        self,
        model: Any,
        changes: Changes,
        others: dict[int, Any],
        renew: Callable[[Any, PathChanges], Any],
        counterpart: Callable[[Any], Any],
    ) -> None:
        self._model, self._changes, self._others = model, changes, others
        self._renew, self._counterpart = renew, counterpart

    def run(self, new: Any) -> None:
        """Compile the new model."""
        old = self._model
        if has_own_compile(old):
            self._compile_by_class(new)
            return
        arguments = keras_private.compile_arguments(old)
        given = {
            "optimizer": self._optimizer(arguments["optimizer"], new),
            **{name: self._changed(name, arguments[name]) for name in ("loss", "loss_weights")},
            **{name: self._counterpart(arguments[name]) for name in ("metrics", "weighted_metrics")},
        }
        new.compile(
            **given,
            **plain_arguments(old),
            # Keras refuses to do both, though a model that runs eagerly still has its own choice of this.
            jit_compile=False if old.run_eagerly else old.jit_compile,
        )

    def _compile_by_class(self, new: Any) -> None:
        """A class with a ``compile`` of its own must say how to repeat it."""
        old, name = self._model, type(self._model).__name__
        if type(old).compile_from_config is keras.Model.compile_from_config:
            raise BuilderError(
                f"{name} {old.name!r} can't be rebuilt, because class {name} has its own `compile()`. Add "
                f"`get_compile_config(self)`, which returns what `compile` was given, and "
                f"`compile_from_config(self, config)`, which calls it. {BUILDER_INSTEAD}"
            )
        new.compile_from_config(old.get_compile_config())

    def _optimizer(self, old: Any, new_model: Any) -> Any:
        """The new optimizer, at its beginning, with the old one's exclusions from weight decay."""
        changes = dict(self._changes.get("optimizer", {}))
        if () in changes:
            value = changes.pop(())
            old = keras.optimizers.get(value) if isinstance(value, str) else value
        if old is None:
            return None
        new = self._others[id(old)] = self._renew(old, changes)
        exclusions = read_exclusions(old, self._model.variables)
        if any(numbers or names for numbers, names in exclusions):
            write_exclusions(new, exclusions, self._in_old_order(new_model, exclusions))
        return new

    def _in_old_order(self, new_model: Any, exclusions: Sequence[Exclusions]) -> list[Any]:
        """The new model's variables at the places of the old one's.

        Raises:
            BuilderError: there is none for one that is excluded by itself.
        """
        before, after = self._model.variables, list(new_model.variables)
        if len(after) != len(before):  # a change added or removed a bias, say
            by_path = {variable.path: variable for variable in after}
            after = [by_path.get(variable.path) for variable in before]
        if any(after[number] is None for numbers, _ in exclusions for number in numbers):
            raise BuilderError(
                f"The optimizer of {self._model.name!r} excludes variables from weight decay that the "
                f"rebuilt model does not have (yet). Exclude them by name, "
                f"`exclude_from_weight_decay(var_names=[...])`."
            )
        return after

    def _changed(self, name: str, old: Any) -> Any:
        """A compile argument (a loss, or a list or dict of them) with its changes."""
        return self._with_changes(old, dict(self._changes.get(name, {})))

    def _with_changes(self, old: Any, changes: dict[tuple[str, ...], Any]) -> Any:
        if () in changes:
            old = changes.pop(())
        if not changes:
            return self._counterpart(old)
        if not isinstance(old, dict):
            return self._renew(old, changes)
        inner: dict[str, dict[tuple[str, ...], Any]] = {key: {} for key in old}
        for (key, *rest), value in changes.items():
            inner[key][tuple(rest)] = value
        return {key: self._with_changes(value, inner[key]) for key, value in old.items()}
