"""The binary tensor data extension of the Open Inference Protocol.

Behind the JSON text, whose length a header tells, stand the tensors' bytes: little-endian, row after row.
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from fer_engine.errors import InputError

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
