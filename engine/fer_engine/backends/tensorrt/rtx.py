"""The backend on `tensorrt_rtx`, for GeForce and RTX GPUs."""

from __future__ import annotations

from typing import ClassVar

import tensorrt_rtx

from fer_engine.backend import BackendOptions, Model
from fer_engine.backends.cuda.devices import connect
from fer_engine.backends.tensorrt.backend import TensorRtBackend


class RtxBackend(TensorRtBackend):
    """A model in TensorRT for RTX."""

    name = "tensorrt-rtx"
    versions: ClassVar[dict[str, str]] = {"tensorrt-rtx": tensorrt_rtx.__version__}

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> TensorRtBackend:
        return cls.open(tensorrt_rtx, connect(options.device, cls.name), model, options)
