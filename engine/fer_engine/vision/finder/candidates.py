"""Reads the boxes of possible faces out of what the detector gives for each tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ANCHOR_VALUES
from fer_engine.runtime.backend import Logits
from fer_engine.vision.finder.pyramid import TILE, Level, Tile
from fer_engine.vision.suppress import suppress

MIN_SCORE = 0.15  # of the detector alone: the verifier decides
OVERLAP = 0.35  # intersection over union of two boxes of one face, as the detector alone proposes them
# The same once both networks have looked, when the better box is known better: the faces of two people
# overlap less, even cheek to cheek.
VERIFIED_OVERLAP, VERIFIED_NESTED = 0.2, 0.5
MOST = 40  # candidates of a tile
CUT = 2  # pixels from a tile's inner border within which a box is taken as cut by it
_MIN_LOGIT = float(np.log(MIN_SCORE / (1 - MIN_SCORE)))


class Candidates(NamedTuple):
    """Possible faces: boxes, float32 [n, 4], left, top, width, height in pixels; logits, float32 [n]."""

    boxes: NDArray[np.float32]
    logits: NDArray[np.float32]

    def best(self, limit: int | None = None) -> Candidates:
        """Return the best of those that overlap, best first."""
        return self._rows(suppress(self.boxes, self.logits, OVERLAP, limit))

    def faces(self) -> Candidates:
        """Return one candidate for each face, best first, of those that were verified."""
        return self._rows(suppress(self.boxes, self.logits, VERIFIED_OVERLAP, nested=VERIFIED_NESTED))

    def _rows(self, kept: NDArray[np.intp]) -> Candidates:
        return Candidates(self.boxes[kept], self.logits[kept])

    def resized(self, gray: NDArray[np.uint8], level: Level) -> Candidates:
        """Return those of a level in pixels of the image, uint8 [height, width]."""
        scale = np.array([gray.shape[1] / level.width, gray.shape[0] / level.height] * 2, np.float32)
        return self._replace(boxes=self.boxes * scale)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all parts."""
    if not parts:
        return Candidates(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    if len(parts) == 1:
        return parts[0]
    boxes, logits = zip(*parts, strict=True)
    return Candidates(np.concatenate(boxes), np.concatenate(logits))


def read_candidates(outputs: Logits, tiles: Sequence[Tile], level: Level) -> list[Candidates]:
    """Return the candidates of each tile that has any, in pixels of the level.

    A box is left out where an inner border cuts it, which the neighbour sees whole, and where it is larger
    than the level's faces.

    Args:
        outputs: What the detector gave for the tiles, float32 [n, anchors * 5]; see `ModelSpec`.
        tiles: The n tiles.
        level: Where they lie.
    """
    anchors = outputs.reshape(len(tiles), -1, ANCHOR_VALUES)
    found = []
    for tile, values in zip(tiles, anchors, strict=True):
        likely = values[values[:, 0] > _MIN_LOGIT]
        if not len(likely):
            continue
        logits, boxes = likely[:, 0], likely[:, 1:]
        kept = _belong(boxes, tile, level)
        if kept.any():
            best = Candidates(boxes[kept], logits[kept]).best(MOST)
            corner = np.array([tile.left, tile.top, 0, 0], np.float32)
            found.append(Candidates(best.boxes + corner, best.logits))
    return found


def _belong(boxes: NDArray[np.float32], tile: Tile, level: Level) -> NDArray[np.bool_]:
    """Return which boxes of a tile, float32 [n, 4], are its own."""
    near, sides = boxes[:, :2], boxes[:, 2:]
    far, centres = near + sides, near + sides / 2
    # A damaged or badly quantized network may give anything; comparisons with NaN are false.
    kept = np.isfinite(boxes).all(1) & (sides > 1).all(1) & (sides.max(1) <= level.largest)
    end = np.array([level.width - tile.left, level.height - tile.top])  # of the image, in pixels of the tile
    kept &= ((centres >= 0) & (centres < end)).all(1)
    low = np.where([tile.cut_left, tile.cut_top], CUT, -np.inf)
    high = np.where([tile.cut_right, tile.cut_bottom], TILE - CUT, np.inf)
    return kept & ((near >= low) & (far <= high)).all(1)
