"""The routes of KServe's first protocol, as TensorFlow Serving has it too, for faces and images.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_engine.engine import Prediction
from fer_engine.errors import InputError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve import body
from fer_engine.serve.face_finder import FaceFinder, FoundFaces
from fer_engine.serve.image_body import decode_image
from fer_engine.serve.json_body import checked_object, decode_json, pixels_of_json
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.service import Service
from fer_engine.vision import Face

Instance = Faces | FoundFaces  # one face, [1, *face_shape], or the faces of an image


class V1Routes:
    """The handlers of the protocol's routes, for one model."""

    def __init__(self, service: Service, finder: FaceFinder) -> None:
        self._service = service
        self._finder = finder

    async def models(self, _: Request) -> Response:
        return JSONResponse({"models": [self._service.spec.name]})

    async def ready(self, request: Request) -> Response:
        self._service.check_model(request.path_params["name"])
        self._service.check_ready()
        return JSONResponse({"name": self._service.spec.name, "ready": True})

    async def predict(self, request: Request) -> Response:
        service, headers = self._service, body.headers_by_name(request)
        with service.admit():
            service.check_model(request.path_params["name"])
            content = await body.read_body(request, headers, service.limits.body)
            deadline = service.deadline()
            with service.metrics.timed("compute_input"):
                instances = await service.in_pool(lambda: self._read(content, headers), deadline)
            faces = np.concatenate([_faces(instance) for instance in instances] or [self._no_faces()])
            logits = await service.batcher.logits(faces, deadline)
            with service.metrics.timed("compute_output"):
                return await service.in_pool(lambda: self._render(instances, logits), deadline)

    def _read(self, content: bytes, headers: body.Headers) -> list[Instance]:
        """Read the instances of a request, in a thread of the pool; its images share the limit of pixels."""
        limits = self._service.limits
        text = body.decompress(content, headers, limits.body)
        given = checked_object("the request", decode_json(text), {"instances"}, set())["instances"]
        if not isinstance(given, list):
            raise InputError(f"instances must be a list, got {type(given).__name__}")
        instances: list[Instance] = []
        faces, pixels = 0, limits.pixels
        for index, value in enumerate(given):
            instance = self._instance(value, f"instance {index}", pixels)
            faces += max(1, len(_faces(instance)))  # an image without a face takes its time too
            if faces > limits.faces:
                raise RefusedError(
                    413, f"a request may have {limits.faces} faces and images; send them in several requests"
                )
            if isinstance(instance, FoundFaces):
                pixels = max(1, pixels - instance.width * instance.height)
            instances.append(instance)
        return instances

    def _instance(self, value: Any, name: str, pixels: int) -> Instance:
        """Return a face from its pixels, or the faces of an image from its base64."""
        if isinstance(value, list):
            shape = self._service.spec.face_shape
            what = f"{name}, a face {list(shape)},"
            return pixels_of_json(value, math.prod(shape), what).reshape(1, *shape)
        if isinstance(value, dict) and "image" in value:
            value = checked_object(name, value, {"image"}, set())["image"]
        return self._finder.find(decode_image(value, name), name, pixels)

    def _no_faces(self) -> Faces:
        return np.empty((0, *self._service.spec.face_shape), np.uint8)

    def _render(self, instances: Sequence[Instance], logits: Logits) -> Response:
        service = self._service
        predictions, begun = [], 0
        for instance in instances:
            rows = logits[begun : (begun := begun + len(_faces(instance)))]
            if isinstance(instance, FoundFaces):
                predictions.append(instance.as_json(rows, service.spec.labels, service.min_confidence))
            else:
                predictions.append(_expression(rows, service.spec.labels, service.min_confidence))
        return JSONResponse({"predictions": predictions})


def _faces(instance: Instance) -> Faces:
    return instance.faces if isinstance(instance, FoundFaces) else instance


def _expression(logits: Logits, labels: Sequence[str], min_confidence: float) -> dict[str, Any]:
    """Return label and probabilities of one face, logits [1, classes], as those of a face in an image."""
    nowhere = np.zeros((1, 4), np.int32)
    (face,) = Face.of_prediction(nowhere, Prediction.of_logits(logits, labels), min_confidence=min_confidence)
    return {name: value for name, value in face.as_json(labels).items() if name != "box"}
