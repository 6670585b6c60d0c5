"""Finds frontal faces with OpenCV's Haar cascades: one detects, a second one confirms the doubtful boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_engine.errors import ConfigError
from fer_engine.vision.library import opencv
from fer_engine.vision.resize import resize

DETECTING = "haarcascade_frontalface_alt.xml"
CONFIRMING = "haarcascade_frontalface_default.xml"
# How a doubtful box is confirmed; benchmarks/studies/face_detector.py measured the values. The box is scaled
# to a side of SIDE pixels and cut out with MARGIN of its side around it. In this cutout the second cascade
# must find at least MIN_FINDS faces of SMALLEST to LARGEST pixels.
SIDE, MARGIN = 40, 0.3
SMALLEST, LARGEST = 26, 56
MIN_FINDS = 3


class Cascades:
    """Two cascades; not safe to call from several threads at once.

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
        margin = MARGIN * side
        rows = slice(max(0, int(top - margin)), int(top + side + margin))
        columns = slice(max(0, int(left - margin)), int(left + side + margin))
        cutout = gray[rows, columns]
        height, width = (max(1, round(length * SIDE / side)) for length in cutout.shape)
        found = self._confirming.detectMultiScale(
            resize(cutout, height, width),
            scaleFactor=1.1,
            minNeighbors=0,
            minSize=(SMALLEST, SMALLEST),
            maxSize=(LARGEST, LARGEST),
        )
        return len(found) >= MIN_FINDS


def _load_cascade(name: str) -> Any:
    cv2 = opencv()
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, name)
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise ConfigError(
            f"OpenCV {cv2.__version__} comes without Haar cascades, which opencv-python 4 has: "
            "pip install 'opencv-python>=4.8,<5', or give a YuNetDetector or a detector of your own"
        )
    return cv2.CascadeClassifier(str(path))
