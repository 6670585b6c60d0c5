"""The errors that TensorRT logs, kept for the message about the call that failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from fer_engine.backends.tensorrt.api import TensorRt
from fer_engine.errors import BackendError

KEPT = 4  # the first errors of a failure name its cause, the later ones where it was noticed
# TensorRT's severities, from the worst: internal error, error, warning, info, verbose.
ERRORS = ("INTERNAL_ERROR", "ERROR")


class Log:
    """The errors that TensorRT logged; `logger` is what it logs to, and must outlive all it made.

    `echo(text)` is called with all that it logs, errors or not.
    """

    def __init__(self, trt: TensorRt, echo: Callable[[str], None] | None = None) -> None:
        self._said: deque[str] = deque(maxlen=KEPT)  # its append and clear are atomic
        said = self._said
        base: Any = trt.ILogger

        class Logger(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if echo is not None:
                    echo(f"{severity.name}: {msg}")
                if severity.name in ERRORS:
                    said.append(" ".join(msg.split()))

        self.logger = Logger()

    def failure(self, call: str, advice: str = "") -> BackendError:
        """Return the error for a call that reported failure, and forget what was said."""
        said = " / ".join(self._said) or "TensorRT gave no reason"
        self._said.clear()
        return BackendError(f"TensorRT's {call} failed: {said}" + (f"; {advice}" if advice else ""))
