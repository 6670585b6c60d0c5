"""OpenCV's DNN module on its own CPU kernels.

It divides by zero inside on a graph of raw uint8 faces, so it gets the bare network, and normalizes
with blobFromImages as its documentation shows. It has one setting that matters here, the number of
threads, and takes all cores by default, for single faces and for batches alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from fer_bench.contenders.peers.normalize import mean_and_scale
from fer_bench.contenders.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from fer_bench.contenders.runtime import Settings


def convert(network: nn.Module, example: Tensor, path: Path) -> None:
    import torch

    torch.onnx.export(network, (example,), path, dynamo=True, external_data=False, verbose=False)


def load(settings: Settings) -> Runtime:
    if settings["threads"]:
        cv2.setNumThreads(settings["threads"])
    network = cv2.dnn.readNetFromONNX(settings["file"])
    network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    network.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    mean, scale = mean_and_scale(settings)

    def predict(faces: np.ndarray) -> np.ndarray:
        network.setInput(cv2.dnn.blobFromImages(list(faces), 1 / scale, mean=mean))
        return np.array(network.forward())

    info = {"version": cv2.__version__, "threads": cv2.getNumThreads()}
    return Runtime(predict, splits=False, info=lambda: info)
