"""What a plan is built for, and how."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.artifact.plan import FLAVOURS, Profile
from fer_engine.errors import ConfigError

# TensorRT for RTX compiles for named GPUs, on any machine.
RTX_TARGETS = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
# What it builds for by itself: https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/cpu-engines.html
RTX_DEFAULT = ("8.0", "8.6", "8.9", "12.0")
TURING = "7.5"
COMPATIBILITY = ("none", "ampere_plus", "same_compute_capability")
LEVELS = range(6)
# What TensorRT for RTX lacks: its timing cache does nothing, and targets are its compatibility.
NOT_RTX = {"timing_cache": None, "version_compatible": False, "hardware_compatibility": "none"}

# A captured graph of launches holds one batch, and TensorRT tunes a fixed one best: a profile a bucket.
# TensorRT for RTX compiles for the batch that it meets at run time, and a range keeps its plans small.
DEFAULT_PROFILES: dict[str, tuple[Profile, ...]] = {
    "tensorrt": tuple((batch, batch, batch) for batch in (1, 8, 32, 64, 128, 256)),
    "tensorrt_rtx": ((1, 64, 256),),
}


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build plans with `flavour`.

    `targets` are compute capabilities such as "8.9"; TensorRT itself builds for the GPU that it finds.
    `timing_cache` is a folder with a file for each GPU and version. No profiles are the default ones;
    None leaves a choice to the library.
    """

    flavour: str
    profiles: tuple[Profile, ...] = ()
    targets: tuple[str, ...] = ()
    timing_cache: Path | None = None
    optimization_level: int | None = None
    workspace_mib: int | None = None
    version_compatible: bool = False
    hardware_compatibility: str = "none"
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.flavour not in FLAVOURS:
            raise ConfigError(f"unknown flavour {self.flavour!r}; known: {', '.join(FLAVOURS)}")
        if self.optimization_level is not None and self.optimization_level not in LEVELS:
            raise ConfigError(f"optimization level must be 0 to 5, got {self.optimization_level}")
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ConfigError(f"workspace must be at least 1 MiB, got {self.workspace_mib}")
        if self.hardware_compatibility not in COMPATIBILITY:
            raise ConfigError(
                f"hardware compatibility must be one of {', '.join(COMPATIBILITY)}, "
                f"got {self.hardware_compatibility!r}"
            )
        if not self.profiles:
            object.__setattr__(self, "profiles", DEFAULT_PROFILES[self.flavour])
        if self.flavour == "tensorrt_rtx":
            self._check_rtx()
        elif self.targets:
            raise ConfigError("TensorRT builds for the GPU that it finds; --target goes with --tensorrt-rtx")

    def _check_rtx(self) -> None:
        for name, absent in NOT_RTX.items():
            if getattr(self, name) != absent:
                option = name.replace("_", "-")
                raise ConfigError(
                    f"TensorRT for RTX has no {option}; leave out --{option}, or use --tensorrt"
                )
        for target in self.targets:
            if target not in RTX_TARGETS:
                raise ConfigError(
                    f"TensorRT for RTX cannot build for compute capability {target!r}, "
                    f"it knows {', '.join(RTX_TARGETS)}; on other GPUs use --tensorrt"
                )

    @property
    def rtx_targets(self) -> tuple[str, ...]:
        """The targets of TensorRT for RTX, in ascending order."""
        return tuple(sorted(set(self.targets or RTX_DEFAULT), key=RTX_TARGETS.index))

    def check(self, precision: str) -> None:
        """Refuse what is known to come out in another precision.

        Raises:
            ConfigError: INT8 is to be built for Turing.
        """
        if precision == "int8" and TURING in self.targets:
            raise ConfigError(
                f"TensorRT for RTX has no int8 convolutions for compute capability {TURING}, and would "
                f"compute those of all targets in float; leave out --target {TURING}, or build fp16 for it"
            )

    def to_json(self) -> dict[str, Any]:
        """Return what is not a field of the sidecar by itself."""
        values = dataclasses.asdict(self)
        for name in ("flavour", "profiles", "targets", "verbose"):
            del values[name]
        return values | {"timing_cache": self.timing_cache is not None}


def parse_profiles(text: str) -> tuple[Profile, ...]:
    """Return the profiles that a text names: "1,8,64" for fixed batches, "1:64:256" for a range.

    Raises:
        ConfigError: it is something else, or a batch is below 1 or out of order.
    """
    return tuple(_profile(part, text) for part in text.split(","))


def _profile(part: str, text: str) -> Profile:
    try:
        batches = [int(number) for number in part.split(":")]
    except ValueError:
        batches = []
    if len(batches) == 1:
        batches *= 3
    if len(batches) != 3 or not 1 <= batches[0] <= batches[1] <= batches[2]:
        raise ConfigError(
            f"batches must be fixed ones as in 1,8,64 or least:best:largest as in 1:64:256, got {text!r}"
        )
    least, best, largest = batches
    return least, best, largest
