"""Predicted probabilities and the truth → whether a probability of 0.8 is right in 8 of 10 cases.

In: labels and probabilities. Out: the bins of a reliability diagram, and the expected calibration error.

Source: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit import arguments


def expected_calibration_error(y: Any, probabilities: Any, bins: int = 15) -> float:
    """How far confidence is from accuracy: the mean of their differences over bins of equal width.

    The confidence of a prediction is the probability of the class that it names. It depends on the number of
    bins, and small samples make it too large.

    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        y: the classes, as whole numbers from 0 on, or one-hot.
        probabilities: an array (sample, class); or of one probability per sample, that of class 1.
        bins: how many bins of equal width, from 0 to 1.

    Returns:
        A number from 0, which is perfect, to 1.

    Raises:
        StudyError: no probabilities (logits, for instance), or the shapes do not fit.

    Example:
        >>> import fairlane as fl
        >>> fl.expected_calibration_error([1, 0, 1, 1], [[0.2, 0.8], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8]])
        0.05
    """
    frame = reliability(y, probabilities, bins)
    gaps = (frame["accuracy"] - frame["confidence"]).abs()
    return float(np.round((gaps * frame["samples"]).sum() / frame["samples"].sum(), 12))


def reliability(y: Any, probabilities: Any, bins: int = 15) -> pd.DataFrame:
    """A row per bin that has samples: how confident they are, and how many of them are right.

    Args:
        y: as for `expected_calibration_error`.
        probabilities: as for `expected_calibration_error`.
        bins: as for `expected_calibration_error`.

    Returns:
        A frame with columns ``low``, ``high``, ``confidence``, ``accuracy`` and ``samples``.

    Raises:
        StudyError: as for `expected_calibration_error`.
    """
    arguments.whole("bins", bins, 1)
    found = _of_classes(probabilities)
    labels = _labels(y, found.shape[-1])
    if len(labels) != len(found) or not len(labels):
        raise StudyError(f"y has {len(labels)} samples, and probabilities {len(found)}; give as many")
    confidence, right = found.max(axis=1), found.argmax(axis=1) == labels
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    used = counts > 0
    sums = [np.bincount(places, weights=values, minlength=bins)[used] for values in (confidence, right)]
    edges = np.arange(bins)[used] / bins
    return pd.DataFrame(
        {
            "low": edges,
            "high": edges + 1 / bins,
            "confidence": sums[0] / counts[used],
            "accuracy": sums[1] / counts[used],
            "samples": counts[used],
        }
    )


def _of_classes(probabilities: Any) -> Any:
    """An array (sample, class)."""
    found = np.asarray(probabilities, "float64")
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    if found.ndim != 2:
        raise StudyError(f"probabilities must have the axes sample and class, not the shape {found.shape}")
    sums = found.sum(axis=1)
    if not (np.isfinite(found).all() and (found >= -1e-6).all() and np.allclose(sums, 1, atol=1e-3)):
        raise StudyError(
            "probabilities must be 0 or more and have the sum 1 in each sample; of logits, take "
            "keras.ops.softmax or keras.ops.sigmoid first"
        )
    return found


def _labels(y: Any, classes: int) -> Any:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == classes:
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or not np.isin(labels, np.arange(classes)).all():
        raise StudyError(
            f"y must be the classes of the samples, whole numbers from 0 to {classes - 1}, or one-hot; "
            f"its shape is {np.shape(y)}"
        )
    return labels.astype(int)
