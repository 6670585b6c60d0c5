"""One benchmark from start to end, in one record."""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_bench.contenders import packages, reference
from fer_bench.contenders.contender import CPU, OVERHEAD, Contender, Skipped
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.worker_client import SupportsAsk, running_workers
from fer_bench.passes import accuracy, rounds, startup
from fer_bench.passes.energy.meters import Meters
from fer_bench.passes.limits import profile_pass
from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
from fer_bench.passes.loadgen.scenario_pass import Runs, taking_part
from fer_bench.passes.options import BenchOptions
from fer_bench.record import environment
from fer_bench.record.machine_limits import Limits
from fer_bench.record.record import (
    GraphFile,
    MeasuredArtifact,
    MeasuredContender,
    Record,
    RuntimeInfo,
    Speed,
    Startup,
    Subject,
)
from fer_bench.record.scenario_runs import AccuracyRun, PerformanceRun
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import from_json, to_json
from fer_engine.errors import BackendError
from fer_engine.system.progress import bar


def subject(
    artifact: Artifact, contenders: Sequence[Contender], inputs: Inputs, options: BenchOptions
) -> Subject:
    """Return the part of the record that is known before anything is measured."""
    return Subject(
        artifact=_describe(artifact),
        reference=reference.of_artifact(artifact),
        inputs=inputs.described(),
        options=options,
        contenders=tuple(contenders),
    )


def measure_contenders(
    artifact: Artifact,
    contenders: Sequence[Contender],
    skipped: Sequence[Skipped],
    inputs: Inputs,
    options: BenchOptions,
    command: str,
) -> Record:
    """Measure the contenders of an artifact; return the record, which names `command`.

    `skipped` are those known not to run here; the optional contenders that turn out so join them.

    Raises:
        FerError: a contender cannot be loaded, fails, or gives logits that cannot be compared.
    """
    if options.scenarios is not None:
        options.scenarios.check_faces(len(inputs.faces))
    began, load_before = time.perf_counter(), environment.load_average()
    _announce(len(contenders), options)
    known, meters = subject(artifact, contenders, inputs, options), Meters(options.device)
    with tempfile.TemporaryDirectory(prefix="fer-bench.") as scratch:
        faces_path = str(Path(scratch) / "faces.npy")
        np.save(faces_path, inputs.faces)
        started, failed = _startup(contenders, faces_path, options)
        contenders = _able_to_run(contenders, started, failed)
        with running_workers(contenders, faces_path) as workers:
            title = f"parity with {known.reference_title}: {inputs.description}"
            with bar(title, len(workers) - 1) as advance:
                parities = accuracy.measure_parity(
                    workers, inputs, Path(scratch), advance, reference=known.reference
                )
            speed: list[Speed] = []
            metered = meters.metered(workers, [entry.name for entry in contenders if entry.device != CPU])
            with rounds.busy_processes(options.busy):
                for batch in options.batches:
                    speed += _speed(metered if batch == max(options.batches) else workers, batch, options)
            # Asked at the end: an engine may settle on its micro-batch while it runs.
            ran = tuple(_described(entry, workers[entry.name].ask("info")) for entry in contenders)
            played = _scenarios(contenders, workers, inputs, options.scenarios, known.reference)
            profiled = _limits(contenders, workers, options) if options.profile else None
    energy, energy_source = meters.joules_by_cpu()
    gpu_energy, gpu_energy_source = meters.joules_by_gpu()
    return Record(
        artifact=known.artifact,
        reference=known.reference,
        inputs=known.inputs,
        options=options,
        date=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        command=command,
        seconds=round(time.perf_counter() - began, 1),
        environment=environment.describe_machine(meters.gpu, load_before),
        skipped=(*skipped, *failed),
        startup=started,
        energy=energy,
        energy_source=energy_source,
        gpu_energy=gpu_energy,
        gpu_energy_source=gpu_energy_source,
        runtime_sizes=packages.runtime_sizes(ran),
        contenders=ran,
        parity=parities,
        speed=tuple(speed),
        limits=profiled,
        scenarios=played,
    )


def _announce(count: int, options: BenchOptions) -> None:
    print(
        f"measuring {count} contenders takes about {options.expected_seconds(count):.0f} s, "
        "more where a call is long",
        file=sys.stderr,
        flush=True,
    )


def _able_to_run(
    contenders: Sequence[Contender], started: Mapping[str, Startup], failed: Sequence[Skipped]
) -> list[Contender]:
    """Return the contenders that can run.

    Raises:
        BackendError: there were engines, and none of them is left.
    """
    engines = {entry.name for entry in contenders if entry.kind == "engine" and entry.name != OVERHEAD}
    if engines and not engines & set(started):
        raise BackendError(
            f"no engine can run here: {'; '.join(entry.reason for entry in failed if entry.name in engines)}"
        )
    return [entry for entry in contenders if entry.name in started]


def _described(contender: Contender, reply: dict[str, Any]) -> MeasuredContender:
    info, size = from_json(RuntimeInfo, reply), contender.file_bytes
    if size is None:
        size = Artifact.open(contender.artifact).files[str(info.precision)].bytes
    known = to_json(contender) | {"file": _without_home(contender.file)}
    return MeasuredContender(**known, bytes=size, info=info)


def _without_home(path: str) -> str:
    """Return a path as others may read it: records are passed on, and name no one's home folder."""
    try:
        return f"~/{Path(path).relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):  # elsewhere, or there is no home
        return path


def _startup(
    contenders: Sequence[Contender], faces_path: str, options: BenchOptions
) -> tuple[dict[str, Startup], list[Skipped]]:
    title = (
        f"cold start and memory: {options.cold_starts} new processes for each of {len(contenders)} contenders"
    )
    with bar(title, options.cold_starts * len(contenders)) as advance:
        return startup.measure_startup(contenders, faces_path, options, advance)


def _speed(workers: Mapping[str, SupportsAsk], batch: int, options: BenchOptions) -> list[Speed]:
    beside = f", beside {options.busy} busy processes" if options.busy else ""
    title = f"speed at batch {batch}: {options.rounds} rounds of {len(workers)} contenders{beside}"
    with bar(title, options.rounds * len(workers)) as advance:
        samples = rounds.run_rounds(workers, batch, options, advance)
    return rounds.summarize_rounds(samples, batch)


def _scenarios(
    contenders: Sequence[Contender],
    workers: Mapping[str, SupportsAsk],
    inputs: Inputs,
    options: ScenarioOptions | None,
    reference: str,
) -> tuple[PerformanceRun | AccuracyRun, ...] | None:
    if options is None:
        return None
    runs = Runs(workers, taking_part(contenders), inputs, options, reference)
    with bar(f"LoadGen: {', '.join(options.scenarios)}, {len(runs)} runs", len(runs)) as advance:
        return tuple(runs.measure(advance))


def _limits(
    contenders: Sequence[Contender], workers: Mapping[str, SupportsAsk], options: BenchOptions
) -> Limits:
    artifact, batch = Artifact.open(contenders[0].artifact), max(options.batches)
    with bar("the machine's limits and the runtimes' operators", profile_pass.steps(contenders)) as advance:
        return profile_pass.measure_limits(artifact, contenders, workers, batch, advance)


def _describe(artifact: Artifact) -> MeasuredArtifact:
    return MeasuredArtifact(
        path=str(artifact.folder),
        model=artifact.spec.name,
        labels=artifact.spec.labels,
        checkpoint_sha256=artifact.spec.checkpoint_sha256,
        files={precision: GraphFile(file.sha256, file.bytes) for precision, file in artifact.files.items()},
        refused=artifact.gate.refusals(),
        failing=tuple(sorted((backend, precision) for precision, backend in artifact.gate.failing())),
        spec=artifact.spec,
    )
