"""LiteRT, once TensorFlow Lite, with the XNNPACK delegate that it applies by default.

litert-torch converts the network with a dynamic batch. The number of threads is left to the caller, so
both ends are measured: one, and one a core. The delegate is prepared for one batch size, so each size
has an interpreter, made when it first comes, before the clock runs.
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from fer_bench.contenders.peers.normalize import mean_and_scale, normalize
from fer_bench.contenders.runtime import Runtime
from fer_engine.system.cpu import usable_cores

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from fer_bench.contenders.runtime import Settings


def convert(network: nn.Module, example: Tensor, path: Path) -> None:
    import litert_torch
    from torch.export import Dim

    faces = example.repeat(2, 1, 1, 1)  # torch.export takes a size of 1 for a constant
    litert_torch.convert(network, (faces,), dynamic_shapes=({0: Dim("batch", min=1)},)).export(str(path))


def load_single(settings: Settings) -> Runtime:
    return _load(settings, 1)


def load_all(settings: Settings) -> Runtime:
    return _load(settings, settings["threads"] or usable_cores())


def _load(settings: Settings, threads: int) -> Runtime:
    mean, scale = mean_and_scale(settings)

    @functools.cache
    def interpreter(shape: tuple[int, ...]) -> Interpreter:
        made = Interpreter(settings["file"], num_threads=threads)
        made.resize_tensor_input(made.get_input_details()[0]["index"], shape)
        made.allocate_tensors()
        return made

    def predict(faces: np.ndarray) -> np.ndarray:
        pixels = normalize(faces, mean, scale)
        runtime = interpreter(pixels.shape)
        runtime.set_tensor(runtime.get_input_details()[0]["index"], pixels)
        runtime.invoke()
        logits: np.ndarray = runtime.get_tensor(runtime.get_output_details()[0]["index"])
        return logits

    info = {"version": metadata.version("ai-edge-litert"), "threads": threads}
    return Runtime(predict, splits=False, info=lambda: info)
