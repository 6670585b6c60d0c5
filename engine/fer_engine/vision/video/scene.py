"""Finds the cuts of a film, at which other people may stand where others stood.

Colour histograms of two frames in a row are compared block by block, after Nagasaka and Tanaka, "Automatic
Video Indexing and Full-Video Search for Object Appearances", 1992. At a cut nearly all blocks change; a face
that moves changes a few. Brightness and contrast of the whole image are evened out first, so that a flash or
a lamp is no cut. Dissolves and fades, which change little from frame to frame, are no cuts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.image import Image
from fer_engine.vision.library import opencv

SIDE = 32  # the image is shrunk to a square of so many pixels
SAMPLES = 4  # along a side of such a pixel: averaging all of a large image would take longer than decoding it
BLOCKS = 4  # along a side
BINS = 8  # of a channel; a value counts for the two nearest, so that a small change counts little
# Mean share of a block's pixels that change their bin. Unrelated photographs differ by 0.46 to 0.77, one that
# is shifted by a tenth or enlarged by a tenth by 0.21 at most, a person who enters changes 0.1.
CUT = 0.35
RANGE = 2.0  # the bins reach so many standard deviations to both sides of the image's mean
NOISE = 8.0  # least standard deviation, in gray levels: noise of a dark image is no change


class SceneChange:
    """Tells for each frame of one video, given in order, whether it begins another scene."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def __call__(self, image: Image) -> bool:
        """Return whether an image, uint8 [height, width, 3], is of another scene than the one before."""
        before, self._last = self._last, block_histograms(image)
        return before is not None and scene_difference(before, self._last) > CUT


def scene_difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return how much two images differ, from 0 to 1, given their `block_histograms`."""
    return float(np.abs(one - other).sum(-1).mean() / 2)


def block_histograms(image: Image) -> NDArray[np.float32]:
    """Return the histogram of each channel in each block, float32 [BLOCKS ** 2, 3, BINS]; each sums to 1."""
    cv2 = opencv()
    step = max(1, min(image.shape[:2]) // (SIDE * SAMPLES))
    some = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(some, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    side = SIDE // BLOCKS
    values = small.astype(np.float32)
    scores = (values - values.mean()) / max(float(values.std()), NOISE)  # more light changes nothing
    blocks = scores.reshape(BLOCKS, side, BLOCKS, side, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, side**2)
    place = np.clip((blocks / (2 * RANGE) + 0.5) * BINS - 0.5, 0, BINS - 1)
    lower = np.minimum(place.astype(np.int64), BINS - 2)
    upper_share = place - lower
    rows = np.arange(blocks.shape[0] * 3).reshape(-1, 3, 1) * BINS
    counts = np.zeros(blocks.shape[0] * 3 * BINS)
    for bins, shares in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        counts += np.bincount((rows + bins).ravel(), shares.ravel(), counts.size)
    return (counts / side**2).astype(np.float32).reshape(-1, 3, BINS)
