"""A given ONNX file: read, compared with its spec, and its output turned into logits."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
from onnx import TensorProto

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, first_line
from fer_export.graph.temperature import is_temperature

OUTPUTS = ("logits", "probabilities")
PASS_THROUGH = {"Identity", "Reshape", "Flatten", "Squeeze"}  # operators that change no value


def read_onnx_file(path: Path, spec: ModelSpec) -> onnx.ModelProto:
    """Read a graph with one input, float32 [n, channels, height, width], and one output, [n, labels].

    The batch may be fixed, the size open. Weights that lie in files beside it are taken in.

    Raises:
        ConfigError: it cannot be read, or takes or gives something else than `spec` says.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise ConfigError(f"cannot read the ONNX file {path} ({error.strerror or error})") from None
    except Exception as error:  # the errors of protobuf and of ONNX's checker share no base class
        raise ConfigError(f"{path} is no valid ONNX file ({first_line(error)}); export it again") from error
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    outputs = model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConfigError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs, expected one of each")
    if not any(outputs[0].name in node.output for node in model.graph.node):
        raise ConfigError(
            f"{path} computes nothing: its output {outputs[0].name} is its input or a constant; "
            "export it again"
        )
    if not _fits(inputs[0], (spec.channels, spec.height, spec.width)):
        wanted = f"[n, {spec.channels}, {spec.height}, {spec.width}]"
        raise ConfigError(
            f"{path} takes {_described(inputs[0])}, the spec asks for float32 {wanted}; correct the spec, or "
            "export the file again with the channels first (NCHW)"
        )
    if not _fits(outputs[0], (spec.outputs,)):
        raise ConfigError(
            f"{path} gives {_described(outputs[0])}, the spec asks for [n, {spec.outputs}], "
            f"{spec.outputs // len(spec.labels)} for each label: {', '.join(spec.labels)}"
        )
    return model


def to_logits(model: onnx.ModelProto, spec: ModelSpec, outputs: str) -> onnx.ModelProto:
    """Return the graph with logits as its output; `outputs` is what it gives: "logits" or "probabilities".

    A classifier's softmax at the end becomes a log-softmax: its softmax, which the engine takes, is the same.

    Raises:
        ConfigError: `outputs` is unknown, does not fit the task, or contradicts the last operator.
    """
    if outputs not in OUTPUTS:
        raise ConfigError(f"outputs must be {' or '.join(OUTPUTS)}, got {outputs!r}")
    if spec.task != "classification":
        if outputs == "probabilities":
            raise ConfigError(
                f"{spec.name} is a {spec.task}, whose outputs are no probabilities; say --outputs logits"
            )
        return model
    changed = copy.deepcopy(model)
    last = _last(changed)
    if outputs == "probabilities":
        if last.op_type != "Softmax":
            raise ConfigError(
                f"{spec.name} gives probabilities, as you say, but ends in {last.op_type}, not in Softmax; "
                "give a graph that ends in one, or before it"
            )
        last.op_type = "LogSoftmax"
    elif ends_in_softmax(model):
        raise ConfigError(
            f"{spec.name} ends in Softmax and gives probabilities, not logits; say --outputs probabilities"
        )
    return changed


def ends_in_softmax(model: onnx.ModelProto) -> bool:
    return _last(model).op_type == "Softmax"


def _last(model: onnx.ModelProto) -> onnx.NodeProto:
    """Return the node that computes the output, before those that only pass it on and the temperature."""
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers[model.graph.output[0].name]
    while (node.op_type in PASS_THROUGH or is_temperature(node)) and node.input[0] in producers:
        node = producers[node.input[0]]
    return node


def _fits(value: onnx.ValueInfoProto, sizes: tuple[int, ...]) -> bool:
    """Tell whether a value is float32 [n, *sizes], where any size may be open."""
    kind = value.type.tensor_type
    found = [dim.dim_value or None for dim in kind.shape.dim]
    if kind.elem_type != TensorProto.FLOAT or len(found) != 1 + len(sizes):
        return False
    return all(size in (None, wanted) for size, wanted in zip(found[1:], sizes, strict=True))


def _described(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    sizes = ", ".join(str(dim.dim_param or dim.dim_value or "?") for dim in kind.shape.dim)
    return f"{value.name} {TensorProto.DataType.Name(kind.elem_type).lower()} [{sizes}]"
