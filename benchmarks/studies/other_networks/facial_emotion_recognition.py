"""The package `facial-emotion-recognition` from PyPI: a PyTorch network that ends in sigmoids.

Its public call detects faces first, so the benchmark calls the transform and the network that the call
ends in. It takes one face a call; the network takes many, which is used here. Its weights were saved on a
GPU and fail to load without one: they are loaded onto the CPU here.
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import torch
from facial_emotion_recognition import EmotionRecognition

from fer_bench.contenders.runtime import Runtime
from studies.other_networks.labels import to_logits

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Settings


def load(settings: Settings) -> Runtime:
    torch.set_num_threads(settings["threads"])
    with mock.patch("torch.load", functools.partial(torch.load, map_location="cpu")):
        recognition = EmotionRecognition("cpu")
    labels = [recognition.emotions[index] for index in range(len(recognition.emotions))]

    def predict(faces: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            pixels = torch.stack([recognition.transform(face[:, :, np.newaxis]) for face in faces])
            return to_logits(recognition.network(pixels).numpy(), labels)

    info = {
        "version": metadata.version("facial-emotion-recognition"),
        "threads": torch.get_num_threads(),
        "labels": labels,
    }
    return Runtime(predict, splits=False, info=lambda: info)
