"""PyTorch beyond plain eager mode, which is the benchmark's reference.

PyTorch's documentation advises channels-last memory for convolutions, and inference mode.
torch.compile adds Inductor's fused C++ kernels: it needs a C++ compiler. Freezing makes the weights
constants, which folds the batch norms into the convolutions; a graph is compiled for each batch size,
as fixed sizes give the quickest kernels. The same settings serve single faces and large batches.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fer_bench.contenders.runtime import Runtime
from fer_train import checkpoint, loop

if TYPE_CHECKING:
    import numpy as np

    from fer_bench.contenders.runtime import Settings


BATCH_SIZES = 64  # PyTorch compiles for so many at most; its own limit is 8


def load_channels_last(settings: Settings) -> Runtime:
    return _runtime(_network(settings))


def load_compiled(settings: Settings) -> Runtime:
    torch._dynamo.config.recompile_limit = BATCH_SIZES  # noqa: SLF001 - documented, in a private module
    # fullgraph: without it PyTorch goes back to eager mode, in silence, beyond that limit.
    compiled = torch.compile(_network(settings), dynamic=False, fullgraph=True, options={"freezing": True})
    return _runtime(compiled)


def _network(settings: Settings) -> torch.nn.Module:
    """Return the network behind its own normalization."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    network, spec = checkpoint.load(Path(settings["file"]))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in the stubs

    class Normalized(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            pixels = loop.normalize(faces, spec)
            logits = self.network(pixels.contiguous(memory_format=torch.channels_last))
            return logits / spec.temperature

    return Normalized().eval()


def _runtime(network: Any) -> Runtime:
    def predict(faces: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits: np.ndarray = network(torch.from_numpy(faces)).numpy()
        return logits

    info = {"version": torch.__version__, "threads": torch.get_num_threads()}
    return Runtime(predict, splits=False, info=lambda: info)
