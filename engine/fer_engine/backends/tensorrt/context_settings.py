"""How execution contexts are made, and the API of TensorRT for RTX that this takes."""

# ruff: noqa: N802 - these are TensorRT's names
from __future__ import annotations

from typing import Any, Protocol, cast

from fer_engine.backends.tensorrt import api
from fer_engine.backends.tensorrt.log import Log

# What TensorRT for RTX has beyond the classes of `api`.


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


def context_settings(trt: api.TensorRt, engine: api.ICudaEngine, log: Log) -> Any:
    """Return what `create_execution_context` takes; all contexts allocate nothing by themselves.

    TensorRT for RTX compiles its kernels on the GPU that it finds. Left to itself it runs general ones
    until those for a batch are ready, and a graph captured meanwhile would keep them for good: here it
    compiles before the first run. A cache lets the contexts share what one of them compiled.

    Raises:
        BackendError: TensorRT refuses the cache.
    """
    user_managed = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    if trt.__name__ != "tensorrt_rtx":
        return user_managed
    rtx = cast("TensorRt", trt)
    config = cast("ICudaEngine", engine).create_runtime_config()
    config.set_execution_context_allocation_strategy(user_managed)
    config.dynamic_shapes_kernel_specialization_strategy = rtx.DynamicShapesKernelSpecializationStrategy.EAGER
    if not config.set_runtime_cache(config.create_runtime_cache()):
        raise log.failure("set_runtime_cache")
    return config
