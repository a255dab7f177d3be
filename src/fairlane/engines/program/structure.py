"""A compiled model → what its program depends on: a key, and the numbers in it.

In: a built, compiled ``keras.Model``. Out: a `Structure`. Two models with equal keys, in whose steps only the
code of known libraries runs, differ in nothing that a compiled training step reads but the values of their
variables and of their `Structure.numbers` (a dropout rate, a coefficient of the optimizer, a regularisation
factor), so one program can train both.

The whole graph of Python objects under the model is walked, and what Keras and JAX are set to. What is not
understood makes a key of its own, so that a wrong guess costs time and never correctness. What foreign code
reads (`fairlane.kit.libraries`) can't be found by walking; where the walk meets any, it says so.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
import re
import types
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import keras
import numpy as np

from fairlane.engines.program.slots import CellSlot, Slot, TupleSlot
from fairlane.kit.libraries import is_foreign_class, is_foreign_code
from fairlane.models import keras_private
from fairlane.models.variables import variable_groups

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
        "_nodes",  # names made of addresses; the nodes themselves are in _nodes_by_depth
        "_obj_type",
        "_outbound_nodes",
        "_parent_path",
        "_path",
        "_supports_masking",
        "_tracker",
        "_trainable_variables_indices",
        # The optimizer says what is excluded from weight decay, variable by variable.
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_cache",
        "_exclude_from_weight_decay_pattern",
    }
)
_SKIPPED_IN_LAYERS = _SKIPPED | {"build", "quantize"}  # wrapped for each layer; built is built
_SKIPPED_IN_MODELS = _SKIPPED_IN_LAYERS | frozenset(
    {
        "history",
        "predict_function",
        "stop_evaluating",
        "stop_training",
        "test_function",
        "train_function",
    }
)
_IDLE_SEEDS = frozenset({"seed", "_initial_seed", "_init_seed"})
"""The attributes with the integer that a Keras seed generator was begun with."""
_OF_EVERY_CLASS = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__"})
_DESCRIPTORS = (staticmethod, classmethod, property)
_LARGEST_LIFTED_ARRAY = 4096
_SCHEDULE = keras.optimizers.schedules.LearningRateSchedule  # its step counts are coefficients too


@dataclass(frozen=True, eq=False)
class Structure:
    """What a model's program depends on.

    Attributes:
        key: a digest, equal for models that can share a program.
        numbers: the float (or small JAX array) at each place that lanes can carry.
        slots: the places that they are at, where another value can be put.
        foreign: the name of a class or function under the model that is of no known library, or empty.
        code: a digest, equal for models of the same classes and functions, whatever sizes and numbers they
            have.
        others: those of `numbers` that are not the model's own, which are to be there while it is traced.
        sizes: what of the key is not in ``code``: whole numbers, lengths of axes, constants.
        size_setters: how to put another value at the place of some of ``sizes``, as in ``slots``.
    """

    key: str
    numbers: Mapping[Path, Any]
    slots: Mapping[Path, Slot]
    foreign: str = ""
    code: str = ""
    sizes: Sequence[Any] = ()
    size_setters: Mapping[int, Callable[[Any], Callable[[], None]]] = field(default_factory=dict)
    others: Mapping[Path, Any] = field(default_factory=dict)

    def with_numbers(self, others: Mapping[Path, Any]) -> Structure:
        """The structure of a model that is like this one but for some numbers.

        Args:
            others: its numbers, of some of the places.
        """
        numbers = {path: others.get(path, value) for path, value in self.numbers.items()}
        return replace(self, numbers=numbers, others={**self.others, **others})

    @contextmanager
    def its_own_numbers(self) -> Iterator[None]:
        """Let the model have the structure's numbers for a while, where they are others than its own."""
        with ExitStack() as undone:
            for path, value in self.others.items():
                undone.callback(self.slots[path].put(value))
            yield


def structure(model: keras.Model, logs_named: bool = True) -> Structure:
    """Walk a model.

    Args:
        model: compiled, and as far built as training is to see it: its optimizer, loss and metrics too.
        logs_named: whether names that Keras made up for metrics (``auc_1``) are part of the key.

    Returns:
        Its structure.
    """
    walk = _Walk(model, logs_named)
    walk.configuration()
    walk.visit(model, (), None)
    for group in variable_groups(model):
        walk.visit([*group], ("variables",), None)
    return Structure(
        *(walk.key(), walk.numbers, walk.slots, walk.foreign), walk.code(), walk.sizes, walk.size_setters
    )


class _Walk:
    def __init__(self, model: keras.Model, logs_named: bool) -> None:
        self._logs_named = logs_named
        self.numbers: dict[Path, Any] = {}
        self.slots: dict[Path, Slot] = {}
        self.sizes: list[Any] = []
        self.size_setters: dict[int, Callable[[Any], Callable[[], None]]] = {}
        self._tokens: list[str] = []
        self._without_sizes: list[str] = []
        self._seen: dict[int, int] = {}
        self._kept_alive: list[Any] = []
        self._state = {id(v) for group in variable_groups(model) for v in group}
        self._trained = list(model.trainable_variables)
        self._names: dict[str, str] = {}
        layers = keras_private.all_layers(model)
        graphs = [g for g in layers if keras_private.is_functional(g)]
        for i, part in enumerate([*layers, *(o for g in graphs for o in g.operations)]):
            if _is_automatic(part.name, type(part)):
                self._names.setdefault(part.name, f"part {i}")

        self.foreign = ""

    def key(self) -> str:
        return _digest(self._tokens)

    def code(self) -> str:
        return _digest(self._without_sizes)

    def configuration(self) -> None:
        """Take what Keras and JAX are set to into the key: their own code reads it while it is traced."""
        self._emit("keras", sorted(keras_private.configuration().items()))
        self._emit("jax", sorted(jax.config.values.items()))

    def _emit(self, *token: Any) -> None:
        text = repr(token)
        self._tokens.append(text)
        self._without_sizes.append(text)

    def _emit_size(self, kind: str, *values: Any) -> None:
        """Take values into the key, and only what they are into the digest of the code."""
        self._tokens.append(repr((kind, *values)))
        self._without_sizes.append(kind)
        self.sizes += values

    def visit(self, value: Any, path: Path, slot: Slot | None) -> None:
        """Take one object into the key; ``slot`` is its place, where another can be put there."""
        kind = type(value)
        if kind is int:
            if slot is not None:
                self.size_setters[len(self.sizes)] = slot.put
            self._emit_size("int", value)
        elif isinstance(value, str):
            self._emit("str", self._names.get(value, value))
        elif value is None or isinstance(value, (bool, int, bytes, complex)):
            self._emit(kind.__name__, value)
        elif isinstance(value, (float, np.floating)):
            self._number(float(value), path, slot)
        elif isinstance(value, (np.generic, np.dtype, range, slice, type(Ellipsis))):
            self._emit(type(value).__name__, str(value))
        elif isinstance(value, types.ModuleType):
            self._emit("module", value.__name__)
        elif isinstance(value, weakref.ReferenceType) or _is_spent(value):
            self._emit(type(value).__name__)
        elif not self._again(value):
            self._object(value, path, slot)

    def _again(self, value: Any) -> bool:
        """Whether the object was met before; says where, so that sharing is part of the key."""
        met = id(value) in self._seen
        place = self._seen.setdefault(id(value), len(self._seen))
        self._emit("again" if met else "new", place)
        if not met:
            self._kept_alive.append(value)
        return met

    def _number(self, value: float, path: Path, slot: Slot | None) -> None:
        if slot is None or not math.isfinite(value):
            self._emit_size("float", value)
            return
        self._emit("number", path)
        self.numbers[path] = value
        self.slots[path] = slot

    def _object(self, value: Any, path: Path, slot: Slot | None) -> None:
        if isinstance(value, keras.Variable):
            if id(value) in self._state:  # else its value is a constant
                self.size_setters[len(self.sizes)] = functools.partial(keras_private.put_shape, value)
            self._emit_size("variable", tuple(value.shape))
            self._emit(len(value.shape), str(value.dtype), value.trainable)
            self._emit(getattr(value, "overwrite_with_gradient", False))
            self.visit(getattr(value, "regularizer", None), (*path, "regularizer"), None)
            self.visit(getattr(value, "constraint", None), (*path, "constraint"), None)
            if id(value) not in self._state:  # then tracing takes its value for a constant
                self._array(value.value, (*path, "value"), None)
        elif isinstance(value, type):
            self._class(value, path)
        elif isinstance(value, (np.ndarray, jax.Array)):
            self._array(value, path, slot)
        elif isinstance(value, types.FunctionType):
            self._function(value, path)
        elif isinstance(value, types.BuiltinFunctionType):
            self._emit("builtin", value.__module__, value.__qualname__)
            self.visit(value.__self__, (*path, "self"), None)
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
            self._sequence(value, path, slot)
        elif isinstance(value, (set, frozenset)):
            self._set(value)
        elif isinstance(value, _DESCRIPTORS):
            self._emit(type(value).__name__)
            for name in ("__func__", "fget"):
                self.visit(getattr(value, name, None), (*path, name), None)
        elif isinstance(value, inspect.Signature):
            self._emit("signature", [(p.name, p.kind.name) for p in value.parameters.values()])
        elif hasattr(value, "__dict__") and not _has_slots(type(value)):
            self._attributes(value, path)
        else:
            self._emit("opaque", type(value).__qualname__, id(value))

    def _array(self, value: Any, path: Path, slot: Slot | None) -> None:
        self._emit_size(type(value).__name__, value.shape)
        self._emit(str(value.dtype))
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        small = value.size <= _LARGEST_LIFTED_ARRAY
        if slot and small and isinstance(value, jax.Array) and value.dtype == "float32":
            self.numbers[path] = value
            self.slots[path] = slot
        elif str(value.dtype) == "object":
            self.visit(value.tolist(), (*path, "items"), None)
        else:
            self._emit_size("content", hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest())

    def _function(self, value: types.FunctionType, path: Path) -> None:
        code = value.__code__
        if is_foreign_code(code, value.__module__ or ""):
            self.foreign = self.foreign or value.__qualname__
        self._emit("function", value.__module__, value.__qualname__)
        self._code(code)
        self.visit(value.__defaults__, (*path, "defaults"), None)
        self.visit(value.__kwdefaults__, (*path, "kwdefaults"), None)
        for name, cell in zip(code.co_freevars, value.__closure__ or (), strict=True):
            try:
                inside = cell.cell_contents
            except ValueError:  # an empty cell: a name that was not assigned yet
                self._emit("empty", name)
                continue
            self.visit(inside, (*path, "closure", name), CellSlot(cell))

    def _code(self, code: types.CodeType) -> None:
        self._emit("code", code.co_code, code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self._emit(constant)

    def _class(self, value: type, path: Path) -> None:
        """A class: itself, or what is in it where a builder makes it again each time."""
        if is_foreign_class(value):
            self.foreign = self.foreign or value.__qualname__
        self._emit("class", value.__module__, value.__qualname__)
        if "<locals>" not in value.__qualname__:
            self._emit(id(value))
            return
        self.visit(value.__bases__, (*path, "bases"), None)
        for name, item in vars(value).items():
            if name not in _OF_EVERY_CLASS:
                self._emit("attribute", name)
                self.visit(item, (*path, name), None)

    def _mapping(self, value: Mapping[Any, Any], path: Path) -> None:
        self._emit(type(value).__qualname__, len(value))
        for i, (key, item) in enumerate(value.items()):
            self.visit(key, (*path, "key", i), None)
            name = key if isinstance(key, (str, int)) else i
            slot = Slot(value, key) if isinstance(value, dict) else None
            self.visit(item, (*path, self._names.get(str(name), name)), slot)

    def _sequence(self, value: Any, path: Path, slot: Slot | None) -> None:
        self._emit(type(value).__qualname__, len(value))
        for i, item in enumerate(value):
            inner: Any
            inner = Slot(value, i) if isinstance(value, list) else None
            if slot and (type(value) is tuple or hasattr(value, "_make")):
                inner = TupleSlot(slot, i)
            self.visit(item, (*path, i), inner)

    def _set(self, value: Any) -> None:
        simple = all(isinstance(v, (str, int, float, bytes)) for v in value)
        self._emit("set", sorted(map(repr, value)) if simple else id(value))

    def _attributes(self, value: Any, path: Path) -> None:
        cls = type(value)
        self._emit("object")
        self.visit(cls, (*path, "class"), None)
        keras_own = cls.__module__.startswith("keras.")
        skipped = _skipped(value)
        attributes = vars(value)
        for name in sorted(attributes):
            if name in skipped or (keras_own and name in _IDLE_SEEDS and _has_generator(value)):
                continue
            item = attributes[name]
            named = name in ("name", "_name") and isinstance(item, str) and _is_automatic(item, cls)
            if named and not (self._logs_named and isinstance(value, keras.Metric)):
                continue
            self._emit("attribute", name)
            slot = Slot(attributes, name)
            if type(item) is int and isinstance(value, _SCHEDULE):
                self._number(item, (*path, name), slot)
            else:
                self.visit(item, (*path, name), slot)
        if isinstance(value, keras.optimizers.Optimizer):
            self._emit(keras_private.weight_decays(value, self._trained))


def _digest(tokens: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()


def _is_automatic(name: str, cls: type) -> bool:
    """Whether Keras made the name up from the class: ``dense``, ``dense_7``."""
    return _automatic(cls.__name__).fullmatch(name) is not None


@functools.lru_cache(maxsize=1024)
def _automatic(name_of_class: str) -> re.Pattern[str]:
    snake = re.sub(r"\W+", "", name_of_class)
    snake = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", snake)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", snake).lower()
    return re.compile(rf"{re.escape(snake)}(_\d+)?")


def _skipped(owner: Any) -> frozenset[str]:
    """The attributes that are not part of the key."""
    if isinstance(owner, keras.Model):
        return _SKIPPED_IN_MODELS
    return _SKIPPED_IN_LAYERS if isinstance(owner, keras.Layer) else _SKIPPED


def _is_spent(value: Any) -> bool:
    """Whether it is an initializer of Keras's: its layers call none once they are built."""
    return isinstance(value, keras.initializers.Initializer) and not is_foreign_class(type(value))


def _has_slots(cls: type) -> bool:
    """Whether instances may hold something outside of their ``__dict__``."""
    return any("__slots__" in vars(base) and vars(base)["__slots__"] for base in cls.__mro__)


def _has_generator(owner: Any) -> bool:
    """Whether an object draws from a Keras seed generator, so that the integer it began with is used up."""
    return isinstance(owner, keras.random.SeedGenerator) or hasattr(owner, "seed_generator")
