"""Non-maximum suppression: of boxes that show the same face, the best one stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NESTED = 0.75  # the share of a box's area in a better box from which on it is a part of the same face


def suppress(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float, limit: int | None = None
) -> NDArray[np.intp]:
    """Return the indices of the boxes that stay, int [m], best first.

    A box is dropped where its intersection over union with a better box is above `overlap`, or where more
    than NESTED of the smaller one of the two lies in the other.

    Args:
        boxes: float [n, 4]: left, top, width, height, with sides above 0.
        scores: float [n]; more is better.
        overlap: From 0 to 1.
        limit: Most boxes that stay; None for all.
    """
    order = np.argsort(-scores, kind="stable")
    near, far = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    areas = boxes[:, 2] * boxes[:, 3]
    kept: list[np.intp] = []
    while len(order) and (limit is None or len(kept) < limit):
        best, order = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(far[best], far[order]) - np.maximum(near[best], near[order])
        shared = np.prod(sides.clip(0), axis=1)
        others = areas[order]
        apart = shared <= overlap * (areas[best] + others - shared)
        order = order[apart & (shared <= NESTED * np.minimum(areas[best], others))]
    return np.array(kept, np.intp)
