"""How fer-serve begins and ends."""

from __future__ import annotations

import re
import signal
import time

import pytest

from fer_engine.serve.cli import main
from serving import START_SECONDS, answer_of, noise, request_of, serving, wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_is_under_way_and_exits_with_0(artifact, number):
    request = request_of(noise(1))
    with serving(artifact, "--drain-delay", 30) as server, server.connect() as slow:
        idle = server.connect()
        slow.sendall(request[:-1])
        wait_for(server, "fer_requests_in_flight 1.0")
        server.process.send_signal(number)
        for _ in range(200):
            code, headers, _ = server.get("/v2/health/ready")
            if code == 503:
                break
            time.sleep(0.01)
        assert (code, headers["connection"]) == (503, "close")
        assert server.get("/v2/health/live")[0] == 200
        assert server.exchange(request)[0] == 200  # a balancer may not have seen it yet
        slow.sendall(request[-1:])
        assert answer_of(slow)[0] == 200
        code, errors = server.stop(number)  # the second ends the delay
        idle.close()
    assert (code, errors) == (0, "")


def test_a_request_that_is_still_coming_in_is_finished_after_the_signal(artifact):
    request = request_of(noise(1))
    with serving(artifact) as server, server.connect() as slow:
        slow.sendall(request[:-1])
        wait_for(server, "fer_requests_in_flight 1.0")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionError):
            server.get("/v2/health/live")
        slow.sendall(request[-1:])
        code, headers, _ = answer_of(slow)
        assert (code, headers["connection"]) == (200, "close")
        assert server.process.wait(START_SECONDS) == 0


def test_a_request_whose_headers_are_coming_in_is_answered_after_the_signal(artifact):
    request = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(artifact) as server, server.connect() as slow:
        slow.sendall(request[:-1])
        server.get("/v2/health/live")  # by then the server has read what was sent before
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        slow.sendall(request[-1:])
        code, headers, _ = answer_of(slow)
        assert (code, headers["connection"]) == (200, "close")
        assert server.process.wait(START_SECONDS) == 0


def test_it_says_in_one_line_what_runs(server):
    assert re.fullmatch(
        r"fer-serve: http://127\.0\.0\.1:\d+ is ready \(mini_xception fp32 on onnxruntime, cpu\)\n",
        server.line,
    )


def error_of(capsys, *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    return error


def test_a_port_in_use_is_an_error(server, artifact, capsys):
    error = error_of(capsys, "--artifact", artifact, "--port", server.port)
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use; give another --port" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
        (["--host", "a" * 70], "label too long"),
        (["--host", "a\0b"], "cannot listen on"),
        (["--receive-timeout", "inf"], "the limit of receive seconds must be above 0 and finite, got inf"),
        (["--port", 70000], "port must be from 0 to 65535, got 70000"),
        (["--max-batch", 0], "the largest batch must be at least 1 face, got 0"),
        (["--max-delay", -1], "the longest delay must be in [0, 3600] seconds"),
        (["--max-body", 0], "the limit of body must be above 0 and finite, got 0"),
        (["--drain-delay", -1], "the limit of drain seconds must be above 0 and finite, got -1"),
        (["--artifact", "no/such/folder", "--port", 0], "no/such/folder"),
        (["--artifact", "x", "--model", "mini_xception", "--port", 0], "give --model or --artifact"),
    ],
)
def test_options_that_cannot_be(words, message, capsys):
    assert message in error_of(capsys, *words)
