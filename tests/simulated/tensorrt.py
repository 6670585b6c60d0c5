"""A stand-in for the modules `tensorrt` and `tensorrt_rtx` on the simulated device.

Its plans hold an ONNX graph, and its contexts compute that graph's true outputs with ONNX Runtime, when
the device gets to the work and from the bytes that then lie at the tensors' addresses.
"""

from __future__ import annotations

import enum
import functools
import json
import math
import weakref

import onnxruntime

from simulated.cudart import SimulatedCudart
from simulated.memory import MisuseError
from simulated.streams import WorkError

MAGIC = b"simulated plan\n"
SCRATCH = 512
LAUNCH_SECONDS = 2e-5
FACE_SECONDS = 1e-6
DataType = enum.Enum("DataType", ["UINT8", "FLOAT"])
TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
Strategy = enum.Enum("ExecutionContextAllocationStrategy", ["STATIC", "ON_PROFILE_CHANGE", "USER_MANAGED"])
Specialization = enum.Enum("DynamicShapesKernelSpecializationStrategy", ["LAZY", "EAGER", "NONE"])
TYPES = {"tensor(uint8)": DataType.UINT8, "tensor(float)": DataType.FLOAT}


def make_plan(graph: bytes, profiles: list[tuple[int, int, int]]) -> bytes:
    return MAGIC + json.dumps(profiles).encode() + b"\n" + graph


class ILogger:
    Severity = enum.Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])

    def log(self, severity, msg):
        raise NotImplementedError


class SimulatedTensorRt:
    """The module; `alive` counts the objects that nobody has let go of."""

    __version__ = "11.4.0.1"

    def __init__(self, device: SimulatedCudart, name: str = "tensorrt") -> None:
        self.__name__ = name
        self.device = device
        self.alive: weakref.WeakSet = weakref.WeakSet()
        self.seen: list[bytes] = []  # plans that reached the deserializer
        self.host_code_allowed: list[bool] = []
        self.break_work = False  # the next work fails on the device
        self.ILogger = ILogger
        self.TensorIOMode = TensorIOMode
        self.ExecutionContextAllocationStrategy = Strategy
        self.DynamicShapesKernelSpecializationStrategy = Specialization
        self.Runtime = functools.partial(Runtime, self)


class Fallible:
    """What can be made to fail, and says why in the log."""

    def __init__(self, trt: SimulatedTensorRt, logger: ILogger) -> None:
        self.trt = trt
        self.logger = logger
        trt.alive.add(self)

    def refused(self, call: str, reason: str | None = None) -> bool:
        """Return whether a call fails: it is wrong for a `reason`, or the test wants it to."""
        with self.trt.device.lock:
            injected = self.trt.device.fails(call)
        if injected or reason:
            self.logger.log(ILogger.Severity.INFO, "a message that is no error")
            message = f"[{call}]\n{reason or 'simulated failure'}"
            self.logger.log(ILogger.Severity.ERROR, message)
        return bool(injected or reason)


class Runtime(Fallible):
    engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine):
        self.trt.seen.append(serialized_engine)
        self.trt.host_code_allowed.append(self.engine_host_code_allowed)
        reason = None if serialized_engine.startswith(MAGIC) else "magic tag does not match"
        if self.refused("deserialize_cuda_engine", reason):
            return None
        return Engine(self.trt, self.logger, serialized_engine)


class Engine(Fallible):
    def __init__(self, trt, logger, content):
        super().__init__(trt, logger)
        profiles, _, graph = content.removeprefix(MAGIC).partition(b"\n")
        self.profiles = json.loads(profiles)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        (self.input,) = self.session.get_inputs()
        (self.output,) = self.session.get_outputs()
        self.ports = {self.output.name: self.output, self.input.name: self.input}  # in no useful order
        self.num_io_tensors = len(self.ports)
        self.num_optimization_profiles = len(self.profiles)

    def get_tensor_name(self, index):
        return list(self.ports)[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name == self.input.name else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return TYPES[self.ports[name].type]

    def get_tensor_shape(self, name):
        return [size if isinstance(size, int) else -1 for size in self.ports[name].shape]

    def get_tensor_profile_shape(self, name, profile_index):
        return [[batch, *self.get_tensor_shape(name)[1:]] for batch in self.profiles[profile_index]]

    def get_device_memory_size_for_profile_v2(self, profile_index):
        return SCRATCH * (profile_index + 1)

    def create_runtime_config(self):
        return RuntimeConfig(self.trt, self.logger)

    def create_execution_context(self, settings):
        if isinstance(settings, RuntimeConfig):
            if settings.dynamic_shapes_kernel_specialization_strategy is not Specialization.EAGER:
                raise MisuseError("a graph would keep the kernels that run until better ones are compiled")
            if settings.cache is None:
                raise MisuseError("every context would compile the same kernels again")
            settings = settings.strategy
        if settings is not Strategy.USER_MANAGED:
            raise MisuseError("a context that allocates by itself cannot always be captured")
        return None if self.refused("create_execution_context") else Context(self)


class RuntimeConfig(Fallible):
    """TensorRT for RTX alone has it."""

    strategy = Strategy.STATIC
    dynamic_shapes_kernel_specialization_strategy = Specialization.LAZY
    cache = None

    def set_execution_context_allocation_strategy(self, strategy):
        self.strategy = strategy

    def create_runtime_cache(self):
        return object()

    def set_runtime_cache(self, cache):
        self.cache = cache
        return not self.refused("set_runtime_cache")


class Context(Fallible):
    def __init__(self, engine):
        super().__init__(engine.trt, engine.logger)
        self.engine = engine
        self.profile = None
        self.shape = None
        self.scratch = None
        self.addresses = {}
        self.has_run = False  # since the last change of shape

    def set_device_memory(self, memory, size):
        self.trt.device.device_memory.at(memory, size)
        self.scratch = (memory, size)

    def set_optimization_profile_async(self, profile_index, stream_handle):  # noqa: ARG002
        wrong = profile_index >= len(self.engine.profiles) and f"no profile {profile_index}"
        if self.refused("set_optimization_profile_async", wrong):
            return False
        self.profile, self.shape, self.has_run = profile_index, None, False
        return True

    def set_input_shape(self, name, shape):
        expected = tuple(self.engine.get_tensor_shape(name))[1:]
        least, _, most = self.engine.profiles[self.profile] if self.profile is not None else (1, 0, 0)
        wrong = not (least <= shape[0] <= most and tuple(shape[1:]) == expected)
        if self.refused("set_input_shape", wrong and f"{shape} does not satisfy profile {self.profile}"):
            return False
        self.shape, self.has_run = tuple(shape), False
        return True

    def set_tensor_address(self, name, memory):
        if self.refused("set_tensor_address", name not in self.engine.ports and f"no tensor {name}"):
            return False
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        engine, device = self.engine, self.trt.device
        needed = engine.get_device_memory_size_for_profile_v2(self.profile or 0)
        ready = self.shape and len(self.addresses) == 2 and self.scratch and self.scratch[1] >= needed
        if self.refused("execute_async_v3", None if ready else "the context is not ready"):
            return False
        with device.lock:
            if device.is_capturing(stream_handle) and not self.has_run:
                raise MisuseError("captured before the first run at this shape")
            self.has_run = True
            device.enqueue(stream_handle, self._work())
        return True

    def _work(self):
        """Return the work with what is bound now, as a graph keeps it."""
        shape, addresses, scratch = self.shape, dict(self.addresses), self.scratch
        context, trt = weakref.ref(self), self.trt  # a graph keeps no context alive

        def work() -> None:
            alive = context()
            if alive is None:
                raise MisuseError("work of a context that was freed")
            if (alive.shape, alive.addresses) != (shape, addresses):
                raise MisuseError("a graph is replayed though shape or addresses of its context changed")
            memory = trt.device.device_memory
            memory.at(*scratch).fill(0xEE)
            if trt.break_work:
                trt.break_work = False
                raise WorkError
            engine = alive.engine
            faces = memory.at(addresses[engine.input.name], math.prod(shape)).reshape(shape)
            (logits,) = engine.session.run(None, {engine.input.name: faces})
            memory.at(addresses[engine.output.name], logits.nbytes)[:] = logits.reshape(-1).view("uint8")
            trt.device.seconds += LAUNCH_SECONDS + FACE_SECONDS * shape[0]

        return work
