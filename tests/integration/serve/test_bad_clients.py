"""Clients that stall, flood, leave or send garbage."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket

import numpy as np
import pytest

from serving import answer_of, noise, request_of, serving, wait_for


@pytest.mark.parametrize(
    ("part", "words"),
    [(10, "the headers did not come in within 0.5 s"), (-1, "nothing of the body came in for 0.5 s")],
    ids=["in the headers", "in the body"],
)
def test_a_client_that_stalls_is_cut_off_and_hurts_no_other(strict, part, words):
    request = request_of(noise(1))
    with strict.connect() as stalled:
        stalled.sendall(request[:part])
        assert strict.exchange(request)[0] == 200
        code, headers, text = answer_of(stalled)
        assert (code, headers["connection"]) == (408, "close")
        assert json.loads(text)["error"] == words
        assert stalled.recv(1) == b""


def test_a_client_that_trickles_is_cut_off(strict):
    with strict.connect() as slow:
        code = None
        for byte in b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 1000:
            with contextlib.suppress(ConnectionError):
                slow.sendall(bytes([byte]))
            if select.select([slow], [], [], 0.05)[0]:
                code = answer_of(slow)[0]
                break
        assert code == 408


def test_a_client_that_says_nothing_is_let_go(strict):
    with strict.connect() as silent:
        assert silent.recv(1) == b""


def test_a_client_that_floods_is_cut_off(strict):
    with strict.connect() as flooding:
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000):  # no answer is waited for
                flooding.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        with pytest.raises(ConnectionError):
            flooding.sendall(b"GET")


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno length", 400),
        (b"\r\n\r\n" + bytes(range(128, 256)), 400),
        (b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 400_000, 431),
    ],
)
def test_garbage_is_answered_and_hurts_no_other(strict, garbage, code):
    got, headers, text = strict.exchange(garbage)
    assert (got, headers["connection"]) == (code, "close")
    assert json.loads(text)["error"]
    assert strict.exchange(request_of(noise(1)))[0] == 200


def test_random_bytes_never_end_the_server(strict):
    random = np.random.default_rng(0)
    request = request_of(noise(1))
    for _ in range(60):
        damaged = bytearray(request)
        for place in random.integers(0, 250, 4):
            damaged[place] = random.integers(0, 256)
        with strict.connect() as connection:
            connection.sendall(damaged)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100)[:9] == b"HTTP/1.1 "
    assert strict.exchange(request)[0] == 200


def test_a_client_that_leaves_hurts_no_other(strict):
    request = request_of(noise(1))
    for part in (10, -1, len(request)):
        with strict.connect() as leaving:
            leaving.sendall(request[:part])
    assert strict.exchange(request)[0] == 200
    wait_for(strict, "fer_requests_in_flight 0.0")


@pytest.mark.parametrize(
    "garbage",
    [b"\0garbage", b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"],
)
def test_garbage_after_a_request_is_answered_after_it(strict, garbage):
    request = request_of(noise(1))
    with strict.connect() as connection:
        connection.sendall(request + request + garbage)
        assert statuses(connection) == [200, 200, 400]


def test_garbage_in_a_body_is_answered_after_the_requests_before(strict):
    chunked = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno length"
    with strict.connect() as connection:
        connection.sendall(request_of(noise(1)) + chunked)
        assert statuses(connection) == [200, 400]


def statuses(connection: socket.socket) -> list[int]:
    """Read all answers until the connection ends; give their codes."""
    with connection.makefile("rb") as stream:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", stream.read())]


def test_a_client_that_sends_no_more_gets_its_answers(strict):
    with strict.connect() as connection:
        connection.sendall(request_of(noise(1)) * 2)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(connection) == [200, 200]


@pytest.mark.parametrize("part", [10, -1], ids=["in the headers", "in the body"])
def test_a_request_that_ends_too_early_is_answered(strict, part):
    request = request_of(noise(1))
    with strict.connect() as connection:
        connection.sendall(request + request[:part])
        connection.shutdown(socket.SHUT_WR)
        assert statuses(connection) == [200, 400]
    wait_for(strict, "fer_requests_in_flight 0.0")


@pytest.mark.parametrize(("body", "code"), [(b"", 200), (b"x" * 200_000, 400)], ids=["alone", "with a body"])
def test_the_offer_of_another_protocol_is_passed_over_or_refused(strict, body, code):
    head = b"%b /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    head %= b"POST" if body else b"GET"
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    got, headers, text = strict.exchange(head + length + b"\r\n" + body)
    assert (got, headers["connection"]) == (code, "close")
    assert ("Upgrade cannot be served with a body" in text.decode()) == bool(body)


def test_what_clients_do_wrong_is_counted_and_not_logged(artifact):
    with serving(artifact) as server:
        upgrade = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        foreign = b"GET /v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        for garbage in (b"\0\1\2\r\n\r\n", upgrade, foreign):
            server.exchange(garbage)
        wait_for(server, 'fer_requests_total{code="400",route="refused"} 2.0')
        assert server.stop() == (0, "")
