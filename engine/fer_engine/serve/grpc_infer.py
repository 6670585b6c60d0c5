"""Inference requests and their answers as messages of gRPC."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import InputError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve.grpc_messages import MESSAGES
from fer_engine.serve.json_body import checked_object, pixels_of_json
from fer_engine.serve.v2_protocol import (
    VERSION,
    InferRequest,
    OutputFormat,
    input_shape,
    output_format,
    read_flag,
    render_output,
)


def read_request(message: Any, spec: ModelSpec, max_faces: int) -> InferRequest:
    """Read a ModelInferRequest; unless it says else, its output has the form of its input, bytes or numbers.

    Raises:
        InputError: it is no request for this model.
        RefusedError: it has more than `max_faces` faces.
    """
    given = checked_object("the request's parameters", _parameters(message), set(), {"binary_data_output"})
    outputs = [{"name": output.name, "parameters": _parameters(output)} for output in message.outputs]
    default = OutputFormat(binary=read_flag(given, "binary_data_output", bool(message.raw_input_contents)))
    return InferRequest(_faces(message, spec, max_faces), output_format(outputs, default, spec), message.id)


def make_response(spec: ModelSpec, request: InferRequest, logits: Logits) -> Any:
    """Return the ModelInferResponse to a request."""
    output, raw = render_output(spec, request.output, logits)
    response = MESSAGES["ModelInferResponse"](
        model_name=spec.name, model_version=VERSION, id=request.identity or ""
    )
    tensor = response.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
    if request.output.binary:
        response.raw_output_contents.append(raw)
    elif request.output.classes:
        tensor.contents.bytes_contents.extend(text.encode() for text in output["data"])
    else:
        tensor.contents.fp32_contents.extend(output["data"])
    return response


def _faces(message: Any, spec: ModelSpec, max_faces: int) -> Faces:
    if len(message.inputs) != 1:
        raise InputError(f"a request has the one input faces, got {len(message.inputs)} inputs")
    tensor, raw = message.inputs[0], message.raw_input_contents
    # KServe's client tells the size here too, as over HTTP; the bytes tell it themselves.
    checked_object("the input's parameters", _parameters(tensor), set(), {"binary_data_size"})
    described = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    shape = input_shape(described, spec, max_faces)
    size = math.prod(shape)
    if not raw:
        return pixels_of_json(list(tensor.contents.uint_contents), size, "uint_contents").reshape(shape)
    if len(raw) != 1 or len(raw[0]) != size or tensor.HasField("contents"):
        raise InputError(
            f"an input of shape {list(shape)} has {size} bytes, all in one raw_input_contents; got "
            f"{sum(map(len, raw))} in {len(raw)}"
            + (" beside contents" if tensor.HasField("contents") else "")
        )
    return np.frombuffer(raw[0], np.uint8).reshape(shape) if size else np.empty(shape, np.uint8)


def _parameters(message: Any) -> dict[str, Any]:
    """Return the parameters of a request, an input or an output as values."""
    chosen = (
        (name, value, value.WhichOneof("parameter_choice")) for name, value in message.parameters.items()
    )
    return {name: getattr(value, field) if field else None for name, value, field in chosen}
