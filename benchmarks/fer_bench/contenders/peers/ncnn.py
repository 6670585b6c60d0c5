"""ncnn, a runtime for phones, which takes one face at a time.

pnnx makes its model from TorchScript, without half-precision weights. By default each layer is shared
among all cores, which is for latency. Its documentation warns that this does not always pay;
networks are safe to share, so for throughput each core takes faces of its own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np

from fer_bench.contenders.peers.normalize import mean_and_scale
from fer_bench.contenders.peers.split import in_parts
from fer_bench.contenders.runtime import Runtime
from fer_engine.errors import BackendError
from fer_engine.system.cpu import usable_cores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fer_bench.contenders.runtime import Predict, Settings


def convert(network: nn.Module, example: Tensor, path: Path) -> None:
    import pnnx
    import torch

    script = path.parent / "model.pt"
    torch.jit.trace(network, example).save(script)  # type: ignore[no-untyped-call]
    shape = str(list(example.shape)).replace(" ", "")
    subprocess.run(
        [pnnx.EXEC_PATH, script.name, f"inputshape={shape}", "fp16=0"], cwd=path.parent, check=True
    )


def load_latency(settings: Settings) -> Runtime:
    threads = settings["threads"] or ncnn.Net().opt.num_threads
    return _runtime(_network(settings, threads), threads)


def load_throughput(settings: Settings) -> Runtime:
    threads = settings["threads"] or usable_cores()
    return _runtime(in_parts(_network(settings, 1), threads), threads)


def _runtime(predict: Predict, threads: int) -> Runtime:
    info = {"version": ncnn.__version__, "threads": threads}
    return Runtime(predict, splits=True, info=lambda: info)


def _network(settings: Settings, threads: int) -> Predict:
    network = ncnn.Net()
    network.opt.num_threads = threads
    weights = Path(settings["file"])
    for failed, file in (
        (network.load_param(str(weights.with_suffix(".param"))), weights.with_suffix(".param")),
        (network.load_model(str(weights)), weights),
    ):
        if failed:
            raise BackendError(f"ncnn cannot read {file}; delete its folder, so that it is converted again")
    (entry,), (end,) = network.input_names(), network.output_names()
    mean, scale = mean_and_scale(settings)

    def one(face: np.ndarray) -> np.ndarray:
        height, width = face.shape
        pixels = ncnn.Mat.from_pixels(face, ncnn.Mat.PixelType.PIXEL_GRAY, width, height)
        pixels.substract_mean_normalize([mean], [1 / scale])
        extractor = network.create_extractor()
        extractor.input(entry, pixels)
        return np.array(extractor.extract(end)[1])

    return lambda faces: np.stack([one(face) for face in faces])
