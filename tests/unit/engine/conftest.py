"""Tiny artifacts whose right answers NumPy can tell exactly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest, ModelFile
from fer_engine.artifact.spec import ModelSpec

LABELS = ("angry", "happy", "neutral")


def graph_bytes(spec: ModelSpec, weights: np.ndarray, **changes) -> bytes:
    """A graph that multiplies the flattened pixels by `weights`; `changes` make it a foreign one."""
    size = int(np.prod(spec.face_shape))
    batch = changes.get("batch", "batch")
    kind = changes.get("kind", TensorProto.UINT8)
    name = changes.get("input", "faces")
    faces = helper.make_tensor_value_info(name, kind, [batch, *changes.get("shape", spec.face_shape)])
    weights = weights if "classes" not in changes else np.zeros((size, changes["classes"]))
    logits = helper.make_tensor_value_info(spec.output, TensorProto.FLOAT, [batch, weights.shape[1]])
    nodes = [
        helper.make_node("Cast", [name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [spec.output]),
    ]
    constants = [
        numpy_helper.from_array(np.array([-1, size]), "shape"),
        numpy_helper.from_array(weights.astype(np.float32), "weights"),
    ]
    graph = helper.make_graph(nodes, "tiny", [faces], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


@dataclass
class TinyArtifact:
    """An artifact folder and what its graph computes."""

    folder: Path
    spec: ModelSpec
    weights: np.ndarray

    def logits(self, faces: np.ndarray) -> np.ndarray:
        return faces.reshape(len(faces), len(self.weights)).astype(np.float32) @ self.weights

    def faces(self, count: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (count, *self.spec.face_shape), dtype=np.uint8)

    def write_model(self, content: bytes) -> None:
        """Replace the graph and vouch for it."""
        (self.folder / "model.onnx").write_bytes(content)
        entry = ModelFile("model.onnx", hashlib.sha256(content).hexdigest(), len(content))
        Artifact(self.folder, Manifest(self.spec, {"fp32": entry})).write_manifest()


def make_artifact(folder: Path, spec: ModelSpec) -> TinyArtifact:
    # Whole numbers below 2**24 add up without rounding, in any order: answers must be equal, not close.
    shape = (int(np.prod(spec.face_shape)), spec.outputs)
    weights = np.random.default_rng(1).integers(-9, 10, shape).astype(np.float32)
    folder.mkdir(exist_ok=True)
    artifact = TinyArtifact(folder, spec, weights)
    artifact.write_model(graph_bytes(spec, weights))
    return artifact


@pytest.fixture
def artifact(tmp_path):
    return make_artifact(tmp_path / "tiny", ModelSpec("tiny", labels=LABELS, height=4, width=4))


@pytest.fixture
def detection_artifact(tmp_path):
    spec = ModelSpec("boxes", labels=("face",), task="detection", height=32, width=64, output="boxes")
    return make_artifact(tmp_path / "boxes", spec)


@pytest.fixture
def foreign(artifact):
    """Put a graph with other inputs or outputs, but the right hash, into the artifact."""

    def replace(**changes) -> Path:
        artifact.write_model(graph_bytes(artifact.spec, artifact.weights, **changes))
        return artifact.folder

    return replace


@pytest.fixture
def colour_artifact(tmp_path):
    return make_artifact(
        tmp_path / "colour",
        ModelSpec("colour", labels=LABELS, height=4, width=6, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3),
    )
