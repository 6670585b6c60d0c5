"""How contexts are made."""

from __future__ import annotations

from typing import Any, cast

from fer_engine.backends.tensorrt import rtx_api
from fer_engine.backends.tensorrt.api import ICudaEngine, TensorRt
from fer_engine.backends.tensorrt.log import Log


def context_settings(trt: TensorRt, engine: ICudaEngine, log: Log) -> Any:
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
    rtx = cast("rtx_api.TensorRt", trt)
    config = cast("rtx_api.ICudaEngine", engine).create_runtime_config()
    config.set_execution_context_allocation_strategy(user_managed)
    config.dynamic_shapes_kernel_specialization_strategy = rtx.DynamicShapesKernelSpecializationStrategy.EAGER
    if not config.set_runtime_cache(config.create_runtime_cache()):
        raise log.failure("set_runtime_cache")
    return config
