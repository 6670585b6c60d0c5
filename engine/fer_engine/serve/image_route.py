"""POST /predict: the expressions of the faces in an image."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_engine.runtime.backend import Logits
from fer_engine.serve import body
from fer_engine.serve.face_finder import FaceFinder, FoundFaces
from fer_engine.serve.image_body import check_media_type, encoded_image
from fer_engine.serve.service import Service


class ImageRoute:
    """The handler for images."""

    def __init__(self, service: Service, finder: FaceFinder) -> None:
        self._service = service
        self._finder = finder

    async def predict(self, request: Request) -> Response:
        service = self._service
        with service.admit():
            begun = time.perf_counter()
            headers = body.headers_by_name(request)
            check_media_type(headers)
            content = await body.read_body(request, headers, service.limits.body)
            deadline = service.deadline()
            with service.metrics.timed("compute_input"):
                found = await service.in_pool(lambda: self._find(content, headers), deadline)
            detected = time.perf_counter()
            logits = await service.batcher.logits(found.faces, deadline)
            ended = time.perf_counter()
            seconds = {
                "decode": found.decode,
                "detect": found.detect,
                "classify": ended - detected,
                "total": ended - begun,
            }
            with service.metrics.timed("compute_output"):
                return await service.in_pool(lambda: self._render(found, logits, seconds), deadline)

    def _find(self, content: bytes, headers: body.Headers) -> FoundFaces:
        begun = time.perf_counter()
        encoded = encoded_image(content, headers, self._service.limits.body)
        unpacked = time.perf_counter() - begun
        found = self._finder.find(encoded, "the image", self._service.limits.pixels)
        return found._replace(decode=unpacked + found.decode)

    def _render(self, found: FoundFaces, logits: Logits, seconds: dict[str, float]) -> Response:
        info, labels = self._service.engine.info, self._service.spec.labels
        answer = found.as_json(logits, labels, self._service.min_confidence)
        return JSONResponse(
            {
                "width": answer["width"],
                "height": answer["height"],
                "labels": list(labels),
                "faces": answer["faces"],
                "milliseconds": {step: round(spent * 1000, 3) for step, spent in seconds.items()},
                "model": {
                    "name": info.model,
                    "precision": info.precision,
                    "backend": info.backend,
                    "device": info.device,
                },
            }
        )
