"""Private names of what a model is compiled with: optimizers, losses and metrics.

In: a compiled model, or an optimizer. Out: what they were given and what they made of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import keras
from keras.src.utils.tracking import DotNotTrackScope


def compile_arguments(model: Any) -> dict[str, Any]:
    """What the model was compiled with, as the live objects; empty where it has its own ``compile``."""
    config = getattr(model, "_compile_config", None)
    return {} if config is None else dict(config.config)


def metric_directions(model: Any) -> dict[str, str]:
    """What Keras knows of a built model's metrics: the name that they are logged by → ``"min"`` or ``"max"``.

    It is what ``EarlyStopping`` and ``ModelCheckpoint`` go by with ``mode="auto"``. Losses are to be small.
    """
    found: dict[str, str] = {}
    compiled, loss = getattr(model, "_compile_metrics", None), getattr(model, "_compile_loss", None)
    if loss is not None:
        found |= {metric.name: "min" for metric in loss.metrics}
    several = len({getattr(one, "output_name", None) for one in _metrics_lists(compiled)}) > 1
    for one in _metrics_lists(compiled):
        output = getattr(one, "output_name", None)
        for metric in getattr(one, "metrics", [one]):
            if direction := _direction(metric):
                found[metric.name] = direction
                if several and output:  # as it is logged of a model with several outputs
                    found[f"{output}_{metric.name}"] = direction
    for metric in model.metrics:
        if (direction := _direction(metric)) and metric is not compiled:
            found[metric.name] = direction
    return found


def _metrics_lists(compiled: Any) -> list[Any]:
    if compiled is None or not compiled.built:
        return []
    lists = [*compiled._flat_metrics, *compiled._flat_weighted_metrics]
    return [one for one in lists if one is not None]


def _direction(metric: Any) -> str:
    """Of Keras's metrics; of a class that changes what one of them gives, only what it says itself."""
    kinds = type(metric).__mro__
    own = list(itertools.takewhile(lambda kind: kind.__module__.split(".")[0] != "keras", kinds))
    codes = [getattr(vars(kind).get("__init__"), "__code__", None) for kind in own]
    says = any(code is not None and "_direction" in code.co_names for code in codes)
    general = kinds[len(own)] in _GENERAL
    if any("result" in vars(kind) for kind in own) and not (says or general):
        return ""
    return {"up": "max", "down": "min"}.get(getattr(metric, "_direction", None) or "", "")


_GENERAL = (keras.Metric, keras.metrics.Mean, keras.metrics.Sum, keras.metrics.MeanMetricWrapper)
"""Classes of Keras's that have no direction: the one of an instance is its maker's."""


def build_metrics_like(old: Any, new: Any, counterpart: Callable[[Any], Any]) -> None:
    """Build a compiled model's metrics and losses as another one's are, which data has built.

    Args:
        old: a compiled model.
        new: one compiled with the same arguments.
        counterpart: an object of the old one's metrics or losses → the new one's.
    """
    metrics = old._compile_metrics
    if metrics is not None and new._compile_metrics is None:
        # Compiled again without metrics: Keras then goes on logging the earlier ones.
        with DotNotTrackScope():
            new._compile_metrics = type(metrics)(
                counterpart(metrics._user_metrics),
                counterpart(metrics._user_weighted_metrics),
                output_names=metrics.output_names,
            )
    new_metrics = new._compile_metrics
    if metrics is not None and metrics.built and not new_metrics.built:
        for name in ("_flat_metrics", "_flat_weighted_metrics"):
            lists = [_metrics_list_like(one, counterpart) for one in getattr(metrics, name)]
            setattr(new_metrics, name, lists)
        new_metrics._resolved_output_names = getattr(metrics, "_resolved_output_names", None)
        new_metrics.built = True
    loss, new_loss = old._compile_loss, new._compile_loss
    if loss is not None and loss.built and new_loss is not None and not new_loss.built:
        new_loss._flat_losses = [one._replace(loss=counterpart(one.loss)) for one in loss._flat_losses]
        for metric in loss.metrics:
            new_loss._tracker.add_to_store("metrics", keras.metrics.Mean(name=metric.name))
        new_loss._y_pred_build_structure = loss._y_pred_build_structure
        new_loss._y_true_build_structure = loss._y_true_build_structure
        new_loss.built = True


def _metrics_list_like(old: Any, counterpart: Callable[[Any], Any]) -> Any:
    """A ``MetricsList`` (or metric, or None) of the counterparts."""
    if not hasattr(old, "metrics"):
        return old if old is None else counterpart(old)
    return type(old)([counterpart(metric) for metric in old.metrics], output_name=old.output_name)


def excluded_from_weight_decay(optimizer: Any, variables: list[Any]) -> tuple[list[int], list[str]]:
    """What ``optimizer.exclude_from_weight_decay`` was called with.

    Args:
        optimizer: any optimizer.
        variables: the variables to ask about.

    Returns:
        The positions in ``variables`` of those excluded by themselves, and the name patterns.
    """
    keys = getattr(optimizer, "_exclude_from_weight_decay", None) or set()
    pattern: re.Pattern[str] | None = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    positions = [i for i, v in enumerate(variables) if optimizer._var_key(v) in keys]
    return positions, [] if pattern is None else [pattern.pattern]


def weight_decays(optimizer: Any, variables: list[Any]) -> list[bool]:
    """Which variables the optimizer's weight decay applies to."""
    return [bool(optimizer._use_weight_decay(v)) for v in variables]


def trained_variables(optimizer: Any) -> list[Any]:
    """The variables that a built optimizer trains."""
    return list(_unwrapped(optimizer)._trainable_variables)


def has_settable_learning_rate(optimizer: Any) -> bool:
    """Whether it is an optimizer whose learning rate is a variable, and neither a schedule nor a function."""
    return isinstance(getattr(_unwrapped(optimizer), "_learning_rate", None), keras.Variable)


def averages_weights(optimizer: Any) -> bool:
    """Whether an optimizer puts averages in the weights' place when training ends (``use_ema``)."""
    return bool(getattr(_unwrapped(optimizer), "use_ema", False))


def _unwrapped(optimizer: Any) -> Any:
    """The optimizer inside one that scales the loss; any other, itself."""
    return getattr(optimizer, "inner_optimizer", None) or optimizer
