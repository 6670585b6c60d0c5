"""From one image to the expressions in it."""

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
    """Return the faces of an image with their expressions, from left to right; none where none is found.

    Args:
        engine: Classifies all faces in one batch.
        image: uint8 [height, width, 3] in BGR.
        detector: Finds the faces; a HaarDetector with its defaults where none is given.
        margin: As `crop_faces` takes it.

    Raises:
        InputError: the image is none, or the detector gave no boxes.
        ConfigError: the model is a regression, or what the detector or the crop needs is not there.
        BackendError: the engine is closed, or the runtime failed.
    """
    check_classifier(engine.spec)
    image = check_image(image)
    boxes = as_boxes((detector or _default_detector())(image), image)
    return Face.of_prediction(boxes, engine.predict(crop_faces(image, boxes, engine.spec, margin)))


def check_classifier(spec: ModelSpec) -> None:
    """See to it that a model tells expressions.

    Raises:
        ConfigError: it is a regression.
    """
    if spec.task != "classification":
        raise ConfigError(
            f"{spec.name} is a {spec.task} model, which tells no expressions; load a classifier"
        )


@functools.cache
def _default_detector() -> HaarDetector:
    return HaarDetector()
