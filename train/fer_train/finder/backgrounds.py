"""Pictures without faces: read from a folder, cut, and painted from patterns; gray, float32, 0 to 255."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import DataError
from fer_engine.vision.library import opencv
from fer_train.finder import patterns

cv2 = opencv()

LOG = logging.getLogger(__name__)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LONGEST_SIDE = 960  # pixels; enough detail for every cut, and a thousand pictures fit in memory
SMALLEST_SIDE = 64
FLATTEST = 10.0  # standard deviation of a picture that shows something

Gray = NDArray[np.float32]


def read_backgrounds(folder: Path) -> list[NDArray[np.uint8]]:
    """Return the pictures of a folder and its subfolders as gray uint8 [h, w], in the order of their names.

    Transparent parts become middle gray. Pictures that are small, flat or cannot be read are left out, and
    their number is logged.

    Raises:
        DataError: there is no such folder, or no picture in it can be used.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of backgrounds {folder}; give one with pictures without faces")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    pictures = [picture for path in files if (picture := _read(path)) is not None]
    LOG.info("%s: %d of %d pictures can be used as backgrounds", folder, len(pictures), len(files))
    if not pictures:
        raise DataError(
            f"none of the {len(files)} pictures of {folder} can be used as a background; expected "
            f"{', '.join(SUFFIXES)} files of at least {SMALLEST_SIDE} pixels a side"
        )
    return pictures


def _read(path: Path) -> NDArray[np.uint8] | None:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    if image.dtype != np.uint8:
        image = (image / 256).astype(np.uint8)
    if image.ndim == 3:
        gray = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_BGR2GRAY)
        if image.shape[2] == 4:
            opaque = image[..., 3] / 255
            gray = (gray * opaque + 128 * (1 - opaque)).astype(np.uint8)
        image = gray
    scale = LONGEST_SIDE / max(image.shape)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image if min(image.shape) >= SMALLEST_SIDE and image.std() >= FLATTEST else None


class Backgrounds:
    """Draws backgrounds and cuts from pictures without faces; every draw comes from `rng`."""

    def __init__(self, pictures: list[NDArray[np.uint8]], rng: np.random.Generator) -> None:
        self._pictures = pictures
        self._rng = rng

    def cut(self, height: int, width: int) -> Gray:
        """Return a random part of a random picture, resized: shrunk up to 3.5 times, or enlarged up to 3."""
        rng = self._rng
        picture = self._pictures[rng.integers(len(self._pictures))]
        scale = np.exp(rng.uniform(np.log(0.33), np.log(3.5)))
        scale = min(scale, picture.shape[0] / height, picture.shape[1] / width)
        rows, columns = max(4, int(height * scale)), max(4, int(width * scale))
        top = rng.integers(picture.shape[0] - rows + 1)
        left = rng.integers(picture.shape[1] - columns + 1)
        part = picture[top : top + rows, left : left + columns]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        if rng.random() < 0.08:
            part = np.rot90(part)
        method = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=method).astype(
            np.float32
        )

    def texture(self, height: int, width: int) -> Gray:
        """Return fine structure of mean 0 and deviation of about 1: noise, blotches, or a picture's."""
        if self._rng.random() < 0.25:
            part = self.cut(height, width)
            return (part - part.mean()) / (part.std() + 5)
        return patterns.noise(self._rng, height, width)

    def picture(self, side: int) -> Gray:
        """Return a background of side x side: a cut, several of them over each other, or a pattern."""
        rng = self._rng
        kind = rng.random()
        image = patterns.pattern(rng, side) if kind > 0.85 else self.cut(side, side)
        if 0.68 < kind <= 0.85:
            for _ in range(rng.integers(1, 5)):
                self._put_cut(image)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), float(np.exp(rng.uniform(np.log(0.7), np.log(6)))))
        if rng.random() < 0.2:
            patterns.draw_shapes(rng, image, int(rng.integers(1, 8)))
        if rng.random() < 0.25:
            image = (image - 128) * rng.uniform(0.2, 1) + rng.uniform(60, 200)
        return np.clip(image, 0, 255)

    def _put_cut(self, image: Gray) -> None:
        side = len(image)
        height, width = (int(value) for value in self._rng.integers(side // 6, side, 2))
        top = int(self._rng.integers(-height // 2, side - height // 2))
        left = int(self._rng.integers(-width // 2, side - width // 2))
        rows = slice(max(0, top), min(side, top + height))
        columns = slice(max(0, left), min(side, left + width))
        part = self.cut(height, width)
        image[rows, columns] = part[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
