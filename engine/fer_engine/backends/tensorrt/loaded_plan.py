"""A plan in memory: what it takes, and the batches that it can run."""

from __future__ import annotations

from fer_engine import exporter
from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.backends.tensorrt.api import ICudaEngine, IExecutionContext, TensorRt
from fer_engine.backends.tensorrt.context_settings import context_settings
from fer_engine.backends.tensorrt.log import Log
from fer_engine.errors import ConfigError
from fer_engine.runtime.backend import Model
from fer_engine.runtime.validate import TensorInfo, check_interface

# Buckets within a profile that takes a range of batches; its largest batch is one as well.
BATCHES = (1, 8, 32, 64, 128, 256)
KINDS = {"UINT8": "uint8", "FLOAT": "float32"}


class LoadedPlan:
    """An engine of TensorRT for one model; `content` is a plan whose hash was found right.

    `host_code` lets a version-compatible plan run the runtime that it carries along.

    Raises:
        ArtifactError: the plan's inputs or outputs are not those of the model.
        BackendError: TensorRT cannot read the plan.
    """

    def __init__(self, trt: TensorRt, content: bytes, model: Model, *, host_code: bool) -> None:
        self.output = model.spec.output
        self.face_shape = model.spec.face_shape
        self.outputs = model.spec.outputs
        self.log = Log(trt)
        self._runtime = trt.Runtime(self.log.logger)
        self._runtime.engine_host_code_allowed = host_code
        engine = self._runtime.deserialize_cuda_engine(content)
        if engine is None:
            advice = f"build the plan again: {exporter.all_plans_command(model.folder, trt.__name__)}"
            raise self.log.failure("deserialize_cuda_engine", advice)
        self._engine: ICudaEngine = engine
        self._settings = context_settings(trt, engine, self.log)
        check_interface(model, self._tensors(trt))

    def _tensors(self, trt: TensorRt) -> list[TensorInfo]:
        """Return the inputs, then the outputs; the profiles tell which batches there are."""
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        names.sort(key=lambda name: engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT)
        tensors = []
        for name in names:
            kind = engine.get_tensor_dtype(name).name
            shape = tuple(engine.get_tensor_shape(name))
            tensors.append(TensorInfo(name, KINDS.get(kind, kind), ("batch", *shape[1:])))
        return tensors

    def buckets(self, largest: int | None) -> dict[int, int]:
        """Return the batches to run, ascending, and the profile of each; none is above `largest`.

        Raises:
            ConfigError: no profile takes so small a batch.
        """
        found: dict[int, int] = {}
        for profile in range(self._engine.num_optimization_profiles):
            shapes = self._engine.get_tensor_profile_shape(INPUT_NAME, profile)
            low, high = shapes[0][0], shapes[-1][0]
            top = high if largest is None else min(high, largest)
            for batch in (*BATCHES, top):
                if low <= batch <= top:
                    found.setdefault(batch, profile)
        if not found:
            raise ConfigError(
                f"micro_batch {largest} is below the smallest batch of the plan; "
                "leave it out, or build a plan with a smaller --engine-batch"
            )
        return dict(sorted(found.items()))

    def scratch_size(self, profile: int) -> int:
        """Return the bytes of device memory that a context needs beside its inputs and outputs."""
        return self._engine.get_device_memory_size_for_profile_v2(profile)

    def context(self) -> IExecutionContext:
        """Return a new context, which has no scratch memory yet.

        Raises:
            BackendError: TensorRT cannot make one.
        """
        context = self._engine.create_execution_context(self._settings)
        if context is None:
            raise self.log.failure("create_execution_context")
        return context

    def close(self) -> None:
        """Free the engine; all contexts of it are gone."""
        del self._settings
        del self._engine
        del self._runtime
