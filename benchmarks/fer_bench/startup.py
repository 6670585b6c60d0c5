"""Cold start and memory, in processes that live for one measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fer_bench.contender import Contender
from fer_bench.options import BenchOptions
from fer_bench.process import Worker


def measure(
    contenders: Sequence[Contender],
    faces_path: str,
    options: BenchOptions,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Return each contender's cold starts in ns and its peak memory; calls `advance(1)` after a process.

    A cold start is the import, the load and the first call with one face, in a new process; the
    interpreter's own start is left out. The first process of each goes on to predict
    `memory_faces` faces, in one call where the contender splits any batch by itself.
    """
    found: dict[str, dict[str, Any]] = {contender.name: {"cold_starts": []} for contender in contenders}
    for repetition in range(options.cold_starts):
        for contender in contenders:
            worker = Worker(contender)
            try:
                worker.ask("read_faces", path=faces_path)
                first = worker.ask("turn", batch=1, seconds=1.0, calls=1, warmup_calls=0)
                times = {
                    "import_ns": worker.loaded["import_ns"],
                    "load_ns": worker.loaded["load_ns"],
                    "first_call_ns": first["samples_ns"][0],
                }
                found[contender.name]["cold_starts"].append(times | {"total_ns": sum(times.values())})
                if repetition == 0:
                    found[contender.name]["memory"] = worker.ask("memory", count=options.memory_faces)
                worker.close()
            finally:
                worker.kill()
            advance(1)
    return found
