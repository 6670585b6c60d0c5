"""A client that does not take its answer off."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn
from starlette.responses import Response
from uvicorn.server import ServerState

from fer_engine.serve.connection import Connection
from fer_engine.serve.limits import Limits

PATIENT = 60  # seconds: longer than any test takes
TINY = 4096  # bytes of the system's buffers on both sides
SMALL, LARGE = 50_000, 1_000_000  # bytes of an answer: one that a transport buffers, and one too large
REQUEST = b"GET / HTTP/1.%d\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("requests", "size"),
    [(REQUEST % 0, SMALL), (REQUEST % 1, SMALL), (REQUEST % 1 * 2, LARGE)],
    ids=["the last answer", "one of many", "more than is buffered"],
)
def test_a_client_that_takes_nothing_off_is_let_go(requests, size):
    async def run() -> None:
        loop, state = asyncio.get_running_loop(), ServerState()
        limits = Limits(receive_seconds=0.2)
        config = uvicorn.Config(Response(bytes(size)), ws="none", lifespan="off", timeout_keep_alive=1)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, TINY)
        server = await loop.create_server(
            lambda: Connection(limits, lambda: False, print, config=config, server_state=state, app_state={}),
            sock=listener,
        )
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, listener.getsockname())
            await loop.sock_sendall(deaf, requests)
            await asyncio.wait_for(until(lambda: state.total_requests or state.tasks), PATIENT)
            await asyncio.wait_for(until(lambda: not state.connections and not state.tasks), PATIENT)
            server.close()

    asyncio.run(run())


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.01)
