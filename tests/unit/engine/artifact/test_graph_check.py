"""An ONNX file that would read other files, or that has a circle, never reaches a runtime."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_engine import Engine
from fer_engine.artifact.artifact import MANIFEST_NAME, Artifact
from fer_engine.artifact.graph_check import check_graph
from fer_engine.errors import ArtifactError
from fer_engine.shipped import shipped_artifact, shipped_names

ELSEWHERE = "keeps weights in another file"


def model(*nodes: onnx.NodeProto, constants=()) -> onnx.ModelProto:
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    return helper.make_model(helper.make_graph(list(nodes), "g", [taken], [given], list(constants)))


def external(name: str = "w") -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def forms() -> dict[str, onnx.ModelProto]:
    """Return files that keep weights elsewhere, in each place that a tensor may have."""
    add = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=external())
    branch = helper.make_graph(
        [constant, helper.make_node("Identity", ["w"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [4])],
    )
    function = helper.make_function("own", "F", ["x"], ["y"], [constant, add], [helper.make_opsetid("", 17)])
    with_function = model(helper.make_node("F", ["x"], ["y"], domain="own"))
    with_function.functions.append(function)
    unmarked = model(add, constants=[external()])
    unmarked.graph.initializer[0].ClearField("data_location")  # and yet it names a file
    sparse = model(add)
    sparse.graph.sparse_initializer.add().values.CopyFrom(external())
    return {
        "initializer": model(add, constants=[external()]),
        "constant": model(constant, add),
        "branch": model(helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)),
        "function": with_function,
        "sparse": sparse,
        "unmarked": unmarked,
    }


@pytest.mark.parametrize("place", forms())
def test_weights_in_another_file_are_refused_wherever_they_are_named(place):
    with pytest.raises(ArtifactError, match=ELSEWHERE):
        check_graph(forms()[place].SerializeToString(), "model.onnx")


def test_a_circle_is_refused():
    circle = model(
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    )
    with pytest.raises(ArtifactError, match="reads 'b' before it is computed, as in a circle"):
        check_graph(circle.SerializeToString(), "model.onnx")
    itself = model(helper.make_node("Add", ["x", "y"], ["y"]))
    with pytest.raises(ArtifactError, match="reads 'y' before"):
        check_graph(itself.SerializeToString(), "model.onnx")


@pytest.mark.parametrize("name", shipped_names())
def test_what_ships_passes_and_tells_its_spec(name):
    artifact = Artifact.open(shipped_artifact(name))
    for precision in artifact.files:
        stated = check_graph(artifact.graph(precision).read_bytes(), precision)
        assert json.loads(stated) == artifact.spec.to_json()


def test_whatever_bytes_come_the_error_is_ours():
    content = shipped_artifact("simple_cnn").joinpath("model.onnx").read_bytes()
    draw = random.Random(0)  # noqa: S311 - to spoil files, not to hide anything
    for _ in range(300):
        spoiled = bytearray(content[: draw.choice([len(content), draw.randrange(len(content))])])
        for place in draw.sample(range(len(spoiled)), min(3, len(spoiled))):
            spoiled[place] = draw.randrange(256)
        try:
            check_graph(bytes(spoiled), "model.onnx")
        except ArtifactError as error:
            assert "model.onnx" in str(error)  # noqa: PT017 - most spoiled files pass: a byte of a weight


def replace_graph(folder: Path, content: bytes) -> None:
    """Put another float32 graph into an artifact, with a manifest that vouches for it."""
    (folder / "model.onnx").write_bytes(content)
    manifest = json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
    entry = manifest["files"]["fp32"]
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), "utf-8")


def test_an_artifact_of_a_stranger_reads_no_file_of_ours(tmp_path):
    shutil.copytree(shipped_artifact("simple_cnn"), folder := tmp_path / "artifact")
    graph = onnx.load(folder / "model.onnx")
    graph.graph.initializer[0].CopyFrom(external(graph.graph.initializer[0].name))
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(ArtifactError, match=ELSEWHERE):
        Engine.load(folder)


def test_a_manifest_that_says_something_else_than_its_graph_is_refused(tmp_path):
    shutil.copytree(shipped_artifact("simple_cnn"), folder := tmp_path / "artifact")
    manifest = json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
    manifest["spec"]["labels"] = manifest["spec"]["labels"][::-1]
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ArtifactError, match="exported with another spec than that of manifest"):
        Engine.load(folder)
