"""What the runtime uses of TensorRT for RTX alone, as types; see `api.py`."""

# ruff: noqa: N802 - these are TensorRT's names
from __future__ import annotations

from typing import Any, Protocol


class IRuntimeConfig(Protocol):
    """How contexts shall compile and run the plan."""

    dynamic_shapes_kernel_specialization_strategy: Any

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None: ...

    def create_runtime_cache(self) -> Any: ...

    def set_runtime_cache(self, cache: Any) -> bool: ...


class ICudaEngine(Protocol):
    """A plan in memory."""

    def create_runtime_config(self) -> IRuntimeConfig: ...


class DynamicShapesKernelSpecializationStrategy(Protocol):
    """When kernels for a batch are compiled that the plan has none for."""

    EAGER: Any


class TensorRt(Protocol):
    """The module `tensorrt_rtx`."""

    @property
    def DynamicShapesKernelSpecializationStrategy(
        self,
    ) -> type[DynamicShapesKernelSpecializationStrategy]: ...
