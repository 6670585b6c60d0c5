"""The options of a command that name its model, and the engine that they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_engine.engine import Engine


MIN_CONFIDENCE = "label a face whose highest probability is below P 'uncertain', 0 to 1 (default: 0, never)"


def add(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options in a group of their own; return it, for options that only one command has."""
    group = parser.add_argument_group("model")
    group.add_argument("-m", "--model", help="a model of this package (default: fer_tiny)")
    group.add_argument(
        "--artifact", type=Path, help="folder that fer-export wrote, instead of --model (default: none)"
    )
    group.add_argument(
        "--precision", default="fp32", help="fp32, fp16, int8, int8-cpu or auto (default: %(default)s)"
    )
    group.add_argument(
        "--backend",
        default="onnxruntime",
        help="onnxruntime, openvino, tensorrt, or auto for the fastest (default: %(default)s)",
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    return group


def check(options: argparse.Namespace) -> None:
    """Raise ConfigError if the options name both a shipped model and an artifact."""
    from fer_engine.errors import ConfigError

    if options.artifact is not None and options.model is not None:
        raise ConfigError("give --model or --artifact: an artifact holds its model")


def load_engine(options: argparse.Namespace, **settings: Any) -> Engine:
    """Return the engine, with `settings` as `Engine.load` takes them beside.

    Raises:
        FerError: what `shipped_artifact` and `Engine.load` raise.
    """
    from fer_engine.engine import Engine
    from fer_engine.shipped import MODEL, shipped_artifact

    return Engine.load(
        options.artifact or shipped_artifact(options.model or MODEL),
        precision=options.precision,
        backend=options.backend,
        device=options.device,
        **settings,
    )
