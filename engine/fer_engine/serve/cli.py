"""fer-serve: serve a model over HTTP, with the Open Inference Protocol, a route for images, and a page."""

from __future__ import annotations

import argparse
import functools
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import exit_codes, model_options
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits

if TYPE_CHECKING:
    from fer_engine.engine import EngineInfo

HOST = "127.0.0.1"
PORT = 8000  # the usual port of servers with this protocol


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    # Clients are told of their mistakes; the log holds errors of the server only.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    return exit_codes.run_command(lambda: _serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fer-serve", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="port to listen on, 0 for any free one (default: %(default)s)"
    )
    model = model_options.add(parser)
    model.add_argument("--threads", type=int, metavar="N", help="cores that the engine uses (default: all)")
    _add_batching(parser)
    _add_limits(parser)
    return parser


def _add_batching(parser: argparse.ArgumentParser) -> None:
    group, default = parser.add_argument_group("dynamic batching"), BatchOptions()
    group.add_argument(
        "--max-batch",
        type=int,
        metavar="FACES",
        default=default.max_batch,
        help="most faces in a batch; 1 turns batching off (default: %(default)s)",
    )
    group.add_argument(
        "--max-delay",
        type=float,
        metavar="MS",
        default=default.max_delay * 1000,
        help="longest time that a batch waits for more faces (default: %(default)g)",
    )
    group.add_argument(
        "--runners",
        type=int,
        metavar="N",
        default=default.runners,
        help="batches that run at once (default: %(default)s)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group, default = parser.add_argument_group("limits"), Limits()
    for name, kind, unit, value, text in (
        ("--max-body", int, "BYTES", default.body, "largest body of a request"),
        ("--max-pixels", int, "N", default.pixels, "most pixels of an image"),
        ("--max-faces", int, "N", default.faces, "most faces of a request or an image"),
        ("--max-in-flight", int, "N", default.in_flight, "most requests served at once"),
        ("--max-queue", int, "FACES", default.queue, "most faces that wait for the engine"),
        ("--max-connections", int, "N", default.connections, "most open connections"),
        (
            "--receive-timeout",
            float,
            "S",
            default.receive_seconds,
            "time to receive a request or send an answer",
        ),
        ("--request-timeout", float, "S", default.request_seconds, "time from a request's end to its answer"),
        ("--drain-delay", float, "S", default.drain_seconds, "time to go on serving after a signal to end"),
    ):
        group.add_argument(
            name, type=kind, metavar=unit, default=value, help=f"{text} (default: %(default)s)"
        )


def _serve(options: argparse.Namespace) -> int:
    from fer_engine.serve.server import bind, serve

    model_options.check(options)
    batching = BatchOptions(options.max_batch, options.max_delay / 1000, options.runners)
    limits = Limits(
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
    with (
        bind(options.host, options.port) as listener,
        model_options.load_engine(options, threads=options.threads) as engine,
    ):
        host, port = listener.getsockname()[:2]
        ready = functools.partial(_announce, engine.info, host, port)
        serve(engine, listener, batching, limits, ready)
    return 0


def _announce(info: EngineInfo, host: str, port: int) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    runs = f"{info.model} {info.precision} on {info.backend}, {info.device}"
    print(f"fer-serve: http://{address} is ready ({runs})", flush=True)
