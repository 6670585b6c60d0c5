"""OpenCV's Haar cascades as a face detector."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_engine.errors import ConfigError
from fer_engine.vision.boxes import in_full_size
from fer_engine.vision.face import Boxes
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import opencv
from fer_engine.vision.options import check_positive
from fer_engine.vision.resize import resize, shrink

DETECTING = "haarcascade_frontalface_alt.xml"
CONFIRMING = "haarcascade_frontalface_default.xml"
# How a doubtful box is confirmed; benchmarks/studies/face_detector.py measured the values. The box is scaled
# to a side of CUTOUT_SIDE pixels and cut out with CUTOUT_MARGIN of its side around it. In this cutout the
# second cascade must find at least MIN_FINDS faces of CUTOUT_SMALLEST to CUTOUT_LARGEST pixels.
CUTOUT_SIDE, CUTOUT_MARGIN = 40, 0.3
CUTOUT_SMALLEST, CUTOUT_LARGEST = 26, 56
MIN_FINDS = 3


class HaarDetector:
    """Finds frontal faces by a cascade of boosted Haar features, which comes with OpenCV 4.

    A face that was found the fewest times that count as one must be found by a second cascade too.

    Safe to call from several threads. The defaults were measured by `benchmarks/studies/face_detector.py`.

    Source: P. Viola, M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", 2001, and
    R. Lienhart, J. Maydt, "An Extended Set of Haar-like Features for Rapid Object Detection", 2002.
    """

    def __init__(
        self,
        longest_side: int = 320,
        min_size: int = 24,
        scale_factor: float = 1.2,
        min_neighbors: int = 2,
    ) -> None:
        """Load the cascades.

        Args:
            longest_side: Larger images are shrunk to this longest side, in pixels, before the search.
            min_size: Side of the smallest face that is found, in pixels of the shrunk image: with the
                defaults, 48 pixels in an image of 640x480.
            scale_factor: Ratio of each face size that is searched for to the size before.
            min_neighbors: Overlapping finds that a face must exceed; more give fewer false faces.

        Raises:
            ConfigError: a value is out of range, OpenCV is not installed, or its version has no cascades.
        """
        check_positive(longest_side=longest_side, min_size=min_size, min_neighbors=min_neighbors)
        if not 1 < scale_factor < float("inf"):
            raise ConfigError(f"scale_factor must be above 1, got {scale_factor}; 1.1 is thorough, 1.3 fast")
        if min_size > longest_side:
            raise ConfigError(
                f"longest_side must be at least min_size, which is {min_size}, got {longest_side}: "
                "no face would be found"
            )
        self._longest_side = longest_side
        self._cascades = Pool(lambda: _Cascades(min_size, scale_factor, min_neighbors))

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes of the faces in an image, uint8 [height, width, 3] in BGR, from left to right.

        Raises:
            InputError: it is no such image.
        """
        cv2 = opencv()
        gray = cv2.cvtColor(check_image(image), cv2.COLOR_BGR2GRAY)
        small = shrink(gray, self._longest_side)
        with self._cascades.borrow() as cascades:
            found = cascades.find(small, gray)
        return in_full_size(found, small, image)


class _Cascades:
    """Two cascades: one detects, the other confirms the doubtful boxes; for one thread at a time.

    Raises:
        ConfigError: OpenCV is not installed, or its version has no cascades.
    """

    def __init__(self, min_size: int, scale_factor: float, min_neighbors: int) -> None:
        self._detecting, self._confirming = _load_cascade(DETECTING), _load_cascade(CONFIRMING)
        self._min_size = (min_size, min_size)
        self._scale_factor = scale_factor
        self._min_neighbors = min_neighbors

    def find(self, small: Any, gray: Any) -> Any:
        """Return the boxes of the faces in a gray image, float64 [n, 4], in pixels of `small`.

        A face that was found only `min_neighbors + 1` times, the fewest that count as a face, is doubtful: it
        is kept if the second cascade finds it too.

        Args:
            small: The image that is searched, uint8 [h, w].
            gray: The same image in full size, uint8 [height, width].
        """
        boxes, counts = self._detecting.detectMultiScale2(
            small, scaleFactor=self._scale_factor, minNeighbors=self._min_neighbors, minSize=self._min_size
        )
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        scale = gray.shape[1] / small.shape[1]
        sure = np.array(counts) > self._min_neighbors + 1
        kept = [known or self._confirm(gray, box * scale) for known, box in zip(sure, boxes, strict=True)]
        return boxes[np.array(kept, bool)]

    def _confirm(self, gray: Any, box: Any) -> bool:
        left, top, side, _ = box
        margin = CUTOUT_MARGIN * side
        rows = slice(max(0, int(top - margin)), int(top + side + margin))
        columns = slice(max(0, int(left - margin)), int(left + side + margin))
        cutout = gray[rows, columns]
        height, width = (max(1, round(length * CUTOUT_SIDE / side)) for length in cutout.shape)
        found = self._confirming.detectMultiScale(
            resize(cutout, height, width),
            scaleFactor=1.1,
            minNeighbors=0,
            minSize=(CUTOUT_SMALLEST, CUTOUT_SMALLEST),
            maxSize=(CUTOUT_LARGEST, CUTOUT_LARGEST),
        )
        return len(found) >= MIN_FINDS


def _load_cascade(name: str) -> Any:
    cv2 = opencv()
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, name)
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise ConfigError(
            f"OpenCV {cv2.__version__} comes without Haar cascades, which opencv-python 4 has: "
            "pip install 'opencv-python>=4.8,<5', or choose another detector"
        )
    return cv2.CascadeClassifier(str(path))


class Pool:
    """Objects for one call at a time each; another one is made where all are in use."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._idle = [make()]  # safe in several threads: append and pop are atomic

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Any]:
        try:
            one = self._idle.pop()
        except IndexError:
            one = self._make()
        try:
            yield one
        finally:
            self._idle.append(one)
