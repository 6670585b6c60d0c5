"""The encoded image in the body of a request: the body itself, the file of a form, or base64 in JSON."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fer_engine.errors import InputError
from fer_engine.serve import body
from fer_engine.serve.json_body import checked_object, decode_json
from fer_engine.serve.limits import RefusedError

FORM = b"multipart/form-data"
BYTES = b"application/octet-stream"
JSON = b"application/json"
FORM_FIELDS = 8  # other fields than the file that a form may have; they are ignored


def check_media_type(headers: body.Headers) -> None:
    """Check that a body may hold an image.

    Raises:
        RefusedError: its Content-Type is another.
    """
    media_type = _media_type(headers)
    if media_type not in (FORM, BYTES, JSON) and not media_type.startswith(b"image/"):
        got = media_type[:40].decode("latin-1")
        raise RefusedError(
            415,
            "Content-Type must be image/*, application/octet-stream, multipart/form-data or "
            f"application/json, got {got!r}",
        )


def encoded_image(content: bytes, headers: body.Headers, limit: int) -> bytes:
    """Return the encoded image of a body, of which at most `limit` bytes are decompressed.

    Raises:
        InputError: the body is damaged, or has no image.
        RefusedError: its encoding is unknown, or it is too large once decompressed.
    """
    content = body.decompress(content, headers, limit)
    media_type = _media_type(headers)
    if media_type == FORM:
        return asyncio.run(_form_file(content, headers))
    if media_type == JSON:
        return decode_image(checked_object("the request", decode_json(content), {"image"}, set())["image"])
    return content


def decode_image(value: Any, what: str = "the image") -> bytes:
    """Return the bytes of an image in JSON: base64, a data URL, or {"b64": either} as in TensorFlow Serving.

    Raises:
        InputError: it is none of them; `what` is its name.
    """
    if isinstance(value, dict):
        value = checked_object(what, value, {"b64"}, set())["b64"]
    if not isinstance(value, str):
        raise InputError(f"{what} must be a text in base64, got {type(value).__name__}")
    if value.startswith("data:"):
        head, _, value = value.partition(",")
        if not head.endswith(";base64"):
            raise InputError(f"{what} must be a data URL in base64, got {head[:40]!r}")
    try:
        return base64.b64decode("".join(value.split()), validate=True)  # some encoders break their lines
    except ValueError as error:  # also of characters outside of ASCII
        raise InputError(f"{what} is not base64: {error}") from None


def _media_type(headers: body.Headers) -> bytes:
    return headers.get(b"content-type", BYTES).partition(b";")[0].strip().lower()


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
