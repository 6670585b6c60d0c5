"""Classifies the faces of several frames in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.engine import Engine, Prediction
from fer_engine.vision.crop import crop_faces
from fer_engine.vision.face import Detections, Face
from fer_engine.vision.video.follower import Follower, TrackedBoxes
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.smooth import Smoother


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """A frame with what was detected in it, or None where its faces are to be followed.

    `first` is true for the first frame of a source, `cut` for the first one of another scene in it.
    """

    frame: Frame
    detections: Detections | None
    first: bool
    cut: bool = False


class Analyser:
    """Tracks faces from frame to frame and classifies their expressions; takes the frames in order.

    Args:
        engine: A classifier.
        flow: Whether there are frames without detection, in which faces are followed by optical flow.
        margin: As for `crop_faces`.
        smoothing: As for `Smoother`; 0 for none.
        min_confidence: As for `Face.of_prediction`, of the smoothed probabilities.
    """

    def __init__(
        self, engine: Engine, flow: bool, margin: float, smoothing: float, min_confidence: float
    ) -> None:
        self._engine = engine
        self._flow = flow
        self._margin = margin
        self._smoothing = smoothing
        self._min_confidence = min_confidence
        self._follower = Follower(flow)
        self._smoother = Smoother(smoothing)

    def analyse(self, group: Sequence[DetectedFrame]) -> Iterator[Analysis]:
        """Yield the analyses of the next frames; the faces of all go to the engine in one batch."""
        tracked = [self._track(detected) for detected in group]
        crops = [
            crop_faces(detected.frame.image, faces.boxes, self._engine.spec, self._margin)
            for detected, faces in zip(group, tracked, strict=True)
        ]
        prediction = self._engine.predict(np.concatenate(crops))
        start = 0
        for detected, faces in zip(group, tracked, strict=True):
            rows = slice(start, start := start + len(faces.boxes))
            probabilities, labels = prediction.probabilities[rows], prediction.labels[rows]
            if self._smoothing:
                probabilities, labels = self._smooth(detected.first, faces.tracks, probabilities)
            known = Prediction(labels, probabilities)
            found = Face.of_prediction(faces.boxes, known, faces.tracks, self._min_confidence, faces.scores)
            yield Analysis(detected.frame, found)

    def _track(self, detected: DetectedFrame) -> TrackedBoxes:
        if detected.first:
            self._follower = Follower(self._flow)
        elif detected.cut:
            self._follower.forget()
        return self._follower.track(detected.frame.image, detected.detections)

    def _smooth(
        self, first: bool, tracks: list[int], probabilities: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], list[str]]:
        if first:
            self._smoother = Smoother(self._smoothing)
        smooth = self._smoother.update(tracks, probabilities)
        return smooth, [self._engine.spec.labels[index] for index in smooth.argmax(1)]
