"""Choosing a part of a dataset that stands for the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError


def stratified(labels: NDArray[np.integer[Any]], count: int, seed: int) -> NDArray[np.int64]:
    """Draw `count` distinct indices, each class in its share of `labels` and at least once.

    Shares are rounded by the largest remainder (Hamilton's method); one seed gives one sample.

    Returns:
        The indices in rising order, [count].

    Raises:
        DataError: there are fewer labels than `count`, or more classes.
    """
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
