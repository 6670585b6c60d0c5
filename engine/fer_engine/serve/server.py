"""The listening socket, and a server that ends in order when it is told to."""

from __future__ import annotations

import asyncio
import functools
import gc
import math
import os
import socket
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn

from fer_engine.engine import Engine
from fer_engine.errors import ConfigError
from fer_engine.serve.app import make_app
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.connection import Connection
from fer_engine.serve.limits import Limits
from fer_engine.serve.service import Service
from fer_engine.vision.expressions import check_classifier

LAST_PORT = 65535
BACKLOG = 1024  # connections that wait to be taken, as far as the system allows


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, not yet listening; port 0 takes any that is free.

    Raises:
        ConfigError: the address is in use, not of this machine, or not allowed.
    """
    if not 0 <= port <= LAST_PORT:  # some systems would take the rest of a division
        raise ConfigError(f"port must be from 0 to {LAST_PORT}, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError) as error:  # a name may be one that cannot be encoded
        raise ConfigError(f"cannot listen on {host[:100]}:{port}: {error}; give another --host") from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    reason = error.strerror or error
    return ConfigError(
        f"cannot listen on {host}:{port}: {reason}; give another --port (0 takes a free one) or --host"
    )


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT; then it finishes what is under way. It calls `ready` when it begins.

    For `drain_seconds` it still takes requests, but says that it is not ready, so that a load
    balancer can turn to others. A second signal ends it at once.
    """

    def __init__(self, service: Service, listener: socket.socket, ready: Callable[[], None]) -> None:
        limits = service.limits
        connection = functools.partial(
            Connection, limits, lambda: service.draining, service.metrics.count_refused
        )
        super().__init__(
            uvicorn.Config(
                make_app(service),
                http=connection,  # type: ignore[arg-type]  # it is only ever called
                ws="none",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_level="error",  # what clients do wrong is answered and counted, not logged
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
        """Listen, and say so.

        Raises:
            ConfigError: another process has listened on the port since it was bound here.
        """
        try:
            self._listener.listen(BACKLOG)  # here, for uvloop tells nobody when it fails
        except OSError as error:
            host, port = self._listener.getsockname()[:2]
            raise _cannot_listen(host, port, error) from None
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to end; uvicorn would raise the signal anew after the last answer, and exit with its code."""
        if self._end is not None:
            self.should_exit = self.force_exit = True
            return
        self._service.draining = True
        self._end = time.monotonic() + self._service.limits.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end, ten times a second."""
        if self._end is not None and time.monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(
    engine: Engine,
    listener: socket.socket,
    batching: BatchOptions,
    limits: Limits,
    ready: Callable[[], None],
) -> None:
    """Serve an engine on a bound socket until the process is told to end; `ready` is called at the beginning.

    Raises:
        ConfigError: the model is no classifier, or the port was taken since it was bound.
    """
    check_classifier(engine.spec)

    async def run() -> None:
        service = Service(engine, batching, limits)
        try:
            server = Server(service, listener, ready)
            gc.freeze()  # what lives as long as the process need not be searched for garbage again and again
            await server.serve([listener])
        finally:
            service.close()

    _run(run())


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        asyncio.run(work)
    else:
        uvloop.run(work)
