"""Small changes to an ONNX graph, in place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def rename_tensor(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Call the tensor `old` `new`, wherever it is made or read."""
    rename_in_nodes(graph.node, old, new)
    for entry in (*graph.input, *graph.output, *graph.initializer):
        if entry.name == old:
            entry.name = new


def rename_in_nodes(nodes: Iterable[onnx.NodeProto], old: str, new: str) -> None:
    """Call the tensor `old` `new` in the inputs and outputs of `nodes`."""
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def add_constant(graph: onnx.GraphProto, name: str, value: np.generic | NDArray[np.generic]) -> str:
    """Store a constant as an initializer, once under its name; return the name."""
    if all(entry.name != name for entry in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Put `nodes` in place of the graph's; leave out nodes and constants that no output depends on."""
    used = {output.name for output in graph.output}
    kept = []
    for node in reversed(list(nodes)):
        if not used.isdisjoint(node.output):
            used.update(node.input)
            kept.append(node)
    constants = [entry for entry in graph.initializer if entry.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)
