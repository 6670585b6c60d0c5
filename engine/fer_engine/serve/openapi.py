"""The OpenAPI document of the service, https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

import re
from typing import Any

from fer_engine._version import __version__
from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.serve.openapi_schemas import Schema, reference, schemas
from fer_engine.serve.v2_protocol import HEADER_NAME, VERSION

JSON = "application/json"
IMAGES, FIRST, SECOND, SERVER = (
    "Images",
    "KServe's first protocol",
    "Open Inference Protocol",
    "Server",
)
MODEL = "/v2/models/{name}"
Operation = dict[str, Any]


def make_document(spec: ModelSpec) -> dict[str, Any]:
    """Return the document of the service of a model, as values of JSON."""
    paths = {**_images(), **_first_protocol(spec), **_second_protocol(spec), **_server()}
    for path, item in paths.items():
        parameters = [_parameter(name, spec) for name in re.findall(r"{(\w+)}", path)]
        if parameters:
            item["parameters"] = parameters
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fer-serve",
            "version": __version__,
            "description": f"Expressions by {spec.name}. A label is a guess about a look, not a feeling.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name} for name in (IMAGES, FIRST, SECOND, SERVER)],
        "paths": paths,
        "components": {"schemas": schemas(spec)},
    }


def _parameter(name: str, spec: ModelSpec) -> dict[str, Any]:
    values = {"name": spec.name, "version": VERSION}
    schema = {"const": values[name]} if name in values else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(tag: str, summary: str, answer: Schema | str, **more: Any) -> Operation:
    """Return an operation; its answer is a schema of JSON, or another media type."""
    content: dict[str, Any] = {answer: {}} if isinstance(answer, str) else {JSON: {"schema": answer}}
    failed = {"description": "refused or failed", "content": {JSON: {"schema": reference("Error")}}}
    responses = {"200": {"description": "the answer", "content": content}, "default": failed}
    return {"tags": [tag], "summary": summary, **more, "responses": responses}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _json_body(schema: str, example: Any) -> dict[str, Any]:
    return _body({JSON: {"schema": reference(schema), "example": example}})


def _images() -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    kinds = {
        "image/*": {},
        "application/octet-stream": {},
        "multipart/form-data": {"schema": form},
        JSON: {"schema": reference("ImageRequest"), "example": {"image": "/9j/4AAQ..."}},
    }
    summary = "Find the faces of an image and tell their expressions"
    predict = _operation(IMAGES, summary, reference("ImageAnswer"), requestBody=_body(kinds))
    return {"/predict": {"post": predict}}


def _first_protocol(spec: ModelSpec) -> dict[str, Any]:
    body = _json_body("Instances", {"instances": [{"b64": "/9j/4AAQ..."}]})
    summary = (
        f"Tell the expressions of faces {list(spec.face_shape)} and of images, in the order of the instances"
    )
    return {
        "/v1/models/{name}:predict": {
            "post": _operation(FIRST, summary, reference("Predictions"), requestBody=body)
        },
        "/v1/models": {"get": _operation(FIRST, "List the models", reference("Models"))},
        "/v1/models/{name}": {
            "get": _operation(FIRST, "Tell whether the model is ready", reference("ModelReady"))
        },
    }


def _second_protocol(spec: ModelSpec) -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/v2": {"get": _operation(SECOND, "Describe the server", reference("ServerMetadata"))},
        "/v2/health/live": {"get": _operation(SECOND, "Tell whether the server runs", reference("Live"))},
        "/v2/health/ready": {
            "get": _operation(SECOND, "Tell whether the server takes requests", reference("Ready"))
        },
        "/v2/repository/index": {
            "post": _operation(SECOND, "List the models with their states", reference("RepositoryIndex"))
        },
        "/v2/models/stats": {
            "get": _operation(SECOND, "Return the statistics of all models", reference("Statistics"))
        },
    }
    for prefix in (MODEL, f"{MODEL}/versions/{{version}}"):
        paths[f"{prefix}/infer"] = {"post": _infer(spec)}
        for suffix, summary, schema in (
            ("", "Describe the model's tensors", "ModelMetadata"),
            ("/ready", "Tell whether the model is ready", "ModelReady"),
            ("/config", "Return the model's configuration, as Triton has it", "ModelConfig"),
            ("/stats", "Return the model's statistics, as Triton has them", "Statistics"),
        ):
            paths[prefix + suffix] = {"get": _operation(SECOND, summary, reference(schema))}
    return paths


def _infer(spec: ModelSpec) -> Operation:
    shape = [2, *spec.face_shape]
    tensor = {"name": INPUT_NAME, "datatype": "UINT8", "shape": shape, "data": ["..."]}
    header = {"name": HEADER_NAME, "in": "header", "required": False, "schema": {"type": "integer"}}
    return _operation(
        SECOND,
        f"Return the {spec.output} of faces, FP32 [n, {spec.outputs}]",
        reference("InferAnswer"),
        description="Tensors may follow the JSON as bytes; the header then tells the length of the JSON.",
        parameters=[header],
        requestBody=_json_body("InferRequest", {"inputs": [tensor]}),
    )


def _server() -> dict[str, Any]:
    return {
        "/": {"get": _operation(SERVER, "Return the page for photos and the camera", "text/html")},
        "/page/{file}": {"get": _operation(SERVER, "Return a file of the page", "*/*")},
        "/docs": {"get": _operation(SERVER, "Return this document as a page", "text/html")},
        "/openapi.json": {"get": _operation(SERVER, "Return this document", {"type": "object"})},
        "/metrics": {"get": _operation(SERVER, "Return counts and times for Prometheus", "text/plain")},
    }
