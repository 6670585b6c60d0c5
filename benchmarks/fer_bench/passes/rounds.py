"""The speed pass: in each round every contender has one turn."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

from fer_bench.contenders.contender import BASELINE, OVERHEAD
from fer_bench.contenders.worker_client import SupportsAsk
from fer_bench.passes.options import BenchOptions
from fer_bench.record import statistics
from fer_bench.record.record import Speed

# It ends when its parent does, even if that is killed: a thread waits for the end of standard input.
BUSY = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    pass
"""


def run_rounds(
    workers: Mapping[str, SupportsAsk],
    batch: int,
    options: BenchOptions,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, list[list[int]]]:
    """Return each contender's samples in ns, one list a round; calls `advance(1)` after a turn.

    The order is shuffled in each round, so that no contender always follows the same one.
    """
    for worker in workers.values():
        worker.ask("turn", batch=batch, seconds=options.warmup_seconds, calls=options.calls, warmup_calls=0)
    samples: dict[str, list[list[int]]] = {name: [] for name in workers}
    order = list(workers)
    shuffle = random.Random(options.seed).shuffle  # noqa: S311 - an order, not a secret
    for _ in range(options.rounds):
        shuffle(order)
        for name in order:
            reply = workers[name].ask(
                "turn",
                batch=batch,
                seconds=options.seconds,
                calls=options.calls,
                warmup_calls=options.warmup_calls,
            )
            samples[name].append(reply["samples_ns"])
            advance(1)
    return samples


def summarize_rounds(samples: Mapping[str, list[list[int]]], batch: int) -> list[Speed]:
    """Return each contender's throughput, latency and ratio to the baseline."""
    rates = {
        name: [statistics.throughput(turn, batch) for turn in rounds] for name, rounds in samples.items()
    }
    return [
        Speed(
            batch=batch,
            contender=name,
            images_per_second=tuple(rates[name]),
            latency_ms=statistics.summarize_latency([sample for turn in rounds for sample in turn]),
            # What computes nothing has no speed to compare.
            ratio=None if name == OVERHEAD else statistics.compare_rounds(rates[name], rates[BASELINE]),
            samples_ns=tuple(map(tuple, rounds)),
        )
        for name, rounds in samples.items()
    ]


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give `count` processes that each keep one core busy until the end of the block."""
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE)
            )
            stack.callback(process.kill)
            processes.append(process)
        yield processes
