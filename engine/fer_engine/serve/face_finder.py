"""Finds the faces in the encoded images of requests, within the limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from fer_engine.artifact.spec import ModelSpec
from fer_engine.engine import Prediction
from fer_engine.errors import ImageSizeError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve.limits import Limits, RefusedError
from fer_engine.vision import Detections, Face, FaceDetector
from fer_engine.vision.boxes import as_detections
from fer_engine.vision.crop import crop_faces
from fer_engine.vision.image import read_image


class FoundFaces(NamedTuple):
    """The size of an image, its faces, and the seconds that decoding and detection took."""

    width: int
    height: int
    detections: Detections
    faces: Faces
    decode: float
    detect: float

    def as_json(self, logits: Logits, labels: Sequence[str], min_confidence: float) -> dict[str, Any]:
        """Return the image's size and its faces, with the expressions of their logits, as values of JSON."""
        faces = Face.of_prediction(
            self.detections.boxes,
            Prediction.of_logits(logits, labels),
            min_confidence=min_confidence,
            scores=self.detections.scores,
        )
        return {
            "width": self.width,
            "height": self.height,
            "faces": [face.as_json(labels) for face in faces],
        }


class FaceFinder:
    """Decodes images and cuts out their faces for one model; several threads may call it at once."""

    def __init__(self, detector: FaceDetector, spec: ModelSpec, limits: Limits) -> None:
        self._detector = detector
        self._spec = spec
        self._limits = limits

    def find(self, encoded: bytes, name: str, max_pixels: int) -> FoundFaces:
        """Return the faces of an encoded image, which errors call by `name`.

        Raises:
            ImageError: it is no image, or it is damaged.
            RefusedError: it has more than `max_pixels` pixels, or too many faces.
        """
        begun = time.perf_counter()
        try:
            image = read_image(encoded, name=name, max_pixels=max_pixels)
        except ImageSizeError as error:
            raise RefusedError(
                413,
                f"{name} has {error.pixels} pixels, expected at most {max_pixels}; make it smaller, "
                "or ask the operator of the server for a larger --max-pixels",
            ) from None
        decoded = time.perf_counter()
        detections = as_detections(self._detector(image), image)
        count, most = len(detections.boxes), self._limits.faces
        if count > most:
            raise RefusedError(413, f"{name} has {count} faces, expected at most {most}; split the image")
        faces = crop_faces(image, detections.boxes, self._spec)
        ended = time.perf_counter()
        height, width = image.shape[:2]
        return FoundFaces(width, height, detections, faces, decoded - begun, ended - decoded)
