"""Runs LoadGen once, inside a worker."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import mlperf_loadgen

from fer_bench.passes.loadgen.scenario_options import MAX_BATCH
from fer_bench.passes.loadgen.sut import Answerer, Batcher

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Predict
    from fer_bench.passes.loadgen.sut import Faces


def run_test(
    predict: Predict, faces: Faces, scenario: str, mode: str, fields: Mapping[str, Any], folder: str
) -> dict[str, Any]:
    """Run one test; LoadGen leaves its logs in `folder`, which exists.

    `scenario` and `mode` are LoadGen's names, `fields` further fields of its TestSettings.

    Raises:
        Exception: whatever the contender raised. LoadGen still waits for its answers then, and
            cannot be told to stop: the process must end.
    """
    outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    answerer = Answerer(predict, faces)
    batcher = Batcher(answerer, outcome.put) if scenario == "Server" else None
    issue = answerer.issue if batcher is None else batcher.issue

    def guarded(ids: Sequence[int], indices: Sequence[int]) -> None:
        try:
            issue(ids, indices)
        except BaseException as error:  # noqa: BLE001 - see below
            outcome.put(error)
            # An exception that passes through LoadGen crashes the process: never return.
            threading.Event().wait()

    def test() -> None:
        try:
            _start(guarded, len(faces), _settings(scenario, mode, fields), folder)
            outcome.put(None)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for it
            outcome.put(error)

    began = time.perf_counter()
    threading.Thread(target=test, name="loadgen", daemon=True).start()
    if (error := outcome.get()) is not None:
        raise error
    if batcher is not None:
        batcher.close()
    return {
        "seconds": time.perf_counter() - began,
        "batching": {"max_batch": MAX_BATCH, "delay_ms": 0.0, "dynamic": batcher is not None},
    }


def _settings(scenario: str, mode: str, fields: Mapping[str, Any]) -> Any:
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = getattr(mlperf_loadgen.TestScenario, scenario)
    settings.mode = getattr(mlperf_loadgen.TestMode, mode)
    for name, value in fields.items():
        setattr(settings, name, value)
    return settings


def _start(issue: Any, samples: int, settings: Any, folder: str) -> None:
    logs = mlperf_loadgen.LogSettings()
    logs.log_output.outdir = folder
    logs.enable_trace = False
    system = mlperf_loadgen.ConstructFastSUT(issue, lambda: None)
    library = mlperf_loadgen.ConstructQSL(samples, samples, lambda _: None, lambda _: None)
    try:
        mlperf_loadgen.StartTestWithLogSettings(system, library, settings, logs)
    finally:
        mlperf_loadgen.DestroyQSL(library)
        mlperf_loadgen.DestroyFastSUT(system)
