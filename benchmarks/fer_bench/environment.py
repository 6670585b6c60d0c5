"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from fer_engine.cores import usable_cores

PACKAGES = ("fer-engine", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "onnx")
# Instructions that decide how fast convolutions and INT8 products run, as Linux names them.
FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)
CPUINFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe() -> dict[str, Any]:
    """Return what is known of this machine; None stands for what the system does not tell."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "cpu_flags": _cpu_flags(),
        "governor": _governor(),
        "gpu": "not measured",
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


def _cpuinfo(*keys: str) -> str | None:
    """Return the first value under one of the keys."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in keys:
                return value.strip()
    return None


def _cpu_model() -> str | None:
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string")
    return _cpuinfo("model name", "Model") or platform.processor() or None


def _cpu_flags() -> list[str] | None:
    flags = _cpuinfo("flags", "Features")
    return None if flags is None else [flag for flag in FLAGS if flag in flags.split()]


def _governor() -> str | None:
    with contextlib.suppress(OSError):
        return GOVERNOR.read_text("ascii").strip()
    return None


def _sysctl(name: str) -> str | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.check_output(["/usr/sbin/sysctl", "-n", name], text=True).strip()
    return None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
