"""From frames with boxes to expressions, for many frames at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.engine import Engine, Prediction
from fer_engine.vision.crop import crop_faces
from fer_engine.vision.face import Boxes, Face
from fer_engine.vision.video.follower import Follower, Located
from fer_engine.vision.video.frame import Analysis, Frame
from fer_engine.vision.video.smooth import Smoother


@dataclass(frozen=True, slots=True)
class Searched:
    """A frame with the boxes detected in it, int32 [n, 4], or None where its faces are to be followed.

    `first` says that another source begins with it.
    """

    frame: Frame
    boxes: Boxes | None
    first: bool


class Analyser:
    """Follows faces from frame to frame and reads their expressions; takes the frames in order.

    Args:
        engine: A classifier.
        between: Whether there are frames without detection.
        margin: As for `crop_faces`.
        smoothing: As for `Smoother`; 0 for none.
    """

    def __init__(self, engine: Engine, between: bool, margin: float, smoothing: float) -> None:
        self._engine = engine
        self._between = between
        self._margin = margin
        self._smoothing = smoothing
        self._follower = Follower(between)
        self._smoother = Smoother(smoothing)

    def analyse(self, group: Sequence[Searched]) -> Iterator[Analysis]:
        """Yield the analyses of the next frames, whose faces go to the engine together."""
        located = [self._locate(searched) for searched in group]
        crops = [
            crop_faces(searched.frame.image, faces.boxes, self._engine.spec, self._margin)
            for searched, faces in zip(group, located, strict=True)
        ]
        prediction = self._engine.predict(np.concatenate(crops))
        start = 0
        for searched, faces in zip(group, located, strict=True):
            rows = slice(start, start := start + len(faces.boxes))
            probabilities, labels = prediction.probabilities[rows], prediction.labels[rows]
            if self._smoothing:
                probabilities, labels = self._smooth(searched.first, faces.tracks, probabilities)
            known = Prediction(labels, probabilities)
            yield Analysis(searched.frame, Face.of_prediction(faces.boxes, known, faces.tracks))

    def _locate(self, searched: Searched) -> Located:
        if searched.first:
            self._follower = Follower(self._between)
        return self._follower.locate(searched.frame.image, searched.boxes)

    def _smooth(
        self, first: bool, tracks: list[int], probabilities: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], list[str]]:
        if first:
            self._smoother = Smoother(self._smoothing)
        smooth = self._smoother.update(tracks, probabilities)
        return smooth, [self._engine.spec.labels[index] for index in smooth.argmax(1)]
