"""Finds the faces in one image and classifies their expressions."""

from __future__ import annotations

from fer_engine.artifact.spec import ModelSpec
from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.vision.boxes import as_detections
from fer_engine.vision.crop import MARGIN, crop_faces
from fer_engine.vision.detectors import default_detector
from fer_engine.vision.face import UNCERTAIN, Face, FaceDetector
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.options import check_share


def find_expressions(
    engine: Engine,
    image: Image,
    detector: FaceDetector | None = None,
    margin: float = MARGIN,
    min_confidence: float = 0.0,
    min_face_score: float | None = None,
) -> tuple[Face, ...]:
    """Return the faces of an image with their expressions, from left to right; empty where there is no face.

    Args:
        engine: Classifies all faces in one batch.
        image: uint8 [height, width, 3] in BGR.
        detector: Finds the faces; None for `detectors.default_detector`.
        margin: Added at each side of a box, as a share of its longer side; see `crop_faces`.
        min_confidence: A face whose highest probability is below gets the label "uncertain"; 0 for never.
        min_face_score: Lowest score of a face; None for all faces that the detector gives. A detector that is
            given must itself be made for a score below its own.

    Raises:
        InputError: the image is no such array, or the detector returned something other than boxes, or
            has no scores and `min_face_score` is given.
        ConfigError: the model is a regression, `min_confidence` or `min_face_score` is none from 0 to 1, the
            model has a label "uncertain" of its own, or OpenCV or a detector's file is missing.
        BackendError: the engine is closed, or the runtime failed.
    """
    check_min_confidence(engine.spec, min_confidence)
    image = check_image(image)
    check_min_face_score(min_face_score)
    detector = detector or default_detector(min_face_score)
    found = as_detections(detector(image), image, min_face_score)
    prediction = engine.predict(crop_faces(image, found.boxes, engine.spec, margin))
    return Face.of_prediction(found.boxes, prediction, min_confidence=min_confidence, scores=found.scores)


def check_classifier(spec: ModelSpec) -> None:
    """Raise ConfigError if a model is a regression, which has no expressions."""
    if spec.task != "classification":
        raise ConfigError(f"{spec.name} is a {spec.task} model, which has no expressions; load a classifier")


def check_min_confidence(spec: ModelSpec, min_confidence: float) -> None:
    """Raise ConfigError if a model has no answers that this probability can be asked of."""
    check_classifier(spec)
    if not 0 <= min_confidence <= 1:
        raise ConfigError(f"min_confidence must be a probability from 0 (off) to 1, got {min_confidence}")
    if min_confidence and UNCERTAIN in spec.labels:
        raise ConfigError(
            f"{spec.name} has a label {UNCERTAIN!r} of its own, which min_confidence would give to other "
            "faces; leave it out"
        )


def check_min_face_score(min_face_score: float | None) -> None:
    """Raise ConfigError if the lowest score of a face is out of range."""
    if min_face_score is not None:
        check_share(min_face_score=min_face_score)
