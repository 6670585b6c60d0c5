"""A face in an image and its expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.image import Image

if TYPE_CHECKING:
    from fer_engine.engine import Prediction

UNCERTAIN = "uncertain"  # the label where no expression is probable enough
Boxes = NDArray[np.int32]  # [n, 4]: left, top, width, height, in pixels of the image
Scores = NDArray[np.float32]  # [n], from 0 to 1


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector found: boxes, int32 [n, 4], and their scores, float32 [n] from 0 to 1.

    `scores` is None where the detector gives none.
    """

    boxes: Boxes
    scores: Scores | None = None


class FaceDetector(Protocol):
    """What finds faces: any callable of this form, such as a function."""

    def __call__(self, image: Image) -> Boxes | Detections:
        """Return the faces in an image, uint8 [height, width, 3] in BGR: boxes, int32 [n, 4], or more."""
        ...


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    `box` is left, top, width, height in pixels; `label` is the most probable expression, or `UNCERTAIN`;
    `probabilities` is float32 [classes] in the order of the spec's labels; `track` is the number of the
    person over the frames of a video, or None outside of videos; `score` is how sure the detector is that
    this is a face, from 0 to 1, or None where it does not say.
    """

    box: tuple[int, int, int, int]
    label: str
    probabilities: NDArray[np.float32]
    track: int | None = None
    score: float | None = None

    @classmethod
    def of_prediction(
        cls,
        boxes: Boxes,
        prediction: Prediction,
        tracks: Sequence[int] | None = None,
        min_confidence: float = 0.0,
        scores: Scores | None = None,
    ) -> tuple[Face, ...]:
        """Return one face for each box, int32 [n, 4], with prediction, track and score of the same row.

        A face whose highest probability is below `min_confidence` gets the label `UNCERTAIN`; its
        probabilities stay as they are.
        """
        unknown = [None] * len(boxes)
        numbers = unknown if tracks is None else tracks
        sure = unknown if scores is None else scores.tolist()
        rows = zip(boxes.tolist(), prediction.labels, prediction.probabilities, numbers, sure, strict=True)
        return tuple(
            cls(tuple(box), label if shares.max() >= min_confidence else UNCERTAIN, shares, track, score)
            for box, label, shares, track, score in rows
        )

    def as_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return box, label, probabilities by label, and score and track if any, as values of JSON."""
        pairs = zip(labels, self.probabilities, strict=True)
        shares = {label: round(float(share), 6) for label, share in pairs}
        known: dict[str, Any] = {"box": list(self.box), "label": self.label, "probabilities": shares}
        if self.score is not None:
            known["score"] = round(self.score, 4)
        return known if self.track is None else {**known, "track": self.track}
