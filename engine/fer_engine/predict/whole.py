"""Pictures that are faces already."""

from __future__ import annotations

import numpy as np

from fer_engine.vision.face import Boxes, Picture


def whole_picture(picture: Picture) -> Boxes:
    """Return one box, int32 [1, 4], around all of a picture: a face detector that has nothing to look for."""
    height, width = picture.shape[:2]
    return np.array([[0, 0, width, height]], np.int32)
