"""What a runtime must offer to the engine, and the registry of those that do."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import BackendError, ConfigError
from fer_engine.spec import ModelSpec

Faces = NDArray[np.uint8]
Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How a model shall run; the same for all backends.

    `threads` is the number of cores to use, `micro_batch` the number of faces given to the runtime
    at once. None leaves the choice to the engine, which reports it in `Engine.info`.
    """

    device: str = "cpu"
    threads: int | None = None
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("threads", self.threads), ("micro_batch", self.micro_batch)):
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1, or None, got {value!r}")


@dataclass(frozen=True, slots=True)
class Model:
    """A graph of an artifact whose hash was found right, as a backend takes it."""

    spec: ModelSpec
    precision: str
    content: bytes
    folder: Path


class Backend(ABC):
    """One loaded model in one runtime.

    The engine has validated what `infer` gets, so a backend checks only what is its own: that the
    device is there and the graph is the one that the spec describes.
    """

    name: ClassVar[str]
    #: What in truth runs the graph: execution providers, or the name of the accelerator.
    providers: tuple[str, ...]
    #: Version of each library in use.
    versions: dict[str, str]
    #: Cores, streams or devices at work: how many `infer` calls at once are of use to one batch.
    workers: int
    #: Ascending sizes into which a large batch may be cut; none is exceeded. More than one: the
    #: engine measures which is the quickest.
    micro_batches: tuple[int, ...]

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
        """Return the logits, float32 [n, classes], of contiguous faces, uint8 [n, *face_shape].

        `n` lies between 1 and the largest of `micro_batches`. Several threads may call at once: a
        runtime that cannot do that takes a lock here.

        Raises:
            BackendError: the runtime failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Free what the runtime holds; the engine calls it once, after the last `infer`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A backend of the registry: where its class lies and what installs its runtime."""

    target: str
    install: str = ""


BACKENDS: dict[str, Entry] = {
    "null": Entry("fer_engine.backends.null:NullBackend"),
    "onnxruntime": Entry(
        "fer_engine.backends.onnxruntime:OnnxRuntimeBackend", "pip install 'fer-engine[cpu]'"
    ),
}


def find(name: str) -> type[Backend]:
    """Return the backend of that name; this imports its runtime.

    Raises:
        BackendError: there is no such backend, or its runtime is not installed.
    """
    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}; known: {', '.join(sorted(BACKENDS))}")
    entry = BACKENDS[name]
    module, _, attribute = entry.target.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be imported ({error}); install its runtime with: {entry.install}"
        ) from error
    return found
