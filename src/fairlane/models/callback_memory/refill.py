"""Plain data → callbacks that remember what it says.

In: plain data, as `capture.py` makes it, and new callbacks that have begun to train. Out: the same
callbacks. Their lists, arrays, objects and outer variables are filled where they stand, so that other owners
of these see it too. What they do not have yet is made, where it is a container or an array.
"""

from __future__ import annotations

import inspect
import random
import types
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.models.callback_memory.capture import (
    MISSING,
    PLAIN_CONTAINERS,
    contents,
    describe,
    function_name,
    functions_of,
    item_of,
    name_of,
    parts_of_model,
    variables_of,
)
from fairlane.models.callback_memory.plain_data import TAG, CannotGoOn, from_simple
from fairlane.models.identity import holds


def refill(callbacks: Sequence[Any], tree: Mapping[str, Any]) -> None:
    """Let callbacks that have just begun to train remember what others remembered.

    Raises:
        CannotGoOn: they are others, or the data can't be read; nothing was changed.
    """
    try:
        refilling = _planned(callbacks, tree)
    except RecursionError:
        raise CannotGoOn("what its callbacks remember is nested too deeply") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CannotGoOn(f"what its callbacks remember can't be read ({type(error).__name__})") from error
    refilling.fill()


def _planned(callbacks: Sequence[Any], tree: Mapping[str, Any]) -> _Refill:
    """All that is to be filled, and with what; nothing is changed yet."""
    names = [name_of(type(callback)) for callback in callbacks]
    if names != list(tree["classes"]):
        raise CannotGoOn(f"the callbacks were {list(tree['classes'])} and are {names}")
    refilling = _Refill(tree["objects"], parts_of_model(callbacks))
    for entry, callback in zip(tree["states"], callbacks, strict=True):
        refilling.find(entry, callback)
    for entry, callback in zip(tree["states"], callbacks, strict=True):
        refilling.value(entry, callback, f"callback {type(callback).__name__}")
    return refilling


class _Refill:
    """Fills objects: those that stand at their places, and new ones where none does."""

    def __init__(self, objects: Sequence[Mapping[str, Any]], parts: Sequence[Any]) -> None:
        self._objects, self._parts = objects, parts
        self._made: dict[int, Any] = {}
        self._used: set[int] = set()
        self._done: set[int] = set()
        self._fill: list[Callable[[], None]] = []

    def find(self, tree: Any, live: Any) -> None:
        """Look for the objects that stand at their places already."""
        if isinstance(tree, tuple):
            for i, item in enumerate(tree):
                self.find(item, item_of(live, i))
            return
        if not isinstance(tree, Mapping):
            return
        if tree[TAG] == "method of a container":
            self.find(tree["self"], getattr(live, "__self__", MISSING))
        if tree[TAG] == "method" and isinstance(live, types.MethodType):
            self.find(tree["self"], live.__self__)
            self.find(tree["function"], live.__func__)
        if tree[TAG] != "object" or tree["of"] in self._made or id(live) in self._used:
            return
        entry = self._objects[tree["of"]]
        if _fits(entry, live):
            self._made[tree["of"]] = live
            self._used.add(id(live))
            for inner, part in _children(entry, live):
                self.find(inner, part)

    def value(self, tree: Any, live: Any, where: str) -> Callable[[], Any]:
        """What gives a value when all objects are there.

        Raises:
            CannotGoOn: the object does not exist yet, and can't be made.
        """
        if isinstance(tree, tuple):
            items = [self.value(item, item_of(live, i), where) for i, item in enumerate(tree)]
            return lambda: tuple(item() for item in items)
        if not isinstance(tree, Mapping):
            return lambda: tree
        of = tree.get("of")
        match tree[TAG]:
            case "object":
                return self._object(tree["of"], where)
            case "part of the model":
                return lambda: self._parts[tree["of"]]
            case "frozenset":
                inside = [self.value(item, MISSING, where) for item in tree["of"]]
                return lambda: frozenset(item() for item in inside)
            case "method":
                return self._method(tree, live, where)
            case "method of a container":
                owner = self.value(tree["self"], getattr(live, "__self__", MISSING), where)
                if getattr(live, "__name__", "") != tree["name"]:
                    raise CannotGoOn(f"{where} is not what it was (a method of a container)")
                return lambda: getattr(owner(), live.__name__)
            case "constant":
                if live is MISSING or describe(live) != of:
                    raise CannotGoOn(f"{where} is not what it was ({of:.100})")
                return lambda: live
        single = from_simple(tree)
        return lambda: single

    def _method(self, tree: Mapping[str, Any], live: Any, where: str) -> Callable[[], Any]:
        owner = self.value(tree["self"], getattr(live, "__self__", MISSING), where)
        name = str(tree["name"])
        if isinstance(live, types.MethodType) and live.__name__ == name:
            function = live.__func__
        else:
            function = inspect.getattr_static(type(owner()), name, None)
        if not isinstance(function, types.FunctionType):
            raise CannotGoOn(f"{where} was a method {name!r:.40}, which its object does not have")
        self.value(tree["function"], function, where)
        return lambda: types.MethodType(function, owner())

    def _object(self, number: int, where: str) -> Callable[[], Any]:
        entry = self._objects[number]
        if number not in self._made:
            self._made[number] = _new(entry, where)
        if number not in self._done:
            self._done.add(number)
            self._prepare(entry, self._made[number])
        return lambda: self._made[number]

    def _prepare(self, entry: Mapping[str, Any], thing: Any) -> None:
        """Make ready what fills an object; nothing is changed yet."""
        children = _children(entry, thing)
        names = [f", attribute {name}" for name in entry.get("attributes", {})]
        places = [""] * (len(children) - len(names)) + names
        inner = [
            self.value(tree, live, f"{entry['where']}{place}")
            for (tree, live), place in zip(children, places, strict=True)
        ]
        self._fill.append(lambda: _filled(entry, thing, [part() for part in inner]))

    def fill(self) -> None:
        """Put everything where it belongs."""
        for act in self._fill:
            act()


def _children(entry: Mapping[str, Any], live: Any) -> list[tuple[Any, Any]]:
    """What an object held by its entry, each with what it holds there now; in the order of `_filled`."""
    of, held = entry.get("of"), dict(entry.get("attributes", {}))
    pairs: list[tuple[Any, Any]] = []
    match entry["kind"]:
        case "list" | "deque":
            pairs = [(item, item_of(live, i)) for i, item in enumerate(of or ())]
        case "set":
            pairs = [(item, MISSING) for item in of or ()]
        case "dict":
            pairs = [(entry["factory"], getattr(live, "default_factory", None))]
            for key, item in of or ():
                pairs += [(key, MISSING), (item, live.get(key, MISSING) if _is_plain(key) else MISSING)]
        case "function":
            cells = dict(zip(live.__code__.co_freevars, live.__closure__ or (), strict=True))
            pairs = [(item, cells[name]) for name, item in entry["cells"].items()]
            pairs.append((entry["defaults"], live.__defaults__))
            pairs += _pairs(entry["keywords"], live.__kwdefaults__ or {})
        case "class":
            parts = {f"{n} {i}": f for n, item in vars(live).items() for i, f in functions_of(item)}
            pairs = [
                *_pairs(entry["functions"], parts),
                *zip(entry["bases"], live.__bases__, strict=False),
            ]
        case "cell":
            pairs = [(of, contents(live))]
        case "partial":
            pairs = [(entry[name], getattr(live, name)) for name in ("func", "args", "keywords")]
        case "random":
            pairs = [(of, MISSING)]
        case "object":
            pairs = [(entry["type"], type(live))]
    return pairs + _pairs(held, holds.attributes_of(live) or getattr(live, "__dict__", {}))


def _filled(entry: Mapping[str, Any], thing: Any, parts: list[Any]) -> None:
    """Fill an object with its parts, in the order of `_children`."""
    held = list(entry.get("attributes", {}))
    own, attributes = (
        parts[: len(parts) - len(held)],
        dict(zip(held, parts[len(parts) - len(held) :], strict=True)),
    )
    match entry["kind"]:
        case "list":
            thing[:] = own
        case "deque" | "set":
            thing.clear()
            (thing.extend if entry["kind"] == "deque" else thing.update)(own)
        case "bytearray":
            thing[:] = bytes(entry["of"])
        case "dict":
            thing.clear()
            for i in range(1, len(own), 2):
                dict.__setitem__(thing, own[i], own[i + 1])
        case "array":
            thing[...] = entry["of"]
        case "cell" if entry["full"]:
            thing.cell_contents = own[0]
        case "function":
            names = list(entry["keywords"])
            thing.__defaults__ = own[len(entry["cells"])]
            if names:
                thing.__kwdefaults__.update(zip(names, own[len(entry["cells"]) + 1 :], strict=True))
        case "partial":
            thing.__setstate__((*own, dict(vars(thing)) or None))
        case "random":
            _set_random_state(thing, own[0])
        case "variables":
            for variable, value in zip(variables_of(thing), entry["of"], strict=True):
                variable.assign(value)
        case "object":
            _forget_others(thing, attributes)
    for name, value in attributes.items():
        if entry["kind"] != "object":
            setattr(thing, name, value)
        elif isinstance(inspect.getattr_static(type(thing), name, None), types.MemberDescriptorType):
            object.__setattr__(thing, name, value)  # a slot
        else:
            vars(thing)[name] = value


def _forget_others(thing: Any, attributes: Mapping[str, Any]) -> None:
    """Drop the attributes that the object did not have; those that Keras sets in a callback stay."""
    if not isinstance(thing, keras.callbacks.Callback):
        for name in set(holds.attributes_of(thing) or vars(thing)) - set(attributes):
            object.__delattr__(thing, name)


def _fits(entry: Mapping[str, Any], live: Any) -> bool:
    """Whether an object that stands there can be filled with what an entry says."""
    if live is MISSING or name_of(type(live)) != entry["class"]:
        return False
    match entry["kind"]:
        case "array":
            then = entry["of"]
            return bool(live.shape == then.shape and live.dtype == then.dtype and live.flags.writeable)
        case "deque":
            return bool(live.maxlen == entry["longest"])
        case "function":
            cells = set(entry["cells"]) <= set(live.__code__.co_freevars)
            return cells and function_name(live) == entry["name"]
        case "class":
            return bool(name_of(live) == entry["name"])
        case "cell":
            return bool(entry["full"] or contents(live) is MISSING)
        case "variables":
            shapes = [tuple(variable.shape) for variable in variables_of(live)]
            return shapes == [np.shape(value) for value in entry["of"]]
    return True


def _new(entry: Mapping[str, Any], where: str) -> Any:
    """An object of a kind that can be made again, to be filled.

    Raises:
        CannotGoOn: it is of another kind.
    """
    if entry["kind"] == "array":
        return np.array(entry["of"])
    kinds: dict[str, type] = {name_of(kind): kind for kind in PLAIN_CONTAINERS}
    kind = kinds.get(str(entry["class"]))
    if kind is None:
        raise CannotGoOn(
            f"{entry['where']} was a {entry['class']}, which the new callbacks do not have there"
        )
    if kind is deque:
        return deque(maxlen=entry["longest"])
    if kind is defaultdict:
        factory = entry["factory"]
        known = {describe(one): one for one in (list, dict, set, int, float, str)}
        text = factory.get("of") if isinstance(factory, Mapping) else None
        if factory is not None and text not in known:
            raise CannotGoOn(f"{where} was made by a function, which the new callbacks do not have there")
        return defaultdict(known.get(str(text)))
    return kind()


def _set_random_state(value: Any, state: Any) -> None:
    if isinstance(value, random.Random):
        value.setstate(state)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    else:
        value.set_state(state)


def _is_plain(tree: Any) -> bool:
    return all(map(_is_plain, tree)) if isinstance(tree, tuple) else not isinstance(tree, Mapping)


def _pairs(entry: Mapping[str, Any], live: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return [(tree, live.get(name, MISSING)) for name, tree in entry.items()]
