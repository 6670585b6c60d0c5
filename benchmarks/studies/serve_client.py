"""Clients of the Open Inference Protocol that cost little."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fer_engine import ModelSpec
from fer_engine.errors import FerError

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
HEADER_LENGTH = re.compile(rb"\r\ninference-header-content-length: (\d+)\r\n", re.IGNORECASE)
RECEIVED = 2**18  # bytes at once


@dataclass(slots=True, eq=False)
class Client:
    """A connection with the request that is under way on it."""

    connection: socket.socket
    request: int = 0
    sent_ns: int = 0
    received: bytearray = field(default_factory=bytearray)

    def send(self, index: int, request: bytes) -> None:
        self.request, self.sent_ns = index, time.perf_counter_ns()
        self.connection.sendall(request)

    def receive(self) -> bytes | None:
        """Return the answer once it is complete.

        Raises:
            FerError: the server closed the connection.
        """
        received = self.connection.recv(RECEIVED)
        if not received:
            raise FerError(
                f"the server closed the connection after {len(self.received)} bytes of an answer; "
                "see what it printed"
            )
        self.received += received
        head = self.received.find(b"\r\n\r\n") + 4
        if head < 4 or len(self.received) < head + int(LENGTH.search(self.received)[1]):  # type: ignore[index]
            return None
        answer = bytes(self.received)
        self.received.clear()
        return answer


class Load:
    """Concurrent clients of one server."""

    def __init__(self, port: int, clients: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients = [Client(socket.create_connection(("127.0.0.1", port))) for _ in range(clients)]
        for client in self._clients:
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(client.connection, selectors.EVENT_READ, client)

    def close(self) -> None:
        self._selector.close()
        for client in self._clients:
            client.connection.close()

    def run(self, requests: Iterator[tuple[int, bytes]], answered: Callable[[int, bytes, int], None]) -> None:
        """Have each client send the next request when it has the answer to its last, until there is none.

        `answered` gets the request's number, the answer and how long it took in ns.
        """
        waiting = 0
        for client in self._clients:
            if (following := next(requests, None)) is not None:
                client.send(*following)
                waiting += 1
        while waiting:
            for key, _ in self._selector.select():
                client = key.data
                if (answer := client.receive()) is None:
                    continue
                answered(client.request, answer, time.perf_counter_ns() - client.sent_ns)
                if (following := next(requests, None)) is None:
                    waiting -= 1
                else:
                    client.send(*following)


def request_of(spec: ModelSpec, faces: NDArray[np.uint8], identity: int) -> bytes:
    """Return a whole request, with faces and answer as binary tensors."""
    data = faces.tobytes()
    tensor = {"name": "faces", "datatype": "UINT8", "shape": list(faces.shape)}
    body = {
        "id": str(identity),
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    head = f"POST /v2/models/{spec.name}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
    head += f"{len(text) + len(data)}\r\nInference-Header-Content-Length: {len(text)}\r\n\r\n"
    return head.encode() + text + data


def patches(spec: ModelSpec, count: int, seed: int) -> NDArray[np.uint8]:
    """Return images of 6x6 random patches: networks tell them apart better than noise."""
    draws = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, *spec.face_shape[2:]), np.uint8)
    rows, columns = (np.arange(side) * 6 // side for side in (spec.height, spec.width))
    return np.ascontiguousarray(draws[:, rows][:, :, columns])


def read_answer(answer: bytes) -> tuple[int, NDArray[np.float32]]:
    """Return the request's number and the logits that an answer holds.

    Raises:
        FerError: it is none to an inference request.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    length = HEADER_LENGTH.search(head + b"\r\n")
    if not answer.startswith(b"HTTP/1.1 200 ") or length is None:
        raise FerError(f"a request was not served: {answer[:300]!r}")
    text = json.loads(body[: int(length[1])])
    shape = text["outputs"][0]["shape"]
    return int(text["id"]), np.frombuffer(body[int(length[1]) :], "<f4").reshape(shape)
