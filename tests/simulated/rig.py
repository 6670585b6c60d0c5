"""A tiny model in an artifact with a simulated plan, and the backend that runs it on a simulated device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fer_engine import BackendOptions, Choice, Engine, ModelSpec
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest, ModelFile
from fer_engine.artifact.plan import Plan
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import Cuda
from fer_engine.backends.tensorrt.backend import TensorRtBackend
from fer_engine.runtime.backend import Model
from simulated.cudart import SimulatedCudart
from simulated.memory import MisuseError
from simulated.tensorrt import SimulatedTensorRt, make_plan

SPEC = ModelSpec("tiny", labels=("angry", "happy", "neutral"), height=4, width=4)
DETECTION = ModelSpec("tiny", labels=("face",), task="detection", height=32, width=32, output="boxes")
BUCKETS = [(1, 1, 1), (4, 4, 4), (16, 16, 16)]


def weights(spec: ModelSpec) -> np.ndarray:
    """Return whole numbers so small that they add up without rounding: answers must be equal, not close."""
    shape = (spec.height * spec.width, spec.outputs)
    return np.random.default_rng(1).integers(-9, 10, shape).astype(np.float32)


def graph_bytes(spec: ModelSpec = SPEC, output: str | None = None) -> bytes:
    """Return a graph that multiplies the flattened pixels by `weights` and gives the spec's output."""
    output = output or spec.output
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["batch", *spec.face_shape])
    logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", spec.outputs])
    nodes = [
        helper.make_node("Cast", ["faces"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [output]),
    ]
    constants = [
        numpy_helper.from_array(np.array([-1, spec.height * spec.width]), "shape"),
        numpy_helper.from_array(weights(spec), "weights"),
    ]
    graph = helper.make_graph(nodes, "tiny", [faces], [logits], constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()


def make_faces(count: int, seed: int = 0, spec: ModelSpec = SPEC) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *spec.face_shape), np.uint8)


def true_logits(faces: np.ndarray, spec: ModelSpec = SPEC) -> np.ndarray:
    return faces.reshape(len(faces), spec.height * spec.width).astype(np.float32) @ weights(spec)


@dataclass
class Rig:
    """An artifact in `folder` whose plan has `profiles`, and the device and library to run it."""

    folder: Path
    device: SimulatedCudart
    trt: SimulatedTensorRt
    profiles: list[tuple[int, int, int]]
    connect: Callable[[], Cuda] | None = None  # by default the first GPU through cuda-bindings
    spec: ModelSpec = SPEC

    def make(self, content: bytes | None = None, sidecar: dict[str, object] | None = None) -> Model:
        """Write the artifact; `sidecar` is what the plan's shall say otherwise."""
        graph = graph_bytes(self.spec)
        content = make_plan(graph, self.profiles) if content is None else content
        (self.folder / "model.onnx").write_bytes(graph)
        entry = ModelFile("model.onnx", hashlib.sha256(graph).hexdigest(), len(graph))
        artifact = Artifact(self.folder, Manifest(self.spec, {"fp32": entry}))
        artifact.write_manifest()
        fields = {
            "flavour": self.trt.__name__,
            "version": self.trt.__version__,
            "cuda": "13.0",
            "gpu": "Simulated GPU",
            "compute_capabilities": ("8.9",),
            "precision": "fp32",
            "profiles": tuple(self.profiles),
            "source": "model.onnx",
            "source_sha256": entry.sha256,
            "calibration_sha256": None,
            "layers": {"fp32": 1.0},
            "options": {},
            "build_seconds": 0.1,
            "plan_sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
        artifact.plans.write(Plan(**fields | (sidecar or {})), content)
        return Model(artifact, "fp32", graph)

    def load(self, options: BackendOptions | None = None, **changes: Any) -> TensorRtBackend:
        """Make the artifact and load its plan; `changes` are those of `make`."""
        return self.load_made(self.make(**changes), options)

    def load_made(self, model: Model, options: BackendOptions | None = None) -> TensorRtBackend:
        """Load the plan of an artifact, as the backends of the registry do."""
        device, trt = self.device, self.trt
        connect = self.connect or (lambda: CudaBindings(device))

        class Simulated(TensorRtBackend):
            name = "simulated"
            versions = {"simulated": trt.__version__}  # noqa: RUF012

            @classmethod
            def load(cls, model, options):
                return cls.open(trt, connect(), model, options, device.clock)

        return Simulated.load(model, options or BackendOptions("cuda"))

    def engine(self, options: BackendOptions | None = None) -> Engine:
        options = options or BackendOptions("cuda")
        loaded = self.load(options)
        return Engine(loaded, Model(Artifact.open(self.folder), "fp32", b""), options, Choice("given"))

    def check_released(self) -> None:
        """Raise where something is left of a backend that was closed."""
        alive = [type(kept).__name__ for kept in self.trt.alive]
        if leaks := self.device.leaks():
            raise MisuseError(f"not given back: {leaks}")
        if alive:
            raise MisuseError(f"still referred to: {alive}")
        self.device.pinned.check()
        self.device.device_memory.check()
