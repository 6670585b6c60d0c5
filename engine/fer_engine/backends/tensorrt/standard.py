"""The backend on `tensorrt`, for all GPUs of NVIDIA."""

from __future__ import annotations

from typing import ClassVar

import tensorrt

from fer_engine.backend import BackendOptions, Model
from fer_engine.backends.cuda.devices import connect
from fer_engine.backends.tensorrt.backend import TensorRtBackend


class StandardBackend(TensorRtBackend):
    """A model in TensorRT 10 or 11."""

    name = "tensorrt"
    versions: ClassVar[dict[str, str]] = {"tensorrt": tensorrt.__version__}

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> TensorRtBackend:
        return cls.open(tensorrt, connect(options.device, cls.name), model, options)
