"""Finds the faces in one image and classifies their expressions."""

from __future__ import annotations

import functools

from fer_engine.artifact.spec import ModelSpec
from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.vision.crop import MARGIN, crop_faces
from fer_engine.vision.detector import HaarDetector, as_boxes
from fer_engine.vision.face import Face, FaceDetector
from fer_engine.vision.image import Image, check_image


def find_expressions(
    engine: Engine, image: Image, detector: FaceDetector | None = None, margin: float = MARGIN
) -> tuple[Face, ...]:
    """Return the faces of an image with their expressions, from left to right; empty where there is no face.

    Args:
        engine: Classifies all faces in one batch.
        image: uint8 [height, width, 3] in BGR.
        detector: Finds the faces; None for a HaarDetector with its defaults.
        margin: Added at each side of a box, as a share of its longer side; see `crop_faces`.

    Raises:
        InputError: the image is no such array, or the detector returned something other than boxes.
        ConfigError: the model is a regression, or OpenCV or a detector's file is missing.
        BackendError: the engine is closed, or the runtime failed.
    """
    check_classifier(engine.spec)
    image = check_image(image)
    boxes = as_boxes((detector or _default_detector())(image), image)
    return Face.of_prediction(boxes, engine.predict(crop_faces(image, boxes, engine.spec, margin)))


def check_classifier(spec: ModelSpec) -> None:
    """Raise ConfigError if a model is a regression, which has no expressions."""
    if spec.task != "classification":
        raise ConfigError(f"{spec.name} is a {spec.task} model, which has no expressions; load a classifier")


@functools.cache
def _default_detector() -> HaarDetector:
    return HaarDetector()
