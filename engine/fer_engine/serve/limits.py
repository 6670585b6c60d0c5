"""The limits of the service, and the error for requests that exceed them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from fer_engine.errors import ConfigError, FerError

RETRY_AFTER = 1  # seconds, after which the reason of a refusal has usually passed


class RefusedError(FerError):
    """A request is refused; the client gets the HTTP `status` and the text.

    With `retry` the client is told that the same request may succeed later.
    """

    def __init__(self, status: int, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.retry = retry


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that the service accepts.

    Args:
        body: Bytes of a request's body, compressed and decompressed.
        head: Bytes of a request's URL and headers.
        pixels: Pixels of an image.
        faces: Faces of a request, or found in an image.
        in_flight: Requests served at once.
        queue: Faces that wait for the engine.
        connections: Open connections.
        receive_seconds: Time for the headers of a request, for any pause in its body, and for its answer
            to be read by the client.
        request_seconds: Time from the end of a request to its answer.
        drain_seconds: Time for which requests are still served after the signal to end.

    Raises:
        ConfigError: a limit is not above 0 and finite, or `queue` is less than `faces`.
    """

    body: int = 16 * 2**20  # enough for the photo of a phone
    head: int = 32 * 2**10
    pixels: int = 50_000_000
    faces: int = 1024
    in_flight: int = 128  # bodies in memory: 128 of 16 MiB are 2 GiB
    queue: int = 8192
    connections: int = 512  # below 1,024, a usual limit of the files that a process may open
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
