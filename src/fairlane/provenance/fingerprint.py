"""What is requested of a study, as plain data that can be stored and compared with a later request.

In: ``compare``'s arguments. Out: a spec, a dict of JSON data in sections (``model``, ``data``, ``arguments``,
``callbacks``, ``settings``), and the words for how two specs differ. And for hyperparameters, by which trials
are identified: a text that is the same in every process for the same value.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from fairlane.models import keras_private
from fairlane.models.identity import objects
from fairlane.models.identity.objects import Reader
from fairlane.provenance import settings

_DATA = ("x", "y", "sample_weight", "validation_data", "test_data")
_NUMBERED = re.compile(r"[_ ]\d+$")
_LINES = 12
"""The most lines of a difference that are shown."""

Spec = dict[str, Any]


def spec(model: Any, common: Mapping[str, Any], callbacks: Any) -> Spec:
    """What is requested, without the variants, seeds and epochs, which may grow; and the session's settings.

    Args:
        model: a builder or a template.
        common: ``Model.fit``'s arguments that are the same for all trials, data among them.
        callbacks: ``compare``'s argument.
    """
    arguments = {k: v for k, v in common.items() if k not in (*_DATA, "epochs") and v is not None}
    return {
        "model": _template(model) if isinstance(model, keras.Model) else source(model),
        "data": {name: _data(common[name]) for name in _DATA if common.get(name) is not None},
        "arguments": {name: _argument(value) for name, value in sorted(arguments.items())},
        "callbacks": _callbacks(callbacks),
        "settings": settings.settings(),
    }


# Two specs


def differences(before: Spec, now: Spec) -> str:
    """How two specs differ, a paragraph per section; empty if they do not. Settings are not compared.

    A spec of an older version holds less; only what it holds is compared.

    Example:
        >>> print(differences({"data": {"x": "float32 (8, 2)"}}, {"data": {"x": "float32 (9, 2)"}}))
        data, x:
            - float32 (8, 2)
            + float32 (9, 2)
    """
    if is_older(before) and not is_older(now):
        now = _as_older(before, now)
    before, now = ({k: v for k, v in one.items() if k != "settings"} for one in (before, now))
    return "\n".join(_differing(before, now))


def is_older(spec: Spec) -> bool:
    """Whether a spec is of a version that recorded neither settings nor the state of objects."""
    return "settings" not in spec


def changed_settings(before: Spec, now: Spec) -> list[str]:
    """A line per setting of the session that has changed, of those that both specs hold."""
    found = [spec.get("settings") for spec in (before, now)]
    stored, current = (one if isinstance(one, Mapping) else {} for one in found)  # a store may hold anything
    return list(settings.changes(stored, current))


def unreadable(spec: Spec) -> list[str]:
    """What could not be read for a spec, so that it is not known whether another spec is the same."""
    return list(dict.fromkeys(_unreadable(spec)))


def _unreadable(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for item in part.values():
            yield from _unreadable(item)
    elif isinstance(part, str) and objects.is_unknown(part):
        yield objects.in_words(part)


def _as_older(before: Spec, now: Spec) -> Spec:
    """What an older version would have recorded of a request, as far as that is known."""
    model = now.get("model", {})
    if isinstance(model, Mapping) and "config" in model:
        model = {**model, "config": _uncounted(model["config"])}
    return dict(_common_part({**now, "model": model}, before))


def _common_part(now: Any, before: Any) -> Any:
    """The entries of ``now`` that ``before`` has, too."""
    if isinstance(now, Mapping) and isinstance(before, Mapping):
        return {key: _common_part(item, before[key]) for key, item in now.items() if key in before}
    return now


def _uncounted(value: Any) -> Any:
    """Without numbers at the ends of names, as older versions recorded Keras's configs."""
    if isinstance(value, list):
        return [_uncounted(item) for item in value]
    if isinstance(value, dict):
        return {k: _uncounted(v) for k, v in value.items()}
    return _NUMBERED.sub("", value) if isinstance(value, str) else value


def _differing(before: Any, now: Any, where: tuple[str, ...] = ()) -> Iterator[str]:
    """A paragraph per value that differs, under the path of its names."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            yield from _differing(before.get(key, ""), now.get(key, ""), (*where, str(key)))
    elif before != now:
        old, new = (_lines(value) for value in (before, now))
        changed = [
            line.rstrip()
            for line in difflib.ndiff(old, new)
            if line[:2] in ("- ", "+ ") and line.strip() not in ("-", "+")
        ]
        more = [f"... and {len(changed) - _LINES} more lines"] if len(changed) > _LINES else []
        yield "\n    ".join([f"{', '.join(where)}:", *changed[:_LINES], *more])


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1)
    return text.splitlines()


# Builders, templates, data, arguments, callbacks


def source(function: Any) -> dict[str, Any]:
    """What a builder, or another callable, consists of.

    Args:
        function: a function, class, ``functools.partial``, bound method or other callable.

    Returns:
        Name → text of the function and of those that it calls, of classes, and of what they read:
        constants, and the state of objects. Without source (code that was typed in, or compiled), a hash of
        the code.
    """
    reader = Reader()
    tree = reader.read(function, getattr(function, "__name__", "the builder"))
    if isinstance(tree, str) and tree in reader.found:
        return dict(reader.found)
    return {f"the {type(function).__qualname__}": tree, **reader.found}


def _template(model: keras.Model) -> dict[str, Any]:
    """The architecture and compile arguments, and what preprocessing layers adapted.

    Without weights: a template's trials draw their own.
    """
    layers = [layer for layer in keras_private.all_layers(model) if hasattr(layer, "adapt")]
    adapted = [objects.array_text(keras.ops.convert_to_numpy(v)) for layer in layers for v in layer.variables]
    reader = Reader(weights=False)
    held = reader.held_by_keras(model, "the template")
    return {"config": objects.template_config(model), "adapted": adapted, "holds": held, **reader.found}


def _data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _data(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not (value and isinstance(value[0], int | float)):
        return {str(i): _data(item) for i, item in enumerate(value)}
    if value is None or isinstance(value, list | tuple) or keras_private.is_array_data(value):
        return None if value is None else objects.array_text(value)
    size = getattr(value, "num_batches", None)
    return f"a {type(value).__qualname__}" + (f" of {size} batches" if isinstance(size, int) else "")


def _argument(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    return described(value)


def _callbacks(callbacks: Any) -> Any:
    if callbacks is None or callbacks == []:
        return "none"
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    if not isinstance(callbacks, list | tuple):
        return source(callbacks)
    reader = Reader()
    # By its place, too: two callbacks of one class are two entries.
    listed = {f"{i}, {type(c).__qualname__}": _callback(reader, c, i) for i, c in enumerate(callbacks)}
    return {**listed, **reader.found}


def _callback(reader: Reader, callback: Any, place: int) -> Any:
    """A callback's attributes by their names."""
    tree = reader.read(callback, f"callback {place}")
    if isinstance(tree, str):
        return tree
    return {name.removeprefix("."): part for name, part in tree.items()}


# Hyperparameters and other values


def described(value: Any) -> str:
    """A value as text that is the same in every process, and different for different values.

    Where it could not be read, the text begins with `fairlane.models.identity.objects.UNKNOWN`.

    Example:
        >>> described(0.1), described([1, "a"]), described({"b", "a"})
        ('0.1', "[1, 'a']", "{'a', 'b',}")
    """
    reader = Reader()
    tree = reader.read(value)
    if reader.unknown:
        return objects.UNKNOWN + "; ".join(map(objects.in_words, reader.unknown))
    if isinstance(tree, str) and not reader.found:
        return tree
    name = value.__name__ if hasattr(value, "__name__") else type(value).__qualname__
    return f"{name} {objects.hashed(json.dumps([tree, reader.found]).encode())}"


def key(hyperparameters: Mapping[str, Any], seed: int | None = None, fold: int | None = None) -> str:
    """A hash that identifies a trial, or without seed and fold a variant, in its study.

    Example:
        >>> key({"lr": 0.1, "units": 8}, 0) == key({"units": 8, "lr": 0.1}, 0)
        True
        >>> key({"units": 8}) == key({"units": 8.0})
        False
    """
    parts: Sequence[Any] = [[name, described(hyperparameters[name])] for name in sorted(hyperparameters)]
    replicate = [seed] if fold is None else [seed, fold]
    return hashlib.sha256(json.dumps([parts, *replicate]).encode()).hexdigest()
