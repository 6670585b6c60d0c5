"""In which precision OpenVINO computes each layer, read back from the graph that it executes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

# The operators that hold weights, as the CPU plugin calls them.
LAYERS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
PRECISIONS = {"f32": "fp32", "f16": "fp16", "u8": "int8", "i8": "int8"}


def executed_layers(compiled: openvino.CompiledModel) -> dict[tuple[str, ...], str]:
    """Return the precision of each layer, under the names of all operators that OpenVINO made it of.

    The layer comes first of these, then what is fused into it.
    """
    found = {}
    for operator in compiled.get_runtime_model().get_ordered_ops():
        notes = operator.get_rt_info()
        if notes["layerType"].astype(str) in LAYERS:
            kind = notes["runtimePrecision"].astype(str)
            names = tuple(notes["originalLayersNames"].astype(str).split(","))
            found[names] = PRECISIONS.get(kind, kind)
    return found
