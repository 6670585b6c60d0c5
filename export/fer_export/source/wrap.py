"""Give a float graph the exported form: raw faces in, dynamic batch, batch norm folded, a recent opset."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnx_ir.passes import common as passes
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules import common as rules

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import ExportError, first_line
from fer_export.graph.edit import add_constant, rename_tensor
from fer_export.graph.layers import CHANNEL_AXIS
from fer_export.graph.to_onnx import BATCH_AXIS, canonicalize, opset

# The first with INT8 weights by the channel; an older graph is converted.
LEAST_OPSET = 13
LARGEST_WEIGHTS = 2**31  # values: what protobuf holds at most
NORM_RULES = (
    rules.fuse_batchnorm_into_conv_rule,
    rules.fuse_batchnorm_into_conv_transpose_rule,
    rules.fuse_batchnorm_into_gemm_rule,
)


def with_opset(spec: ModelSpec, model: onnx.ModelProto) -> ModelSpec:
    """Return the spec with the opset that `wrap` will give: the graph's own, unless that is too old."""
    own = opset(model)
    return dataclasses.replace(spec, opset=own if own >= LEAST_OPSET else max(spec.opset, LEAST_OPSET))


def wrap(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return the graph behind the normalization of `spec`: uint8 `faces` in, float32 `spec.output` out.

    `model` takes one float32 [n, channels, height, width] and gives one [n, labels]; its batch may be fixed.
    `spec` says in which opset, see `with_opset`.

    Raises:
        ExportError: it has control flow, its opset cannot be converted, or its batch cannot be freed.
    """
    flow = sorted({n.op_type for n in model.graph.node if any(a.HasField("g") for a in n.attribute)})
    if flow:
        raise ExportError(
            f"{spec.name} has control flow ({', '.join(flow)}), which the precisions cannot follow; "
            "export it without, with constants folded"
        )
    upgraded = _upgraded(model, spec)
    try:
        return _wrapped(upgraded, spec)
    except Exception as error:  # those of ONNX and of its rewriter share no base class
        raise ExportError(
            f"{spec.name} cannot be put behind raw faces ({first_line(error)}); export it with a dynamic "
            "batch and with constants folded"
        ) from error


def _wrapped(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    lifted = _lifted(model)
    fixed = _set_sizes(lifted.graph, spec)
    if fixed:
        _free_reshapes(lifted.graph, fixed)
    wrapped = _optimized(lifted)
    graph = wrapped.graph
    for reserved in (INPUT_NAME, spec.output):
        rename_tensor(graph, reserved, f"{reserved}.given")
    normalized = f"{INPUT_NAME}.normalized"
    rename_tensor(graph, graph.input[0].name, normalized)
    rename_tensor(graph, graph.output[0].name, spec.output)
    _normalize(graph, spec, normalized)
    del graph.input[:], graph.output[:]
    faces: list[int | str | None] = [BATCH_AXIS, *spec.face_shape]
    given: list[int | str | None] = [BATCH_AXIS, spec.outputs]
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, faces))
    graph.output.append(helper.make_tensor_value_info(spec.output, TensorProto.FLOAT, given))
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}.{index}"  # one of its own, where the given one may not be
    _name_weights(graph)
    wrapped.ir_version = max(wrapped.ir_version, helper.find_min_ir_version_for(wrapped.opset_import))
    return canonicalize(wrapped, spec)


def _upgraded(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    version = opset(model)
    if version == spec.opset:
        return model
    try:
        return version_converter.convert_version(model, spec.opset)
    except Exception as error:  # the converter's errors share no base class
        raise ExportError(
            f"{spec.name} has opset {version}, at least {LEAST_OPSET} is needed, and ONNX cannot convert it "
            f"({first_line(error)}); export it with opset {spec.opset}"
        ) from error


def _lifted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its functions inlined and all constants as initializers."""
    representation = ir.from_proto(model)
    ir.passes.Sequential(
        passes.InlinePass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.RemoveInitializersFromInputsPass(),
    )(representation)
    return ir.to_proto(representation)


def _optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with what is constant computed and batch norm folded."""
    representation = ir.from_proto(model)
    # Weights of any size: those of a dense layer may stand behind a reshape, and INT8 takes constant ones.
    optimizer.optimize(representation, input_size_limit=LARGEST_WEIGHTS, output_size_limit=LARGEST_WEIGHTS)
    folded = rewriter.rewrite(representation, NORM_RULES)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(folded)
    passes.RemoveUnusedNodesPass()(folded)
    return ir.to_proto(folded)


def _set_sizes(graph: onnx.GraphProto, spec: ModelSpec) -> int:
    """Open the batch and close the other sizes of the input; return the batch that was fixed, or 0."""
    batch, *others = graph.input[0].type.tensor_type.shape.dim
    fixed = int(batch.dim_value)
    batch.dim_param = BATCH_AXIS
    for dim, size in zip(others, (spec.channels, spec.height, spec.width), strict=True):
        dim.dim_value = size
    graph.output[0].type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    del graph.value_info[:]
    return fixed


def _free_reshapes(graph: onnx.GraphProto, fixed: int) -> None:
    """Let reshapes to the fixed batch keep the batch that they get: exporters write it into them.

    The verification finds out whether the batch is dynamic now.
    """
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for index, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[0] in constants or node.input[1] not in constants:
            continue
        shape = constants[node.input[1]].copy()
        if len(shape) and shape[0] == fixed and 0 not in shape:
            shape[0] = 0  # as it comes, unless `allowzero` says otherwise
            kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
            node.input[1] = add_constant(graph, f"{node.input[1]}.batch{index}", shape)


def _normalize(graph: onnx.GraphProto, spec: ModelSpec, normalized: str) -> None:
    """Put `(pixel - mean) / scale` in front, the nodes that PyTorch's export has as well."""
    pixels, planes, centred = (f"{INPUT_NAME}.{step}" for step in ("pixels", "planes", "centred"))
    mean, scale, axes = (f"{INPUT_NAME}.{name}" for name in ("mean", "scale", "axes"))
    for name, values in ((mean, spec.mean), (scale, spec.scale)):
        add_constant(graph, name, np.array(values, np.float32).reshape(1, -1, 1, 1))
    if spec.channels == 1:
        add_constant(graph, axes, np.array([1]))
        layout = helper.make_node("Unsqueeze", [pixels, axes], [planes])
    else:
        layout = helper.make_node("Transpose", [pixels], [planes], perm=[0, 3, 1, 2])
    front = [
        helper.make_node("Cast", [INPUT_NAME], [pixels], to=TensorProto.FLOAT),
        layout,
        helper.make_node("Sub", [planes, mean], [centred]),
        helper.make_node("Div", [centred, scale], [normalized]),
    ]
    nodes = [*front, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _name_weights(graph: onnx.GraphProto) -> None:
    """End the names of the layers' weights in ".weight", as PyTorch's do.

    The layer is named by the rest: OpenVINO renames a node that has the name of its weights.
    """
    initializers = {entry.name for entry in graph.initializer}
    used = {node.input[1] for node in graph.node if node.op_type in CHANNEL_AXIS}
    for name in sorted(used & initializers):
        if not name.endswith(".weight"):
            rename_tensor(graph, name, f"{name}.weight")
