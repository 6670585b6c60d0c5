"""How much processor time control groups leave this process, as containers and services limit it.

Linux counts by groups in groups (https://docs.kernel.org/admin-guide/cgroup-v2.html): the least limit of a
group and of those around it holds. Version 1 has a file each for quota and period, version 2 one for both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # lines of "number:controllers:path", without controllers in version 2


def quota_cores() -> float | None:
    """Return the cores whose time the process may use, a fraction too; None where nothing limits it."""
    return min(_limits(), default=None)


def _limits() -> Iterator[float]:
    for folder in dict.fromkeys(_folders()):
        with contextlib.suppress(OSError, ValueError):  # no such file, or no limit ("max")
            quota, period = map(int, (folder / "cpu.max").read_text("ascii").split())
            yield quota / period
        with contextlib.suppress(OSError, ValueError):
            quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            if quota > 0:  # -1 is no limit
                yield quota / period


def _number(file: Path) -> int:
    return int(file.read_text("ascii"))


def _folders() -> Iterator[Path]:
    """Yield the folders of the process's groups, and of those around them.

    A container often sees its own group at the root, and the path that its host knows it by.
    """
    yield from (GROUPS, GROUPS / "cpu")
    with contextlib.suppress(OSError):
        for line in MEMBERSHIP.read_text("utf-8", "replace").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if controllers and "cpu" not in controllers.split(","):
                continue
            group = PurePosixPath(path.lstrip("/"))
            for above in (group, *group.parents):
                yield GROUPS / controllers / above
                yield GROUPS / ("cpu" if controllers else "") / above
