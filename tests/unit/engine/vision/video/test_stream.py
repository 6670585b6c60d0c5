"""Streams of a network, which break off and come again; the servers are sockets in this process."""

from __future__ import annotations

import contextlib
import functools
import http.server
import logging
import re
import socket
import struct
import threading

import pytest

from fer_engine import FerError
from fer_engine.vision import frames
from fer_engine.vision.video import stream
from fer_engine.vision.video.stream import is_live, is_url, shown_url
from films import gray, write_film

pytest.importorskip("cv2")
TS_PACKET = 188


@pytest.fixture
def film(tmp_path):
    """Give the bytes of a transport stream of 20 frames."""
    return write_film(tmp_path / "film.ts", [gray(index) for index in range(20)]).read_bytes()


@contextlib.contextmanager
def serving(*answers):
    """Give the port of a server that gives one connection after another to `answers`, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for answer in answers:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    answer(connection)
            server.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


@pytest.fixture
def waits(monkeypatch):
    """Give the waits before a stream is tried again, which are none here."""
    waited = []
    monkeypatch.setattr(stream.time, "sleep", waited.append)
    return waited


def test_a_stream_that_breaks_off_is_connected_again(film, waits, caplog):
    def send(connection):
        connection.sendall(film)

    with serving(send, send) as port, caplog.at_level(logging.WARNING):
        seen = []
        with pytest.raises(FerError, match=r"broke off after 40 frames and cannot be reached again"):
            seen.extend(frames(f"tcp://127.0.0.1:{port}"))
    assert [frame.index for frame in seen] == list(range(40))
    times = [frame.time_ms for frame in seen]
    assert times == sorted(times)
    assert {frame.source for frame in seen} == {f"tcp://127.0.0.1:{port}"}
    assert "broke off after frame 19; connecting again" in caplog.text
    assert waits == [1, 1, 2, 4, 8, 16]


def test_a_stream_that_is_not_there(waits):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for url in (
        f"tcp://127.0.0.1:{port}",
        f"rtsp://me:secret@127.0.0.1:{port}/a",
        f"http://127.0.0.1:{port}/a",
    ):
        with pytest.raises(FerError, match=r"cannot be opened \(.*\): check the address") as caught:
            list(frames(url))
        assert "secret" not in str(caught.value)
    assert waits == []


def test_a_camera_of_the_network_by_rtsp(film, waits, monkeypatch):
    """A server of RFC 2326 that sends a transport stream (RFC 2250) over the connection of the requests."""
    monkeypatch.setattr(stream, "RETRY_SECONDS", ())
    sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=a\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"
    extra = {
        "OPTIONS": "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n",
        "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
        "PLAY": "Session: 1\r\n",
    }

    def answer(connection):
        requests = connection.makefile("rb")
        while line := requests.readline():
            method, number = line.split()[0].decode(), "0"
            while (header := requests.readline().strip()) != b"":
                if header.lower().startswith(b"cseq:"):
                    number = header.split()[1].decode()
            body = sdp if method == "DESCRIBE" else ""
            connection.sendall(
                f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra.get(method, '')}\r\n{body}".encode()
            )
            if method == "PLAY":
                for count, start in enumerate(range(0, len(film), 7 * TS_PACKET)):
                    packet = (
                        struct.pack(">BBHII", 0x80, 33, count, count, 1) + film[start : start + 7 * TS_PACKET]
                    )
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                return

    seen = []
    with serving(answer) as port, pytest.raises(FerError, match="broke off after"):
        seen.extend(frames(f"rtsp://me:secret@127.0.0.1:{port}/camera"))
    assert len(seen) >= 18
    assert {frame.source for frame in seen} == {f"rtsp://127.0.0.1:{port}/camera"}
    assert waits == []


def test_a_film_by_http(tmp_path):
    write_film(tmp_path / "film.mp4", [gray(index) for index in range(20)])
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            assert [frame.index for frame in frames(f"{url}/film.mp4")] == list(range(20))
            with pytest.raises(FerError, match=re.escape(f"{url}/none.mp4 cannot be opened")):
                list(frames(f"{url}/none.mp4"))
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_what_is_a_url():
    assert is_url("rtsp://camera/1")
    assert is_url("HTTP://host/film.mp4")
    assert not is_url("concat://a")
    assert not is_url("rtsp.mp4")
    assert is_live("rtsp://camera/1")
    assert not is_live("https://host/film.mp4")
    assert shown_url("rtsp://me:pass@host:554/a@b") == "rtsp://host:554/a@b"
