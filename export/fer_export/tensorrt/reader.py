"""The precision in which a plan computes each convolution, read from the plan itself.

A builder may compute in float what a graph declares int8, without a message. The engine inspector of
TensorRT shows it, which needs the GPU. A plan of TensorRT for RTX holds its network as text, in an
undocumented format: what is not found there counts as unknown, never as right.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from fer_engine.backends.tensorrt.log import Log

Precisions = dict[str, str]  # of convolutions, by the name of their node

UNKNOWN = "unknown"
# As RTX's text, the inspector of TensorRT 10 and that of 11 call them; the formats' names end with them.
NAMES = {"float": "fp32", "fp32": "fp32", "half": "fp16", "fp16": "fp16", "bfloat16": "bf16", "bf16": "bf16"}
NAMES |= {"int8": "int8", "fp8": "fp8"}

# A tensor with its type, or a convolution with its operands; one of a second profile says so in its name.
TENSOR_OR_CONVOLUTION = re.compile(
    r'tensor=\{[^\n]*?dims=\{[^}]*\}[^{}\n]*?name="(?P<tensor>[^"]+)"[^\n]*? type=(?P<kind>\w+)'
    r'|corrltn=\{ name="(?P<name>[^"]+?)(?: \[profile \d+\])?" output=\{[^}]*\} input=\{(?P<operands>[^}]*)\}'
)
OPERAND = re.compile(r'"([^"]+)"')
ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


def read_rtx_plan(plan: bytes) -> Precisions:
    """Return the precision of each convolution of a plan of TensorRT for RTX 1.7.

    It is that of the convolution's input and weights in all profiles, as in "int8"; "fp32/int8" where
    they differ.
    """
    kinds: dict[str, str] = {}
    found: dict[str, set[str]] = {}
    for match in TENSOR_OR_CONVOLUTION.finditer(plan.decode("latin1")):
        if match["tensor"]:  # profiles use the same names; each lists its tensors first
            kinds[match["tensor"]] = match["kind"]
        else:
            operands = OPERAND.findall(match["operands"])[:2]
            precisions = {_precision(kinds.get(operand, "")) for operand in operands}
            found.setdefault(match["name"], set()).update(precisions)
    return _joined(found)


def read_inspector(information: str) -> Precisions:
    """Return the precision of each convolution that an engine inspector's JSON tells of.

    It is that of the weights, else that of the input; layers have their ONNX nodes as metadata.
    """
    found: dict[str, set[str]] = {}
    for layer in json.loads(information)["Layers"]:
        if not isinstance(layer, dict) or layer.get("ParameterType") != "Convolution":
            continue
        weights = layer.get("Weights")
        kinds = [str(weights.get("Type", ""))] if isinstance(weights, dict) else []
        for tensor in layer.get("Inputs", ())[:1]:
            kinds += [str(tensor.get(key, "")) for key in ("DataType", "Format/Datatype")]
        known = [kind for kind in map(_precision, kinds) if kind != UNKNOWN]
        for node in ONNX_LAYER.findall(str(layer.get("Metadata", ""))) or [str(layer.get("Name"))]:
            found.setdefault(node, set()).add(known[0] if known else UNKNOWN)
    return _joined(found)


def _joined(found: Mapping[str, set[str]]) -> Precisions:
    """Return one text for what was found of each convolution; what is partly unknown is unknown."""
    return {
        name: UNKNOWN if UNKNOWN in precisions else "/".join(sorted(precisions))
        for name, precisions in found.items()
    }


def inspect_plan(
    trt: Any, log: Log, plan: bytes, faces: str, shape: tuple[int, ...], *, host_code: bool
) -> Precisions:
    """Return the precision of each convolution of a plan of TensorRT, which is loaded onto the GPU.

    `shape` is one that the first profile allows: without it formats are not told. `host_code` lets a
    version-compatible plan run the runtime that it carries along.

    Raises:
        BackendError: the plan cannot be loaded.
    """
    runtime = trt.Runtime(log.logger)
    runtime.engine_host_code_allowed = host_code
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise log.failure("deserialize_cuda_engine")
    context = engine.create_execution_context()
    if context is None:
        raise log.failure("create_execution_context")
    if not context.set_input_shape(faces, shape):
        raise log.failure("set_input_shape")
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    return read_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def of_convolutions(found: Mapping[str, str], names: Iterable[str]) -> Precisions:
    """Return the precision of the convolutions `names`; "unknown" where the plan does not tell."""
    return {name: found.get(name, UNKNOWN) for name in names}


def shares(precisions: Mapping[str, str]) -> dict[str, float]:
    """Return the share of convolutions in each precision."""
    counts = Counter(precisions.values())
    return {precision: count / counts.total() for precision, count in sorted(counts.items())}


def _precision(kind: str) -> str:
    """Return our name for a type, also where a format ends with it: "Row major Int8 format"."""
    words = re.findall(r"\w+", kind.lower())
    return next((NAMES[word] for word in reversed(words) if word in NAMES), UNKNOWN)
