"""Cuts a batch into equal parts, one for each thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Predict


def in_parts(predict: Predict, threads: int) -> Predict:
    """Return `predict` called by `threads` threads at once, each with its part of the faces."""
    pool = ThreadPoolExecutor(threads)

    def split(faces: np.ndarray) -> np.ndarray:
        count = min(threads, len(faces))
        if count < 2:
            return predict(faces)
        return np.concatenate(list(pool.map(predict, np.array_split(faces, count))))

    return split
