"""Paired measures of two networks on the same faces: how far they agree.

With a few thousand faces the interval of one accuracy is wider than the losses that matter, so
a candidate is compared with its reference face by face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError
from fer_train.measures import expected_calibration_error

Logits = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
# Of half the span of a regression's values, whatever their unit: 0.05 from -1 to 1, where annotators differ
# by more than 0.3 (root mean square; AffectNet, 2017).
SAME_VALUE = 0.05


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Measures against true labels; flips and differences are candidate against reference.

    `interval` and `reference_interval` are the 95 % Wilson intervals of the two accuracies;
    `mcnemar_p` is the two-sided exact probability of flips this uneven if neither network were
    better. Recall is None for a class that no label names.
    """

    accuracy: float
    interval: tuple[float, float]
    reference_accuracy: float
    reference_interval: tuple[float, float]
    right_to_wrong: int
    wrong_to_right: int
    mcnemar_p: float
    recall: tuple[float | None, ...]
    recall_difference: tuple[float | None, ...]
    ece: float
    reference_ece: float


@dataclass(frozen=True, slots=True)
class Parity:
    """How close a candidate's logits are to the reference's on the same faces.

    `agreement` is the share of faces with the same top answer, `changed` the number of the
    others; `logit_range` is the reference's largest logit less its smallest, the scale for the
    absolute differences. `labelled` is None where the faces have no labels.
    """

    faces: int
    agreement: float
    changed: int
    max_abs_difference: float
    mean_abs_difference: float
    logit_range: float
    labelled: Accuracy | None


def measure_parity(
    reference: Logits, candidate: Logits, labels: Labels | None = None, task: str = "classification"
) -> Parity:
    """Compare two networks' logits, both [n, classes], on the same n faces; labels are [n].

    In a regression a face keeps its answer where each of its values moves by at most `SAME_VALUE` of half
    the span, largest less smallest, that the reference has there; labels are not looked at.

    Raises:
        ConfigError: the shapes differ, there is no face, a logit is not finite, or a label is
            not a class.
    """
    labels = labels if task == "classification" else None
    check_logits(reference, candidate)
    if labels is not None:
        _check_labels(labels, *reference.shape)
    reference, candidate = reference.astype(np.float64), candidate.astype(np.float64)
    difference = np.abs(candidate - reference)
    if task == "classification":
        same = reference.argmax(1) == candidate.argmax(1)
    else:
        same = (difference <= SAME_VALUE * np.ptp(reference, axis=0) / 2).all(1)
    return Parity(
        faces=len(reference),
        agreement=float(same.mean()),
        changed=int((~same).sum()),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        logit_range=float(np.ptp(reference)),
        labelled=None if labels is None else measure_accuracy(reference, candidate, labels),
    )


def relative_rmse(reference: Logits, candidate: Logits, deviation: float | None = None) -> float:
    """Return the root mean square difference of logits as a share of `deviation`.

    It is the standard deviation of `reference`, unless that of more faces than these is given.
    """
    difference = np.sqrt(np.mean(np.square(candidate - reference)))
    return float(difference / (reference.std() if deviation is None else deviation))


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927)."""
    share = right / total
    factor = 1 / (1 + Z_95**2 / total)
    centre = factor * (share + Z_95**2 / (2 * total))
    half = factor * Z_95 * math.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar_p(right_to_wrong: int, wrong_to_right: int) -> float:
    """Return the exact two-sided p of McNemar's test (1947): a fair coin over the flips.

    Integers hold every step, so no number of flips overflows or loses digits.
    """
    flips = right_to_wrong + wrong_to_right
    tail = term = 1
    for count in range(min(right_to_wrong, wrong_to_right)):
        term = term * (flips - count) // (count + 1)
        tail += term
    return min(1.0, 2 * tail / 2**flips)


def measure_accuracy(reference: Logits, candidate: Logits, labels: Labels) -> Accuracy:
    """Measure logits that `measure_parity` would take, both [n, classes], against labels [n]."""
    was, now = reference.argmax(1) == labels, candidate.argmax(1) == labels
    lost, won = int((was & ~now).sum()), int((~was & now).sum())
    classes = reference.shape[1]
    recall, before = _recall(now, labels, classes), _recall(was, labels, classes)
    return Accuracy(
        accuracy=float(now.mean()),
        interval=wilson_interval(int(now.sum()), len(now)),
        reference_accuracy=float(was.mean()),
        reference_interval=wilson_interval(int(was.sum()), len(was)),
        right_to_wrong=lost,
        wrong_to_right=won,
        mcnemar_p=mcnemar_p(lost, won),
        recall=recall,
        recall_difference=tuple(
            None if a is None or b is None else a - b for a, b in zip(recall, before, strict=True)
        ),
        ece=expected_calibration_error(candidate, now),
        reference_ece=expected_calibration_error(reference, was),
    )


def _recall(right: NDArray[np.bool_], labels: Labels, classes: int) -> tuple[float | None, ...]:
    rows = [right[labels == label] for label in range(classes)]
    return tuple(float(row.mean()) if len(row) else None for row in rows)


def _check_labels(labels: Labels, faces: int, classes: int) -> None:
    if labels.shape != (faces,) or labels.min() < 0 or labels.max() >= classes:
        raise ConfigError(
            f"parity needs one label of 0 to {classes - 1} a face ({faces} faces), got "
            f"shape {list(labels.shape)} with labels {labels.min() if labels.size else 'none'} to "
            f"{labels.max() if labels.size else 'none'}"
        )


def check_logits(reference: Logits, candidate: Logits) -> None:
    """Make sure that two networks' logits can be compared.

    Raises:
        ConfigError: the shapes differ, there is no face, or a logit is not finite.
    """
    if reference.ndim != 2 or reference.shape != candidate.shape or 0 in reference.shape:
        raise ConfigError(
            f"parity needs two arrays of logits of one shape [n, classes], n at least 1, "
            f"got {list(reference.shape)} and {list(candidate.shape)}: run both on the same faces"
        )
    for name, logits in (("reference", reference), ("candidate", candidate)):
        if not np.isfinite(logits).all():
            count = int((~np.isfinite(logits)).sum())
            raise ConfigError(
                f"parity needs finite logits, the {name} gave {count} that are infinite or not a "
                "number: the graph overflows or is damaged, export it again"
            )
