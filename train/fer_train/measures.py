"""Measures of a classifier's answers against what is right: calibration error and confusion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ECE_BINS = 15  # as in Guo et al., 2017


def expected_calibration_error(logits: NDArray[np.floating[Any]], right: NDArray[Any]) -> float:
    """Return the expected calibration error of the top answer's probability.

    Faces are put into equal-width bins of that probability, open below and closed above; the error is the
    mean gap between mean confidence and mean rightness, weighted by the bins' faces (Guo et al., "On
    Calibration of Modern Neural Networks", 2017).

    Args:
        logits: [n, classes].
        right: How right each top answer is, [n]: bool against a label, or from 0 to 1 the share of
            annotators who gave it.
    """
    powers = np.exp(logits - logits.max(1, keepdims=True))
    confidence = 1 / powers.sum(1)
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(logits))


def confusion_counts(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count the faces of each true class (row) that were given each class (column)."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)
