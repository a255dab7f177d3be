"""Another model like one that exists: with its state (`copy`), or at the beginning of its training (`fresh`).

In: a Keras model of any kind that Keras itself could save and load. Out: a second one that shares nothing
with it. The given model is only read, and the session's hidden state is left as it was.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError, FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models import keras_private
from fairlane.models.guard import ledger
from fairlane.models.recipes.rebuild import rebuild, rebuild_with_counterparts
from fairlane.models.session import Session, left_as_found


def copy(model: Any) -> Any:
    """An independent model that continues exactly as ``model`` would.

    Everything that training changes is copied: weights, the optimizer's state with its learning rate, the
    metrics' state, the random state of dropout and of other layers, and what preprocessing layers adapted.
    So the copy and the original, trained on the same batches, give the same numbers. Layers that are used
    twice in the model are used twice in the copy.

    On torch, Keras's dropout draws from torch's global generator, which no model has to itself: there, the
    numbers are the same only for models without dropout.

    A model without weights yet has none to copy: such a copy draws its own when it is first called.

    The copy's name is the model's with ``_copy`` after it, and a number from the second on: Keras takes no
    two models of one name into another.

    Args:
        model: a ``keras.Model``, compiled or not: `Sequential`, functional, or of a class with
            ``get_config``.

    Returns:
        The copy, compiled with the same arguments if ``model`` is.

    Raises:
        BuilderError: the model can't be copied; the message names the class that is in the way and what
            to add to it.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import fairlane as fl
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> other = fl.copy(model)
        >>> fl.shared_state(model, other)
        []
        >>> np.array_equal(model.get_weights()[0], other.get_weights()[0])
        True
    """
    _check(model, "copy")
    with left_as_found():
        new, counterpart = rebuild_with_counterparts(model, keep_seeds=True)
        if model.built and not new.built:
            raise BuilderError(
                f"Model {model.name!r} can't be copied: it has weights, and its copy can't make them without "
                f"data, because class {type(model).__name__} does not say how. Add a method "
                f"`build(self, input_shape)` that builds its layers, or `get_build_config()` and "
                f"`build_from_config(config)`."
            )
        if model.compiled:
            _build_compiled(model, new, counterpart)
        _carry_values(model, new)
    rename(new, "copy")
    return new


def fresh(model: Any, seed: int | None = None) -> Any:
    """A model like ``model`` before any training: its weights and random states are new draws.

    This holds also where an initializer or layer was given an integer seed, so that two fresh models differ.
    What preprocessing layers adapted stays. The optimizer starts at its first step, and
    at the learning rate that ``model`` was compiled with, even after a callback reduced it; where that
    can't be known, a warning says so. Its name is the model's with ``_fresh`` after it, and a number from the
    second on.

    Args:
        model: a ``keras.Model``, compiled or not: `Sequential`, functional, or of a class with
            ``get_config``.
        seed: what the weights and random states are drawn from, as after
            ``keras.utils.set_random_seed(seed)``; the session's own random state is then left alone.
            By default they are drawn from the session's, as any new model's are.

    Returns:
        The new model, compiled with the same arguments if ``model`` is.

    Raises:
        BuilderError: the model can't be rebuilt; the message names the class that is in the way and what
            to add to it.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import fairlane as fl
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> a, b, c = fl.fresh(model, seed=1), fl.fresh(model, seed=1), fl.fresh(model, seed=2)
        >>> [bool(np.array_equal(a.get_weights()[0], other.get_weights()[0])) for other in (b, c)]
        [True, False]
    """
    _check(model, "fresh")
    rate = _first_learning_rate(model)
    if seed is None:
        new = rebuild(model)
    else:
        with Session(seed):
            new = rebuild(model)
    if rate is not None:
        new.optimizer.learning_rate = rate
    rename(new, "fresh")
    return new


_given: dict[str, int] = {}
"""Name that was given → the number to try next after it."""
_naming = threading.Lock()


def rename(model: Any, what: str) -> None:
    """Give a model a name that no other model has that was renamed in this process.

    Args:
        model: the model; called ``m`` or ``m_copy_2``, it becomes ``m_copy``, or ``m_copy_<number>``.
        what: such as ``"copy"`` or ``"trial_3"``.
    """
    base = re.sub(rf"_{what}(_\d+)?$", "", model.name) + f"_{what}"
    with _naming:
        numbered = (f"{base}_{number}" for number in itertools.count(_given.get(base, 1)))
        name = next(name for name in itertools.chain([base], numbered) if name not in _given)
        _given[name] = 1
        _given[base] += name != base
    model.name = name


def remember_learning_rate(model: Any) -> None:
    """Before an optimizer's first step, note its learning rate as the first one, for `fresh`."""
    optimizer: Any = getattr(model, "optimizer", None)
    if keras_private.has_settable_learning_rate(optimizer) and not _steps(optimizer):
        ledger.note_learning_rate(optimizer, float(keras.ops.convert_to_numpy(optimizer.learning_rate)))


def _steps(optimizer: Any) -> int:
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


def _check(model: Any, name: str) -> None:
    if not isinstance(model, keras.Model):
        raise BuilderError(f"fairlane.{name} takes a keras.Model, not {type(model).__name__}.")


# --- copy -------------------------------------------------------------------------------------------


def _build_compiled(old: Any, new: Any, counterpart: Callable[[Any], Any]) -> None:
    """Make the variables of optimizers, metrics and losses that the old model's training has made."""
    twins = dict(zip(map(id, old.variables), new.variables, strict=True))
    for before, after in _optimizer_pairs(old, new):
        if before.built and not after.built:
            trained = keras_private.trained_variables(before)
            missing = [v.path for v in trained if id(v) not in twins]
            if missing:
                raise BuilderError(
                    f"Model {old.name!r} can't be copied: its optimizer trains {missing[0]!r}, which is not "
                    f"a variable of the model, so the copy would train that of the original."
                )
            after.build([twins[id(v)] for v in trained])
    keras_private.build_metrics_like(old, new, counterpart)


def _optimizer_pairs(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """The model's optimizer, and any other that it holds as GANs do, beside the new model's."""
    names = {"optimizer", *(k for k, v in vars(old).items() if isinstance(v, keras.optimizers.Optimizer))}
    seen: set[int] = set()
    for name in sorted(names):
        before, after = getattr(old, name, None), getattr(new, name, None)
        if before is None or id(before) in seen:
            continue
        seen.add(id(before))
        if after is None:
            raise BuilderError(
                f"Model {old.name!r} can't be copied: its `{name}` is not among what its class restores. "
                f"Let `get_compile_config()` return it and `compile_from_config(config)` set it."
            )
        yield before, after


def _carry_values(old: Any, new: Any) -> None:
    """Assign every variable's value, through NumPy, so that not even a buffer is shared."""
    groups = [
        ("weights", old.variables, new.variables),
        ("metrics", old.metrics_variables, new.metrics_variables),
        *(("optimizer", a.variables, b.variables) for a, b in _optimizer_pairs(old, new)),
    ]
    for what, before, after in groups:
        if [tuple(v.shape) for v in before] != [tuple(v.shape) for v in after]:
            raise BuilderError(
                f"Model {old.name!r} can't be copied: the variables of its {what} are not those that its "
                f"copy makes ({len(before)} and {len(after)}, or of other shapes). One that is made outside "
                f"of `__init__` and `build` does that."
            )
        for a, b in zip(before, after, strict=True):
            b.assign(np.array(keras.ops.convert_to_numpy(a)))


# --- fresh ------------------------------------------------------------------------------------------


def _first_learning_rate(model: Any) -> float | None:
    """The learning rate before any callback changed it; None where it is the optimizer's as it stands."""
    optimizer: Any = getattr(model, "optimizer", None)
    if not keras_private.has_settable_learning_rate(optimizer) or not (steps := _steps(optimizer)):
        return None
    known = ledger.learning_rate_of(optimizer)
    if known is not None:
        return known
    now = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    first, complete = _from_history(model, now, steps)
    if not complete:
        warn_at(
            caller(),
            f"fairlane.fresh takes {first:g} as the learning rate of model {model.name!r}. Its optimizer has "
            f"done steps that the model's `history` does not record, so a callback may have changed the rate "
            f"before. If one did, set it: `model.optimizer.learning_rate = ...`.",
            FairlaneWarning,
        )
    return first


def _from_history(model: Any, now: float, steps: int) -> tuple[float, bool]:
    """The rate of the first epoch that the model's history holds; and whether that was all its training.

    Keras's callbacks that change the rate log it in each epoch before they change it for the next one.
    """
    history = getattr(model, "history", None)
    rates = getattr(history, "history", {}).get("learning_rate", [])
    per_epoch: int | None = (getattr(history, "params", None) or {}).get("steps")
    epochs = len(getattr(history, "epoch", ()))
    return (float(rates[0]) if rates else now), per_epoch is not None and per_epoch * epochs == steps
