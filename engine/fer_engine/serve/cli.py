"""fer-serve: serve a model over HTTP, with the Open Inference Protocol, a route for images, and a page."""

from __future__ import annotations

import argparse
import functools
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_engine._version import __version__
from fer_engine.cli import detector_options, exit_codes, model_options
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits

if TYPE_CHECKING:
    from fer_engine.engine import EngineInfo

HOST = "127.0.0.1"
PORT = 8000  # the usual port of servers with this protocol
BATCHING, LIMITS = "dynamic batching", "limits"


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
    _add_addresses(parser)
    model = model_options.add(parser)
    model.add_argument("--threads", type=int, metavar="N", help="cores that the engine uses (default: all)")
    model.add_argument(
        "--min-confidence", type=float, default=0.0, metavar="P", help=model_options.MIN_CONFIDENCE
    )
    detector_options.add(parser.add_argument_group("faces of images"))
    batch, limit = BatchOptions(), Limits()
    rows: tuple[tuple[str, str, float, str, str], ...] = (
        (BATCHING, "--max-batch", batch.max_batch, "FACES", "most faces in a batch; 1 turns batching off"),
        (BATCHING, "--max-delay", batch.max_delay * 1000, "MS", "longest time that a batch waits for faces"),
        (BATCHING, "--runners", batch.runners, "N", "batches that run at once"),
        (LIMITS, "--max-body", limit.body, "BYTES", "largest body of a request"),
        (LIMITS, "--max-pixels", limit.pixels, "N", "most pixels of an image"),
        (LIMITS, "--max-faces", limit.faces, "N", "most faces of a request or an image"),
        (LIMITS, "--max-in-flight", limit.in_flight, "N", "most requests served at once"),
        (LIMITS, "--max-queue", limit.queue, "FACES", "most faces that wait for the engine"),
        (LIMITS, "--max-connections", limit.connections, "N", "most open connections"),
        (LIMITS, "--receive-timeout", limit.receive_seconds, "S", "time for headers, a pause, or an answer"),
        (LIMITS, "--request-timeout", limit.request_seconds, "S", "time from a request's end to its answer"),
        (LIMITS, "--drain-delay", limit.drain_seconds, "S", "time to go on serving after a signal to end"),
    )
    groups = {title: parser.add_argument_group(title) for title in (BATCHING, LIMITS)}
    for title, name, default, unit, text in rows:
        described = f"{text} (default: %(default)s)"
        groups[title].add_argument(name, type=type(default), metavar=unit, default=default, help=described)
    return parser


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="port to listen on, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--grpc-port",
        type=int,
        metavar="PORT",
        help="port for the Open Inference Protocol over gRPC, as 8001, 0 for any free one (default: none)",
    )
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin whose pages may read the answers, as https://example.org, * for all; may be repeated "
        "(default: none)",
    )
    parser.add_argument(
        "--allowed-hosts",
        metavar="NAMES",
        help="names besides localhost and addresses that requests may call the server by, as in "
        "faces.example.org,*.local; * for all (default: none)",
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
    detector = detector_options.load_detector(options)
    with (
        bind(options.host, options.port) as listener,
        model_options.load_engine(options, threads=options.threads) as engine,
    ):
        host, port = listener.getsockname()[:2]
        ready = functools.partial(_announce, engine.info, host, port)
        serve(
            engine,
            listener,
            batching,
            limits,
            ready,
            options.min_confidence,
            detector,
            options.cors_origin,
            options.grpc_port,
            [name.strip() for name in (options.allowed_hosts or "").split(",") if name.strip()],
        )
    return 0


def _announce(info: EngineInfo, host: str, port: int, grpc_port: int | None) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    runs = f"{info.model} {info.precision} on {info.backend}, {info.device}"
    also = "" if grpc_port is None else f"; gRPC on port {grpc_port}"
    print(f"fer-serve: http://{address} is ready ({runs}{also})", flush=True)
