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
from itertools import chain
from typing import Any

import numpy as np

from fer_engine._version import __version__
from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import InputError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve.limits import RefusedError

HEADER_NAME = "Inference-Header-Content-Length"
HEADER = HEADER_NAME.lower().encode()  # as ASGI has it
LONGEST = 12  # digits: int() would read any number of them


def split(body: bytes, header: bytes | None) -> tuple[memoryview, memoryview]:
    """Return the JSON text and the tensors' bytes of a body; without the header there are none.

    Raises:
        InputError: the header is not the length of a text in this body.
    """
    view = memoryview(body)
    if header is None:
        return view, view[len(view) :]
    if not header.isdigit() or len(header) > LONGEST:
        raise InputError(f"{HEADER_NAME} must be a number of bytes, got {str(header[:40])[1:]}")
    length = int(header)
    if length > len(view):
        raise InputError(f"{HEADER_NAME} is {length}, more than the {len(view)} bytes of the body")
    return view[:length], view[length:]


def pack_texts(texts: Iterable[str]) -> bytes:
    """Return texts as a BYTES tensor: the length of each as 4 bytes, then the text in UTF-8."""
    encoded = (text.encode() for text in texts)
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


VERSION = "1"  # an artifact holds one version of its model
EXTENSIONS = ("binary_tensor_data", "classification", "statistics")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the output shall come: as bytes behind the JSON or in it, as values or as the best `classes`."""

    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One inference request: faces, uint8 [n, *face_shape], and how the output shall come."""

    faces: Faces
    output: Wanted
    identity: str | None = None


def server_metadata() -> dict[str, Any]:
    """Return what GET /v2 answers."""
    return {"name": "fer-engine", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(spec: ModelSpec) -> dict[str, Any]:
    """Return what GET /v2/models/NAME answers; -1 is an axis of any length."""
    return {
        "name": spec.name,
        "versions": [VERSION],
        "platform": "onnx_fer-engine",
        "inputs": [{"name": INPUT_NAME, "datatype": "UINT8", "shape": [-1, *spec.face_shape]}],
        "outputs": [{"name": spec.output, "datatype": "FP32", "shape": [-1, len(spec.labels)]}],
    }


def parse(text: memoryview, tail: memoryview, spec: ModelSpec, max_faces: int) -> Request:
    """Read an inference request: its JSON text, and the bytes that follow it.

    Raises:
        InputError: the text is not JSON, or not a request that this model can answer.
        RefusedError: there are more than `max_faces` faces.
    """
    try:
        request = _DECODER.decode(str(text, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON: {str(error)[:100]}") from None
    known = _object("the request", request, {"inputs"}, {"id", "parameters", "outputs"})
    identity = known.get("id")
    if not isinstance(identity, str | None):
        raise InputError(f"id must be a text, got {json.dumps(identity)[:40]}")
    parameters = _object(
        "the request's parameters", known.get("parameters", {}), set(), {"binary_data_output"}
    )
    default = Wanted(binary=_flag(parameters, "binary_data_output", False))
    output = _wanted(known.get("outputs"), default, spec)
    return Request(_faces(known["inputs"], tail, spec, max_faces), output, identity)


def render(spec: ModelSpec, request: Request, logits: Logits) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON text where bytes follow it."""
    output, tail = _output(spec, request.output, logits)
    answer = {"model_name": spec.name, "model_version": VERSION, "outputs": [output]}
    if request.identity is not None:
        answer["id"] = request.identity
    text = _ENCODER.encode(answer).encode()
    return (text + tail, len(text)) if request.output.binary else (text, None)


def _output(spec: ModelSpec, wanted: Wanted, logits: Logits) -> tuple[dict[str, Any], bytes]:
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
    tensor = _object("the input", inputs[0], {"name", "datatype", "shape"}, {"parameters", "data"})
    shape = _shape(tensor, spec)
    if shape[0] > max_faces:
        raise RefusedError(413, f"a request may have {max_faces} faces, got {shape[0]}; send them in several")
    size = math.prod(shape)
    parameters = _object("the input's parameters", tensor.get("parameters", {}), set(), {"binary_data_size"})
    if ("data" in tensor) == ("binary_data_size" in parameters):
        raise InputError("the input must have either data or the parameter binary_data_size")
    if "data" in tensor:
        if tail:
            raise InputError(f"{len(tail)} bytes follow the JSON, but the input has its data in it")
        return _from_json(tensor["data"], size).reshape(shape)
    declared = parameters["binary_data_size"]
    if declared != size or len(tail) != size:
        raise InputError(
            f"an input of shape {list(shape)} has {size} bytes, but binary_data_size is {declared} and "
            f"{len(tail)} bytes follow the JSON, whose length the header {HEADER_NAME} must tell"
        )
    return np.frombuffer(tail, np.uint8).reshape(shape) if size else np.empty(shape, np.uint8)


def _shape(tensor: dict[str, Any], spec: ModelSpec) -> tuple[int, ...]:
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
    return tuple(shape)


def _from_json(data: Any, size: int) -> Faces:
    """Return pixels, uint8 [size], of numbers in a list, or in lists within lists.

    NumPy would take the lock of all threads for seconds over lists that a request can hold.
    """
    rows: list[Any] = data if isinstance(data, list) else [None]
    while rows and isinstance(rows[0], list) and len(rows) <= size and _are_alike(rows):
        rows = list(chain.from_iterable(rows))
    try:
        if len(rows) == size and set(map(type, rows)) <= {int}:
            return np.frombuffer(bytes(rows), np.uint8)
    except ValueError:  # outside of 0 to 255
        pass
    raise InputError(f"data must be {size} whole numbers from 0 to 255, row after row")


def _are_alike(rows: list[Any]) -> bool:
    return set(map(type, rows)) == {list} and len(set(map(len, rows))) == 1


def _wanted(asked: Any, default: Wanted, spec: ModelSpec) -> Wanted:
    """Read which output is asked for, and how; none means the model's in the default way."""
    if asked is None or asked == []:
        return default
    if not isinstance(asked, list) or len(asked) != 1:
        got = f"{len(asked)} outputs" if isinstance(asked, list) else type(asked).__name__
        raise InputError(f"outputs must be a list with the one output {spec.output!r}, got {got}")
    output = _object("the output", asked[0], {"name"}, {"parameters"})
    if output["name"] != spec.output:
        raise InputError(f"the model's output is {spec.output!r}, got {str(output['name'])[:40]!r}")
    known = {"binary_data", "classification"}
    parameters = _object("the output's parameters", output.get("parameters", {}), set(), known)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise InputError(f"classification must be a whole number of classes, got {str(classes)[:40]}")
    return Wanted(_flag(parameters, "binary_data", default.binary), min(classes, len(spec.labels)))


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {str(value)[:40]}")
    return value


def _object(what: str, value: Any, needed: set[str], known: set[str]) -> dict[str, Any]:
    """Return a JSON object that has the keys needed, and none but those known: nothing is passed over."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be an object, got {type(value).__name__}")
    if missing := needed - value.keys():
        raise InputError(f"{what} lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - needed - known:
        takes = ", ".join(sorted(needed | known))
        raise InputError(f"{what} has {', '.join(sorted(unknown))[:80]}, which is not served; known: {takes}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


# Made once: json.loads and json.dumps make new ones at each call with options. NaN and Infinity are no JSON.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))
