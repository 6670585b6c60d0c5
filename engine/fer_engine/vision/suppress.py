"""Non-maximum suppression: of boxes that show the same face, the best one stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NESTED = 0.75  # the share of a box's area in a better box from which on it is a part of the same face
BLOCK = 256  # boxes that are compared with each other at once; bounds the memory

Floats = NDArray[np.floating]


def suppress(
    boxes: Floats, scores: Floats, overlap: float, limit: int | None = None, nested: float = NESTED
) -> NDArray[np.intp]:
    """Return the indices of the boxes that stay, int [m], best first.

    A box is dropped where its intersection over union with a better box that stays is above `overlap`, or
    where more of the smaller one of the two than `nested` lies in the other.

    Args:
        boxes: float [n, 4]: left, top, width, height, with sides above 0.
        scores: float [n]; more is better.
        overlap: From 0 to 1.
        limit: Most boxes that stay; None for all.
        nested: From 0 to 1, a share of the smaller box's area.
    """
    order = np.argsort(-scores, kind="stable")
    limit = len(order) if limit is None else limit
    kept: list[int] = []
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        if kept:
            block = block[~_same(boxes[kept], boxes[block], overlap, nested).any(0)]
        same = _same(boxes[block], boxes[block], overlap, nested)
        stays = np.ones(len(block), bool)
        for row, index in enumerate(block.tolist()):
            if len(kept) == limit:
                return np.array(kept, np.intp)
            if stays[row]:
                kept.append(index)
                stays &= ~same[row]
    return np.array(kept, np.intp)


def _same(one: Floats, other: Floats, overlap: float, nested: float) -> NDArray[np.bool_]:
    """Return whether boxes, [n, 4] and [m, 4], show the same face, bool [n, m]."""
    left, top, across, down = (column[:, np.newaxis] for column in one.T)
    left_of, top_of, across_of, down_of = other.T
    width = np.minimum(left + across, left_of + across_of) - np.maximum(left, left_of)
    height = np.minimum(top + down, top_of + down_of) - np.maximum(top, top_of)
    shared = width.clip(0) * height.clip(0)
    area, area_of = across * down, across_of * down_of
    near: NDArray[np.bool_] = shared > overlap * (area + area_of - shared)
    return near | (shared > nested * np.minimum(area, area_of))
