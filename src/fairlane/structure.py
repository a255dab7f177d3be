"""A compiled model → what its program depends on: a key, and the numbers in it.

In: a built, compiled ``keras.Model``. Out: a `Structure`. Two models with equal keys differ in nothing
that a compiled training step reads but the values of their variables and of their `Structure.numbers`
(a dropout rate, a coefficient of the optimizer, a regularisation factor), so one program can train both.

The whole graph of Python objects under the model is walked, functions with their closures included: what
is not understood makes a key of its own, so that a wrong guess costs time and never correctness.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import re
import types
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np

Path = tuple[Hashable, ...]
"""Where a number sits: attribute names, keys and positions from the model down."""

_SKIPPED = frozenset(
    {
        # Bookkeeping that no training step reads, or a second way to what is walked anyway.
        "_auto_config",
        "_compile_config",
        "_compiled_trainable_state",
        "_build_shapes_dict",
        "_call_signature",
        "_functional",
        "_inbound_nodes",
        "_jax_state",
        "_jax_state_synced",
        "_keras_history",
        "_layer_checkpoint_dependencies",
        "_loss_ids",
        "_losses",
        "_losses_override",
        "_obj_type",
        "_outbound_nodes",
        "_parent_path",
        "_path",
        "_supports_masking",
        "_tracker",
        "_trainable_variables_indices",
        "_exclude_from_weight_decay_cache",
        "history",
        "predict_function",
        "stop_evaluating",
        "stop_training",
        "test_function",
        "train_function",
    }
)
_LARGEST_LIFTED_ARRAY = 4096
_SCHEDULE = keras.optimizers.schedules.LearningRateSchedule  # its step counts are coefficients too


@dataclass(frozen=True, eq=False)
class Structure:
    """What a model's program depends on.

    Attributes:
        key: a digest, equal for models that can share a program.
        numbers: the float (or small JAX array) at each place that lanes can carry.
        setters: how to put another value at each place; gives back a function that undoes it.
    """

    key: str
    numbers: Mapping[Path, Any]
    setters: Mapping[Path, Callable[[Any], Callable[[], None]]]


def structure(model: keras.Model) -> Structure:
    """Walk a model.

    Args:
        model: built and compiled, its optimizer, loss and metrics built too.

    Returns:
        Its structure.
    """
    walk = _Walk(model)
    walk.visit(model, (), None)
    for group in (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    ):
        walk.visit([*group], ("variables",), None)
    return Structure(walk.digest(), walk.numbers, walk.setters)


def same_value(a: Any, b: Any) -> bool:
    """Whether two numbers of `Structure.numbers` are equal."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


class _Walk:
    def __init__(self, model: keras.Model) -> None:
        self.numbers: dict[Path, Any] = {}
        self.setters: dict[Path, Callable[[Any], Callable[[], None]]] = {}
        self._digest = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._kept_alive: list[Any] = []
        self._names: dict[str, str] = {}
        for i, layer in enumerate(model._flatten_layers()):
            if _is_automatic(layer.name, type(layer)):
                self._names.setdefault(layer.name, f"layer {i}")

    def digest(self) -> str:
        return self._digest.hexdigest()

    def _emit(self, *token: Any) -> None:
        self._digest.update(repr(token).encode())

    def visit(self, value: Any, path: Path, setter: Any) -> None:
        """Take one object into the key; ``setter`` puts another in its place, where that is possible."""
        if value is None or isinstance(value, (bool, int, bytes, complex)):
            self._emit(type(value).__name__, value)
        elif isinstance(value, str):
            self._emit("str", self._names.get(value, value))
        elif isinstance(value, (float, np.floating)):
            self._number(float(value), path, setter)
        elif isinstance(value, (np.generic, np.dtype, range, slice, type(Ellipsis))):
            self._emit(type(value).__name__, str(value))
        elif isinstance(value, type):
            self._emit("class", value.__module__, value.__qualname__, id(value))
        elif isinstance(value, (types.ModuleType, types.BuiltinFunctionType)):
            self._emit("builtin", value.__name__)
        elif isinstance(value, (weakref.ReferenceType, keras.initializers.Initializer)):
            # An initializer has done its work by the time that anything is trained.
            self._emit(type(value).__name__)
        elif not self._again(value):
            self._object(value, path, setter)

    def _again(self, value: Any) -> bool:
        """Whether the object was met before; says where, so that sharing is part of the key."""
        place = self._seen.setdefault(id(value), len(self._seen))
        met = place < len(self._seen) - 1
        self._emit("again" if met else "new", place)
        if not met:
            self._kept_alive.append(value)
        return met

    def _number(self, value: float, path: Path, setter: Any) -> None:
        if setter is None or not math.isfinite(value):
            self._emit("float", value)
            return
        self._emit("number", path)
        self.numbers[path] = value
        self.setters[path] = setter

    def _object(self, value: Any, path: Path, setter: Any) -> None:
        if isinstance(value, keras.Variable):
            self._emit("variable", tuple(value.shape), str(value.dtype), value.trainable)
            self._emit(getattr(value, "overwrite_with_gradient", False))
            self.visit(getattr(value, "regularizer", None), (*path, "regularizer"), None)
            self.visit(getattr(value, "constraint", None), (*path, "constraint"), None)
        elif isinstance(value, (np.ndarray, jax.Array)):
            self._array(value, path, setter)
        elif isinstance(value, types.FunctionType):
            self._function(value, path)
        elif isinstance(value, types.MethodType):
            self.visit(value.__func__, (*path, "function"), None)
            self.visit(value.__self__, (*path, "self"), None)
        elif isinstance(value, functools.partial):
            self._emit("partial")
            for name in ("func", "args", "keywords"):
                self.visit(getattr(value, name), (*path, name), None)
        elif isinstance(value, Mapping):
            self._mapping(value, path)
        elif isinstance(value, (list, tuple)):
            self._sequence(value, path, setter)
        elif isinstance(value, (set, frozenset)):
            self._set(value)
        elif isinstance(value, inspect.Signature):
            self._emit("signature", [(p.name, p.kind.name) for p in value.parameters.values()])
        elif hasattr(value, "__dict__"):
            self._attributes(value, path)
        else:
            self._emit("opaque", type(value).__qualname__, id(value))

    def _array(self, value: Any, path: Path, setter: Any) -> None:
        self._emit(type(value).__name__, value.shape, str(value.dtype))
        small = value.size <= _LARGEST_LIFTED_ARRAY
        if setter and small and isinstance(value, jax.Array) and value.dtype == "float32":
            self.numbers[path] = value
            self.setters[path] = setter
        elif str(value.dtype) == "object":
            self.visit(value.tolist(), (*path, "items"), None)
        else:
            self._digest.update(np.ascontiguousarray(value).tobytes())

    def _function(self, value: types.FunctionType, path: Path) -> None:
        code = value.__code__
        self._emit("function", value.__module__, value.__qualname__, code.co_code, code.co_names)
        self._emit([c for c in code.co_consts if not isinstance(c, types.CodeType)])
        self.visit(value.__defaults__, (*path, "defaults"), None)
        self.visit(value.__kwdefaults__, (*path, "kwdefaults"), None)
        for name, cell in zip(code.co_freevars, value.__closure__ or (), strict=True):
            try:
                inside = cell.cell_contents
            except ValueError:  # an empty cell: a name that was not assigned yet
                self._emit("empty", name)
                continue
            self.visit(inside, (*path, "closure", name), _cell_setter(cell))
        if not value.__module__ or value.__module__.split(".")[0] not in ("keras", "jax", "numpy"):
            for name in code.co_names:
                outside = value.__globals__.get(name)
                if isinstance(outside, (bool, int, float, str)):
                    self._emit("global", name, outside)

    def _mapping(self, value: Mapping[Any, Any], path: Path) -> None:
        self._emit(type(value).__qualname__, len(value))
        for i, (key, item) in enumerate(value.items()):
            self.visit(key, (*path, "key", i), None)
            name = key if isinstance(key, (str, int)) else i
            setter = _item_setter(value, key) if isinstance(value, dict) else None
            self.visit(item, (*path, self._names.get(str(name), name)), setter)

    def _sequence(self, value: Any, path: Path, setter: Any) -> None:
        self._emit(type(value).__qualname__, len(value))
        for i, item in enumerate(value):
            inner: Any
            if isinstance(value, list):
                inner = _item_setter(value, i)
            else:
                inner = _tuple_setter(value, i, setter) if type(value) is tuple and setter else None
            self.visit(item, (*path, i), inner)

    def _set(self, value: Any) -> None:
        simple = all(isinstance(v, (str, int, bytes)) for v in value)
        items = sorted(map(repr, value)) if simple else sorted(type(v).__name__ for v in value)
        self._emit("set", items)

    def _attributes(self, value: Any, path: Path) -> None:
        cls = type(value)
        self._emit("object", cls.__module__, cls.__qualname__, id(cls))
        keras_own = cls.__module__.startswith("keras.")
        attributes = vars(value)
        for name in sorted(attributes):
            if name in _SKIPPED or (keras_own and _is_idle_seed(value, name)):
                continue
            item = attributes[name]
            if name in ("name", "_name") and isinstance(item, str) and _is_automatic(item, cls):
                continue
            self._emit("attribute", name)
            setter = _item_setter(attributes, name)
            if type(item) is int and isinstance(value, _SCHEDULE):
                self._number(item, (*path, name), setter)
            else:
                self.visit(item, (*path, name), setter)
        if isinstance(value, keras.Model) and not isinstance(value, keras.Sequential):
            self._topology(value)

    def _topology(self, model: keras.Model) -> None:
        """How a functional model's operations are wired."""
        place: dict[int, int] = {}
        for depth, nodes in sorted(getattr(model, "_nodes_by_depth", {}).items()):
            for node in nodes:
                self._emit("node", depth, self._seen.get(id(node.operation)))
                for tensor in (*node.input_tensors, *node.outputs):
                    self._emit(place.setdefault(id(tensor), len(place)), tensor.shape, tensor.dtype)
                plain = keras.tree.map_structure(
                    lambda a: "tensor" if isinstance(a, keras.KerasTensor) else repr(a),
                    (node.arguments.args, node.arguments.kwargs),
                )
                self._emit(plain)


def _is_automatic(name: str, cls: type) -> bool:
    """Whether Keras made the name up from the class: ``dense``, ``dense_7``."""
    snake = re.sub(r"\W+", "", cls.__name__)
    snake = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", snake)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", snake).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) is not None


def _is_idle_seed(owner: Any, name: str) -> bool:
    """Whether the attribute is the integer that a Keras seed generator was begun with, long used up."""
    return name in ("seed", "_initial_seed", "_init_seed") and (
        isinstance(owner, keras.random.SeedGenerator) or hasattr(owner, "seed_generator")
    )


def _item_setter(container: Any, key: Any) -> Callable[[Any], Callable[[], None]]:
    def put(value: Any) -> Callable[[], None]:
        before = container[key]
        _raw_set(container, key, value)
        return lambda: _raw_set(container, key, before)

    return put


def _raw_set(container: Any, key: Any, value: Any) -> None:
    # Keras's tracked containers refuse to be changed after the build; what is put here is put back.
    if isinstance(container, dict):
        dict.__setitem__(container, key, value)
    else:
        list.__setitem__(container, key, value)


def _tuple_setter(
    whole: tuple[Any, ...], place: int, setter: Callable[[Any], Callable[[], None]]
) -> Callable[[Any], Callable[[], None]]:
    return lambda value: setter((*whole[:place], value, *whole[place + 1 :]))


def _cell_setter(cell: types.CellType) -> Callable[[Any], Callable[[], None]]:
    def put(value: Any) -> Callable[[], None]:
        before = cell.cell_contents
        cell.cell_contents = value

        def undo() -> None:
            cell.cell_contents = before

        return undo

    return put
