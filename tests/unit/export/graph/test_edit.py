"""Small changes to a graph in place."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_export.graph.edit import add_constant, rename_tensor, replace_nodes


@pytest.fixture
def graph():
    """`y` is `x + one`; `dead` is read by nobody."""
    nodes = [
        helper.make_node("Add", ["x", "one"], ["y"]),
        helper.make_node("Mul", ["x", "two"], ["dead"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    constants = [
        numpy_helper.from_array(np.float32([value]), name) for name, value in (("one", 1), ("two", 2))
    ]
    return helper.make_graph(nodes, "small", [x], [y], constants)


def test_a_tensor_is_renamed_wherever_it_is_made_or_read(graph):
    rename_tensor(graph, "x", "faces")
    rename_tensor(graph, "one", "uno")
    assert [list(node.input) for node in graph.node] == [["faces", "uno"], ["faces", "two"]]
    assert graph.input[0].name == "faces"
    assert [entry.name for entry in graph.initializer] == ["uno", "two"]


def test_what_no_output_depends_on_is_left_out(graph):
    replace_nodes(graph, list(graph.node))
    assert [node.op_type for node in graph.node] == ["Add"]
    assert [entry.name for entry in graph.initializer] == ["one"]


def test_a_constant_is_stored_once(graph):
    for value in (3, 4):
        assert add_constant(graph, "three", np.float32(value)) == "three"
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    assert stored["three"] == 3
    assert len(graph.initializer) == 3
