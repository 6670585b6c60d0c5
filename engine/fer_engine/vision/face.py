"""A face in an image, and the expression that was read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.image import Image

if TYPE_CHECKING:
    from fer_engine.engine import Prediction

Boxes = NDArray[np.int32]  # [n, 4]: left, top, width, height, in pixels of the image


class FaceDetector(Protocol):
    """Anything that finds faces: a function will do."""

    def __call__(self, image: Image) -> Boxes:
        """Return the boxes of the faces in an image, uint8 [height, width, 3] in BGR, as int32 [n, 4]."""
        ...


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    `box` is left, top, width, height in pixels; `probabilities` is float32 [classes] in the order of the
    spec's labels; `track` is the number of the person over a video's frames, None where nobody is followed.
    """

    box: tuple[int, int, int, int]
    label: str
    probabilities: NDArray[np.float32]
    track: int | None = None

    @classmethod
    def of_prediction(
        cls, boxes: Boxes, prediction: Prediction, tracks: Sequence[int] | None = None
    ) -> tuple[Face, ...]:
        """Return the faces with these boxes, int32 [n, 4], and what was read from each, in order."""
        known = [None] * len(boxes) if tracks is None else tracks
        rows = zip(boxes.tolist(), prediction.labels, prediction.probabilities, known, strict=True)
        return tuple(cls(tuple(box), label, shares, track) for box, label, shares, track in rows)

    def as_json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the face as JSON takes it: box, label, probabilities by label, and its track if any."""
        pairs = zip(labels, self.probabilities, strict=True)
        shares = {label: round(float(share), 6) for label, share in pairs}
        known: dict[str, Any] = {"box": list(self.box), "label": self.label, "probabilities": shares}
        return known if self.track is None else {**known, "track": self.track}
