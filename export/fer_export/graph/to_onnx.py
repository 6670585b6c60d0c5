"""PyTorch to ONNX: raw faces in, logits out, batch norm folded, one self-contained graph."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn

from fer_engine.artifact.graph_check import SPEC_KEY
from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import ExportError, first_line
from fer_export.graph.layers import CHANNEL_AXIS, find_layers
from fer_export.graph.temperature import divide_by_temperature
from fer_train.loop import normalize

BATCH_AXIS = "batch"
TRACE_BATCH = 2  # torch.export takes a size of 1 for a constant


class _RawFaces(nn.Module):
    """The network with its normalization in front, so that every runtime computes the same."""

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec

    def forward(self, faces: Tensor) -> Tensor:
        return self.network(normalize(faces, self.spec))


def to_onnx(network: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Export `network` with a dynamic batch: uint8 `faces` in, float32 logits by the spec's temperature out.

    The spec travels in the model's metadata under `SPEC_KEY`.

    Raises:
        ExportError: PyTorch cannot export the network, or not in the opset of `spec`.
    """
    wrapped = _RawFaces(network, spec).eval()
    example = torch.zeros((TRACE_BATCH, *spec.face_shape), dtype=torch.uint8)
    try:
        with _quiet():
            program = torch.onnx.export(
                wrapped,
                (example,),
                dynamo=True,
                opset_version=spec.opset,
                input_names=[INPUT_NAME],
                output_names=[spec.output],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(
            f"PyTorch cannot export {spec.name} ({first_line(_root(error))}); "
            "check that forward() has no branch on values and no operator unknown to torch.onnx"
        ) from error
    if program is None:
        raise ExportError(f"PyTorch exported nothing for {spec.name}; install onnxscript and try again")
    model: onnx.ModelProto = program.model_proto
    given = opset(model)
    if given != spec.opset:  # its exporter keeps the one it has where it cannot convert
        raise ExportError(
            f"PyTorch exported {spec.name} in opset {given}, the spec says {spec.opset}; say {given}"
        )
    if _has_foldable_norm(model):
        raise ExportError(f"batch norm of {spec.name} was not folded; update onnxscript to 0.5.4 or later")
    return canonicalize(model, spec)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch's deprecation warnings, and what it logs and prints about a failure."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch's loggers have handlers of their own, each of them
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def opset(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a graph uses."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def canonicalize(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Give a float graph, in place, the form that the other precisions start from; return it.

    The batch axis is named, each layer has weights of its own and is named after them, the output is divided
    by the spec's temperature, and the metadata holds the spec.
    """
    _name_batch(model)
    _strip_metadata(model)
    _unshare_weights(model)
    for layer in find_layers(model):
        layer.node.name = layer.name
    divide_by_temperature(model.graph, spec)
    model.graph.name = spec.name
    onnx.helper.set_model_props(model, {SPEC_KEY: json.dumps(spec.to_json())})
    return model


def _root(error: BaseException) -> BaseException:
    """Return the first error of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _has_foldable_norm(model: onnx.ModelProto) -> bool:
    """Tell whether a batch norm stands right behind a convolution that it alone reads.

    Others, as those before a convolution, stay as they are, in float.
    """
    uses = Counter(name for node in model.graph.node for name in node.input)
    foldable = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Conv" and uses[node.output[0]] == 1 and uses[node.input[1]] == 1
    }
    norms = (node for node in model.graph.node if node.op_type == "BatchNormalization")
    return any(node.input[0] in foldable for node in norms)


def _unshare_weights(model: onnx.ModelProto) -> None:
    """Copy shared weights and biases: a layer is named after its own, and INT8 changes them."""
    initializers = {entry.name: entry for entry in model.graph.initializer}
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type not in CHANNEL_AXIS:
            continue
        for place, name in enumerate(node.input):
            seen[name] += 1
            if name in initializers and seen[name] > 1:
                base, dot, kind = name.rpartition(".")
                copy = model.graph.initializer.add()
                copy.CopyFrom(initializers[name])
                copy.name = f"{base}@{seen[name]}.{kind}" if dot else f"{name}@{seen[name]}"
                node.input[place] = copy.name


def _name_batch(model: onnx.ModelProto) -> None:
    """Call the dynamic axis `batch`, and drop inferred shapes that use the exporter's name for it."""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS


def _strip_metadata(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes on each node: source lines, and paths of this machine."""
    for entry in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
        entry.doc_string = ""
    del model.graph.metadata_props[:]
