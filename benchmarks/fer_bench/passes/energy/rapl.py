"""Energy of the CPU.

Linux counts the energy of each CPU package (Running Average Power Limit, RAPL) under
/sys/class/powercap, as described in the kernel's Documentation/power/powercap/powercap.rst. The
counters hold all that the package does: its idle power and other processes are part of the figure.
"""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
ZONES = "intel-rapl:*"  # the name on AMD's CPUs too; intel-rapl-mmio:* counts the same packages again


class Zone:
    """The energy counter of one CPU package."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text("ascii"))
        self._last = self._read()

    def spent(self) -> int:
        """Return the microjoules since the last call.

        The counter starts over at the end of its range, after some minutes of full power at the
        soonest: calls must not lie further apart.
        """
        last, self._last = self._last, self._read()
        difference = self._last - last
        return difference if difference >= 0 else difference + self._range

    def _read(self) -> int:
        return int(self._counter.read_text("ascii"))


class CpuMeter:
    """The energy of all CPU packages."""

    def __init__(self, zones: list[Zone]) -> None:
        self._zones = zones

    def start(self) -> None:
        self.stop()

    def stop(self) -> float:
        return sum(zone.spent() for zone in self._zones) / 1e6


def find_cpu_meter(root: Path = POWERCAP) -> tuple[CpuMeter | None, str]:
    """Return the meter of this machine's CPU and what it is, or None and why there is none."""
    try:
        packages = [
            folder
            for folder in sorted(root.glob(ZONES))
            if (folder / "name").read_text("ascii").startswith("package")
        ]
        zones = [Zone(folder) for folder in packages]
    except (OSError, ValueError) as error:
        return None, f"not available: {error}; RAPL is often readable by root alone"
    if not zones:
        return None, f"not available: {root} has no RAPL counter of a CPU package"
    return CpuMeter(zones), f"RAPL, {len(zones)} CPU package(s), idle power and other processes included"
