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
from studies.other_networks.labels import to_logits

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings


def load(_: Settings) -> Runtime:
    detector = FER()
    size = detector._FER__emotion_target_size  # noqa: SLF001 - see above
    names = detector._get_labels()  # noqa: SLF001 - a dictionary by index
    labels = [names[index] for index in range(len(names))]

    def predict(faces: np.ndarray) -> np.ndarray:
        pixels = np.array([cv2.resize(face, size) for face in faces], "float32")
        return to_logits(
            detector._classify_emotions((pixels / 255.0 - 0.5) * 2.0),  # noqa: SLF001 - see above
            labels,
        )

    info = {"version": metadata.version("fer"), "threads": "default", "labels": labels}
    return Runtime(predict, splits=True, info=lambda: info)
