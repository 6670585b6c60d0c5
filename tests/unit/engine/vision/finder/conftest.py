"""Two tiny networks of the finder's form: a bright spot is a face, unless what is around it is bright too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest, ModelFile
from fer_engine.artifact.spec import ModelSpec
from fer_engine.vision import FaceFinder

SIDE = 288
CELLS = 36  # along a side of the finest grid
BOX = (40, 50)  # width and height of every box, in pixels of the tile
DETECTOR = ModelSpec("spots", ("face",), "detection", height=SIDE, width=SIDE, output="boxes")
VERIFIER = ModelSpec("rims", ("other", "face"), height=40, width=40)


def write_artifact(folder: Path, spec: ModelSpec, nodes: list, constants: dict[str, np.ndarray]) -> Path:
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["batch", *spec.face_shape])
    output = helper.make_tensor_value_info(spec.output, TensorProto.FLOAT, ["batch", spec.outputs])
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, spec.name, [faces], [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content = model.SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    entry = ModelFile("model.onnx", hashlib.sha256(content).hexdigest(), len(content))
    Artifact(folder, Manifest(spec, {"fp32": entry})).write_manifest()
    return folder


@pytest.fixture(scope="session")
def spots(tmp_path_factory) -> Path:
    """Give a detector: the logit of a cell of 8x8 pixels is (mean - 128) / 8, of the 24x24 around it."""
    y, x = np.mgrid[:CELLS, :CELLS] * 8 + 4
    corners = np.stack([x.ravel() - BOX[0] / 2, y.ravel() - BOX[1] / 2], 1)
    boxes = np.zeros((1, DETECTOR.anchors, 4), np.float32)
    boxes[0, : CELLS**2, :2] = corners
    boxes[0, :, 2:] = BOX
    rest = DETECTOR.anchors - CELLS**2
    node = helper.make_node
    nodes = [
        node("Cast", ["faces"], ["pixels"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["pixels", "one"], ["planes"]),
        node("AveragePool", ["planes"], ["means"], kernel_shape=[24, 24], strides=[8, 8], pads=[8] * 4),
        node("Reshape", ["means", "rows"], ["column"]),
        node("Sub", ["column", "middle"], ["above"]),
        node("Div", ["above", "eight"], ["likely"]),
        node("Pad", ["likely", "pads", "never"], ["scores"]),
        node("Mul", ["scores", "nothing"], ["zeros"]),
        node("Add", ["zeros", "corners"], ["places"]),
        node("Concat", ["scores", "places"], ["anchors"], axis=2),
        node("Reshape", ["anchors", "flat"], ["boxes"]),
    ]
    constants = {
        "one": np.array([1]),
        "rows": np.array([0, -1, 1]),
        "flat": np.array([0, -1]),
        "middle": np.float32(128),
        "eight": np.float32(8),
        "pads": np.array([0, 0, 0, 0, rest, 0]),
        "never": np.float32(-50),
        "nothing": np.float32(0),
        "corners": boxes,
    }
    return write_artifact(tmp_path_factory.mktemp("spots") / "artifact", DETECTOR, nodes, constants)


@pytest.fixture(scope="session")
def rims(tmp_path_factory) -> Path:
    """Give a verifier: "other" has half the mean of the outermost two pixels as its logit, "face" has 0."""
    rim = np.ones((40, 40), np.float32)
    rim[2:-2, 2:-2] = 0
    weights = np.zeros((1600, 2), np.float32)
    weights[:, 0] = rim.ravel() / rim.sum() / 2
    nodes = [
        helper.make_node("Cast", ["faces"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
    ]
    constants = {"flat": np.array([0, -1]), "weights": weights}
    return write_artifact(tmp_path_factory.mktemp("rims") / "artifact", VERIFIER, nodes, constants)


@pytest.fixture
def make_finder(spots, rims) -> Callable[..., FaceFinder]:
    """Make a finder of these two networks."""
    return lambda *args, **options: FaceFinder(*args, **{"detector": spots, "verifier": rims} | options)
