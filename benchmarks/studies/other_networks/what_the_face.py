"""The package `what-the-face-classification` from PyPI: a PyTorch network.

Its public call detects a face first, so the benchmark calls the transform and the network that the call
ends in. It takes one face a call; the network takes many, which is used here.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from what_the_face_classification.inference import Image_classifier

from fer_bench.contenders.runtime import Runtime
from studies.other_networks.labels import to_logits

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings


def load(settings: Settings) -> Runtime:
    torch.set_num_threads(settings["threads"])
    classifier = Image_classifier()
    classifier.net.eval()
    labels = list(classifier.classes)

    def predict(faces: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            pixels = torch.stack([classifier.transform(Image.fromarray(face)) for face in faces])
            return to_logits(torch.softmax(classifier.net(pixels), 1).numpy(), labels)

    info = {
        "version": metadata.version("what-the-face-classification"),
        "threads": torch.get_num_threads(),
        "labels": labels,
    }
    return Runtime(predict, splits=False, info=lambda: info)
