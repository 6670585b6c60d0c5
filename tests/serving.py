"""A fer-serve in a process of its own, and what the tests send to it."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tritonclient.http as triton

COMMAND = "import sys; from fer_engine.serve.cli import main; sys.exit(main())"
START_SECONDS = 60  # on a busy machine
MODEL, VERSION = "mini_xception", "1"
CLOSE = 1e-3  # between logits of the same face in batches of different sizes


class Serving:
    """A server in a process of its own."""

    def __init__(self, artifact: Path, *options: object) -> None:
        words = ["--artifact", artifact, "--port", 0, "--drain-delay", 0, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        self.line = self.process.stdout.readline() if readable else ""
        ready = re.search(r"http://127\.0\.0\.1:(\d+) is ready", self.line)
        assert ready, self.process.communicate(timeout=1)
        self.port = int(ready[1])
        over_grpc = re.search(r"; gRPC on port (\d+)\)", self.line)
        self.grpc_port = int(over_grpc[1]) if over_grpc else None

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and what stood on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=START_SECONDS)
        return self.process.returncode, errors

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)

    def exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a new connection; return the answer to them."""
        with self.connect() as connection:
            connection.sendall(request)
            return answer_of(connection)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return self.exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *lines, "", ""]
        return self.exchange("\r\n".join(head).encode() + body)


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer; return its code, headers by names in small letters, and body."""
    with connection.makefile("rb") as stream:
        code = int(stream.readline().split()[1])
        pairs = iter(lambda: stream.readline().decode().strip().partition(": "), ("", "", ""))
        headers = {name.lower(): value for name, _, value in pairs}
        return code, headers, stream.read(int(headers["content-length"]))


@contextlib.contextmanager
def serving(artifact: Path, *options: object) -> Iterator[Serving]:
    server = Serving(artifact, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def wait_for(server: Serving, line: str) -> None:
    for _ in range(200):
        if line in server.get("/metrics")[2].decode():
            return
        time.sleep(0.01)
    pytest.fail(f"the server never told {line!r}")


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def asked(faces: np.ndarray, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("faces", list(faces.shape), "UINT8")
    tensor.set_data_from_numpy(faces, binary_data=binary)
    return [tensor]


def request_of(faces: np.ndarray) -> bytes:
    """Give the bytes of an inference request."""
    text, length = triton.InferenceServerClient.generate_request_body(asked(faces))
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Inference-Header-Content-Length: {length}\r\n\r\n".encode() + text


def image_of(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def form_of(image: bytes, name: str = "file") -> tuple[bytes, str]:
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n\r\n'
    return head.encode() + image + b"\r\n--cut--\r\n", "multipart/form-data; boundary=cut"
