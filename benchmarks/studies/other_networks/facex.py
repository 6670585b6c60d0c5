"""The package `facex` from PyPI: a TFLite network that takes one face a call.

Its public call detects faces first, so the benchmark calls what that call does with each face.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from facex import EmotionClassifier

from fer_bench.contenders.runtime import Runtime
from studies.other_networks.labels import to_logits

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings


def load(settings: Settings) -> Runtime:
    classifier = EmotionClassifier(settings["file"])
    labels = list(classifier.category)

    def predict(faces: np.ndarray) -> np.ndarray:
        found = [classifier.detect_emotion(face) for face in faces]
        return to_logits(np.array([[face[label] for label in labels] for face in found]), labels)

    info = {"version": metadata.version("facex"), "threads": "default", "labels": labels}
    return Runtime(predict, splits=False, info=lambda: info)
