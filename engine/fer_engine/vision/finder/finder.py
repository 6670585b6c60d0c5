"""Finds faces with the two networks that ship: a detector proposes boxes, a verifier looks at each again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.artifact import Artifact
from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.vision.boxes import as_detections, clip_boxes
from fer_engine.vision.face import Detections
from fer_engine.vision.finder.candidates import Candidates, joined, read_candidates
from fer_engine.vision.finder.pyramid import TILE, Level, levels
from fer_engine.vision.finder.verify import SIDE, verifier_crop
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import opencv
from fer_engine.vision.options import check_positive, check_share

DETECTOR, VERIFIER = (Path(__file__).parent / name for name in ("detector", "verifier"))
MIN_FACE_SCORE = 0.7
VERIFIER_LABELS = ("other", "face")
SURE = float(np.log(MIN_FACE_SCORE / (1 - MIN_FACE_SCORE)))
SEVERAL, SMALL = 3, 24  # a crowd: so many faces that are lower than so many pixels of the level
TILES_AT_ONCE = 16  # bounds the memory for the tiles of a large image and what the detector gives for them
CROPS_AT_ONCE = 8


class FaceFinder:
    """Finds faces by two small networks of this project, which come with the package.

    The image is searched as a whole, and in tiles where it is large: see `detect_size`. Safe to call from
    several threads.
    """

    def __init__(
        self,
        detect_size: int | str = "auto",
        min_face_score: float = MIN_FACE_SCORE,
        *,
        backend: str = "onnxruntime",
        precision: str = "fp32",
        device: str = "cpu",
        threads: int | None = 1,
        detector: str | os.PathLike[str] | Artifact = DETECTOR,
        verifier: str | os.PathLike[str] | Artifact = VERIFIER,
    ) -> None:
        """Load the networks.

        Args:
            detect_size: Larger images are shrunk to this longest side, in pixels, before the search; more
                finds smaller faces and takes longer. Where an image is more than twice as long as wide, twice
                its shorter side counts. "auto": 288 pixels; also 504 in images of at least 1,260 pixels, and
                882 from 2,205 on. Smaller ones are searched so where they show a crowd, from 554 and 970 on.
            min_face_score: Lowest score of a face, from 0 to 1.
            backend: As for `Engine.load`.
            precision: As for `Engine.load`.
            device: As for `Engine.load`.
            threads: As for `Engine.load`. One thread is best where several images are searched at once.
            detector: An artifact of your own for the first stage.
            verifier: An artifact of your own for the second stage.

        Raises:
            ArtifactError: an artifact is missing or damaged.
            BackendError: the backend or the device is unknown or not available.
            ConfigError: a value is out of range, or an artifact is for another task.
        """
        self._detect_size = _as_size(detect_size)
        check_share(min_face_score=min_face_score)
        self._min_face_score = min_face_score

        def load(path: str | os.PathLike[str] | Artifact, batch: int) -> Engine:
            # On a GPU the plan says which batches there are.
            micro_batch = batch if device == "cpu" else None
            return Engine.load(
                path,
                precision=precision,
                backend=backend,
                device=device,
                threads=threads,
                micro_batch=micro_batch,
            )

        # One tile fills a core's cache with its activations.
        self._detector, self._verifier = load(detector, 1), load(verifier, CROPS_AT_ONCE)
        _check_networks(self._detector, self._verifier)

    def __call__(self, image: Image) -> Detections:
        """Return the faces in an image, uint8 [height, width, 3] in BGR, from left to right, with scores.

        Raises:
            InputError: it is no such image.
            BackendError: the runtime failed.
        """
        gray = opencv().cvtColor(check_image(image), opencv().COLOR_BGR2GRAY)
        faces = self._find(gray)
        scores = 1 / (1 + np.exp(-faces.logits.clip(-80, 80)))  # exp(80) is still a float32
        boxes = clip_boxes(faces.boxes, image)
        sure = (scores >= self._min_face_score) & (boxes[:, 2:] > 0).all(1)
        return as_detections(Detections(boxes[sure], scores[sure]), image)

    def _find(self, gray: NDArray[np.uint8]) -> Candidates:
        """Return what may be a face in a gray image, uint8 [height, width], with the logits of both."""
        found: list[Candidates] = []
        crowded = False
        height, width = gray.shape
        for level in levels(height, width, self._detect_size):
            if not (level.always or crowded):
                break
            candidates = self._verified(gray, self._search(gray, level).resized(gray, level))
            found.append(candidates)
            crowded = _is_crowd(candidates, level.height / height)
        return joined(found).faces()

    def _search(self, gray: NDArray[np.uint8], level: Level) -> Candidates:
        """Return the detector's candidates at a level, in pixels of the level."""
        shrunk = level.shrunk(gray)
        found: list[Candidates] = []
        for start in range(0, len(level.tiles), TILES_AT_ONCE):
            tiles = level.tiles[start : start + TILES_AT_ONCE]
            outputs = self._detector.logits(level.cut(shrunk, tiles))
            found += read_candidates(outputs, tiles, level)
        return joined(found).best()

    def _verified(self, gray: NDArray[np.uint8], candidates: Candidates) -> Candidates:
        """Return the candidates, in pixels of the gray image, with the verifier's logits added."""
        if not len(candidates.boxes):
            return candidates
        crops = np.stack([verifier_crop(gray, box) for box in candidates.boxes.tolist()])
        verdicts = self._verifier.logits(crops)
        return candidates._replace(logits=candidates.logits + verdicts[:, 1] - verdicts[:, 0])


def _is_crowd(candidates: Candidates, scale: float) -> bool:
    """Return whether a level has several small faces, beside which smaller ones may have been missed.

    Args:
        candidates: Of the level, in pixels of the image, verified.
        scale: Of the level.
    """
    faces = candidates.boxes[candidates.logits > SURE]
    return int((faces[:, 3] * scale < SMALL).sum()) >= SEVERAL


def _as_size(detect_size: int | str) -> int | None:
    if detect_size == "auto":
        return None
    if type(detect_size) is not int:
        raise ConfigError(f"detect_size must be a number of pixels or 'auto', got {detect_size!r}")
    check_positive(detect_size=detect_size)
    return detect_size


def _check_networks(detector: Engine, verifier: Engine) -> None:
    spec = detector.spec
    if spec.task != "detection" or spec.face_shape != (TILE, TILE):
        raise ConfigError(
            f"{spec.name} is a {spec.task} model that takes {list(spec.face_shape)}; the face finder needs a "
            f"detection that takes gray [{TILE}, {TILE}]"
        )
    spec = verifier.spec
    if spec.labels != VERIFIER_LABELS or spec.face_shape != (SIDE, SIDE):
        raise ConfigError(
            f"{spec.name} takes {list(spec.face_shape)} and tells {', '.join(spec.labels)}; the face finder "
            f"needs a verifier that takes gray [{SIDE}, {SIDE}] and tells {', '.join(VERIFIER_LABELS)}"
        )
