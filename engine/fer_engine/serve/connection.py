"""One client's connection: what uvicorn does, and an answer or an end to clients that break the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import chain
from types import SimpleNamespace
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fer_engine.serve import responses
from fer_engine.serve.limits import Limits, RefusedError

CONTINUE = b"HTTP/1.1 100 "  # no answer yet, but leave to send the body
LENGTHS = {b"content-length", b"transfer-encoding"}  # what a request with a body has one of
BUSY = responses.refusal(RefusedError(503, "too many connections are open; try again", retry=True))
# llhttp takes what follows such a request for another protocol's, and does not hand out its body.
UPGRADE = responses.error(400, "the header Upgrade cannot be served with a body; send the request without it")


class Connection(HttpToolsProtocol):
    """Closes a connection whose request does not come in, or whose answer is not taken off, in time.

    While `draining()` is true each answer is the connection's last. `count` is told the status of what is
    refused here, before the application sees it.
    """

    def __init__(
        self, limits: Limits, draining: Callable[[], bool], count: Callable[[int], None], **uvicorn: Any
    ) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._draining = draining
        self._count = count
        self._served = self.app
        self._begun = False  # the request that comes in, and its head
        self._in_head = False
        # Bytes of it that are in no body, since the last that was; None while the chunk with that is read.
        self._bare: int | None = None
        self._deaf = False  # what comes after that is passed over
        self._refusal = b""  # waits for the answers to earlier requests
        self._ended = False  # the client sends no more
        self._closing = False
        self._held: list[bytes] = []  # of an answer
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._out = SimpleNamespace(write=self._hold, is_closing=transport.is_closing, close=self._close)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._receiving, self._sending):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf or self._closing:
            return
        super().data_received(data)
        if not self._begun:
            return
        if self._receiving is None:
            self._await_request()
        self._bare = 0 if self._bare is None else self._bare + len(data)
        if self._bare > self._limits.head:
            self._refuse(431, self._too_long())

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open: who sends no more may wait for answers yet."""
        self._ended = True
        if self._closing:
            return False
        if self._begun:
            self._refuse(400, "the request ended before it was complete; send it again")
        elif self.cycle is None or self.cycle.response_complete:
            return False
        else:
            self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._in_head, self._bare = True, True, None
        self._cancel_receiving()

    def on_headers_complete(self) -> None:
        refusal = self._unserved()
        self.app = refusal or self._served
        super().on_headers_complete()
        self._in_head = False
        self.cycle.transport = self._out  # type: ignore[assignment]  # it writes and closes
        if refusal is not None:
            self._count(refusal.status_code)
        self._deaf = self.parser.should_upgrade()
        if refusal is not None or self._draining() or self._deaf:
            self.cycle.keep_alive = False
        if len(self.pipeline) > self._limits.in_flight:
            self.transport.abort()  # no answer can overtake those that the client does not wait for

    def on_body(self, body: bytes) -> None:
        self._bare = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begun = False
        self._cancel_receiving()

    def on_response_complete(self) -> None:
        self._flush()
        if self._closing:
            self.server_state.total_requests += 1
            return
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal:
            self._close(self._refusal)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._sending is not None and not self._closing:
            self._sending.cancel()

    def shutdown(self) -> None:
        if not self._in_head:  # else it is answered, as the last, or refused once its time is up
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's
        self._refuse(400, "this is no valid HTTP/1.1 request")

    def _unserved(self) -> Response | None:
        """Return the answer to a request that the application shall not see."""
        if len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > self._limits.head:
            return responses.error(431, self._too_long())
        if len(self.connections) > self._limits.connections:
            return BUSY
        if self.parser.should_upgrade() and any(name in LENGTHS for name, _ in self.headers):
            return UPGRADE
        return None

    def _too_long(self) -> str:
        return f"the headers are longer than {self._limits.head} bytes"

    def _hold(self, data: bytes) -> None:
        """Keep parts of an answer until it is whole: uvloop sends each by itself, which doubles the cost."""
        self._held.append(data)
        if data.startswith(CONTINUE):
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self.transport.write(b"".join(self._held))
            self._held.clear()

    def _cancel_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _await_request(self) -> None:
        self._cancel_receiving()
        self._receiving = self.loop.call_later(self._limits.receive_seconds, self._stalled)

    def _await_taking(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._sending = self.loop.call_later(self._limits.receive_seconds, self.transport.abort)

    def _stalled(self) -> None:
        if not self._begun:
            self._close()
        elif self.flow.read_paused:  # not by the client: a request before this one is being served
            self._await_request()
        else:
            self._refuse(408, f"the request did not come in within {self._limits.receive_seconds:g} s")

    def _refuse(self, status: int, text: str) -> None:
        """Answer in place of the application, in turn, and close."""
        if self._deaf or self._closing:
            return
        self._deaf = True
        body = responses.error_body(text)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        refusal = STATUS_LINE[status] + head % len(body) + body
        in_body = self._begun and not self._in_head
        if in_body and self.cycle.response_started:
            self._close()
            return
        self._count(status)
        if in_body and not self.pipeline:  # the application waits for the rest
            self._close(refusal)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self.cycle is None or self.cycle.response_complete:
            self._close(refusal)
        else:
            self._refusal = refusal
            if in_body:
                self.pipeline.popleft()

    def _close(self, last: bytes = b"") -> None:
        """Close once the client has taken all, with `last` as the end.

        What it still sends is taken and passed over until then: to close on it would reset the connection,
        which may overtake the answer.
        """
        self._closing = True
        if self.transport.is_closing():
            return
        self._await_taking()
        self._held.append(last)
        self._flush()
        if self._ended or not (self._begun or self._deaf):
            self.transport.close()
        else:
            self.flow.resume_reading()
            self.transport.write_eof()
