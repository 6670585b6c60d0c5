"""What this CPU is called, and whether it has the instructions that decide how INT8 runs."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

from fer_engine.system.cpu_quota import quota_cores


def usable_cores() -> int:
    """Return the cores left by the process's affinity mask and by the CPU quota of its control groups.

    `os.cpu_count()` counts all of the machine, and threads beyond the quota are throttled.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = quota_cores()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


CPUINFO = Path("/proc/cpuinfo")

# As Linux names them. A product sum of INT8 is one instruction with avx_vnni, avx512_vnni, amx_int8,
# asimddp or i8mm, and several without: then INT8 seldom pays. The others decide how fast float runs.
FEATURES = (
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

# The few that other systems tell without a library.
SYSCTL = {
    "avx2": "hw.optional.avx2_0",
    "avx512f": "hw.optional.avx512f",
    "asimd": "hw.optional.AdvSIMD",
    "asimddp": "hw.optional.arm.FEAT_DotProd",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
}
# PF_..._AVAILABLE of winnt.h, for IsProcessorFeaturePresent.
WINDOWS = {"avx2": 40, "avx512f": 41, "asimddp": 43}


def cpu_name() -> str | None:
    """Return the CPU's name as its maker or the system gives it; None where neither is known."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string")
    return _cpuinfo("model name", "Model") or platform.processor() or None


def cpu_features() -> dict[str, bool | None]:
    """Return whether the CPU has each of `FEATURES`; None where the system does not tell."""
    if sys.platform == "darwin":
        answers = {feature: _sysctl(key) for feature, key in SYSCTL.items()}
        known = {feature: answer == "1" for feature, answer in answers.items() if answer is not None}
    elif sys.platform == "win32":
        from ctypes import windll

        present = windll.kernel32.IsProcessorFeaturePresent
        known = {feature: bool(present(number)) for feature, number in WINDOWS.items()}
    else:
        flags = _cpuinfo("flags", "Features")
        known = {} if flags is None else {feature: feature in flags.split() for feature in FEATURES}
    return {feature: known.get(feature) for feature in FEATURES}


def cpu_key() -> str:
    """Return a text that tells this CPU from others, for measurements that are kept.

    Virtual machines often hide the model behind a family's name, so the features are part of it;
    so are the cores that the process may use.
    """
    present = [feature for feature, there in cpu_features().items() if there]
    return f"{cpu_name() or platform.machine()} [{' '.join(present)}] x {usable_cores()}"


def _cpuinfo(*keys: str) -> str | None:
    """Return the first value under one of the keys."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            entry, _, value = line.partition(":")
            if entry.strip() in keys:
                return value.strip()
    return None


def _sysctl(entry: str) -> str | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["/usr/sbin/sysctl", "-n", entry]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip() or None
    return None
