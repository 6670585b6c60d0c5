"""How much a client may ask for, and how it is told that it was too much."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from fer_engine.errors import ConfigError, FerError

RETRY_AFTER = 1  # seconds; what makes a server refuse here passes within one


class RefusedError(FerError):
    """A request that is not served; it is answered with `status` and the text.

    `retry` tells the client that the same request may be served later.
    """

    def __init__(self, status: int, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service accepts.

    `body` and `head` are in bytes, of a request's body (also once decompressed) and of its headers;
    `pixels` of an image, `faces` of a request or found in an image. `in_flight` requests are served at
    once, `queue` faces wait for the engine, and `connections` are open. A request must have come in
    completely `receive_seconds` after its first byte, be through `request_seconds` after that, and its
    answer be taken off in another `receive_seconds`. When the service is told to end it takes requests for
    another `drain_seconds`.
    """

    body: int = 16 * 2**20  # a photo of a phone as it comes
    head: int = 32 * 2**10
    pixels: int = 50_000_000
    faces: int = 1024
    in_flight: int = 128  # bodies in memory: 128 of 16 MiB are 2 GiB
    queue: int = 8192
    connections: int = 512  # below the 1,024 files that a process may often have open
    receive_seconds: float = 10.0
    request_seconds: float = 30.0
    drain_seconds: float = 1.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, name = getattr(self, field.name), field.name.replace("_", " ")
            if not (0 < value < math.inf or (value == 0 and field.name == "drain_seconds")):
                raise ConfigError(f"the limit of {name} must be above 0 and finite, got {value}")
        if self.queue < self.faces:
            raise ConfigError(
                f"queue must hold the faces of one request, {self.faces}, got {self.queue}: "
                "give a longer queue or fewer faces"
            )

    def long_head(self) -> str:
        """Return the text of a refusal for headers that are too long."""
        return f"the headers are longer than {self.head} bytes"

    def late(self) -> RefusedError:
        """Return the refusal of a request that was not served within `request_seconds`."""
        return RefusedError(503, f"not served within {self.request_seconds:g} s; try again", retry=True)
