"""In which precision OpenVINO is asked to compute float layers, and in which it computes each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

# The operators that hold weights, as the CPU plugin calls them.
LAYERS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
PRECISIONS = {"f32": "fp32", "f16": "fp16", "u8": "int8", "i8": "int8"}


def inference_precision(core: openvino.Core, *, half: bool) -> str:
    """Return the hint for float layers: "f16" for a float16 graph on a CPU with float16 units, else "f32".

    Integer layers come from the graph. Without the hint OpenVINO computes float layers in bfloat16 where the
    CPU can; with "f16" it does so where the CPU has bfloat16 units but none for float16. Its eight bits would
    change the answers unasked.
    """
    return "f16" if half and "FP16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


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
