"""TensorRT on an NVIDIA GPU: every batch size a captured graph, every batch cut at the measured costs."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from fer_engine.artifact.plan import Plan
from fer_engine.backends.cuda.array import DeviceArray, release
from fer_engine.backends.cuda.devices import connect
from fer_engine.backends.cuda.protocol import Cuda, CudaError
from fer_engine.backends.tensorrt.api import TensorRt
from fer_engine.backends.tensorrt.lane import Lane, Lanes
from fer_engine.backends.tensorrt.loaded_plan import LoadedPlan
from fer_engine.backends.tensorrt.plan_match import Target, select_or_build_plan, select_plan
from fer_engine.backends.tensorrt.split import Splitter
from fer_engine.errors import BackendError
from fer_engine.runtime.backend import Backend, BackendOptions, Faces, Logits, Model

# The module of each backend: TensorRT 10 and 11 for all GPUs of NVIDIA, TensorRT for RTX for GeForce and RTX.
LIBRARIES = {"StandardBackend": "tensorrt", "RtxBackend": "tensorrt_rtx"}
LANES = 2  # one more than the GPU can use at once hides the time in which faces are staged


class TensorRtBackend(Backend):
    """A model in TensorRT, on any implementation of CUDA.

    `infer` takes any number of faces and cuts them itself, since the best cut depends on the plan's
    buckets. `threads` is the number of lanes: callers, or parts of one batch, that run at once. `layers`
    is the share of the convolutions in each precision, as read back when the plan was built.
    """

    library: ClassVar[TensorRt]
    splits = True

    def __init__(
        self,
        cuda: Cuda,
        plan: LoadedPlan,
        layers: Mapping[str, float],
        options: BackendOptions,
        clock: Callable[[], float],
    ) -> None:
        self._cuda = cuda
        self._layers = layers
        self._outputs = plan.outputs
        self._process = os.getpid()
        buckets = plan.buckets(options.micro_batch)
        self.threads = options.threads or LANES
        self.workers = 1
        self.micro_batches = (max(buckets),)
        self.buckets = tuple(buckets)
        device = cuda.device()
        graphs = "no CUDA graphs" if cuda.graphs is None else "CUDA graphs"
        self.providers = (f"{device.name} ({device.compute_capability})", cuda.library, graphs)
        self._owned = contextlib.ExitStack()
        self._owned.callback(plan.close)
        try:
            with cuda.active():
                lanes = [Lane(cuda, plan, buckets, self._owned) for _ in range(self.threads)]
                self.costs = {bucket: lanes[0].seconds(bucket, clock) for bucket in buckets}
        except BaseException:
            with contextlib.suppress(CudaError):  # the first error is the one to report
                self.close()
            raise
        self._splitter = Splitter(self.costs)
        self._lanes = Lanes(lanes)

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> TensorRtBackend:
        return cls.open(cls.library, connect(options.device, cls.name), model, options)

    @classmethod
    def open(
        cls,
        trt: TensorRt,
        cuda: Cuda,
        model: Model,
        options: BackendOptions,
        clock: Callable[[], float] = time.perf_counter,
    ) -> TensorRtBackend:
        """Load the plan of the model's artifact that was built for this library and GPU.

        Raises:
            ArtifactError: no plan fits, or the one that does is damaged.
            BackendError: TensorRT or CUDA failed, or no plan could be built.
        """
        selected, content = _select(trt, cuda, model, options)
        host_code = bool(selected.options.get("version_compatible"))
        with cuda.active():
            plan = LoadedPlan(trt, content, model, host_code=host_code)
        return cls(cuda, plan, selected.layers, options, clock)

    def executed_shares(self) -> dict[str, float] | None:
        return dict(self._layers) or None

    def infer(self, faces: Faces) -> Logits:
        self._check_process()
        logits = np.empty((len(faces), self._outputs), np.float32)
        with self._cuda.active():
            self._lanes.run(list(self._splitter.parts(len(faces))), faces, logits)
        return logits

    def infer_on_device(self, faces: object) -> DeviceArray:
        self._check_process()
        with self._cuda.active():
            return self._lanes.run_on_device(faces, self._splitter.parts)

    def close(self) -> None:
        release(self._cuda, self._process, self._owned)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise BackendError(
                "the engine was loaded before this process was forked, and CUDA does not survive that; "
                "load it in the new process, or start processes with the method 'spawn'"
            )


def __getattr__(attribute: str) -> type[TensorRtBackend]:
    """Make the backend of a library when the registry asks for it, which imports the library."""
    if attribute not in LIBRARIES:
        raise AttributeError(f"{__name__} has no {attribute}")
    module = importlib.import_module(LIBRARIES[attribute])
    title = LIBRARIES[attribute].replace("_", "-")

    class LibraryBackend(TensorRtBackend):
        name = title
        library = module
        versions: ClassVar[dict[str, str]] = {title: module.__version__}

    return LibraryBackend


def _select(trt: TensorRt, cuda: Cuda, model: Model, options: BackendOptions) -> tuple[Plan, bytes]:
    """Return the plan for this library and GPU, and its bytes."""
    artifact, precision = model.artifact, model.precision
    target = Target(trt.__name__, trt.__version__, cuda.device().compute_capability)
    if options.rebuild == "never":
        plan = select_plan(artifact, precision, target)
        return plan, artifact.plans.read(plan)
    return select_or_build_plan(artifact, precision, target, options.cache or artifact.plans.path)
