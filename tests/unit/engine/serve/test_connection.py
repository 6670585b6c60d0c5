"""A client that does not take its answer off, and what the connection uses of uvicorn."""

from __future__ import annotations

import asyncio
import inspect
import socket
from importlib.metadata import version

import pytest
import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
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


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time is what a test says."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def answered(parts: list[tuple[float, bytes]]) -> tuple[bytes, float]:
    """Send each part after so many seconds; return what was answered, and the seconds until then."""

    async def app(scope, receive, send) -> None:
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
        if message["type"] == "http.request":
            await Response(b"whole")(scope, receive, send)

    async def run(clock: Clock) -> tuple[bytes, float]:
        config = uvicorn.Config(app, ws="none", lifespan="off")
        limits = Limits(receive_seconds=10)
        wire, counts = Wire(), []
        connection = Connection(
            limits, lambda: False, counts.append, config=config, server_state=ServerState(), app_state={}
        )
        connection.connection_made(wire)
        begun = clock.now
        for seconds, part in parts:
            clock.now += seconds
            await settle()
            if wire.written:
                break
            connection.data_received(part)
            await settle()
        connection.connection_lost(None)
        return wire.written, clock.now - begun

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    clock = Clock()
    try:
        return clock.run_until_complete(run(clock))
    finally:
        clock.close()


def test_a_body_may_take_long_if_it_keeps_coming():
    """10 MB over 1.5 Mbit/s take 53 seconds."""
    size, each = 10_000_000, 187_500
    parts = [(1.0, bytes(min(each, size - begun))) for begun in range(0, size, each)]
    answer, seconds = answered([(0, HEAD % size), *parts])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seconds > 50


def test_a_pause_in_a_body_counts_from_the_last_bytes():
    parts = [(0, HEAD % 80_000), *[(9, bytes(20_000))] * 3]
    answer, _ = answered([*parts, (9, bytes(20_000))])
    assert answer.startswith(b"HTTP/1.1 200 ")
    answer, _ = answered([*parts, (11, b""), (0, b"")])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"nothing of the body came in for 10 s" in answer


def test_a_body_that_trickles_is_refused():
    answer, seconds = answered([(0, HEAD % 100), *[(6, b"x")] * 100])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"less than 1000 bytes/s" in answer
    assert seconds < 20


def test_headers_come_in_within_the_time_though_they_never_pause():
    answer, seconds = answered([(0, b"GET / HTTP/1.1\r\n"), *[(3, b"X: y\r\n")] * 100])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the headers did not come in within 10 s" in answer
    assert seconds < 20


OVERRIDDEN = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "eof_received": [],
    "on_message_begin": [],
    "on_headers_complete": [],
    "on_body": ["body"],
    "on_message_complete": [],
    "on_response_complete": [],
    "pause_writing": [],
    "resume_writing": [],
    "shutdown": [],
    "timeout_keep_alive_handler": [],
    "send_400_response": ["msg"],
}
OF_THE_PROTOCOL = ("cycle", "flow", "parser", "pipeline", "server_state", "transport")
OF_THE_CYCLE = (
    "disconnected",
    "keep_alive",
    "message_event",
    "response_complete",
    "response_started",
    "transport",
)
OF_THE_FLOW = ("read_paused", "resume_reading")
ADVICE = f"in uvicorn {version('uvicorn')}: adapt fer_engine/serve/connection.py, or lower the cap of uvicorn"


@pytest.mark.parametrize(("name", "parameters"), OVERRIDDEN.items())
def test_the_methods_of_uvicorn_that_are_overridden_are_still_there(name, parameters):
    method = getattr(HttpToolsProtocol, name, None)
    assert method is not None, f"HttpToolsProtocol.{name} is gone {ADVICE}"
    found = list(inspect.signature(method).parameters)[1:]
    assert found == parameters, f"HttpToolsProtocol.{name} takes {found}, not {parameters}, {ADVICE}"


def test_the_attributes_of_uvicorn_that_are_used_are_still_there():
    async def make() -> tuple[HttpToolsProtocol, RequestResponseCycle, FlowControl]:
        config = uvicorn.Config(Response(), ws="none", lifespan="off")
        protocol = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(asyncio.Transport())
        started = asyncio.Event()
        protocol._start_asgi_task = lambda *_: started.set()
        protocol.data_received(REQUEST % 1)
        assert started.is_set(), f"no cycle is made {ADVICE}"
        return protocol, protocol.cycle, protocol.flow

    for thing, names in zip(asyncio.run(make()), (OF_THE_PROTOCOL, OF_THE_CYCLE, OF_THE_FLOW), strict=True):
        missing = [name for name in names if not hasattr(thing, name)]
        assert not missing, f"{type(thing).__name__} has no {', '.join(missing)} {ADVICE}"
    assert STATUS_LINE[431].startswith(b"HTTP/1.1 431 "), f"STATUS_LINE is another {ADVICE}"
