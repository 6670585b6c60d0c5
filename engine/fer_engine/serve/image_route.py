"""POST /predict: the expressions of the faces in an image."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_engine.engine import Prediction
from fer_engine.errors import ImageSizeError, InputError
from fer_engine.runtime.backend import Faces, Logits
from fer_engine.serve import body
from fer_engine.serve.limits import Limits, RefusedError
from fer_engine.serve.service import Service
from fer_engine.vision import Detections, Face, FaceDetector, Image
from fer_engine.vision.boxes import as_detections
from fer_engine.vision.crop import crop_faces
from fer_engine.vision.image import read_image

FORM = b"multipart/form-data"
BYTES = b"application/octet-stream"
FORM_FIELDS = 8  # other fields than the file that a form may have; they are ignored


class _Detection(NamedTuple):
    """The size of an image, its faces, and the seconds that decoding and detection took."""

    width: int
    height: int
    detections: Detections
    faces: Faces
    decode: float
    detect: float


class ImageRoute:
    """The handler for images; it calls the detector from several threads at once."""

    def __init__(self, service: Service, detector: FaceDetector) -> None:
        self._service = service
        self._detector = detector

    async def predict(self, request: Request) -> Response:
        service = self._service
        with service.admit():
            begun = time.perf_counter()
            headers = body.headers_by_name(request)
            _check_media_type(headers)
            content = await body.read_body(request, headers, service.limits.body)
            deadline = service.deadline()
            with service.metrics.timed("compute_input"):
                found = await service.in_pool(lambda: self._detect(content, headers), deadline)
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

    def _detect(self, content: bytes, headers: body.Headers) -> _Detection:
        """Decode an image and cut out its faces, in a thread of the pool."""
        limits = self._service.limits
        begun = time.perf_counter()
        image = _image(content, headers, limits)
        decoded = time.perf_counter()
        detections = as_detections(self._detector(image), image)
        count = len(detections.boxes)
        if count > limits.faces:
            raise RefusedError(
                413, f"the image has {count} faces, expected at most {limits.faces}; split the image"
            )
        faces = crop_faces(image, detections.boxes, self._service.spec)
        ended = time.perf_counter()
        height, width = image.shape[:2]
        return _Detection(width, height, detections, faces, decoded - begun, ended - decoded)

    def _render(self, found: _Detection, logits: Logits, seconds: dict[str, float]) -> Response:
        info, labels = self._service.engine.info, self._service.spec.labels
        faces = Face.of_prediction(
            found.detections.boxes,
            Prediction.of_logits(logits, labels),
            min_confidence=self._service.min_confidence,
            scores=found.detections.scores,
        )
        return JSONResponse(
            {
                "width": found.width,
                "height": found.height,
                "labels": list(labels),
                "faces": [face.as_json(labels) for face in faces],
                "milliseconds": {step: round(spent * 1000, 3) for step, spent in seconds.items()},
                "model": {
                    "name": info.model,
                    "precision": info.precision,
                    "backend": info.backend,
                    "device": info.device,
                },
            }
        )


def _check_media_type(headers: body.Headers) -> None:
    media_type = _media_type(headers)
    if media_type not in (FORM, BYTES) and not media_type.startswith(b"image/"):
        got = media_type[:40].decode("latin-1")
        raise RefusedError(
            415, f"Content-Type must be image/*, application/octet-stream or multipart/form-data, got {got!r}"
        )


def _media_type(headers: body.Headers) -> bytes:
    return headers.get(b"content-type", BYTES).partition(b";")[0].strip().lower()


def _image(content: bytes, headers: body.Headers, limits: Limits) -> Image:
    """Decode the image of a request, which is its body or the file of a form."""
    content = body.decompress(content, headers, limits.body)
    if _media_type(headers) == FORM:
        content = asyncio.run(_form_file(content, headers))
    try:
        return read_image(content, name="the image", max_pixels=limits.pixels)
    except ImageSizeError as error:
        raise RefusedError(
            413,
            f"the image has {error.pixels} pixels, expected at most {limits.pixels}; make it smaller, "
            "or ask the operator of the server for a larger --max-pixels",
        ) from None


async def _form_file(content: bytes, headers: body.Headers) -> bytes:
    """Return the file of a form. Nothing here waits; it is a coroutine because Starlette's parser is one."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    parser = MultiPartParser(
        Headers(raw=list(headers.items())), stream(), max_files=1, max_fields=FORM_FIELDS
    )
    parser.spool_max_size = len(content) + 1  # never write an image to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InputError(f"the form cannot be read: {error.message}") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if len(files) != 1:
        raise InputError(
            f"the form must have one file, got {len(files)}; send it as in curl -F file=@photo.jpg"
        )
    return await files[0].read()
