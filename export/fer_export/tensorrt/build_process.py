"""Build a plan in a process of its own, and read that process's messages."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from fer_engine.artifact import files
from fer_engine.artifact.schema import from_json, to_json
from fer_engine.errors import BackendError, last_lines
from fer_engine.exporter import PLAN_OPTIONS
from fer_export.tensorrt.build_worker import ERRORS, Reply, Request
from fer_export.tensorrt.options import BuildOptions

COMMAND = (sys.executable, "-m", "fer_export.tensorrt.build_worker")


def build_in_subprocess(
    graph: bytes,
    face_shape: tuple[int, ...],
    options: BuildOptions,
    report: Callable[[float], None] = lambda _: None,
    command: tuple[str, ...] = COMMAND,
) -> tuple[bytes, Reply]:
    """Build a plan in a process of its own; return it and what the process says of it.

    Raises:
        ExportError: the parser refuses the graph.
        ConfigError: the installed version does not know an option.
        BackendError: the library is not available, the build failed, or the process ended.
    """
    with tempfile.TemporaryDirectory(prefix="fer-plan-") as name, tempfile.TemporaryFile() as errors:
        scratch = Path(name)
        files.write_bytes(scratch / "graph.onnx", graph)
        request = Request(str(scratch / "graph.onnx"), str(scratch / "plan"), face_shape, options)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if options.verbose else errors,
            encoding="utf-8",
        )
        with process:
            try:
                reply = _listen(process, request, report)
            except BaseException:
                process.kill()
                raise
        if reply is None:
            raise BackendError(
                f"{options.flavour} ended the process that it built in (exit code {process.returncode}): "
                f"{_last_words(errors)}; see all of its messages with "
                f"{PLAN_OPTIONS[options.flavour]} --verbose"
            )
        return (scratch / "plan").read_bytes(), reply


def _listen(
    process: subprocess.Popen[str], request: Request, report: Callable[[float], None]
) -> Reply | None:
    """Return the child's reply, None where it ends without one."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes
    try:
        process.stdin.write(json.dumps(to_json(request)) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "share" in message:
            report(message["share"])
        elif "error" in message:
            raise ERRORS[message["kind"]](message["error"])
        else:
            return from_json(Reply, message["reply"])
    return None


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    return last_lines(errors.read().decode("utf-8", "replace")) or "it said nothing"
