"""The face detector YuNet, run by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_engine.errors import BackendError, ConfigError, first_line
from fer_engine.vision.boxes import as_detections
from fer_engine.vision.face import Detections
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.options import check_positive, check_share
from fer_engine.vision.resize import shrink
from fer_engine.vision.suppress import suppress
from fer_engine.vision.yunet_file import yunet_file
from fer_engine.vision.yunet_network import MULTIPLE, STRIDES, Values, load_yunet

LONGEST_SIDE = 640
# The default of OpenCV, 0.9, loses many faces of groups and turned heads; see docs/vision.md.
SCORE_THRESHOLD = 0.6
NMS_THRESHOLD = 0.3
# Sides of a box, in pixels and in longer sides of the input, beyond which it is no face but a broken value.
SMALLEST, LARGEST = 1.0, 2.0


class YuNetDetector:
    """Finds faces, also turned and partly hidden ones, by the network YuNet.

    Safe to call from several threads.

    Source: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        longest_side: int | None = None,
        score_threshold: float = SCORE_THRESHOLD,
        nms_threshold: float = NMS_THRESHOLD,
        backend: str = "onnxruntime",
        threads: int = 1,
    ) -> None:
        """Load the network.

        Args:
            path: An ONNX file of YuNet, of 2023 or later; None for the one of OpenCV's model zoo, which the
                first use fetches into the user's cache: see `yunet_file`.
            longest_side: Larger images are shrunk to this longest side, in pixels, before the search. None
                for 640, or for the size that the file's input is fixed to.
            score_threshold: Lowest score of a face, from 0 to 1.
            nms_threshold: Of two faces with a larger intersection over union, the one with the lower score is
                dropped.
            backend: "onnxruntime" or "openvino".
            threads: Threads of one call.

        Raises:
            ConfigError: the file is missing, cannot be fetched or is no YuNet, or a value is out of range.
            BackendError: the backend's runtime is not installed.
        """
        check_positive(longest_side=1 if longest_side is None else longest_side, threads=threads)
        check_share(score_threshold=score_threshold, nms_threshold=nms_threshold)
        path = yunet_file() if path is None else Path(path)
        self._network = load_yunet(path, backend, threads)
        most = max(self._network.size) if self._network.size else None
        if longest_side and most and longest_side > most:
            raise ConfigError(
                f"the input of {path} is fixed to {most} pixels, got a longest_side (--detect-size) of "
                f"{longest_side}; give at most {most}, or a file whose input is not fixed"
            )
        self._longest_side = longest_side or most or LONGEST_SIDE
        self._score_threshold = score_threshold
        self._nms_threshold = nms_threshold

    def __call__(self, image: Image) -> Detections:
        """Return the faces in an image, uint8 [height, width, 3] in BGR, from left to right.

        Raises:
            InputError: it is no such image.
            BackendError: the runtime failed, for example for want of memory.
        """
        small = self._shrunk(check_image(image))
        pixels = _padded(small, self._network.size)
        try:
            outputs = self._network(pixels)
        except Exception as error:  # the runtimes' errors share no base class
            height, width = pixels.shape[2:]
            raise BackendError(
                f"YuNet failed on an image of {width}x{height} pixels: {first_line(error)}; "
                "if memory is short, give a smaller longest_side (--detect-size)"
            ) from error
        boxes, scores = decode(outputs, pixels.shape[2:], self._score_threshold)
        best = suppress(boxes, scores, self._nms_threshold)
        scale = [image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]]
        return as_detections(Detections(boxes[best] * np.tile(scale, 2), scores[best]), image)

    def _shrunk(self, image: Image) -> Image:
        longest = self._longest_side
        for most, side in zip(self._network.size or (), image.shape, strict=False):
            longest = min(longest, most * max(image.shape[:2]) // side)
        return shrink(image, max(1, longest))


def decode(
    outputs: Mapping[str, Values], size: tuple[int, ...], score_threshold: float
) -> tuple[Values, Values]:
    """Return the boxes that YuNet's outputs stand for, float32 [n, 4], and their scores, float32 [n].

    A score is the geometric mean of a cell's two shares. A box's centre is given in strides from the cell's
    corner; its width and height are exponentials, in strides. Boxes with values that are not finite, or with
    sides that no face can have, are left out. Overlapping boxes all stay.

    Source: `FaceDetectorYN` in OpenCV, modules/objdetect/src/face_detect.cpp.

    Args:
        outputs: For each stride of 8, 16 and 32, of the cells row by row: cls and obj, [1, cells, 1], and
            bbox, [1, cells, 4].
        size: Height and width of the input, in pixels.
        score_threshold: Lowest score of a box.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        face, near = (outputs[f"{kind}_{stride}"].ravel().clip(0, 1) for kind in ("cls", "obj"))
        shares = np.sqrt(face * near)
        cells = np.flatnonzero(shares >= score_threshold)
        rows, columns = np.divmod(cells, size[1] // stride)
        values = outputs[f"bbox_{stride}"].reshape(-1, 4)[cells]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out below
            centres = (np.stack([columns, rows], 1).astype(np.float32) + values[:, :2]) * stride
            sides = np.exp(values[:, 2:]) * stride
            found = np.hstack([centres - sides / 2, sides])
        sound = np.isfinite(found).all(1) & (sides >= SMALLEST).all(1) & (sides <= LARGEST * max(size)).all(1)
        boxes.append(found[sound])
        scores.append(shares[cells][sound])
    return np.concatenate(boxes), np.concatenate(scores)


def _padded(small: Image, size: tuple[int, int] | None) -> Any:
    """Return an image as float32 [1, 3, height, width], with black to the right and below up to `size`.

    Args:
        small: uint8 [h, w, 3], not larger than `size`.
        size: Height and width; None for the next multiples of 32.
    """
    height, width = size or (-(-side // MULTIPLE) * MULTIPLE for side in small.shape[:2])
    pixels = np.zeros((1, 3, height, width), np.float32)
    pixels[0, :, : small.shape[0], : small.shape[1]] = small.transpose(2, 0, 1)
    return pixels
