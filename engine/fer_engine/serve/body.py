"""Reading what a client sends, within the limits, and packing what it gets as it asked for it."""

from __future__ import annotations

import zlib

from starlette.requests import ClientDisconnect, Request

from fer_engine.errors import InputError
from fer_engine.serve.limits import RefusedError

# zlib's window for each Content-Encoding: "deflate" means zlib's format, RFC 9110 section 8.4.1.2.
WINDOWS = {"gzip": 31, "deflate": 15}
WORTH_PACKING = 1024  # bytes; less becomes hardly smaller, and packing takes longer than sending
FASTEST = 1

Headers = dict[bytes, bytes]


def headers(request: Request) -> Headers:
    """Return the headers by their names in small letters; Starlette searches them all for each name."""
    return dict(request.scope["headers"])


async def read(request: Request, headers: Headers, limit: int) -> bytes:
    """Return a request's body as it was sent.

    Raises:
        RefusedError: there are more than `limit` bytes.
        ClientDisconnect: the client left.
    """
    if int(headers.get(b"content-length", 0)) > limit:  # the parser has refused what is not a number
        raise _too_large(limit)
    size, chunks, more = 0, [], True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_packed(headers: Headers) -> bool:
    """Whether a body has a Content-Encoding."""
    return _encoding(headers) != "identity"


def unpack(body: bytes, headers: Headers, limit: int) -> bytes:
    """Return a body without its Content-Encoding; it is not unpacked further than `limit`.

    Raises:
        InputError: the body is damaged.
        RefusedError: the encoding is not known, or there are more than `limit` bytes.
    """
    if not is_packed(headers):
        return body
    encoding = _encoding(headers)
    if encoding not in WINDOWS:
        raise RefusedError(
            415, f"Content-Encoding must be one of {', '.join(WINDOWS)}, got {encoding[:40]!r}"
        )
    unpacker = zlib.decompressobj(WINDOWS[encoding])
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise InputError(f"the body is not {encoding}: {error}") from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise InputError(f"the body is not one whole {encoding} stream; send it again")
    return unpacked


def pack(body: bytes, headers: Headers) -> tuple[bytes, str | None]:
    """Return a body in the first encoding of Accept-Encoding that is known here, and its name."""
    accepted = headers.get(b"accept-encoding")
    if accepted is None or len(body) < WORTH_PACKING:
        return body, None
    for choice in accepted.decode("latin-1").lower().split(","):
        encoding, _, weight = choice.strip().partition(";")
        if encoding in WINDOWS and weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            packer = zlib.compressobj(FASTEST, wbits=WINDOWS[encoding])
            return packer.compress(body) + packer.flush(), encoding
    return body, None


def _encoding(headers: Headers) -> str:
    return headers.get(b"content-encoding", b"identity").decode("latin-1").lower()


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limit} bytes; send less at once")
