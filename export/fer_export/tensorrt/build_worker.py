"""The process that a plan is built in: a library that crashes ends it, and nothing else.

One request comes on standard input and lines of JSON go out on standard output: {"share": ...} as the
build goes on, then a `Reply`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fer_engine.artifact.schema import from_json, to_json
from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.backends.cuda.devices import connect
from fer_engine.backends.tensorrt.log import Log
from fer_engine.errors import BackendError, ConfigError, ExportError, FerError
from fer_export.tensorrt import flavour, reader
from fer_export.tensorrt.builder import build_plan
from fer_export.tensorrt.options import BuildOptions

ERRORS = {kind.__name__: kind for kind in (BackendError, ConfigError, ExportError, FerError)}


@dataclass(frozen=True, slots=True)
class Request:
    """What to build: the file `graph`, into the file `plan`."""

    graph: str
    plan: str
    face_shape: tuple[int, ...]
    options: BuildOptions


@dataclass(frozen=True, slots=True)
class Reply:
    """What was built, and with what; see `fer_engine.artifact.plan.Plan`."""

    version: str
    cuda: str | None
    gpu: str | None
    compute_capabilities: tuple[str, ...]
    precisions: reader.Precisions
    seconds: float


def build_requested(request: Request, report: Callable[[float], None]) -> Reply:
    """Build what is asked for; see `fer_export.tensorrt.builder.build_plan` for the errors."""
    options = request.options
    trt: Any = flavour.load_library(options.flavour)
    rtx = options.flavour == "tensorrt_rtx"
    device = None if rtx else connect("cuda", options.flavour).device()
    started = time.perf_counter()
    gpu = None if device is None else device.name
    graph = Path(request.graph).read_bytes()
    plan = build_plan(trt, graph, request.face_shape, options, gpu=gpu, report=report)
    seconds = time.perf_counter() - started
    Path(request.plan).write_bytes(plan)
    if rtx:
        precisions = reader.read_rtx_plan(plan)
    else:
        shape = (options.profiles[0][1], *request.face_shape)
        host_code = options.version_compatible
        precisions = reader.inspect_plan(trt, Log(trt), plan, INPUT_NAME, shape, host_code=host_code)
    return Reply(
        version=str(trt.__version__),
        cuda=flavour.cuda_version(options.flavour),
        gpu=gpu,
        compute_capabilities=options.rtx_targets if device is None else (device.compute_capability,),
        precisions=precisions,
        seconds=seconds,
    )


def main() -> None:
    """Answer the request on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    with _channel() as channel:

        def send(message: dict[str, Any]) -> None:
            channel.write(json.dumps(message) + "\n")
            channel.flush()

        try:
            request = from_json(Request, json.loads(sys.stdin.readline()))
            reply = build_requested(request, lambda share: send({"share": share}))
        except FerError as error:
            kind = next(name for name, known in ERRORS.items() if isinstance(error, known))
            send({"error": str(error), "kind": kind})
        else:
            send({"reply": to_json(reply)})


def _channel() -> TextIO:
    """Return the standard output for messages alone: what native libraries print goes to the errors."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


if __name__ == "__main__":
    main()
