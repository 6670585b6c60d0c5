"""Normalization of faces, for peers whose graph has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fer_bench.contenders.runtime import Settings


def mean_and_scale(settings: Settings) -> tuple[float, float]:
    """Return what is subtracted from gray levels, and what the difference is divided by.

    Raises:
        BackendError: the network takes colours.
    """
    spec = Artifact.open(settings["artifact"]).spec
    if spec.channels != 1:
        raise BackendError(
            f"this peer normalizes gray faces alone, the network takes {spec.channels} channels; "
            "name others with --peers, such as openvino"
        )
    return spec.mean[0], spec.scale[0]


def normalize(faces: NDArray[np.uint8], mean: float, scale: float) -> NDArray[np.float32]:
    """Map gray faces, uint8 [n, h, w], to float32 [n, 1, h, w]."""
    pixels = faces[:, None].astype(np.float32)
    pixels -= np.float32(mean)
    pixels /= np.float32(scale)
    return pixels
