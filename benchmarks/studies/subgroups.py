"""Accuracy on parts of a set of faces: by brightness, contrast, mirror image and agreement of annotators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_export.verify.parity import wilson_interval
from fer_train.data.votes import Votes, distribution, majority

QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True, slots=True)
class Share:
    """Right answers among `faces`, with the 95 % Wilson interval."""

    faces: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One part of the faces by one property; a measure is None where no face of the part has it."""

    property: str
    part: str
    labels: Share | None
    majority: Share | None


def measure_subgroups(
    faces: NDArray[np.uint8],
    labels: NDArray[Any],
    votes: Votes | None,
    names: Sequence[str],
    answers: NDArray[np.intp],
    mirrored: NDArray[np.intp],
) -> tuple[Subgroup, ...]:
    """Return the accuracy on each part.

    Quarters are of these faces: by the mean gray level, and by its standard deviation. How far a head is
    turned is not known of these faces; the nearest thing to it is whether the mirror image gets another
    answer.

    Args:
        faces: uint8 [n, height, width] or [n, height, width, 3].
        labels: Indices into `names`, [n].
        votes: FER+'s, uint8 [n, 10], or None.
        names: The labels.
        answers: To the faces, [n].
        mirrored: To their mirror images, [n].
    """
    voted = None if votes is None else majority(votes, names)
    parts = [*_parts(faces, answers != mirrored), *_agreement(votes, names)]
    return tuple(
        Subgroup(
            name,
            part,
            share_of(answers[chosen] == labels[chosen]),
            None if voted is None else share_of((answers == voted)[chosen & (voted >= 0)]),
        )
        for name, part, chosen in parts
    )


def _parts(
    faces: NDArray[np.uint8], turned: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    flat = faces.reshape(len(faces), -1)
    for name, values in (("brightness", flat.mean(1)), ("contrast", flat.std(1))):
        quarter = np.searchsorted(np.quantile(values, (0.25, 0.5, 0.75)), values)
        for number, part in enumerate(QUARTERS):
            yield name, part, quarter == number
    yield "mirror image", "same answer", ~turned
    yield "mirror image", "another answer", turned


def _agreement(votes: Votes | None, names: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    if votes is None:
        return
    clear, known = majority(votes, names) >= 0, distribution(votes, names).sum(1) > 0
    against = votes.sum(1, dtype=np.int64) - votes.max(1)  # where there is a majority, all but its votes
    for part, low, high in (("all", 0, 0), ("all but 1 or 2", 1, 2), ("more than half", 3, 10)):
        yield "annotators who agree", part, clear & (low <= against) & (against <= high)
    yield "annotators who agree", "no majority", known & ~clear


def share_of(right: NDArray[np.bool_]) -> Share | None:
    """Return how many of the answers are right, None of none."""
    if not len(right):
        return None
    return Share(len(right), float(right.mean()), wilson_interval(int(right.sum()), len(right)))
