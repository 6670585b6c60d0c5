"""What a runtime must offer to the engine, and the registry of those that do."""

from __future__ import annotations

import contextlib
import importlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import BackendError, ConfigError
from fer_engine.system.cpu import usable_cores
from fer_engine.system.telemetry import without_telemetry

if TYPE_CHECKING:
    from fer_engine.backends.cuda.array import DeviceArray

Faces = NDArray[np.uint8]
Logits = NDArray[np.float32]

MODES = ("throughput", "latency")
REBUILDS = ("never", "auto")


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How a model shall run; the same for all backends.

    `threads` is the number of cores to use, `micro_batch` the number of faces given to the runtime
    at once. None leaves the choice to the engine, which reports it in `Engine.info`.

    In `mode` "throughput" each core takes micro-batches of its own, and none waits for another; in
    "latency" all cores share the layers of one, so that a single face has more than one core.

    `cache` is a folder in which a runtime that compiles graphs for this machine may keep the
    results; others leave it empty. With `rebuild` "auto" TensorRT builds a plan where the artifact has
    none that fits this GPU, into `cache` or else beside the artifact's own; with "never" that is an
    error.

    On a GPU `threads` counts the batches, or parts of one batch, that TensorRT has under way at once,
    and `mode` changes nothing.
    """

    device: str = "cpu"
    threads: int | None = None
    micro_batch: int | None = None
    mode: str = "throughput"
    cache: Path | None = None
    rebuild: str = "never"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if self.rebuild not in REBUILDS:
            raise ConfigError(f"rebuild must be one of {', '.join(REBUILDS)}, got {self.rebuild!r}")
        for name, value in (("threads", self.threads), ("micro_batch", self.micro_batch)):
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1, or None, got {value!r}")

    @property
    def cores(self) -> int:
        """Cores to use: `threads`, or all that this process may use."""
        return self.threads or usable_cores()

    @property
    def workers(self) -> int:
        """Micro-batches to run at once."""
        return 1 if self.mode == "latency" else self.cores


@dataclass(frozen=True, slots=True)
class Model:
    """A graph of an artifact whose hash was found right, as a backend takes it."""

    artifact: Artifact
    precision: str
    content: bytes

    @classmethod
    def of_artifact(cls, artifact: Artifact, precision: str) -> Model:
        """Read one graph of an artifact.

        Raises:
            ArtifactError: there is no such precision, or the file is missing or changed.
        """
        return cls(artifact, precision, artifact.read_graph(precision))

    @property
    def spec(self) -> ModelSpec:
        """What the network takes and gives."""
        return self.artifact.spec

    @property
    def folder(self) -> Path:
        """Where the graph comes from."""
        return self.artifact.folder


class Backend(ABC):
    """One loaded model in one runtime.

    The engine has validated what `infer` gets, so a backend checks only what is its own: that the
    device is there and the graph is the one that the spec describes.
    """

    name: ClassVar[str]
    #: Version of each library in use.
    versions: ClassVar[dict[str, str]]
    #: What in truth runs the graph: execution providers, or the name of the accelerator.
    providers: tuple[str, ...]
    #: Cores at work.
    threads: int
    #: How many `infer` calls at once are of use to one batch.
    workers: int
    #: Ascending sizes into which a large batch may be cut; none is exceeded. More than one: the
    #: engine measures which is the quickest.
    micro_batches: tuple[int, ...]
    #: Whether `infer` takes any number of faces and cuts it by itself.
    splits: ClassVar[bool] = False
    #: Whether `infer_shards` has `workers` micro-batches under way by itself; otherwise the engine's own
    #: threads call `infer`.
    overlaps: ClassVar[bool] = False
    #: The precision in which the runtime says that it computes each layer; None where it does not tell.
    executed: dict[str, str] | None = None

    @classmethod
    @abstractmethod
    def load(cls, model: Model, options: BackendOptions) -> Backend:
        """Make the model ready to run on `options.device`, and on nothing else.

        Raises:
            ArtifactError: the graph cannot be read, or is not what the spec says.
            BackendError: the runtime or the device is not available.
        """

    @abstractmethod
    def infer(self, faces: Faces) -> Logits:
        """Return the logits, float32 [n, spec.outputs], of contiguous faces, uint8 [n, *face_shape].

        `n` lies between 1 and the largest of `micro_batches`, but has no limit where the backend
        `splits`. Several threads may call at once: a runtime that cannot do that takes a lock here.

        Raises:
            BackendError: the runtime failed.
        """

    def infer_shards(self, faces: Faces, shards: Sequence[slice], logits: Logits) -> None:
        """Write the logits of each shard of `faces` into the same rows; for a backend that `overlaps`.

        Several threads may call at once; a shard has no more faces than the largest of `micro_batches`.

        Raises:
            BackendError: the runtime failed.
        """
        raise NotImplementedError

    def infer_on_device(self, faces: object) -> DeviceArray:
        """Return the logits of faces that lie on the GPU, without waiting for them; see the engine's.

        The engine has not validated the faces, of which it cannot see anything.

        Raises:
            BackendError: the runtime failed, or takes numpy arrays alone.
            InputError: the faces are not on this GPU, or have the wrong type, rank or size.
        """
        raise BackendError(
            f"backend {self.name!r} takes numpy arrays alone, got {type(faces).__name__}; use "
            "logits(faces), or load the engine with backend='tensorrt' or 'tensorrt-rtx' on a GPU"
        )

    def executed_shares(self) -> dict[str, float] | None:
        """Return the share of the layers in each precision that `executed` tells, None where it does not."""
        if self.executed is None:
            return None
        counts = Counter(self.executed.values())
        return {precision: count / len(self.executed) for precision, count in counts.items()}

    @abstractmethod
    def close(self) -> None:
        """Free what the runtime holds; the engine calls it once, after the last `infer`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A backend of the registry: where its class lies, what installs its runtime, where it can run."""

    target: str
    install: str = ""
    devices: tuple[str, ...] = ("cpu",)


BACKENDS: dict[str, Entry] = {
    "null": Entry("fer_engine.backends.null:NullBackend"),
    "onnxruntime": Entry(
        "fer_engine.backends.onnxruntime:OnnxRuntimeBackend",
        "pip install 'fer-engine[cpu]'",
        ("cpu", "cuda"),
    ),
    "onnxruntime-tensorrt": Entry(
        "fer_engine.backends.onnxruntime:OnnxRuntimeTensorRtBackend",
        "pip install 'fer-engine[gpu]'",
        ("cuda",),
    ),
    "openvino": Entry(
        "fer_engine.backends.openvino.backend:OpenVinoBackend", "pip install 'fer-engine[openvino]'"
    ),
    "tensorrt": Entry(
        "fer_engine.backends.tensorrt.backend:StandardBackend",
        "pip install 'fer-engine[tensorrt]'",
        ("cuda", "pycuda"),
    ),
    "tensorrt-rtx": Entry(
        "fer_engine.backends.tensorrt.backend:RtxBackend",
        "pip install 'fer-engine[tensorrt-rtx]'",
        ("cuda", "pycuda"),
    ),
}


def find_backend(name: str) -> type[Backend]:
    """Return the backend of that name; this imports its runtime.

    Raises:
        BackendError: there is no such backend, or its runtime is not installed.
    """
    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}; known: {', '.join(sorted(BACKENDS))}")
    entry = BACKENDS[name]
    module, _, attribute = entry.target.partition(":")
    try:
        with without_telemetry():
            found: Any = getattr(importlib.import_module(module), attribute)
    # OSError: a library that the bindings load is missing; AttributeError: pip left half a package behind.
    except (ImportError, OSError, AttributeError) as error:
        raise BackendError(
            f"backend {name!r} cannot be imported ({error}); install its runtime with: {entry.install}"
        ) from error
    return found


def available_backends(device: str = "cpu") -> tuple[str, ...]:
    """Return the backends for a device whose runtime is installed; this imports them all.

    Raises:
        BackendError: no backend has such a device.
    """
    kind = device.partition(":")[0]  # "cuda:1" is a device of the kind "cuda"
    known = dict.fromkeys(kind for entry in BACKENDS.values() for kind in entry.devices)
    if kind not in known:
        raise BackendError(f"unknown device {device!r}; known: {', '.join(known)}, and cuda:1 and so on")
    found = []
    for name, entry in BACKENDS.items():
        if entry.install and kind in entry.devices:  # "null" has no runtime
            with contextlib.suppress(BackendError):
                find_backend(name)
                found.append(name)
    return tuple(found)
