"""Stratified samples of a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError

INTERVALS = 10


def intervals(values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the cell, [n], of each row of values, [n, k]: ten equal intervals of each column's range."""
    lowest, highest = values.min(0), values.max(0)
    span = np.where(highest > lowest, highest - lowest, 1)
    cells = np.minimum((values - lowest) / span * INTERVALS, INTERVALS - 1).astype(np.int64)
    return cells @ INTERVALS ** np.arange(values.shape[1])


def _classes(labels: NDArray[Any]) -> NDArray[np.integer[Any]]:
    return intervals(labels) if labels.dtype.kind == "f" and len(labels) else labels


def hold_out(labels: NDArray[Any], share: float, seed: int) -> NDArray[np.bool_]:
    """Draw a stratified share of the faces; labels as for `stratified`.

    Of a class one face at least is drawn and one at least is left; of a class of one face none is drawn. Of
    values every so many-th face is drawn, in the order of their intervals.

    Returns:
        Whether a face was drawn, [n].
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    classes = _classes(labels)[shuffled]
    ordered = shuffled[np.argsort(classes, kind="stable")]
    drawn = np.zeros(len(labels), np.bool_)
    if labels.dtype.kind == "f":
        count = round(share * len(labels))
        drawn[ordered[((np.arange(count) + 0.5) * len(labels) / max(count, 1)).astype(np.int64)]] = True
        return drawn
    for rows in np.split(ordered, np.cumsum(np.unique(classes, return_counts=True)[1])[:-1]):
        drawn[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    return drawn


def stratified(labels: NDArray[Any], count: int, seed: int) -> NDArray[np.int64]:
    """Draw `count` distinct indices, each class in its share of `labels` and at least once.

    Labels are integer [n], or values, float [n, k], whose `intervals` are the classes. Shares are rounded
    by the largest remainder (Hamilton's method); one seed gives one sample.

    Returns:
        The indices in rising order, [count].

    Raises:
        DataError: there are fewer labels than `count`, or more classes.
    """
    labels = _classes(labels)
    classes, sizes = np.unique(labels, return_counts=True)
    if not len(classes) <= count <= len(labels) or count < 1:
        raise DataError(
            f"cannot draw a stratified sample of {count} from {len(labels)} faces of {len(classes)} classes; "
            f"expected {max(1, len(classes))} to {len(labels)}"
        )
    exact = sizes * (count / len(labels))
    shares = np.maximum(1, np.floor(exact).astype(np.int64))
    while shares.sum() < count:
        shares[np.argmax(np.where(shares < sizes, exact - shares, -np.inf))] += 1
    while shares.sum() > count:  # rare classes were raised to one: the others make room
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    generator = np.random.default_rng(seed)
    drawn = [
        generator.choice(np.flatnonzero(labels == name), share, replace=False)
        for name, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate(drawn))
