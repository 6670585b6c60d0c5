"""What fer-export takes on its command line for TensorRT."""

from __future__ import annotations

import argparse
from pathlib import Path

from fer_engine.errors import ConfigError
from fer_engine.exporter import PLAN_OPTIONS
from fer_export.tensorrt.options import COMPATIBILITY, RTX_DEFAULT, BuildOptions, parse_profiles


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of TensorRT plans."""
    group = parser.add_argument_group("TensorRT: plans from the graphs, in the artifact's folder engines/")
    add = group.add_argument
    flavour = group.add_mutually_exclusive_group()
    flavour.add_argument(
        "--tensorrt",
        dest="flavour",
        action="store_const",
        const="tensorrt",
        help="for the GPU of this machine (default of 'fer-export tensorrt')",
    )
    flavour.add_argument(
        "--tensorrt-rtx",
        dest="flavour",
        action="store_const",
        const="tensorrt_rtx",
        help="for GeForce and RTX GPUs, of which none is needed here (default: no)",
    )
    add(
        "--artifact",
        type=Path,
        help="build from the graphs of this artifact (default: the one just exported)",
    )
    add("--engine-precision", help="such as fp16,int8 (default: all that the artifact has)")
    add(
        "--engine-batch",
        help="fixed batches as in 1,8,64, or least:best:largest "
        "(default: 1,8,32,64,128,256; for RTX 1:64:256)",
    )
    add("--target", help=f"compute capabilities, of RTX alone (default: {','.join(RTX_DEFAULT)})")
    add("--engines", type=Path, help="folder for the plans (default: engines/ of the artifact)")
    add("--timing-cache", type=Path, help="folder that keeps kernel timings between builds (default: none)")
    add("--optimization-level", type=int, help="0 to 5, more takes longer (default: the library's)")
    add("--workspace-mib", type=int, help="most scratch memory of a layer, MiB (default: the library's)")
    add("--version-compatible", action="store_true", help="also run in later versions (default: no)")
    add(
        "--hardware-compatibility",
        default="none",
        help=f"GPUs that the plan also runs on, perhaps slower: {', '.join(COMPATIBILITY)} "
        "(default: %(default)s)",
    )
    add("--verbose", action="store_true", help="show all that TensorRT logs (default: errors alone)")


def check(parsed: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse options of plans without plans, and options of an export without one.

    `parser` is the one of both, which `parsed` comes from.

    Raises:
        ConfigError: an option would do nothing beside the others.
    """
    own = argparse.ArgumentParser()
    add_plan_options(own)
    names = vars(own.parse_args([]))
    given = [name for name, value in vars(parsed).items() if value != parser.get_default(name)]
    for name in given:
        if parsed.flavour is None and name in names:
            raise ConfigError(
                f"--{_dashed(name)} goes with plans: add {' or '.join(PLAN_OPTIONS.values())}, or say "
                "'fer-export tensorrt'"
            )
        if parsed.artifact is not None and name not in (*names, "command", "quiet"):
            raise ConfigError(f"--artifact exports nothing: leave out --{_dashed(name)}, or --artifact")


def build_options(parsed: argparse.Namespace) -> BuildOptions:
    """Return the builder's options.

    Raises:
        ConfigError: an option has a wrong value.
    """
    return BuildOptions(
        flavour=parsed.flavour or "tensorrt",
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
