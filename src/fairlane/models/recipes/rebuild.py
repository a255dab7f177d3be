"""A compiled Keras model → another one of the same architecture and compile arguments, sharing nothing.

In: a compiled model, and changes to the settings of its layers, optimizer and loss. Out: a fresh, compiled
model, its weights drawn from the random state at the time of the call. The model itself is only read.

A functional model is rebuilt along its graph and a `Sequential` layer by layer, so that a layer used twice
stays one layer and each layer can be changed; any other model is rebuilt by its class's ``from_config``.
What the rebuilt model can't have from configs is carried over: what preprocessing layers adapted, the
``trainable`` flags, names, and what the optimizer excludes from weight decay.
"""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError
from fairlane.kit.libraries import is_keras_class
from fairlane.kit.values import as_python, mapped
from fairlane.models import keras_private, layer_state
from fairlane.models.isolation import shared_state
from fairlane.models.recipes.configs import BUILDER_INSTEAD, attribute, constructor, has
from fairlane.models.recipes.instances import Changes, PathChanges, cause, described, instance
from fairlane.models.recipes.objects import draw_seed, has_config, read_object
from fairlane.models.recipes.recompile import Recompile


def rebuild(model: Any, changes: Changes | None = None, *, keep_seeds: bool = False) -> Any:
    """Another model like ``model``.

    Args:
        model: a model; it is read and not changed.
        changes: what to change, with paths that `template.Template.check` would accept.
        keep_seeds: whether integer seeds stay, as an exact copy needs; else new ones are drawn.

    Returns:
        A model with new weights and a new optimizer, compiled if the given one is.

    Raises:
        BuilderError: the model can't be rebuilt, with the class that is in the way.
    """
    return rebuild_with_counterparts(model, changes, keep_seeds=keep_seeds)[0]


def rebuild_with_counterparts(
    model: Any, changes: Changes | None = None, *, keep_seeds: bool = False
) -> tuple[Any, Callable[[Any], Any]]:
    """As `rebuild`; and a function from what the compiled model holds (a metric, say) to the new one's."""
    job = _Rebuild(model, changes or {}, keep_seeds)
    with _dtype_policy_of(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the template's own code warned of when it was built
        try:
            new = job.run()
        except BuilderError:
            raise
        except Exception as error:
            raise BuilderError(_failed(model, changes or {}, error)) from error
    if not changes:
        _check_alike(model, new)
    _check_nothing_shared(model, new)
    return new, job.counterpart


def is_graph(model: Any) -> bool:
    """Whether a model is rebuilt along its graph, or layer by layer, so that each layer can be changed."""
    return isinstance(model, keras.Model) and (_is_sequential(model) or _is_functional(model))


def _is_sequential(model: Any) -> bool:
    return isinstance(model, keras.Sequential) and _takes(type(model), "layers")


def _is_functional(model: Any) -> bool:
    return keras_private.is_functional(model) and _takes(type(model), "inputs", "outputs")


def _takes(cls: type, *names: str) -> bool:
    """Whether a constructor passes these arguments on to Keras's."""
    parameters = constructor(cls)
    passes_all = has(parameters, inspect.Parameter.VAR_POSITIONAL) and has(
        parameters, inspect.Parameter.VAR_KEYWORD
    )
    return passes_all or all(name in parameters for name in names)


class _Rebuild:
    """One rebuilding: which new object took the place of which old one."""

    def __init__(self, model: Any, changes: Changes, keep_seeds: bool) -> None:
        self._model = model
        self._changes = changes
        self._keep_seeds = keep_seeds
        self._layers: dict[int, Any] = {}
        self._others: dict[int, Any] = {}

    def run(self) -> Any:
        """The whole model."""
        new = self._layer(self._model)
        self._carry_trainable(self._model, new, set())
        if self._model.compiled:
            Recompile(self._model, self._changes, self._others, self._renew, self.counterpart).run(new)
        return new

    # --- layers ---

    def _layer(self, old: Any) -> Any:
        """The new layer (or model, or operation) for an old one, made on first use."""
        if id(old) not in self._layers:
            if isinstance(old, keras.Model) and _is_sequential(old):
                new = self._sequential(old)
            elif isinstance(old, keras.Model) and _is_functional(old):
                new = self._functional(old)
            elif isinstance(old, keras.Layer):
                new = self._from_config(old)
            else:
                new = self._operation(old)
            self._layers[id(old)] = new
        return self._layers[id(old)]

    def _sequential(self, old: Any) -> Any:
        with_input = keras.Model.layers.fget(old)  # `Sequential.layers` leaves out the input
        layers = [self._layer(layer) for layer in with_input]
        return type(old)(layers=layers, name=old.name, **self._extra_arguments(old))

    def _functional(self, old: Any) -> Any:
        """Keras clones the graph, of an uncompiled second view of the same layers."""
        view = keras.Model(old.input, old.output)
        clone = keras.models.clone_model(
            view,
            input_tensors=keras.tree.map_structure(
                lambda tensor: self._layer(keras_private.input_layer(tensor)).output, old.input
            ),
            clone_function=self._layer,
        )
        return type(old)(
            inputs=clone.input, outputs=clone.output, name=old.name, **self._extra_arguments(old)
        )

    def _extra_arguments(self, old: Any) -> dict[str, Any]:
        """What a subclass of a functional or sequential model takes besides the graph."""
        if is_keras_class(type(old), "__init__"):
            return {}
        names = [
            name
            for name, parameter in constructor(type(old)).items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            and name not in ("inputs", "outputs", "layers", "name", "trainable")
        ]
        values = {name: attribute(old, name, old) for name in names}
        missing = [name for name, value in values.items() if value is old]
        if missing:
            raise BuilderError(
                f"{type(old).__name__} {old.name!r} can't be rebuilt, because its constructor takes "
                f"`{missing[0]}` and stores it under another name. Add `self.{missing[0]} = {missing[0]}` to "
                f"{type(old).__name__}.__init__. {BUILDER_INSTEAD}"
            )
        return {name: self.counterpart(value) for name, value in values.items()}

    def _operation(self, old: Any) -> Any:
        """An operation of the graph that is not a layer, such as ``x + 1``; it has no state."""
        return keras_private.copy_operation(old)

    def _from_config(self, old: Any) -> Any:
        """A layer, or a model that is not a graph, by its class's ``from_config``."""
        new = self._renew(old, self._changes.get(id(old), {}))
        self._carry_over(old, new)
        if isinstance(old, keras.Model) and old.built and not new.built:
            with keras.name_scope(new.name):
                new.build_from_config(old.get_build_config())
            new.built = len(new.variables) == len(old.variables)  # Keras leaves that to its loader
            self._carry_over(old, new)
        return new

    # --- what configs do not hold ---

    def _carry_over(self, old: Any, new: Any) -> None:
        """Names, seeds and adapted state, in a layer and in the layers that its constructor made."""
        for before, after in _pairs(old, new):
            after.name = before.name
            if not self._keep_seeds and ("seed",) not in self._changes.get(id(before), {}):
                _draw_seeds(after)
            self._carry_state(before, after)

    def _carry_state(self, before: Any, after: Any) -> None:
        """What a layer holds besides its variables; the values of variables only where it adapted them."""
        exact, more = self._keep_seeds, layer_state.holds_more(before)
        state = layer_state.read_layer(before) if exact or more else None
        if state is None:
            return
        if not exact and id(before) in self._changes:
            # Attributes may follow from the settings that are changed; the new layer has set its own.
            state = {name: value for name, value in state.items() if name != "attributes"}
        if not after.built and state.get("build"):
            after.build_from_config(state["build"])
        # `write_layer` may assign variables. Weights keep their new draws; what `adapt` learned comes over.
        variables = keras_private.own_variables(after) if not exact else []
        drawn = [
            (variable, np.array(keras.ops.convert_to_numpy(variable)))
            for variable in variables
            if variable.trainable or not hasattr(type(before), "adapt")
        ]
        layer_state.write_layer(after, state)
        for variable, array in drawn:
            variable.assign(array)

    def _carry_trainable(self, old: Any, new: Any, seen: set[int]) -> None:
        """The ``trainable`` flags, outer layers first, since setting one sets those within."""
        if id(old) in seen or ("trainable",) in self._changes.get(id(old), {}):
            return
        seen.add(id(old))
        if new.trainable != old.trainable:
            new.trainable = old.trainable
        inner = zip(keras_private.sublayers(old), keras_private.sublayers(new), strict=False)
        for before, after in inner:
            if type(before) is type(after):
                self._carry_trainable(before, self._layers.get(id(before), after), seen)

    # --- other objects ---

    def counterpart(self, value: Any) -> Any:
        """What takes a value's place in the new model: another object where it has a state, else itself."""
        return mapped(value, self._counterpart_of_leaf)

    def _counterpart_of_leaf(self, value: Any) -> Any:
        if isinstance(value, keras.Layer):
            return self._layer(value)
        if inspect.ismethod(value):
            return self._method(value)
        if has_config(value):
            if id(value) not in self._others:
                self._others[id(value)] = self._renew(value, {})
            return self._others[id(value)]
        self._check_closure(value)
        return as_python(value)

    def _renew(self, old: Any, changes: PathChanges) -> Any:
        """A new layer, optimizer, loss, metric, initializer or other object with a config."""
        recipe = read_object(old, keep_seeds=self._keep_seeds, renew=self.counterpart)
        # Outer paths first: a change further in is one of what the outer change has put there.
        for keys, value in sorted(changes.items(), key=lambda change: len(change[0])):
            recipe.set(keys, self.counterpart(value))
        return instance(old, recipe, changes)

    def _method(self, method: Any) -> Any:
        """A method of the old model or of one of its layers becomes the new one's."""
        owner = method.__self__
        if isinstance(owner, keras.Layer):
            return types.MethodType(method.__func__, self._layer(owner))
        return method

    def _check_closure(self, function: Any) -> None:
        """Raise where a function of the compile arguments holds a layer or variable of the old model."""
        for cell in getattr(function, "__closure__", None) or ():
            held = cell.cell_contents if cell != types.CellType() else None
            if id(held) in self._layers or any(held is v for v in self._model.variables):
                raise BuilderError(
                    f"The function `{function.__name__}` that the model was compiled with uses "
                    f"{getattr(held, 'name', held)!r} of that very model, so a rebuilt model would reach "
                    f"into the first one. {BUILDER_INSTEAD}"
                )


def _pairs(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """The layer and all within it, side by side with the new ones."""
    waiting = [(old, new)]
    seen: set[int] = set()
    while waiting:
        before, after = waiting.pop(0)
        if id(before) in seen or type(before) is not type(after):
            continue
        seen.add(id(before))
        yield before, after
        waiting.extend(zip(keras_private.sublayers(before), keras_private.sublayers(after), strict=False))


def _draw_seeds(layer: Any) -> None:
    """Draw a new value for each integer seed that a constructor gave to its own parts."""
    for generator in keras_private.own_seed_generators(layer):
        if generator.get_config()["seed"] is not None:
            generator.state.assign([draw_seed(), 0])
    for value in vars(layer).values():
        drawn = isinstance(value, keras.initializers.Initializer)
        if drawn and isinstance(value.get_config().get("seed"), int):
            value.seed = draw_seed()


@contextmanager
def _dtype_policy_of(model: Any) -> Iterator[None]:
    """Build under the policy that the model was built under, for what takes it from the session."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(model.dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_alike(old: Any, new: Any) -> None:
    """Raise where the rebuilt model has other variables than the first."""
    if not (old.built and new.built):
        return
    for kind in ("trainable_variables", "non_trainable_variables"):
        before = [(tuple(v.shape), v.dtype) for v in getattr(old, kind)]
        after = [(tuple(v.shape), v.dtype) for v in getattr(new, kind)]
        if before != after:
            raise BuilderError(
                f"Model {old.name!r} can't be rebuilt from its configs: the rebuilt model has {len(after)} "
                f"{kind.replace('_', ' ')}, the first one {len(before)}, or their shapes differ. A variable "
                f"shared between layers, or one added after the layer was built, does that. "
                f"{BUILDER_INSTEAD}"
            )


def _check_nothing_shared(old: Any, new: Any) -> None:
    shared = shared_state(old, new)
    if shared:
        raise BuilderError(
            f"Model {old.name!r} can't be rebuilt from its configs: the rebuilt model would share "
            f"{shared[0].kind} {shared[0].name!r} with it, because some `get_config()` returns it as a live "
            f"object. Serialise it there, with `keras.saving.serialize_keras_object`. "
            f"{BUILDER_INSTEAD}"
        )


def _failed(model: Any, changes: Changes, error: Exception) -> str:
    requested = ", ".join(described(one) for one in changes.values())
    what = f" with {requested}" if requested else ""
    return f"Model {model.name!r} can't be rebuilt{what}: {cause(error)}\n{BUILDER_INSTEAD}"
