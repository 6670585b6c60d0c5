"""The JSON of the Open Inference Protocol, version 2, for models that take faces.

https://github.com/kserve/open-inference-protocol, with Triton's extensions for binary tensors and
classification: https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import InputError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve.json_body import checked_object, decode_json, encode_json, pixels_of_json
from fer_engine.serve.limits import RefusedError

HEADER_NAME = "Inference-Header-Content-Length"
HEADER = HEADER_NAME.lower().encode()  # as in ASGI
MAX_DIGITS = 12  # of the header: int() would read any number of them
VERSION = "1"  # an artifact holds one version of its model


def split_body(body: bytes, header: bytes | None) -> tuple[memoryview, memoryview]:
    """Return the JSON text of a body and the binary tensors behind it, which are empty without the header.

    Raises:
        InputError: the header is no number of bytes, or more than the body has.
    """
    view = memoryview(body)
    if header is None:
        return view, view[len(view) :]
    if not header.isdigit() or len(header) > MAX_DIGITS:
        raise InputError(f"{HEADER_NAME} must be a number of bytes, got {str(header[:40])[1:]}")
    length = int(header)
    if length > len(view):
        raise InputError(f"{HEADER_NAME} is {length}, more than the {len(view)} bytes of the body")
    return view[:length], view[length:]


def pack_texts(texts: Iterable[str]) -> bytes:
    """Return texts as a binary BYTES tensor: for each its length in 4 bytes, then the text in UTF-8."""
    encoded = (text.encode() for text in texts)
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The form of the output: `binary` or in the JSON; logits, or the best `classes` if that is not 0."""

    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """An inference request: faces, uint8 [n, *face_shape], the form of the output, and the request's id."""

    faces: Faces
    output: OutputFormat
    identity: str | None = None


def parse_request(text: memoryview, tail: memoryview, spec: ModelSpec, max_faces: int) -> InferRequest:
    """Read an inference request: its JSON text, and the binary tensors behind it.

    Raises:
        InputError: the text is not JSON, or not a request for this model.
        RefusedError: the request has more than `max_faces` faces.
    """
    known = checked_object(
        "the request", decode_json(text), {"inputs"}, {"id", "model_name", "parameters", "outputs"}
    )
    if (model := known.get("model_name", spec.name)) != spec.name:  # KServe's client repeats the path's
        raise InputError(f"model_name must be {spec.name!r}, as in the path, got {str(model)[:40]!r}")
    identity = known.get("id")
    if not isinstance(identity, str | None):
        raise InputError(f"id must be a text, got {json.dumps(identity)[:40]}")
    parameters = checked_object(
        "the request's parameters", known.get("parameters", {}), set(), {"binary_data_output"}
    )
    default = OutputFormat(binary=read_flag(parameters, "binary_data_output", False))
    output = output_format(known.get("outputs"), default, spec)
    return InferRequest(_faces(known["inputs"], tail, spec, max_faces), output, identity)


def render_response(spec: ModelSpec, request: InferRequest, logits: Logits) -> tuple[bytes, int | None]:
    """Return the body of a response, and the length of its JSON text if a binary tensor follows it."""
    output, tail = render_output(spec, request.output, logits)
    answer = {"model_name": spec.name, "model_version": VERSION, "outputs": [output]}
    if request.identity is not None:
        answer["id"] = request.identity
    text = encode_json(answer)
    return (text + tail, len(text)) if request.output.binary else (text, None)


def render_output(spec: ModelSpec, wanted: OutputFormat, logits: Logits) -> tuple[dict[str, Any], bytes]:
    """Return the output as values of JSON, and its binary tensor, which is empty if it is in the JSON."""
    output: dict[str, Any] = {"name": spec.output}
    texts: list[str] = []
    if wanted.classes:
        texts = _best(spec, wanted.classes, logits)
        output |= {"datatype": "BYTES", "shape": [len(logits), wanted.classes]}
    else:
        output |= {"datatype": "FP32", "shape": list(logits.shape)}
    if not wanted.binary:
        return output | {"data": texts if wanted.classes else logits.ravel().tolist()}, b""
    tail = pack_texts(texts) if wanted.classes else logits.astype("<f4", copy=False).tobytes()
    return output | {"parameters": {"binary_data_size": len(tail)}}, tail


def _best(spec: ModelSpec, classes: int, logits: Logits) -> list[str]:
    """Return "value:index:label" of the highest classes of each face, the highest first."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :classes]
    return [
        f"{row[index]:f}:{index}:{spec.labels[index]}"
        for row, best in zip(logits, order, strict=True)
        for index in best
    ]


def _faces(inputs: Any, tail: memoryview, spec: ModelSpec, max_faces: int) -> Faces:
    if not isinstance(inputs, list) or len(inputs) != 1:
        got = f"{len(inputs)} inputs" if isinstance(inputs, list) else type(inputs).__name__
        raise InputError(f"inputs must be a list with the one input {INPUT_NAME!r}, got {got}")
    tensor = checked_object("the input", inputs[0], {"name", "datatype", "shape"}, {"parameters", "data"})
    shape = input_shape(tensor, spec, max_faces)
    size = math.prod(shape)
    parameters = checked_object(
        "the input's parameters", tensor.get("parameters", {}), set(), {"binary_data_size"}
    )
    if ("data" in tensor) == ("binary_data_size" in parameters):
        raise InputError("the input must have either data or the parameter binary_data_size")
    if "data" in tensor:
        if tail:
            raise InputError(f"{len(tail)} bytes follow the JSON, but the input has its data in it")
        return pixels_of_json(tensor["data"], size).reshape(shape)
    declared = parameters["binary_data_size"]
    if declared != size or len(tail) != size:
        raise InputError(
            f"an input of shape {list(shape)} has {size} bytes, but binary_data_size is {declared} and "
            f"{len(tail)} bytes follow the JSON, whose length the header {HEADER_NAME} must tell"
        )
    return np.frombuffer(tail, np.uint8).reshape(shape) if size else np.empty(shape, np.uint8)


def input_shape(tensor: dict[str, Any], spec: ModelSpec, max_faces: int) -> tuple[int, ...]:
    """Return the shape of an input, which has a name, a datatype and a shape.

    Raises:
        InputError: the model takes another.
        RefusedError: it has more than `max_faces` faces.
    """
    shape = tensor["shape"]
    fits = (
        tensor["name"] == INPUT_NAME
        and tensor["datatype"] == "UINT8"
        and isinstance(shape, list)
        and all(type(axis) is int for axis in shape)
        and tuple(shape[1:]) == spec.face_shape
        and shape[0] >= 0
    )
    if not fits:
        got = f"{tensor['name']} {tensor['datatype']} {shape}"[:100]
        raise InputError(f"the model takes {INPUT_NAME} UINT8 {[-1, *spec.face_shape]}, got {got}")
    if shape[0] > max_faces:
        raise RefusedError(
            413, f"a request may have {max_faces} faces, got {shape[0]}; send them in several requests"
        )
    return tuple(shape)


def output_format(outputs: Any, default: OutputFormat, spec: ModelSpec) -> OutputFormat:
    """Read the requested output; without one it is the model's output in the default form.

    Raises:
        InputError: it is no output of the model.
    """
    if outputs is None or outputs == []:
        return default
    if not isinstance(outputs, list) or len(outputs) != 1:
        got = f"{len(outputs)} outputs" if isinstance(outputs, list) else type(outputs).__name__
        raise InputError(f"outputs must be a list with the one output {spec.output!r}, got {got}")
    output = checked_object("the output", outputs[0], {"name"}, {"parameters"})
    if output["name"] != spec.output:
        raise InputError(f"the model's output is {spec.output!r}, got {str(output['name'])[:40]!r}")
    known = {"binary_data", "classification"}
    parameters = checked_object("the output's parameters", output.get("parameters", {}), set(), known)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise InputError(f"classification must be a whole number of classes, got {str(classes)[:40]}")
    return OutputFormat(read_flag(parameters, "binary_data", default.binary), min(classes, len(spec.labels)))


def read_flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    """Return a parameter that is true or false.

    Raises:
        InputError: it is neither.
    """
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {str(value)[:40]}")
    return value
