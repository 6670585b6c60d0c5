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


class FaceDetector(Protocol):
    """What finds faces: any callable of this form, such as a function."""

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes of the faces in an image, uint8 [height, width, 3] in BGR, as int32 [n, 4]."""
        ...


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    `box` is left, top, width, height in pixels; `label` is the most probable expression, or `UNCERTAIN`;
    `probabilities` is float32 [classes] in the order of the spec's labels; `track` is the number of the
    person over the frames of a video, or None outside of videos.
    """

    box: tuple[int, int, int, int]
    label: str
    probabilities: NDArray[np.float32]
    track: int | None = None

    @classmethod
    def of_prediction(
        cls,
        boxes: Boxes,
        prediction: Prediction,
        tracks: Sequence[int] | None = None,
        min_confidence: float = 0.0,
    ) -> tuple[Face, ...]:
        """Return one face for each box, int32 [n, 4], with the prediction and the track of the same row.

        A face whose highest probability is below `min_confidence` gets the label `UNCERTAIN`; its
        probabilities stay as they are.
        """
        known = [None] * len(boxes) if tracks is None else tracks
        rows = zip(boxes.tolist(), prediction.labels, prediction.probabilities, known, strict=True)
        return tuple(
            cls(tuple(box), label if shares.max() >= min_confidence else UNCERTAIN, shares, track)
            for box, label, shares, track in rows
        )

    def as_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return box, label, probabilities by label, and the track if any, as values that JSON can hold."""
        pairs = zip(labels, self.probabilities, strict=True)
        shares = {label: round(float(share), 6) for label, share in pairs}
        known: dict[str, Any] = {"box": list(self.box), "label": self.label, "probabilities": shares}
        return known if self.track is None else {**known, "track": self.track}
