"""Cuts an image into tiles of the detector's size, at one or more scales.

Level 0 is the whole image shrunk into one tile. Finer levels find smaller faces; each is cut into tiles that
overlap, so that a face which one tile cuts lies whole in its neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.resize import resize

TILE = 288  # side of a tile, in pixels
STEP = 1.75  # scale of a level to that of the level before
FINEST = 2  # the last level of the automatic search
# An image so many times larger than a level is always searched there: its faces may all be too small before.
ALWAYS = 2.5
# Smaller ones are searched there if the level before shows a crowd, and if that gives its faces more pixels.
CROWDED = 1.1
# Tiles of a finer level share so many pixels; larger faces are cut by both and left to the level before.
OVERLAP = 56
LARGEST_FINE = 96  # pixels of the largest face that a finer level keeps: the level before sees it well
SMALLEST = 8  # pixels of the smallest face that the detector finds
# Times that an image may be longer than wide before its strip is shrunk further: bounds the tiles of a level.
LONGEST = 40


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a level: its corner in pixels of the level, and whether it ends where the level goes on."""

    left: int
    top: int
    cut_left: bool
    cut_top: bool
    cut_right: bool
    cut_bottom: bool


@dataclass(frozen=True, slots=True)
class Level:
    """The image at one scale: its size in pixels and its tiles; `largest` is the side of its largest face.

    With `always` it is searched in any case, else if the level before shows a crowd.
    """

    height: int
    width: int
    tiles: tuple[Tile, ...]
    largest: float = math.inf
    always: bool = True

    def shrunk(self, gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the gray image in this level's size, uint8 [height, width]."""
        # Halving averages areas as well, and OpenCV does it several times faster than by any other number. An
        # odd last row or column is left out for that.
        while gray.shape[0] >= 2 * self.height and gray.shape[1] >= 2 * self.width:
            rows, columns = gray.shape[0] // 2, gray.shape[1] // 2
            gray = resize(gray[: 2 * rows, : 2 * columns], rows, columns)
        return resize(gray, self.height, self.width)

    def cut(self, shrunk: NDArray[np.uint8], tiles: Sequence[Tile]) -> NDArray[np.uint8]:
        """Return tiles of the shrunk image, uint8 [n, 288, 288]; what lies beyond it has the tile's mean."""
        pixels = np.empty((len(tiles), TILE, TILE), np.uint8)
        for target, tile in zip(pixels, tiles, strict=True):
            part = shrunk[tile.top : tile.top + TILE, tile.left : tile.left + TILE]
            height, width = part.shape
            if height < TILE or width < TILE:
                target[:] = round(float(part.mean()))
            target[:height, :width] = part
        return pixels


def levels(height: int, width: int, detect_size: int | None) -> list[Level]:
    """Return the levels at which an image is searched, the coarsest first.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        detect_size: Longest side that is searched, in pixels; where an image is more than twice as long as
            wide, twice the shorter side counts instead of the longer one. None to choose by the image.
    """
    longer, shorter = max(height, width), min(height, width)
    # A strip is searched by its shorter side: shrunk into one tile its faces would be too small to find.
    counted = max(min(longer, 2 * shorter), longer / LONGEST)
    found = []
    for index, size in enumerate(_sizes(counted, detect_size)):
        scale = size / counted
        scaled = max(1, round(height * scale)), max(1, round(width * scale))
        if min(scaled) < SMALLEST:
            continue
        if index == 0:
            found.append(Level(*scaled, _tiles(*scaled, TILE // 2)))
        else:
            always = detect_size is not None or counted >= ALWAYS * size
            found.append(Level(*scaled, _tiles(*scaled, OVERLAP), LARGEST_FINE, always))
    return found


def _sizes(counted: float, detect_size: int | None) -> list[float]:
    """Return the size of each level, by the side that counts; none is above `counted`."""
    if detect_size is None:
        steps = [TILE * STEP**index for index in range(1, FINEST + 1)]
        finer = [size for size in steps if counted >= CROWDED * size]
        return [min(counted, TILE), *finer]
    finest = min(counted, detect_size)
    if finest <= TILE:
        return [finest]
    count = max(1, round(math.log(finest / TILE, STEP)))
    return [TILE * (finest / TILE) ** (index / count) for index in range(count + 1)]


def _tiles(height: int, width: int, overlap: int) -> tuple[Tile, ...]:
    rows, columns = _starts(height, overlap), _starts(width, overlap)
    return tuple(
        Tile(left, top, left > 0, top > 0, left + TILE < width, top + TILE < height)
        for top in rows
        for left in columns
    )


def _starts(length: int, overlap: int) -> list[int]:
    """Return where the tiles along a side begin: as few as possible, evenly apart."""
    if length <= TILE:
        return [0]
    count = math.ceil((length - overlap) / (TILE - overlap))
    return [round(index * (length - TILE) / (count - 1)) for index in range(count)]
