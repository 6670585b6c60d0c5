"""What a client may not have more of."""

from __future__ import annotations

import contextlib
import json

import pytest

from serving import MODEL, answer_of, image_of, noise, request_of, wait_for


def test_too_large_requests_are_refused(strict):
    for code, words, (path, body, headers) in (
        (413, "larger than 100000 bytes", ("/predict", bytes(100_001), {})),
        (413, "larger than 100000 bytes", (f"/v2/models/{MODEL}/infer", bytes(10**6), {})),
        (413, "360000 pixels, expected at most 300000", ("/predict", image_of(600, 600), {})),
    ):
        got, _, text = strict.post(path, body, **headers)
        assert (got, words in json.loads(text)["error"]) == (code, True)
    got, _, text = strict.exchange(request_of(noise(5)))
    assert (got, "may have 4 faces, got 5" in json.loads(text)["error"]) == (413, True)


def test_a_body_without_a_length_is_cut_off_at_the_limit(strict):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    code, _, text = strict.exchange(
        head + b"8000\r\n" + bytes(0x8000) + b"\r\n" + b"18000\r\n" + bytes(0x18000)
    )
    assert (code, "larger than" in json.loads(text)["error"]) == (413, True)


def test_requests_beyond_those_under_way_are_told_to_come_again(strict):
    request = request_of(noise(1))
    with strict.connect() as first, strict.connect() as second:
        for stalled in (first, second):
            stalled.sendall(request[:-1])
        wait_for(strict, "fer_requests_in_flight 2.0")
        code, headers, text = strict.exchange(request)
        assert (code, headers["retry-after"]) == (429, "1")
        assert json.loads(text)["error"] == "2 requests are being served; try again"
        assert strict.get("/v2/health/ready")[0] == 200  # not counted
        for stalled in (first, second):
            stalled.sendall(request[-1:])
            assert answer_of(stalled)[0] == 200


def test_connections_beyond_the_limit_are_told_to_come_again(strict):
    with contextlib.ExitStack() as held:
        for _ in range(6):
            held.enter_context(strict.connect())
        code, headers, text = strict.get("/v2/health/live")
        assert (code, headers["retry-after"]) == (503, "1")
        assert "too many connections" in json.loads(text)["error"]
    assert strict.get("/v2/health/live")[0] == 200


def test_an_image_that_is_too_large_is_no_matter_of_python(strict):
    error = json.loads(strict.post("/predict", image_of(600, 600))[2])["error"]
    assert "ask the operator of the server for a larger --max-pixels" in error
    assert "max_pixels" not in error


@pytest.mark.parametrize(
    "head",
    [b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n", b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ids=["headers", "path"],
)
def test_a_long_head_is_refused_though_it_comes_at_once(strict, head):
    code, headers, text = strict.exchange(head % (b"x" * 40_000))
    assert (code, headers["connection"]) == (431, "close")
    assert json.loads(text)["error"] == "the headers are longer than 32768 bytes"
    wait_for(strict, 'fer_requests_total{code="431",route="refused"}')


@pytest.mark.parametrize("more", [b"x: y\r\n", b"x"], ids=["many", "one"])
def test_headers_after_a_body_are_limited_too(strict, more):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    code, _, _ = strict.exchange(head + more * (10**6 // len(more)))
    assert code == 431


def test_a_refusal_reaches_a_client_that_sends_on(strict):
    """Who asks for the connection to be closed gets the answer still, not a reset."""
    head = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n"
    )
    code, headers, _ = strict.exchange(head + bytes(30_000_000))
    assert (code, headers["connection"]) == (413, "close")
