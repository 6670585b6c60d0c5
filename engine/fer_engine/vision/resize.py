"""Resizes images and faces, and converts their colours to those that a network takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision.library import opencv

Faces = NDArray[np.uint8]


def fit(faces: Faces, spec: ModelSpec) -> Faces:
    """Return faces, uint8 [n, h, w] or RGB [n, h, w, 3], as uint8 [n, *spec.face_shape].

    Gray becomes three equal channels, RGB becomes luminance (ITU-R BT.601). Faces that have the shape
    already are returned unchanged.

    Raises:
        ConfigError: faces must be converted, and OpenCV is not installed.
    """
    if faces.shape[1:] == spec.face_shape:
        return faces
    fitted = np.empty((len(faces), *spec.face_shape), np.uint8)
    for target, face in zip(fitted, faces, strict=True):
        target[:] = _recolour(resize(face, spec.height, spec.width), spec.channels)
    return fitted


def resize(image: Faces, height: int, width: int) -> Faces:
    """Return an image, uint8 [h, w] or [h, w, 3], in another size.

    Areas are averaged where a side shrinks (INTER_AREA); else it is bilinear (INTER_LINEAR_EXACT).
    """
    if image.shape[:2] == (height, width):
        return image
    cv2 = opencv()
    shrinks = height < image.shape[0] or width < image.shape[1]
    # The exact form of bilinear interpolation gives the same bytes on every machine.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR_EXACT
    return cv2.resize(image, (width, height), interpolation=method)


def shrink(image: Faces, longest_side: int) -> Faces:
    """Return an image, uint8 [h, w] or [h, w, 3], whose longer side is at most `longest_side` pixels."""
    scale = longest_side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return resize(image, height, width)


def _recolour(image: Faces, channels: int) -> Faces:
    if image.ndim == (2 if channels == 1 else 3):
        return image
    cv2 = opencv()
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_RGB2GRAY)
