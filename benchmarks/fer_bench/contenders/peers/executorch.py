"""ExecuTorch with the XNNPACK delegate, its solution for CPUs.

The batch is dynamic up to a bound for which memory is planned; larger ones are cut. Its thread pool
takes the machine's cores by itself, for single faces and for batches alike.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime as ExecuTorch

from fer_bench.contenders.peers.normalize import mean_and_scale, normalize
from fer_bench.contenders.runtime import Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fer_bench.contenders.runtime import Settings

BOUND = 64


def convert(network: nn.Module, example: Tensor, path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch.export import Dim, export

    faces = example.repeat(BOUND, 1, 1, 1)
    exported = export(network, (faces,), dynamic_shapes=({0: Dim("batch", min=1, max=BOUND)},))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def load(settings: Settings) -> Runtime:
    if settings["threads"]:
        portable_lib._unsafe_reset_threadpool(settings["threads"])  # noqa: SLF001 - there is no other way
    method = ExecuTorch.get().load_program(Path(settings["file"])).load_method("forward")
    mean, scale = mean_and_scale(settings)

    def predict(faces: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(normalize(faces, mean, scale))
        return np.concatenate([method.execute([part])[0].numpy() for part in torch.split(pixels, BOUND)])

    info = {
        "version": metadata.version("executorch"),
        "threads": portable_lib._threadpool_get_thread_count(),  # noqa: SLF001 - there is no other way
        "batch_bound": BOUND,
    }
    return Runtime(predict, splits=True, info=lambda: info)
