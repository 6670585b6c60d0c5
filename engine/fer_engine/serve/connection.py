"""One client's connection: what uvicorn does, and an end to clients that stall, flood or hold on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fer_engine.serve.answer import error_body, refusal
from fer_engine.serve.limits import Limits, RefusedError

BUSY = refusal(RefusedError(503, "too many connections are open; try again", retry=True))


class Connection(HttpToolsProtocol):
    """Closes a connection whose request does not come in, or whose answer is not taken off, in time.

    While `draining()` is true each answer is the connection's last.
    """

    def __init__(self, limits: Limits, draining: Callable[[], bool], **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._draining = draining
        self._served = self.app
        self._begun = False  # the request that comes in, and its head
        self._in_head = False
        self._head: int | None = None  # bytes; None while the chunk in which the head begins is read
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._receiving, self._sending):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head = 0 if self._head is None else self._head + len(data)
        if self._head > self._limits.head:
            self._refuse(431, f"the headers are longer than {self._limits.head} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._in_head, self._head = True, True, None
        self._await_request()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.app = self._served if len(self.connections) <= self._limits.connections else BUSY
        super().on_headers_complete()
        if self._draining():
            self.cycle.keep_alive = False
        if len(self.pipeline) > self._limits.in_flight:
            self.transport.abort()  # no answer can overtake those that the client does not wait for

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begun = False
        if self._receiving is not None:
            self._receiving.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():  # but only once the client has taken all
            self._sending = self.loop.call_later(self._limits.receive_seconds, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._sending = self.loop.call_later(self._limits.receive_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._sending is not None:
            self._sending.cancel()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _await_request(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
        self._receiving = self.loop.call_later(self._limits.receive_seconds, self._stalled)

    def _stalled(self) -> None:
        answered = self._begun and not self._in_head and self.cycle.response_started
        if answered or not self._begun:
            self.transport.close()
        else:
            self._refuse(408, f"the request did not come in within {self._limits.receive_seconds:g} s")

    def _refuse(self, status: int, text: str) -> None:
        """Answer in place of the app, and close."""
        body = error_body(text)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
