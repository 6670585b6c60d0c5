"""The backend on `tensorrt_rtx`, for GeForce and RTX GPUs."""

from __future__ import annotations

from typing import ClassVar

import tensorrt_rtx

from fer_engine.backends.tensorrt.backend import TensorRtBackend


class RtxBackend(TensorRtBackend):
    """A model in TensorRT for RTX."""

    name = "tensorrt-rtx"
    library = tensorrt_rtx
    versions: ClassVar[dict[str, str]] = {"tensorrt-rtx": tensorrt_rtx.__version__}
