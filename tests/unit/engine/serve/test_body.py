"""Bodies within the limits, and compression in both directions."""

from __future__ import annotations

import gzip
import zlib

import pytest

from fer_engine.errors import ConfigError, InputError
from fer_engine.serve import body
from fer_engine.serve.limits import Limits, RefusedError

TEXT = b"face" * 1000
PACKED = {b"gzip": gzip.compress(TEXT), b"deflate": zlib.compress(TEXT)}


@pytest.mark.parametrize("encoding", PACKED)
def test_packed_bodies_are_unpacked(encoding):
    headers = {b"content-encoding": encoding}
    assert body.is_compressed(headers)
    assert body.decompress(PACKED[encoding], headers, len(TEXT)) == TEXT
    assert body.decompress(PACKED[encoding], {b"content-encoding": encoding.upper()}, len(TEXT)) == TEXT


@pytest.mark.parametrize(
    "headers", [{}, {b"content-encoding": b"identity"}, {b"content-encoding": b"Identity"}]
)
def test_plain_bodies_stay_as_they_are(headers):
    assert not body.is_compressed(headers)
    assert body.decompress(TEXT, headers, 1) is TEXT


@pytest.mark.parametrize("encoding", PACKED)
def test_a_bomb_is_not_unpacked_beyond_the_limit(encoding):
    with pytest.raises(RefusedError, match="larger than 3999 bytes") as refused:
        body.decompress(PACKED[encoding], {b"content-encoding": encoding}, len(TEXT) - 1)
    assert refused.value.status == 413


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"x" + b, lambda _: b""])
def test_damaged_bodies(encoding, damage):
    with pytest.raises(InputError, match=f"the body is not (one whole )?{encoding.decode()}"):
        body.decompress(damage(PACKED[encoding]), {b"content-encoding": encoding}, 10_000)


def test_an_unknown_encoding():
    with pytest.raises(RefusedError, match="must be one of gzip, deflate, got 'br'") as refused:
        body.decompress(TEXT, {b"content-encoding": b"br"}, 10_000)
    assert refused.value.status == 415


@pytest.mark.parametrize(
    ("accepted", "encoding", "unpack"),
    [
        (b"gzip", "gzip", gzip.decompress),
        (b"br, deflate;q=0.5, gzip", "deflate", zlib.decompress),
        (b"gzip;q=0, deflate", "deflate", zlib.decompress),
        (b"GZIP;Q=0, Deflate", "deflate", zlib.decompress),
        (b"br", None, bytes),
        (b"", None, bytes),
    ],
)
def test_answers_are_packed_as_asked(accepted, encoding, unpack):
    packed, got = body.compress(TEXT, {b"accept-encoding": accepted})
    assert got == encoding
    assert unpack(packed) == TEXT


def test_small_answers_are_not_packed():
    assert body.compress(b"small", {b"accept-encoding": b"gzip"}) == (b"small", None)
    assert body.compress(TEXT, {}) == (TEXT, None)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"body": 0}, "the limit of body must be above 0 and finite, got 0"),
        ({"in_flight": -1}, "the limit of in flight must be above 0 and finite, got -1"),
        (
            {"request_seconds": float("nan")},
            "the limit of request seconds must be above 0 and finite, got nan",
        ),
        ({"drain_seconds": float("inf")}, "the limit of drain seconds must be above 0 and finite, got inf"),
        ({"queue": 10}, "queue must hold the faces of one request, 1024, got 10"),
    ],
)
def test_limits_out_of_range(limits, message):
    with pytest.raises(ConfigError, match=message):
        Limits(**limits)
