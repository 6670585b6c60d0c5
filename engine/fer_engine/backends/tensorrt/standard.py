"""The backend on `tensorrt`, for all GPUs of NVIDIA."""

from __future__ import annotations

from typing import ClassVar

import tensorrt

from fer_engine.backends.tensorrt.backend import TensorRtBackend


class StandardBackend(TensorRtBackend):
    """A model in TensorRT 10 or 11."""

    name = "tensorrt"
    library = tensorrt
    versions: ClassVar[dict[str, str]] = {"tensorrt": tensorrt.__version__}
