"""Reads request bodies within the limits, and compresses and decompresses bodies."""

from __future__ import annotations

import time
import zlib

from starlette.requests import ClientDisconnect, Request

from fer_engine.errors import InputError
from fer_engine.serve.limits import RefusedError

# zlib's window for each Content-Encoding: "deflate" means zlib's format, RFC 9110 section 8.4.1.2.
WINDOWS = {"gzip": 31, "deflate": 15}
MIN_COMPRESSED = 1024  # bytes; smaller bodies hardly shrink, and compression takes longer than sending
FASTEST = 1  # zlib's level of compression
RECEIVED = "received"  # key of a request's scope, of its body's time by `time.perf_counter`

Headers = dict[bytes, bytes]


def headers_by_name(request: Request) -> Headers:
    """Return the headers by their lower-case names; Starlette would search the list for each name."""
    return dict(request.scope["headers"])


async def read_body(request: Request, headers: Headers, limit: int) -> bytes:
    """Return a request's body as it was sent, and note in the request's scope when it was there.

    Raises:
        RefusedError: the body has more than `limit` bytes.
        ClientDisconnect: the client closed the connection.
    """
    if int(headers.get(b"content-length", 0)) > limit:  # the HTTP parser refuses other values than numbers
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
    request.scope[RECEIVED] = time.perf_counter()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_compressed(headers: Headers) -> bool:
    """Whether a body has a Content-Encoding."""
    return _encoding(headers) != "identity"


def decompress(body: bytes, headers: Headers, limit: int) -> bytes:
    """Return a body without its Content-Encoding; decompression stops after `limit` bytes.

    Raises:
        InputError: the body is damaged.
        RefusedError: the encoding is unknown, or the decompressed body has more than `limit` bytes.
    """
    if not is_compressed(headers):
        return body
    encoding = _encoding(headers)
    if encoding not in WINDOWS:
        raise RefusedError(
            415, f"Content-Encoding must be one of {', '.join(WINDOWS)}, got {encoding[:40]!r}"
        )
    stream = zlib.decompressobj(WINDOWS[encoding])
    try:
        decompressed = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise InputError(f"the body is not {encoding}: {error}") from None
    if len(decompressed) > limit:
        raise _too_large(limit)
    if not stream.eof or stream.unused_data:
        raise InputError(f"the body is not one whole {encoding} stream; send it again")
    return decompressed


def compress(body: bytes, headers: Headers) -> tuple[bytes, str | None]:
    """Return a body in the first supported encoding of Accept-Encoding, and the encoding's name if any."""
    accepted = headers.get(b"accept-encoding")
    if accepted is None or len(body) < MIN_COMPRESSED:
        return body, None
    for choice in accepted.decode("latin-1").lower().split(","):
        encoding, _, weight = choice.strip().partition(";")
        if encoding in WINDOWS and weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            stream = zlib.compressobj(FASTEST, wbits=WINDOWS[encoding])
            return stream.compress(body) + stream.flush(), encoding
    return body, None


def _encoding(headers: Headers) -> str:
    return headers.get(b"content-encoding", b"identity").decode("latin-1").lower()


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limit} bytes; send a smaller one")
