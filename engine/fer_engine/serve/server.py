"""The listening socket, and a uvicorn server with a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import math
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any

import uvicorn

from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.serve.app import check_cors_origins, make_app
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.connection import Connection
from fer_engine.serve.hosts import HostCheck, check_allowed_hosts
from fer_engine.serve.limits import Limits
from fer_engine.serve.service import Service
from fer_engine.vision.detectors import default_detector
from fer_engine.vision.expressions import check_min_confidence
from fer_engine.vision.face import FaceDetector

LAST_PORT = 65535
BACKLOG = 1024  # connections that wait to be accepted; the system may allow fewer


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address and does not listen yet; port 0 takes any free port.

    Raises:
        ConfigError: the address is in use, not of this machine, or not permitted.
    """
    _check_port(port)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be encoded
        raise ConfigError(f"cannot listen on {host[:100]}:{port}: {error}; give another --host") from None
    try:
        if os.name == "posix":  # on Windows this option would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _check_port(port: int) -> None:
    if not 0 <= port <= LAST_PORT:  # some systems would wrap a larger number around
        raise ConfigError(f"port must be from 0 to {LAST_PORT}, got {port}")


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    reason = error.strerror or error
    return ConfigError(
        f"cannot listen on {host}:{port}: {reason}; give another --port (0 takes a free one) or --host"
    )


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, then finishes the running requests; `ready` is called at the start.

    After the signal it serves requests for another `drain_seconds`, but /v2/health/ready answers 503, so that
    load balancers turn to other servers. A second signal ends it at once.
    """

    def __init__(
        self,
        service: Service,
        detector: FaceDetector,
        listener: socket.socket,
        ready: Callable[[], None],
        cors_origins: Sequence[str],
        allowed_hosts: Sequence[str],
    ) -> None:
        limits = service.limits
        connection = functools.partial(
            Connection, limits, lambda: service.draining, service.metrics.count_refused
        )
        super().__init__(
            uvicorn.Config(
                HostCheck(
                    make_app(service, detector, cors_origins), allowed_hosts, service.metrics.count_refused
                ),
                http=connection,  # type: ignore[arg-type]  # uvicorn only calls it
                ws="none",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_level="error",  # mistakes of clients are answered and counted, not logged
                timeout_keep_alive=math.ceil(limits.receive_seconds),
                timeout_graceful_shutdown=math.ceil(limits.request_seconds + 2 * limits.receive_seconds),
            )
        )
        service.connections = lambda: len(self.server_state.connections)
        service.metrics.connections.set_function(service.connections)
        self._service = service
        self._listener = listener
        self._ready = ready
        self._end: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and call `ready`.

        Raises:
            ConfigError: another process began to listen on the port after it was bound here.
        """
        try:
            self._listener.listen(BACKLOG)  # called here, because uvloop ignores its failure
        except OSError as error:
            host, port = self._listener.getsockname()[:2]
            raise _cannot_listen(host, port, error) from None
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to drain. uvicorn's own handler would raise the signal again at the end."""
        if self._end is not None:
            self.should_exit = self.force_exit = True
            return
        self._service.draining = True
        self._end = time.monotonic() + self._service.limits.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end; uvicorn calls it ten times a second."""
        if self._end is not None and time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(
    engine: Engine,
    listener: socket.socket,
    batching: BatchOptions,
    limits: Limits,
    ready: Callable[[int | None], None],
    min_confidence: float = 0.0,
    detector: FaceDetector | None = None,
    cors_origins: Sequence[str] = (),
    grpc_port: int | None = None,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve an engine on a bound socket until SIGTERM or SIGINT, and over gRPC on a port of the same address.

    `ready` is called at the start, with the port of gRPC or None; `grpc_port` 0 takes any free one.
    A face of an image whose highest probability is below `min_confidence` gets the label "uncertain". The
    detector finds the faces of images, in several threads at once; None for `detectors.default_detector`.
    `cors_origins` are those of `make_app`, `allowed_hosts` the names of `HostCheck`.

    Raises:
        ConfigError: the model is no classifier, `min_confidence` does not go with it, an origin or a host is
            none, another process listens on a port, or gRPC is not installed.
    """
    check_min_confidence(engine.spec, min_confidence)
    check_cors_origins(cors_origins)
    check_allowed_hosts(allowed_hosts)
    if grpc_port is not None:
        _check_port(grpc_port)

    async def run() -> None:
        service = Service(engine, batching, limits, min_confidence)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(service.close)
            port = None if grpc_port is None else await _start_grpc(service, listener, grpc_port, stack)
            announce = functools.partial(ready, port)
            finder = detector or default_detector()
            server = Server(service, finder, listener, announce, cors_origins, allowed_hosts)
            gc.freeze()  # objects that live as long as the process are left out of each garbage collection
            await server.serve([listener])

    _run(run())


async def _start_grpc(
    service: Service, listener: socket.socket, port: int, stack: contextlib.AsyncExitStack
) -> int:
    """Serve gRPC on the address of a socket until the end of the stack; return its port."""
    from fer_engine.serve.grpc_server import GrpcServer

    server = GrpcServer(service)
    await server.start(listener.getsockname()[0], port)
    stack.push_async_callback(server.stop, service.limits.request_seconds)
    return server.port


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # uvloop does not support Windows
        asyncio.run(work)
    else:
        uvloop.run(work)
