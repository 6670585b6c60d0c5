"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from fer_engine.system import cpu
from fer_engine.system.cpu import usable_cores

PACKAGES = ("fer-engine", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "onnx")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe(gpu: str = "not measured") -> dict[str, Any]:
    """Return what is known of this machine, and of the GPU; None stands for what the system does not tell."""
    return {
        "cpu": cpu.name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "cpu_flags": _cpu_flags(),
        "governor": _governor(),
        "gpu": gpu,
        "os": platform.platform(),
        "python": platform.python_version(),
        "packages": _versions(),
    }


def load_average() -> float | None:
    """Return the mean number of runnable processes of the last minute, where the system tells it."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _cpu_flags() -> list[str] | None:
    features = cpu.features()
    known = any(there is not None for there in features.values())
    return [feature for feature, there in features.items() if there] if known else None


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
