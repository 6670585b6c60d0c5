"""One client's connection: uvicorn's, with deadlines, and an answer to every request that the parser refuses.

This leans on uvicorn's internals. pyproject.toml caps its version, and a test compares what is used here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fer_engine.serve import responses
from fer_engine.serve.limits import Limits

CONTINUE = b"HTTP/1.1 100 "  # an interim response: the client waits for it before it sends the body
# Bytes a second that a body must come in with on average: less than a bad phone line carries, and enough that
# nobody keeps a place among the requests in flight with a byte now and then.
MIN_RATE = 1000


class _Deadline:
    """A timer that calls `expired` after `seconds`, unless it is stopped or started again in time."""

    def __init__(self, seconds: float, expired: Callable[[], None]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float | None = None) -> None:
        self.stop()
        after = self._seconds if seconds is None else seconds
        self._timer = asyncio.get_running_loop().call_later(after, self._expired)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def runs(self) -> bool:
        return self._timer is not None


class Connection(HttpToolsProtocol):
    """Closes a connection if a request does not come in, or an answer is not taken, within the deadline.

    A head must come in within `receive_seconds`. A body may take longer, as a photograph over a phone's line
    does, but no pause in it may, and it must come in with `MIN_RATE`.

    Args:
        limits: The deadlines, and the longest headers and pipeline.
        draining: Whether the server is about to end: each answer is then the connection's last.
        count: Called with the status of each request that is refused here, before the application sees it.
        uvicorn: The arguments of uvicorn's protocol.
    """

    def __init__(
        self, limits: Limits, draining: Callable[[], bool], count: Callable[[int], None], **uvicorn: Any
    ) -> None:
        super().__init__(**uvicorn)
        self._limits = limits
        self._draining = draining
        self._count = count
        self._in_request = False  # headers or body of a request are coming in
        self._in_head = False
        # Bytes of this request outside of a body since its last part; None while a chunk with a part is read.
        self._head_size: int | None = None
        self._heard = 0.0  # the event loop's time of the last bytes
        self._body_begun = 0.0  # the same of a body's first
        self._body_size = 0
        self._ignoring = False  # what the client sends is dropped
        self._pending_refusal = b""  # sent after the answers to earlier requests
        self._client_finished = False  # the client has closed its half of the connection
        self._closing = False
        self._unsent: list[bytes] = []  # parts of an answer
        self._receiving = _Deadline(limits.receive_seconds, self._receiving_expired)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._output = SimpleNamespace(
            write=self._write, is_closing=transport.is_closing, close=self._close_gently
        )
        self._sending = _Deadline(self._limits.receive_seconds, transport.abort)
        self._receiving.start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving.stop()
        self._sending.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ignoring or self._closing:
            return
        self._heard = asyncio.get_running_loop().time()
        super().data_received(data)
        if not self._in_request:
            return
        if not self._receiving.runs:
            self._receiving.start()
        self._head_size = 0 if self._head_size is None else self._head_size + len(data)
        if self._head_size > self._limits.head:
            self._refuse(431, self._limits.long_head())
        elif not self._in_head and self._trickles():
            self._refuse(408, f"the body comes in with less than {MIN_RATE} bytes/s")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open: the client may still wait for answers."""
        self._client_finished = True
        if self._closing:
            return False
        if self._in_request:
            self._refuse(400, "the request ended before it was complete; send it again")
        elif self.cycle is None or self.cycle.response_complete:
            return False
        else:
            self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_request, self._in_head, self._head_size = True, True, None
        self._receiving.stop()  # started again after this chunk, if the request is not complete by then

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._body_begun, self._body_size = self._heard, 0
        self.cycle.transport = self._output  # type: ignore[assignment]  # the cycle writes and closes
        self._ignoring = self.parser.should_upgrade()  # what follows belongs to a protocol that is not served
        if self._ignoring or self._draining():
            self.cycle.keep_alive = False
        if len(self.pipeline) > self._limits.in_flight:
            self.transport.abort()  # the client waits for no answer, so none is owed to it

    def on_body(self, body: bytes) -> None:
        self._head_size = None
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_request = False
        self._receiving.stop()

    def on_response_complete(self) -> None:
        self._flush()
        if self._closing:
            self.server_state.total_requests += 1
            return
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._pending_refusal:
            self._close_gently(self._pending_refusal)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._sending.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._closing:
            self._sending.stop()

    def shutdown(self) -> None:
        # A request whose head is coming in is still answered, as the last one, or refused at its deadline.
        if not self._in_head:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        self._refuse(400, "this is no valid HTTP/1.1 request")

    def _write(self, data: bytes) -> None:
        """Keep the parts of an answer until it is complete: uvloop makes a system call for each write."""
        self._unsent.append(data)
        if data.startswith(CONTINUE):
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            self.transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _trickles(self) -> bool:
        took = self._heard - self._body_begun
        return took > self._limits.receive_seconds + self._body_size / MIN_RATE

    def _receiving_expired(self) -> None:
        seconds = self._limits.receive_seconds
        remaining = self._heard + seconds - asyncio.get_running_loop().time()
        if not self._in_request:
            self._close_gently()
        elif self.flow.read_paused:  # by uvicorn, while an earlier request is served: the client is not late
            self._receiving.start()
        elif self._in_head:
            self._refuse(408, f"the headers did not come in within {seconds:g} s")
        elif remaining > 0:
            self._receiving.start(remaining)
        else:
            self._refuse(408, f"nothing of the body came in for {seconds:g} s")

    def _refuse(self, status: int, text: str) -> None:
        """Answer instead of the application, after the answers to earlier requests, and close."""
        if self._ignoring or self._closing:
            return
        self._ignoring = True
        body = responses.error_body(text)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        refusal = STATUS_LINE[status] + head % len(body) + body
        in_body = self._in_request and not self._in_head
        if in_body and self.cycle.response_started:
            self._close_gently()
            return
        self._count(status)
        if in_body and not self.pipeline:  # the application waits for the rest of the body
            self._close_gently(refusal)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self.cycle is None or self.cycle.response_complete:
            self._close_gently(refusal)
        else:
            self._pending_refusal = refusal
            if in_body:
                self.pipeline.popleft()

    def _close_gently(self, last: bytes = b"") -> None:
        """Send `last`, and close once the client has received everything.

        Until then, what the client still sends is read and dropped: closing at once would reset the
        connection, and the reset may overtake the answer.
        """
        self._closing = True
        if self.transport.is_closing():
            return
        self._sending.start()
        self._unsent.append(last)
        self._flush()
        if self._client_finished or not (self._in_request or self._ignoring):
            self.transport.close()
        else:
            self.flow.resume_reading()
            self.transport.write_eof()
