"""fer-bench on networks and faces of the user's own."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_bench import cli
from fer_export.cli import main as export

LABELS = "calm,glad,tense"
QUICK = ["--rounds", "1", "--seconds", "0.02", "--cold-starts", "1", "--batch", "4"]
SPEC = """{"name": "own_net", "labels": ["calm", "glad", "tense"], "task": "classification",
"height": 24, "width": 24, "channels": 1, "mean": [127.5], "scale": [127.5]}"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with an artifact of an ONNX file, and faces with labels of their own."""
    folder = tmp_path_factory.mktemp("own")
    draw = np.random.default_rng(0)
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 1, 24, 24])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])
    weights = {"kernel": (3, 1, 5, 5), "matrix": (3, 3)}
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["features"], "stem", strides=[2, 2]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["scores"], "head"),
    ]
    constants = [
        numpy_helper.from_array(draw.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    graph = helper.make_graph(nodes, "own", [taken], [given], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        folder / "own.onnx",
    )
    (folder / "spec.json").write_text(SPEC)
    usage = np.array(["PublicTest"] * 60)
    labels = np.arange(60, dtype=np.uint8) % 3
    images = draw.integers(0, 256, (60, 24, 24), dtype=np.uint8)
    np.savez(folder / "own.npz", images=images, labels=labels, usage=usage)
    source = ["--onnx", str(folder / "own.onnx"), "--outputs", "logits", "--spec", str(folder / "spec.json")]
    assert export([*source, "--output", str(folder / "artifact")]) == 0
    return folder


def bench(own, tmp_path, *arguments):
    path = tmp_path / "bench.json"
    engine = ["--artifact", str(own / "artifact"), "--backend", "onnxruntime", "--precision", "fp32"]
    assert cli.main([*engine, *QUICK, *arguments, "--json", str(path)]) == 0
    return json.loads(path.read_text("utf-8"))


def test_an_onnx_file_is_held_against_onnx_runtime_and_its_own_labels(own, tmp_path, capsys):
    page = tmp_path / "bench.html"
    data = ["--data", str(own / "own.npz"), "--labels", LABELS]
    found = bench(own, tmp_path, *data, "--peers", "onnxruntime/1-thread,pytorch", "--html", str(page))
    assert found["reference"] == "onnxruntime"
    names = {entry["name"] for entry in found["contenders"]}
    assert names == {"onnxruntime", "engine/onnxruntime/fp32", "onnxruntime/1-thread", "null"}
    assert found["parity"]["engine/onnxruntime/fp32"]["agreement"] == 1.0
    labelled = found["parity"]["onnxruntime"]["labelled"]
    assert labelled["accuracy"] == labelled["reference_accuracy"]
    assert np.sum(labelled["confusion"]) == 60
    skipped = {entry["name"]: entry["reason"] for entry in found["skipped"]}
    assert set(skipped) == {"pytorch/channels-last", "pytorch/compile"}
    assert "this artifact was made from an ONNX file" in skipped["pytorch/compile"]
    said = capsys.readouterr()
    assert "Parity with ONNX Runtime in float32" in said.out
    assert "parity with ONNX Runtime in float32" in said.err
    assert "ONNX Runtime in float32" in page.read_text("utf-8")


def test_labels_that_are_not_the_network_s_are_left_out(own, tmp_path):
    found = bench(own, tmp_path, "--data", str(own / "own.npz"), "--labels", "wild,mild,calm2")
    assert not found["inputs"]["labelled"]
    assert "without its labels: the network has others" in found["inputs"]["description"]
    assert found["parity"]["onnxruntime"]["labelled"] is None
