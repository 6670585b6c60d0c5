"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fer_engine.artifact.schema import SchemaError
from fer_engine.system import cpu

PACKAGES = ("fer-engine", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "onnx")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True)
class LoadAverage:
    """The mean number of runnable processes in the minute before and after a measurement."""

    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and its software; None stands for what the system does not tell."""

    cpu: str | None
    cores: int | None
    usable_cores: int
    cpu_flags: tuple[str, ...] | None
    governor: str | None
    gpu: str
    os: str
    python: str
    packages: dict[str, str]
    load_average: LoadAverage = LoadAverage()

    def __post_init__(self) -> None:
        if self.usable_cores < 1:
            raise SchemaError("usable_cores", "at least 1", str(self.usable_cores))


def describe_machine(gpu: str = "not measured", load_before: float | None = None) -> Environment:
    """Return what is known of this machine; of the GPU and of the load before, what the caller found."""
    return Environment(
        cpu=cpu.cpu_name(),
        cores=os.cpu_count(),
        usable_cores=cpu.usable_cores(),
        cpu_flags=_cpu_flags(),
        governor=_governor(),
        gpu=gpu,
        os=platform.platform(),
        python=platform.python_version(),
        packages=_versions(),
        load_average=LoadAverage() if load_before is None else LoadAverage(load_before, load_average()),
    )


def load_average() -> float | None:
    """Return the mean number of runnable processes of the last minute, where the system tells it."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _cpu_flags() -> tuple[str, ...] | None:
    features = cpu.cpu_features()
    known = any(there is not None for there in features.values())
    return tuple(feature for feature, there in features.items() if there) if known else None


def _governor() -> str | None:
    with contextlib.suppress(OSError):
        return GOVERNOR.read_text("ascii").strip()
    return None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
