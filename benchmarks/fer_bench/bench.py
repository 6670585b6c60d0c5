"""One benchmark from start to end: parity, speed, cold start and memory in one record."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_bench import accuracy, environment, record, rounds, startup
from fer_bench.contender import Contender
from fer_bench.inputs import Inputs
from fer_bench.options import BenchOptions
from fer_bench.process import Asked, working
from fer_engine.manifest import Manifest
from fer_export.gate import refusals
from fer_train.progress import bar


def measure(
    folder: Path, contenders: Sequence[Contender], inputs: Inputs, options: BenchOptions, command: str
) -> dict[str, Any]:
    """Measure the contenders of the artifact in `folder`; return the record, which names `command`.

    Raises:
        FerError: a contender cannot be loaded, fails, or gives logits that cannot be compared.
    """
    began, load_before = time.perf_counter(), environment.load_average()
    manifest = Manifest.load(folder)
    with tempfile.TemporaryDirectory(prefix="fer-bench.") as scratch:
        measured = _measure(contenders, inputs, options, Path(scratch))
    load = {"before": load_before, "after": environment.load_average()}
    return {
        "kind": record.KIND,
        "format_version": record.FORMAT_VERSION,
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "seconds": round(time.perf_counter() - began, 1),
        "environment": environment.describe() | {"load_average": load},
        "artifact": _artifact(folder, manifest),
        "inputs": inputs.to_json(),
        "options": options.to_json(),
        **measured,
    }


def _measure(
    contenders: Sequence[Contender], inputs: Inputs, options: BenchOptions, scratch: Path
) -> dict[str, Any]:
    faces_path = str(scratch / "faces.npy")
    np.save(faces_path, inputs.faces)
    started = _startup(contenders, faces_path, options)
    with working(contenders, faces_path) as workers:
        with bar(f"parity with PyTorch: {inputs.description}", len(workers) - 1) as advance:
            parities = accuracy.measure(workers, inputs, scratch, advance)
        speed = []
        with rounds.busy(options.busy):
            for batch in options.batches:
                speed += _speed(workers, batch, options)
        # Asked at the end: an engine may settle on its micro-batch while it runs.
        described = [
            contender.to_json() | {"bytes": contender.bytes, "info": workers[contender.name].ask("info")}
            for contender in contenders
        ]
    return {"contenders": described, "startup": started, "parity": parities, "speed": speed}


def _startup(contenders: Sequence[Contender], faces_path: str, options: BenchOptions) -> dict[str, Any]:
    title = (
        f"cold start and memory: {options.cold_starts} new processes for each of {len(contenders)} contenders"
    )
    with bar(title, options.cold_starts * len(contenders)) as advance:
        return startup.measure(contenders, faces_path, options, advance)


def _speed(workers: Mapping[str, Asked], batch: int, options: BenchOptions) -> list[dict[str, Any]]:
    beside = f", beside {options.busy} busy processes" if options.busy else ""
    title = f"speed at batch {batch}: {options.rounds} rounds of {len(workers)} contenders{beside}"
    with bar(title, options.rounds * len(workers)) as advance:
        samples = rounds.run_rounds(workers, batch, options, advance)
    return rounds.summarize(samples, batch, options.seed)


def _artifact(folder: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "path": str(folder),
        "model": manifest.spec.name,
        "labels": list(manifest.spec.labels),
        "checkpoint_sha256": manifest.spec.checkpoint_sha256,
        "files": {
            precision: {"sha256": file.sha256, "bytes": file.bytes}
            for precision, file in manifest.files.items()
        },
        "refused": refusals(manifest.gate),
    }
