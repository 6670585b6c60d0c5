"""Runs a command in a process of its own and reports its failure in one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from fer_engine.errors import BackendError, last_lines


def error_tail(errors: str) -> str:
    """Return the end of what a process wrote on standard error, on one line."""
    return last_lines(errors) or "it wrote nothing on standard error"


def output_of(
    what: str,
    command: Sequence[str],
    *,
    advice: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Run a command and return what it printed; `environment` is added to this process's own.

    Raises:
        BackendError: it failed, or took longer than `seconds`. The message begins with `what` and ends with
            `advice`.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(environment or {})},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"{what} was not done after {seconds:g} s{advice}") from None
    if done.returncode:
        raise BackendError(f"{what} failed (exit code {done.returncode}): {error_tail(done.stderr)}{advice}")
    return done.stdout
