"""The schemas of what the service takes and answers, for its OpenAPI document."""

from __future__ import annotations

from typing import Any

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}


def object_of(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has all properties but the optional ones."""
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}


def list_of(items: Schema, length: int | None = None) -> Schema:
    """Return the schema of a list, of a fixed length if there is one."""
    fixed = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **fixed}


def reference(name: str) -> Schema:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(spec: ModelSpec) -> dict[str, Schema]:
    """Return the schemas by their names, for a model."""
    return {**_common(spec), **_images(spec), **_second_protocol(spec), **_about_the_model(spec)}


def _common(spec: ModelSpec) -> dict[str, Schema]:
    shares = object_of({label: {"type": "number", "minimum": 0, "maximum": 1} for label in spec.labels})
    label = {**TEXT, "description": "the likeliest expression, or uncertain"}
    box = {**list_of(WHOLE, 4), "description": "left, top, width, height in pixels"}
    score = {**NUMBER, "description": "how sure the detector is of the face, where it says so"}
    return {
        "Error": object_of({"error": {**TEXT, "description": "one sentence"}}),
        "Expression": object_of({"label": label, "probabilities": shares}),
        "Face": object_of({"box": box, "label": label, "probabilities": shares, "score": score}, ("score",)),
        "Live": object_of({"live": FLAG}),
        "Ready": object_of({"ready": FLAG}),
        "ModelReady": object_of({"name": TEXT, "ready": FLAG}),
    }


def _images(spec: ModelSpec) -> dict[str, Schema]:
    encoded = {**TEXT, "description": "base64, or a data URL in base64"}
    size_and_faces = {"width": WHOLE, "height": WHOLE, "faces": list_of(reference("Face"))}
    steps = object_of(dict.fromkeys(("decode", "detect", "classify", "total"), NUMBER))
    model = object_of(dict.fromkeys(("name", "precision", "backend", "device"), TEXT))
    pixels: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
    for axis in reversed(spec.face_shape):
        pixels = list_of(pixels, axis)
    image = reference("Base64Image")
    instance = {"oneOf": [pixels, image, object_of({"image": image})]}
    answer = {"oneOf": [reference("Expression"), reference("ImageFaces")]}
    return {
        "Base64Image": {"oneOf": [encoded, object_of({"b64": encoded})]},
        "ImageRequest": object_of({"image": image}),
        "ImageFaces": object_of(size_and_faces),
        "ImageAnswer": object_of(
            {**size_and_faces, "labels": list_of(TEXT), "milliseconds": steps, "model": model}
        ),
        "Instances": object_of({"instances": list_of(instance)}),
        "Predictions": object_of({"predictions": list_of(answer)}),
    }


def _second_protocol(spec: ModelSpec) -> dict[str, Schema]:
    size = object_of({"binary_data_size": WHOLE})
    shape = list_of(WHOLE, 1 + len(spec.face_shape))
    name, kind = {"const": INPUT_NAME}, {"const": "UINT8"}
    tensor = object_of(
        {"name": name, "datatype": kind, "shape": shape, "data": {"type": "array"}, "parameters": size},
        ("data", "parameters"),
    )
    form = object_of({"classification": WHOLE, "binary_data": FLAG}, ("classification", "binary_data"))
    wanted = object_of({"name": {"const": spec.output}, "parameters": form}, ("parameters",))
    request = {
        "id": TEXT,
        "model_name": {"const": spec.name},
        "inputs": list_of(tensor, 1),
        "outputs": list_of(wanted),
        "parameters": object_of({"binary_data_output": FLAG}, ("binary_data_output",)),
    }
    output = object_of(
        {
            "name": TEXT,
            "datatype": TEXT,
            "shape": list_of(WHOLE),
            "data": {"type": "array"},
            "parameters": size,
        },
        ("data", "parameters"),
    )
    answer = {"id": TEXT, "model_name": TEXT, "model_version": TEXT, "outputs": list_of(output, 1)}
    return {
        "InferRequest": object_of(request, ("id", "model_name", "outputs", "parameters")),
        "InferAnswer": object_of(answer, ("id",)),
    }


def _about_the_model(spec: ModelSpec) -> dict[str, Schema]:
    tensors = list_of(object_of({"name": TEXT, "datatype": TEXT, "shape": list_of(WHOLE)}))
    metadata = {
        "name": TEXT,
        "versions": list_of(TEXT),
        "platform": TEXT,
        "inputs": tensors,
        "outputs": tensors,
    }
    sizes = list_of(object_of({"name": TEXT, "data_type": TEXT, "dims": list_of(WHOLE)}))
    batching = object_of({"preferred_batch_size": list_of(WHOLE), "max_queue_delay_microseconds": WHOLE})
    config = {
        **dict.fromkeys(("name", "platform", "backend"), TEXT),
        "max_batch_size": WHOLE,
        "input": sizes,
        "output": sizes,
        "dynamic_batching": batching,
    }
    counts = dict.fromkeys(("last_inference", "inference_count", "execution_count"), WHOLE)
    spent = {"type": "object", "additionalProperties": object_of({"count": WHOLE, "ns": WHOLE})}
    model = object_of({"name": TEXT, "version": TEXT, **counts, "inference_stats": spent})
    entry = object_of(dict.fromkeys(("name", "version", "state", "reason"), TEXT))
    return {
        "Models": object_of({"models": list_of({"const": spec.name})}),
        "ServerMetadata": object_of({"name": TEXT, "version": TEXT, "extensions": list_of(TEXT)}),
        "ModelMetadata": object_of(metadata),
        "ModelConfig": object_of(config),
        "Statistics": object_of({"model_stats": list_of(model)}),
        "RepositoryIndex": list_of(entry),
    }
