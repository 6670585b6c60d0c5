"""What fer-export takes on its command line for TensorRT."""

from __future__ import annotations

import argparse
from pathlib import Path

from fer_engine.errors import ConfigError
from fer_engine.exporter import PLAN_OPTIONS
from fer_export.tensorrt.options import COMPATIBILITY, RTX_DEFAULT, BuildOptions
from fer_export.tensorrt.profiles import parse_profiles


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of TensorRT plans."""
    group = parser.add_argument_group("TensorRT: plans from the graphs, in the artifact's folder engines/")
    flavour = group.add_mutually_exclusive_group()
    flavour.add_argument(
        "--tensorrt",
        dest="flavour",
        action="store_const",
        const="tensorrt",
        help="for the GPU of this machine",
    )
    flavour.add_argument(
        "--tensorrt-rtx",
        dest="flavour",
        action="store_const",
        const="tensorrt_rtx",
        help="for GeForce and RTX GPUs; needs none here",
    )
    group.add_argument(
        "--artifact", type=Path, help="build from the graphs of this artifact, and export nothing"
    )
    group.add_argument("--engine-precision", help="such as fp16,int8 (default: all that the artifact has)")
    group.add_argument(
        "--engine-batch",
        help="fixed batches as in 1,8,64, or least:best:largest "
        "(default: 1,8,32,64,128,256; for RTX 1:64:256)",
    )
    group.add_argument(
        "--target",
        help=f"compute capabilities to build for, RTX alone (default: {','.join(RTX_DEFAULT)})",
    )
    group.add_argument("--engines", type=Path, help="another folder for the plans")
    group.add_argument("--timing-cache", type=Path, help="folder that keeps timings of each GPU and version")
    group.add_argument("--optimization-level", type=int, help="0 to 5: the higher, the longer a build takes")
    group.add_argument("--workspace-mib", type=int, help="most scratch memory of a layer")
    group.add_argument(
        "--version-compatible", action="store_true", help="also run in later versions; may be slower"
    )
    group.add_argument(
        "--hardware-compatibility",
        default="none",
        help=f"also run on other GPUs: {', '.join(COMPATIBILITY)} (default: %(default)s); may be slower",
    )
    group.add_argument("--verbose", action="store_true", help="show all that TensorRT logs")


def options(parsed: argparse.Namespace, parser: argparse.ArgumentParser) -> BuildOptions | None:
    """Return the builder's options; None where no plan is asked for.

    `parser` is the whole one that `parsed` comes from.

    Raises:
        ConfigError: an option has a wrong value, or would do nothing beside the others.
    """
    own = argparse.ArgumentParser()
    add(own)
    names = vars(own.parse_args([]))
    given = [name for name, value in vars(parser.parse_args([])).items() if getattr(parsed, name) != value]
    if parsed.flavour is None:
        for name in names.keys() & given:
            raise ConfigError(f"--{_dashed(name)} goes with plans: add {' or '.join(PLAN_OPTIONS.values())}")
        return None
    if parsed.artifact is not None:
        for name in given:
            if name not in names:
                raise ConfigError(f"--artifact exports nothing: leave out --{_dashed(name)}, or --artifact")
    return BuildOptions(
        flavour=parsed.flavour,
        profiles=() if parsed.engine_batch is None else parse_profiles(parsed.engine_batch),
        targets=_split(parsed.target),
        timing_cache=parsed.timing_cache,
        optimization_level=parsed.optimization_level,
        workspace_mib=parsed.workspace_mib,
        version_compatible=parsed.version_compatible,
        hardware_compatibility=parsed.hardware_compatibility,
        verbose=parsed.verbose,
    )


def precisions(parsed: argparse.Namespace) -> tuple[str, ...]:
    """Return the precisions to build, empty for all."""
    return _split(parsed.engine_precision)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _split(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(part.strip() for part in text.split(","))
