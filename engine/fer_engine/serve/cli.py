"""fer-serve: answer requests over HTTP, by the Open Inference Protocol, with pictures, and with a page."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_engine import __version__, command

if TYPE_CHECKING:
    from fer_engine.engine import Engine, EngineInfo

HOST = "127.0.0.1"
PORT = 8000  # as of other servers of the protocol


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return command.run(lambda: _serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-serve", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="0 takes one that is free (default: %(default)s)"
    )
    _add_model(parser)
    _add_batching(parser)
    _add_limits(parser)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument("--model", help="one that ships with the package (default: mini_xception)")
    group.add_argument("--artifact", type=Path, help="folder that fer-export wrote, instead of --model")
    group.add_argument(
        "--precision", default="fp32", help="fp32, fp16, int8, int8-cpu or auto (default: %(default)s)"
    )
    group.add_argument(
        "--backend", default="onnxruntime", help="runtime, or auto for the fastest (default: %(default)s)"
    )
    group.add_argument("--device", default="cpu", help="cpu or cuda, cuda:1 (default: %(default)s)")
    group.add_argument("--threads", type=int, help="cores for the engine (default: all)")


def _add_batching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("dynamic batching")
    group.add_argument("--max-batch", type=int, metavar="FACES", help="1 runs each face alone (default: 64)")
    group.add_argument(
        "--max-delay", type=float, metavar="MS", help="wait for a fuller batch (default: 1 ms)"
    )
    group.add_argument("--runners", type=int, metavar="N", help="batches under way at once (default: 1)")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    for name, kind, unit, text in (
        ("body", int, "BYTES", "of a request"),
        ("pixels", int, "N", "of a picture"),
        ("faces", int, "N", "of a request"),
        ("in-flight", int, "N", "requests served at once"),
        ("queue", int, "FACES", "that wait for the engine"),
        ("connections", int, "N", "open at once"),
    ):
        group.add_argument(f"--max-{name}", type=kind, metavar=unit, help=text)
    group.add_argument(
        "--receive-timeout", type=float, metavar="S", help="for a request to come in, and an answer to go out"
    )
    group.add_argument("--request-timeout", type=float, metavar="S", help="for a request to be served")
    group.add_argument(
        "--drain-delay",
        type=float,
        metavar="S",
        help="still take requests for so long after SIGTERM, as not ready",
    )


def _serve(options: argparse.Namespace) -> int:
    from fer_engine.serve.batcher import BatchOptions
    from fer_engine.serve.limits import Limits
    from fer_engine.serve.server import bind, serve

    delay = None if options.max_delay is None else options.max_delay / 1000
    batching = BatchOptions(**_given(max_batch=options.max_batch, max_delay=delay, runners=options.runners))
    limits = Limits(
        **_given(
            body=options.max_body,
            pixels=options.max_pixels,
            faces=options.max_faces,
            in_flight=options.max_in_flight,
            queue=options.max_queue,
            connections=options.max_connections,
            receive_seconds=options.receive_timeout,
            request_seconds=options.request_timeout,
            drain_seconds=options.drain_delay,
        )
    )
    with bind(options.host, options.port) as listener, _engine(options) as engine:
        host, port = listener.getsockname()[:2]
        ready = functools.partial(_announce, engine.info, host, port)
        serve(engine, listener, batching, limits, ready)
    return 0


def _given(**values: object) -> dict[str, Any]:
    """Return the options that were given; the others keep the defaults of what takes them."""
    return {name: value for name, value in values.items() if value is not None}


def _engine(options: argparse.Namespace) -> Engine:
    from fer_engine.engine import Engine
    from fer_engine.errors import ConfigError
    from fer_engine.shipped import MODEL, shipped_artifact

    if options.artifact is not None and options.model is not None:
        raise ConfigError("give --model or --artifact: an artifact holds its model")
    return Engine.load(
        options.artifact or shipped_artifact(options.model or MODEL, options.precision),
        precision=options.precision,
        backend=options.backend,
        device=options.device,
        threads=options.threads,
    )


def _announce(info: EngineInfo, host: str, port: int) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    runs = f"{info.model} {info.precision} on {info.backend}, {info.device}"
    print(f"fer-serve: http://{address} is ready ({runs})", flush=True)
