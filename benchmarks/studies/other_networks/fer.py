"""The package `fer` from PyPI: what many use today, with a network of its own.

Its public call detects faces first, so the benchmark calls what that call ends in, with the same
resize and normalization. It has no settings for speed beyond its TFLite model, which is its default.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import cv2
import numpy as np
from fer.fer import FER

from fer_bench.contenders.runtime import Runtime

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings

LEAST = 1e-7  # of a probability, so that its logarithm is finite


def load(_: Settings) -> Runtime:
    detector = FER()
    size = detector._FER__emotion_target_size  # noqa: SLF001 - see above

    def predict(faces: np.ndarray) -> np.ndarray:
        pixels = np.array([cv2.resize(face, size) for face in faces], "float32")
        probabilities = detector._classify_emotions((pixels / 255.0 - 0.5) * 2.0)  # noqa: SLF001 - see above
        # Softmax gives them back.
        return np.log(np.maximum(probabilities, LEAST)).astype(np.float32)

    info = {"version": metadata.version("fer"), "threads": "default"}
    return Runtime(predict, splits=True, info=lambda: info)
