"""Pictures with faces at known places, composed of FER2013's faces and pictures without faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv
from fer_train.finder.backgrounds import Backgrounds
from fer_train.finder.person import Artist, Place

cv2 = opencv()

Gray = NDArray[np.float32]

MOST = 12  # faces in a picture
BOX = (0.8, 0.98)  # width and height of a face's box, as shares of the patch's size
SMALL = 24.0  # pixels; every fourth face is drawn below, where most misses are
LARGEST_TILT = 38.0  # degrees; beyond, a face is none that expressions can be read of
SEEN = 0.62  # share of a box within the picture from which on it must be found
COVERED, LOST = 0.42, 0.8  # share of a face that others cover: from here on ignored, from here on no face
FACE, IGNORED, ABSENT = 1.0, 0.0, -1.0  # the last column of a box


@dataclass(frozen=True, slots=True)
class Composites:
    """Pictures, uint8 [n, side, side], and their boxes, float32 [n, 12, 5].

    A box is left, top, right, bottom, and whether it is a face that must be found (1), one that may be (0),
    or no box at all (-1).
    """

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]


class Composer:
    """Composes pictures; every draw comes from `rng`."""

    def __init__(
        self, faces: NDArray[np.uint8], pictures: list[NDArray[np.uint8]], rng: np.random.Generator
    ) -> None:
        """Keep faces, uint8 [n, 48, 48], and pictures without faces, gray uint8 [h, w] each."""
        self._rng = rng
        self._backgrounds = Backgrounds(pictures, rng)
        self._artist = Artist(faces, self._backgrounds, rng)

    def compose(self, count: int, side: int, smallest: float, largest: float) -> Composites:
        """Return `count` pictures of side x side with faces of `smallest` to `largest` pixels."""
        images = np.empty((count, side, side), np.uint8)
        boxes = np.full((count, MOST, 5), ABSENT, np.float32)
        for image, rows in zip(images, boxes, strict=True):
            image[:], found = self._picture(side, smallest, largest)
            rows[: len(found)] = np.array(found, np.float32).reshape(-1, 5)
        return Composites(images, boxes)

    def _picture(
        self, side: int, smallest: float, largest: float
    ) -> tuple[NDArray[np.uint8], list[list[float]]]:
        image = self._backgrounds.picture(side).astype(np.float32)
        rng, kind, placed = self._rng, self._rng.random(), list[tuple[Place, bool]]()
        if 0.1 < kind < 0.35:
            self._place_rows(placed, side, smallest)
        elif kind >= 0.35:
            self._place_freely(placed, side, (smallest, largest), int(rng.integers(1, 6)), faces=True)
        self._place_freely(placed, side, (smallest, largest), int(rng.integers(0, 5)), faces=False)
        placed.sort(key=lambda one: one[0].y + one[0].size * 0.3)  # who stands lower stands in front
        drawn = []
        for place, is_face in placed:
            patch = self._artist.face() if is_face else self._artist.no_face()
            self._artist.draw(image, place, patch, body=rng.random() < (0.75 if is_face else 0.5))
            if is_face:
                rows, columns = _core(place, side)
                drawn.append((place, rows, columns, image[rows, columns].copy()))
        boxes = []
        for place, rows, columns, before in drawn:
            covered = float((np.abs(image[rows, columns] - before) > 8).mean()) if before.size else 1.0
            if covered < LOST:
                seen = _share_seen(place, side) > SEEN and covered < COVERED
                boxes.append([*_edges(place), FACE if seen else IGNORED])
        return degrade(image, rng), boxes[:MOST]

    def _place_rows(self, placed: list[tuple[Place, bool]], side: int, smallest: float) -> None:
        """Place people in one to three rows, as groups stand."""
        rng = self._rng
        size = np.exp(rng.uniform(np.log(smallest), np.log(max(side * 0.33, smallest * 1.5))))
        top, step = rng.uniform(0.3 * size, side - 0.5 * size), size * rng.uniform(0.85, 1.6)
        for row in range(int(rng.integers(1, 4))):
            x = rng.uniform(-0.3 * size, size)
            while x < side + 0.2 * size and len(placed) < MOST:
                own = size * np.exp(rng.normal() * 0.1)
                place = Place(
                    x + rng.normal() * 0.1 * size,
                    top + row * 1.25 * size + rng.normal() * 0.2 * size,
                    own,
                    self._tilt(),
                )
                if _is_free(placed, place, 0.62) and rng.random() < 0.9:
                    placed.append((place, True))
                x += step

    def _place_freely(
        self,
        placed: list[tuple[Place, bool]],
        side: int,
        sizes: tuple[float, float],
        count: int,
        *,
        faces: bool,
    ) -> None:
        rng = self._rng
        for _ in range(count):
            size = np.exp(rng.uniform(*np.log(sizes)))
            if faces and sizes[0] < SMALL and rng.random() < 0.25:
                size = rng.uniform(sizes[0], SMALL)
            edge = min(0.25 * size, side / 2) if faces else 0.0
            for _ in range(6):
                x, y = rng.uniform(edge, side - edge, 2)
                place = Place(x, y, float(size), self._tilt())
                if _is_free(placed, place, 0.9 if faces else 1.05):
                    placed.append((place, faces))
                    break

    def _tilt(self) -> float:
        return float(np.clip(self._rng.normal() * 14, -LARGEST_TILT, LARGEST_TILT))


def degrade(image: Gray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image as cameras and files leave it: uneven light, blur, sharpening, noise, JPEG's blocks."""
    side = len(image)
    if rng.random() < 0.3:
        slope = np.linspace(-0.5, 0.5, side, dtype=np.float32)
        image = image * (1 + rng.normal() * 0.4 * slope + rng.normal() * 0.4 * slope[:, None])
    kind = rng.random()
    if kind < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3)))
    elif kind < 0.4:
        small = int(side * rng.uniform(0.5, 0.9))
        shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(shrunk, (side, side))
    elif kind < 0.6:
        image = image + (image - cv2.GaussianBlur(image, (0, 0), 1.0)) * rng.uniform(0.3, 1.5)
    if rng.random() < 0.6:
        image = 255 * (np.clip(image, 0, 255) / 255) ** np.float32(np.exp(rng.normal() * 0.45))
    if rng.random() < 0.5:
        image = (image - 128) * rng.uniform(0.5, 1.3) + 128 + rng.normal() * 20
    if rng.random() < 0.5:
        image = image + rng.standard_normal(image.shape, np.float32) * rng.uniform(1, 10)
    finished = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        finished = cv2.imdecode(cv2.imencode(".jpg", finished, quality)[1], cv2.IMREAD_GRAYSCALE)
    return finished


def _is_free(placed: list[tuple[Place, bool]], place: Place, distance: float) -> bool:
    for other, _ in placed:
        reach = distance * (place.size + other.size) / 2
        if abs(place.x - other.x) < reach * 0.95 and abs(place.y - other.y) < reach * 1.15:
            return False
    return True


def _edges(place: Place) -> tuple[float, float, float, float]:
    across, down = (share * place.size / 2 for share in BOX)
    return place.x - across, place.y - down, place.x + across, place.y + down


def _share_seen(place: Place, side: int) -> float:
    left, top, right, bottom = _edges(place)
    inside = max(0.0, min(side, right) - max(0.0, left)) * max(0.0, min(side, bottom) - max(0.0, top))
    return inside / ((right - left) * (bottom - top))


def _core(place: Place, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of a face's inner part, in which what covers it is told."""
    spans = []
    for centre, half in ((place.y, 0.38 * place.size), (place.x, 0.33 * place.size)):
        low, high = (int(np.clip(value, 0, side)) for value in (centre - half, centre + half + 1))
        spans.append(slice(low, high))
    return spans[0], spans[1]
