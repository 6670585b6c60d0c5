"""Frontal faces by OpenCV's Haar cascades: one finds them, another looks again at doubtful ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_engine.errors import ConfigError
from fer_engine.vision.library import opencv
from fer_engine.vision.resize import resize

FINDER = "haarcascade_frontalface_alt.xml"
SECOND = "haarcascade_frontalface_default.xml"
# The second look, as benchmarks/studies/face_detector.py measured it: sizes in pixels of the part looked at,
# in which the doubtful box has a side of SIDE and a surrounding of AROUND of it, and the fewest finds that
# confirm it.
SIDE, AROUND = 40, 0.3
SMALLEST, LARGEST = 26, 56
CONFIRMING = 3


class Cascades:
    """Two cascades that serve one call at a time.

    Raises:
        ConfigError: OpenCV is missing, or one without cascades.
    """

    def __init__(self, min_size: int, scale_factor: float, min_neighbors: int) -> None:
        self._finder, self._second = _load(FINDER), _load(SECOND)
        self._min_size = (min_size, min_size)
        self._scale_factor = scale_factor
        self._min_neighbors = min_neighbors

    def find(self, small: Any, gray: Any) -> Any:
        """Return the faces, [n, 4], in `small`, uint8 [h, w], which is `gray` shrunk, uint8 [height, width].

        One with no more finds than it takes to be one is doubtful, and stays if the other cascade has it too.
        """
        boxes, counts = self._finder.detectMultiScale2(
            small, scaleFactor=self._scale_factor, minNeighbors=self._min_neighbors, minSize=self._min_size
        )
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        scale = gray.shape[1] / small.shape[1]
        sure = np.array(counts) > self._min_neighbors + 1
        stays = [known or self._confirms(gray, box * scale) for known, box in zip(sure, boxes, strict=True)]
        return boxes[np.array(stays, bool)]

    def _confirms(self, gray: Any, box: Any) -> bool:
        left, top, side, _ = box
        around = AROUND * side
        rows = slice(max(0, int(top - around)), int(top + side + around))
        columns = slice(max(0, int(left - around)), int(left + side + around))
        part = gray[rows, columns]
        height, width = (max(1, round(length * SIDE / side)) for length in part.shape)
        found = self._second.detectMultiScale(
            resize(part, height, width),
            scaleFactor=1.1,
            minNeighbors=0,
            minSize=(SMALLEST, SMALLEST),
            maxSize=(LARGEST, LARGEST),
        )
        return len(found) >= CONFIRMING


def _load(name: str) -> Any:
    cv2 = opencv()
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, name)
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise ConfigError(
            f"OpenCV {cv2.__version__} comes without Haar cascades, which opencv-python 4 has: "
            "pip install 'opencv-python>=4.8,<5', or give a YuNetDetector or a detector of your own"
        )
    return cv2.CascadeClassifier(str(path))
