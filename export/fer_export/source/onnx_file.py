"""A given ONNX file: read, compared with its spec, and its output turned into logits."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, first_line
from fer_export.graph.edit import add_constant
from fer_export.graph.temperature import is_temperature
from fer_export.source import onnx_forms as forms

OUTPUTS = ("logits", "probabilities")
PASS_THROUGH = {"Identity", "Reshape", "Flatten", "Squeeze"}  # operators that change no value
SCORES = {"Sigmoid", "HardSigmoid"}
SMALLEST = 1e-7  # a probability that float16 still holds


def read_onnx_file(path: Path, spec: ModelSpec, output: str | None = None) -> tuple[onnx.ModelProto, bool]:
    """Read a graph, in the form float32 [n, channels, height, width] in, one output [n, outputs] out.

    The file may take the channels last, float16, or uint8 where the spec's mean is 0 and its scale 1; it may
    give [n, outputs, 1, 1]; its batch may be fixed, the size open. Weights in files beside it are taken in.

    Args:
        path: The file.
        spec: What the network takes and gives.
        output: The name of the output that counts, where there are several.

    Returns:
        The graph, and whether it was float16, of which float32 was made.

    Raises:
        ConfigError: it cannot be read, is quantized, or takes or gives something else than `spec` says.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise ConfigError(f"cannot read the ONNX file {path} ({error.strerror or error})") from None
    except Exception as error:  # the errors of protobuf and of ONNX's checker share no base class
        raise ConfigError(f"{path} is no valid ONNX file ({first_line(error)}); export it again") from error
    forms.check_float(model, str(path))
    forms.renew(model)
    if len(model.graph.input) != 1:
        taken = ", ".join(f"{value.name} {forms.described(value)}" for value in model.graph.input) or "none"
        raise ConfigError(f"{path} has {len(model.graph.input)} inputs, expected one: {taken}")
    forms.keep_output(model, output, str(path))
    if not any(model.graph.output[0].name in node.output for node in model.graph.node):
        raise ConfigError(
            f"{path} computes nothing: its output {model.graph.output[0].name} is its input or a constant; "
            "export it again"
        )
    halves = forms.widen_halves(model)
    forms.channels_first(model, spec)
    forms.flatten_output(model, spec)
    _check_form(model, spec, path)
    return model, halves


def _check_form(model: onnx.ModelProto, spec: ModelSpec, path: Path) -> None:
    (taken,), (given,) = model.graph.input, model.graph.output
    sizes = (spec.channels, spec.height, spec.width)
    if not forms.fits(taken, sizes) or taken.type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ConfigError(
            f"{path} takes {taken.name} {forms.described(taken)}, the spec asks for float32 "
            f"[n, {spec.channels}, {spec.height}, {spec.width}], or with the channels last; correct the spec "
            "(uint8 goes with the mean 0 and the scale 1), or export the file again"
        )
    if not forms.fits(given, (spec.outputs,)) or given.type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ConfigError(
            f"{path} gives {given.name} {forms.described(given)}, the spec asks for [n, {spec.outputs}], "
            f"{spec.outputs // len(spec.labels)} for each label: {', '.join(spec.labels)}"
        )


def to_logits(model: onnx.ModelProto, spec: ModelSpec, outputs: str) -> onnx.ModelProto:
    """Return the graph with logits as its output; `outputs` is what it gives: "logits" or "probabilities".

    A classifier's softmax at the end becomes a log-softmax: its softmax, which the engine takes, is the same.
    Behind any other end that gives probabilities, as a clipped softmax, stands a logarithm.

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
        if last.op_type == "Softmax":
            last.op_type = "LogSoftmax"
        else:
            _append_logarithm(changed.graph)
    elif last.op_type == "Softmax":
        raise ConfigError(
            f"{spec.name} ends in Softmax and gives probabilities, not logits; say --outputs probabilities"
        )
    elif last.op_type in SCORES:
        raise ConfigError(
            f"{spec.name} ends in {last.op_type} and gives a score for each label by itself, not logits; "
            "give what goes into it"
        )
    return changed


def _append_logarithm(graph: onnx.GraphProto) -> None:
    """Put log(p + SMALLEST) behind the output; its softmax is p again, which adds up to 1."""
    output = graph.output[0]
    given = output.name
    add_constant(graph, f"{given}.smallest", np.float32(SMALLEST))
    graph.node.append(helper.make_node("Add", [given, f"{given}.smallest"], [f"{given}.raised"]))
    graph.node.append(helper.make_node("Log", [f"{given}.raised"], [f"{given}.log"]))
    output.name = f"{given}.log"


def last_operator(model: onnx.ModelProto) -> str:
    """Return the operator that computes the output, before those that only pass it on."""
    return _last(model).op_type


def _last(model: onnx.ModelProto) -> onnx.NodeProto:
    """Return the node that computes the output, before those that only pass it on and the temperature."""
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers[model.graph.output[0].name]
    while (node.op_type in PASS_THROUGH or is_temperature(node)) and node.input[0] in producers:
        node = producers[node.input[0]]
    return node
