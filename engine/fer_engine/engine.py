"""The engine: faces in, expressions out, on any backend."""

from __future__ import annotations

import os
import platform
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

import numpy as np
from numpy.typing import NDArray

from fer_engine._version import __version__
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import BackendError, ConfigError
from fer_engine.runtime.backend import Backend, BackendOptions, Faces, Logits, Model, find_backend
from fer_engine.runtime.lifecycle import CallGuard
from fer_engine.runtime.sharder import Sharder
from fer_engine.runtime.validate import check_faces
from fer_engine.selection.select import Choice, choose_candidate
from fer_engine.selection.speed_probe import Candidate
from fer_engine.shipped import find_artifact

if TYPE_CHECKING:
    from fer_engine.backends.cuda.array import DeviceArray

TTA = ("none", "flip")


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expressions of n faces.

    `labels` holds the likeliest label of each face, `probabilities` is float32 [n, classes] in the
    order of the spec's labels, each row with sum 1.
    """

    labels: list[str]
    probabilities: NDArray[np.float32]

    @classmethod
    def of_logits(cls, logits: Logits, labels: Sequence[str]) -> Prediction:
        """Return the prediction that logits, float32 [n, classes], stand for."""
        powers = np.exp(logits - logits.max(1, keepdims=True))
        likeliest = [labels[index] for index in logits.argmax(1).tolist()]
        return cls(likeliest, powers / powers.sum(1, keepdims=True))


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs, in truth: nothing here is a wish that the runtime may not have granted.

    `precision` is that of the graph; `providers` names what executes it. `micro_batch_from` is
    "given", "default", or "probe" once a large batch has been used to measure the best size.
    `executed` is the share of the layers in each precision in which the runtime says that it computes
    them (for TensorRT of the convolutions, as read back when the plan was built), None where it does not
    tell; `choice` says how precision and backend were chosen. `tta` is the
    test-time augmentation, "none" or "flip".
    """

    model: str
    precision: str
    executed: dict[str, float] | None
    backend: str
    device: str
    providers: tuple[str, ...]
    mode: str
    threads: int
    micro_batch: int
    micro_batch_from: str
    versions: dict[str, str]
    choice: Choice
    tta: str


@final
class Engine:
    """A model ready to run; make one with `Engine.load`.

    Several threads may use one engine at once. It takes batches of any size.
    """

    def __init__(
        self, loaded: Backend, model: Model, options: BackendOptions, choice: Choice, tta: str = "none"
    ) -> None:
        spec = model.spec
        self._backend = loaded
        self._spec = spec
        self._precision = model.precision  # not the model: it holds the graph's bytes
        self._options = options
        self._choice = choice
        self._tta = tta
        self._sharder = Sharder(loaded, spec.outputs)
        self._guard = CallGuard()
        # Also runs where the engine is dropped, and when the interpreter exits: a thread that is
        # inside a native library while the interpreter ends can abort the process.
        self._shut = weakref.finalize(self, _shut, self._guard, self._sharder, loaded)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | Artifact,
        *,
        precision: str = "fp32",
        device: str = "cpu",
        backend: str = "onnxruntime",
        threads: int | None = None,
        micro_batch: int | None = None,
        mode: str = "throughput",
        cache: str | os.PathLike[str] | None = None,
        rebuild: str = "never",
        tta: str = "none",
    ) -> Engine:
        """Load one graph of an artifact and run it once.

        Args:
            path: The folder that `fer-export` wrote, or the `fer_engine.Artifact` of it; or, where there is
                no such folder, the name of a network that ships with the package, as "fer_tiny".
            precision: One of those that the artifact holds, or "auto" for the fastest of those that
                the export's gate accepted.
            device: Where to run; it is an error where the backend cannot run there.
            backend: A name from `fer_engine.BACKENDS`, or "auto" for the fastest of those
                installed. What "auto" measures is kept in the artifact; see `EngineInfo.choice`.
            threads: Cores to use; None for all that this process may use.
            micro_batch: Faces given to the runtime at once; None to measure which number is best.
            mode: "throughput" or "latency"; see `fer_engine.BackendOptions`.
            cache: Folder for what a runtime compiles from the graph, so that it loads sooner the
                next time. Whoever can write there decides what runs.
            rebuild: "auto" lets TensorRT build a plan for this GPU where the artifact has none that
                fits, which is logged; with "never" that is an error.
            tta: Test-time augmentation: "flip" runs each face and its mirror image and averages the
                outputs, for twice the computation.

        Raises:
            ArtifactError: the folder or the graph is missing, damaged, or not what its spec says.
            BackendError: the backend or the device is unknown or not available.
            ConfigError: `threads` or `micro_batch` is not a positive whole number, `mode`,
                `rebuild` or `tta` is unknown, `tta` does not go with the task, or `cache` cannot be made.
        """
        if tta not in TTA:
            raise ConfigError(f"tta must be one of {', '.join(TTA)}, got {tta!r}")
        cache_folder = None if cache is None else Path(cache)
        options = BackendOptions(device, threads, micro_batch, mode, cache_folder, rebuild)
        artifact = path if isinstance(path, Artifact) else Artifact.open(find_artifact(path))
        if tta != "none" and artifact.spec.task == "detection":
            raise ConfigError(
                f"tta={tta!r} averages the outputs of a picture and its mirror image, and "
                f"{artifact.spec.name} is a detection model, whose boxes would lie elsewhere; use tta='none'"
            )
        chosen, choice = choose_candidate(artifact, Candidate(precision, backend), options)
        kind = find_backend(chosen.backend)
        model = Model.of_artifact(artifact, chosen.precision)
        loaded = kind.load(model, options)
        try:
            # A graph that cannot run shows it now.
            loaded.infer(np.zeros((1, *model.spec.face_shape), np.uint8))
        except BaseException:
            loaded.close()
            raise
        return cls(loaded, model, options, choice, tta)

    def __repr__(self) -> str:
        backend, device = self._backend, self._options.device
        runs = f"{self._precision} on {backend.name}, {device}, threads={backend.threads}"
        return f"Engine({self._spec.name}, {runs})"

    def __reduce__(self) -> NoReturn:
        raise BackendError(
            "an Engine holds a runtime and its threads, and cannot be pickled or copied; give the artifact's "
            "path or name to the other process, and load it there"
        )

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and gives."""
        return self._spec

    @property
    def info(self) -> EngineInfo:
        """What runs, with which settings and versions."""
        return EngineInfo(
            model=self._spec.name,
            precision=self._precision,
            executed=self._backend.executed_shares(),
            backend=self._backend.name,
            device=self._options.device,
            providers=self._backend.providers,
            mode=self._options.mode,
            threads=self._backend.threads,
            micro_batch=self._sharder.micro_batch,
            micro_batch_from=self._sharder.micro_batch_from,
            versions={
                "fer-engine": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                **self._backend.versions,
            },
            choice=self._choice,
            tta=self._tta,
        )

    def logits(self, faces: Any) -> Logits:
        """Return the raw outputs, float32 [n, spec.outputs], of faces, uint8 [n, *spec.face_shape].

        With `tta` "flip" they are the mean of those of each face and of its mirror image.

        Raises:
            InputError: the faces have the wrong type, rank or size.
            BackendError: the engine is closed, or the runtime failed.
        """
        faces = check_faces(faces, self._spec)
        with self._guard:
            if len(faces) == 0:
                return np.empty((0, self._spec.outputs), np.float32)
            return self._infer(faces)

    def logits_on_device(self, faces: Any) -> DeviceArray:
        """Return the raw outputs, float32 [n, spec.outputs], of faces on the GPU, without waiting for them.

        Faces and outputs stay in the GPU's memory; TensorRT alone takes them so.

        Args:
            faces: uint8 [n, *spec.face_shape], C-contiguous, on the engine's GPU: an array with
                `__dlpack__` or `__cuda_array_interface__`, of PyTorch, CuPy, Numba or PyCUDA. What
                computes them may be under way in a stream: the engine's waits for it. Until the outputs
                are there the engine keeps them, and nothing may write into them.

        Raises:
            InputError: the faces are not on this GPU, not contiguous, or have the wrong type, rank or size.
            BackendError: the engine is closed, its backend takes numpy arrays alone, or the runtime failed.
            ConfigError: `tta` is not "none", which is for numpy arrays.
        """
        if self._tta != "none":
            raise ConfigError(
                f"tta={self._tta!r} works on numpy arrays alone; use logits(faces), or load with tta='none'"
            )
        with self._guard:
            return self._backend.infer_on_device(faces)

    def predict(self, faces: Any) -> Prediction:
        """Return label and probabilities of each face; takes and raises what `logits` does.

        Raises:
            ConfigError: the model is no classifier: its outputs are no probabilities.
        """
        if self._spec.task != "classification":
            raise ConfigError(
                f"{self._spec.name} is a {self._spec.task} model without probabilities; use {self._method()}"
            )
        return Prediction.of_logits(self.logits(faces), self._spec.labels)

    def estimate(self, faces: Any) -> dict[str, NDArray[np.float32]]:
        """Return the values of a regression, float32 [n], by label; takes and raises what `logits` does.

        Raises:
            ConfigError: the model is no regression: its outputs are not values of labels.
        """
        if self._spec.task != "regression":
            raise ConfigError(
                f"{self._spec.name} is a {self._spec.task} model, which has no values; use {self._method()}"
            )
        return dict(zip(self._spec.labels, self.logits(faces).T, strict=True))

    def _method(self) -> str:
        """Return the call that gives this model's answers."""
        calls = {"classification": "predict(faces)", "regression": "estimate(faces)"}
        return calls.get(self._spec.task, "logits(faces), or fer_engine.vision.FaceFinder for a picture")

    def _infer(self, faces: Faces) -> Logits:
        logits = self._sharder.infer(faces)
        if self._tta == "none":
            return logits
        mirrored = faces[:, :, ::-1]  # a view: each shard copies its own part
        return (logits + self._sharder.infer(mirrored)) * np.float32(0.5)

    def close(self) -> None:
        """Wait for the calls under way, then free the runtime; a second call does nothing."""
        self._shut()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shut(guard: CallGuard, sharder: Sharder, loaded: Backend) -> None:
    if not guard.in_own_process:  # all of it belongs to another process
        return
    guard.close()
    sharder.stop()
    loaded.close()
