"""A contender as the worker holds it once it is loaded.

A worker measures imports, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

Settings = Mapping[str, Any]  # the fields of `fer_bench.contenders.contender.Contender`, as JSON


class Runtime(NamedTuple):
    """A loaded contender.

    `predict` maps faces, uint8 [n, h, w] or [n, h, w, 3], to logits, float32 [n, classes]. `splits` is
    True where it takes any n in one call. `info` returns its settings, some of which it may choose while
    it runs.
    """

    predict: Predict
    splits: bool
    info: Callable[[], dict[str, Any]]
