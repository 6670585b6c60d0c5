"""Cold start and memory, in processes that live for one measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fer_bench.contenders.contender import Contender, Skipped
from fer_bench.contenders.worker_client import Worker
from fer_bench.passes.options import BenchOptions
from fer_bench.record.record import Startup
from fer_engine.artifact.schema import from_json
from fer_engine.errors import BackendError


def measure_startup(
    contenders: Sequence[Contender],
    faces_path: str,
    options: BenchOptions,
    advance: Callable[[int], None] = lambda _: None,
    start: Callable[[Contender], Worker] = Worker,
) -> tuple[dict[str, Startup], list[Skipped]]:
    """Return each contender's cold starts in ns and its memory, and those optional ones that cannot run.

    A cold start is the import, the load and the first call with one face, in a new process; the
    interpreter's own start is left out. The last process of each, which finds what earlier ones left
    in caches, goes on to predict `memory_faces` faces, in one call where the contender splits any
    batch by itself. `start` starts the process of a contender. Calls `advance(1)` after each.

    Raises:
        BackendError: a contender that is not optional cannot run.
        ModuleNotFoundError: a library that such a one needs is not installed.
    """
    found: dict[str, dict[str, Any]] = {contender.name: {"cold_starts": []} for contender in contenders}
    skipped: list[Skipped] = []
    for repetition in range(1, options.cold_starts + 1):
        last = repetition == options.cold_starts
        for contender in contenders:
            if contender.name in found:
                try:
                    _cold_start(start(contender), faces_path, found[contender.name], options, last=last)
                except (BackendError, ModuleNotFoundError) as error:
                    if not contender.optional:
                        raise
                    del found[contender.name]
                    skipped.append(Skipped(contender.name, str(error)))
            advance(1)
    return {name: from_json(Startup, parts) for name, parts in found.items()}, skipped


def _cold_start(
    worker: Worker, faces_path: str, found: dict[str, Any], options: BenchOptions, *, last: bool
) -> None:
    try:
        worker.ask("read_faces", path=faces_path)
        turn = worker.ask("turn", batch=1, seconds=1.0, calls=1, warmup_calls=0)
        times = {
            "import_ns": worker.loaded["import_ns"],
            "load_ns": worker.loaded["load_ns"],
            "first_call_ns": turn["samples_ns"][0],
        }
        found["cold_starts"].append(times | {"total_ns": sum(times.values())})
        if last:
            found["memory"] = worker.ask("memory", count=options.memory_faces)
        worker.close()
    finally:
        worker.kill()
