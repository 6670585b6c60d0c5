"""All that the runtime uses of TensorRT, as types.

The bindings of `tensorrt` and `tensorrt_rtx` carry no types of use to a checker. Here the type checker
holds the runtime to what these classes declare, and a test holds these classes to the real bindings:
every name and parameter below exists there.
"""

# ruff: noqa: N802 - these are TensorRT's names
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class IExecutionContext(Protocol):
    """One execution at a time of an engine."""

    def set_device_memory(self, memory: int, size: int) -> None: ...

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...

    def set_tensor_address(self, name: str, memory: int) -> bool: ...

    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    """A plan in memory."""

    @property
    def num_io_tensors(self) -> int: ...

    @property
    def num_optimization_profiles(self) -> int: ...

    def get_tensor_name(self, index: int) -> str: ...

    def get_tensor_mode(self, name: str) -> Any: ...

    def get_tensor_dtype(self, name: str) -> Any: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Sequence[int]]: ...

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int: ...

    def create_execution_context(self, settings: Any, /) -> IExecutionContext | None: ...


class Runtime(Protocol):
    """What turns plans into engines."""

    engine_host_code_allowed: bool

    def __init__(self, logger: Any) -> None: ...

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


class ExecutionContextAllocationStrategy(Protocol):
    """Who allocates a context's scratch memory."""

    USER_MANAGED: Any


class TensorIOMode(Protocol):
    """Inputs and outputs."""

    INPUT: Any


class TensorRt(Protocol):
    """The module `tensorrt` or `tensorrt_rtx`."""

    __name__: str
    __version__: str

    @property
    def ILogger(self) -> Any: ...

    @property
    def Runtime(self) -> type[Runtime]: ...

    @property
    def TensorIOMode(self) -> type[TensorIOMode]: ...

    @property
    def ExecutionContextAllocationStrategy(
        self,
    ) -> type[ExecutionContextAllocationStrategy]: ...
