"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

# Where a Linux container sees its CPU quota (cgroup v2): "<quota> <period>" in microseconds, or "max ...".
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Return the cores left by the process's affinity mask and, in a container, its CPU quota.

    `os.cpu_count()` counts all of the machine, and threads beyond the quota are throttled.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = map(int, CGROUP_QUOTA.read_text("ascii").split())
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return cores
    return max(1, min(cores, math.ceil(quota / period)))
