"""What this machine can do at most: multiply-adds and bytes a second, each probe a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from fer_bench.contenders.subprocess_run import output_of
from fer_bench.passes.limits import probe
from fer_bench.record.machine_limits import MachineLimits, MemoryLimits, TheoreticalPeak
from fer_engine.system import cpu
from fer_engine.system.cpu import usable_cores

STEPS = len(probe.PRODUCTS) + 1

CLOCK = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
CPUINFO = Path("/proc/cpuinfo")
# Float32 multiply-adds a cycle: lanes of a register, times two units, as x86 cores with fast vectors have.
LANES_AND_UNITS = {"avx512f": 16 * 2, "avx2": 8 * 2}


def measure_machine(advance: Callable[[int], None] = lambda _: None) -> MachineLimits:
    """Return the highest rates of one thread and of all, by probe; calls `advance(1)` after each.

    Raises:
        BackendError: a probe failed.
    """
    counts = sorted({1, usable_cores()})
    rates = {}
    for name in (*probe.PRODUCTS, probe.MEMORY):
        rates[name] = _rates(name, counts)
        advance(1)
    memory = MemoryLimits(rates.pop(probe.MEMORY), probe.array_bytes(), probe.last_cache_bytes())
    return MachineLimits(rates, memory, theoretical_peak(_hertz(), cpu.cpu_features()))


def theoretical_peak(hertz: float | None, features: dict[str, bool | None]) -> TheoreticalPeak | None:
    """Return one core's float32 peak by clock and vector width, with both; None where either is unknown."""
    cycle = next((count for feature, count in LANES_AND_UNITS.items() if features[feature]), None)
    if hertz is None or cycle is None:
        return None
    return TheoreticalPeak(hertz, cycle, hertz * cycle)


def _rates(name: str, counts: list[int]) -> dict[str, float]:
    printed = output_of(
        f"probe {name} of the machine's limits",
        [sys.executable, "-m", probe.__name__, name, *map(str, counts)],
        advice="; leave out --profile",
        # A library that starts threads of its own would disturb the threads that are counted.
        environment=dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    )
    rates: dict[str, float] = json.loads(printed.splitlines()[-1])
    return rates


def _hertz() -> float | None:
    """Return the CPU's highest clock, or the current one where only that is told."""
    with contextlib.suppress(OSError, ValueError):
        return float(CLOCK.read_text("ascii")) * 1e3
    with contextlib.suppress(OSError, ValueError):
        lines = CPUINFO.read_text("utf-8", "replace").splitlines()
        clocks = [float(line.partition(":")[2]) * 1e6 for line in lines if line.startswith("cpu MHz")]
        return max(clocks, default=None)
    return None
