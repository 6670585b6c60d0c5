"""The choice of precision and backend where they are left to the engine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fer_engine._version import __version__
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import ModelFile
from fer_engine.errors import ArtifactError, BackendError, FerError
from fer_engine.runtime.backend import BackendOptions, Model, available_backends, find_backend
from fer_engine.selection import probe_cache, speed_probe
from fer_engine.selection.speed_probe import Candidate, Measured
from fer_engine.system import cpu

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """How precision and backend were chosen.

    `by` is "given", "only one" (candidate), "probe" (the fastest, measured at this load), or "cached
    probe" (the fastest, by the measurement of an earlier load, cached in the artifact). `speeds` holds
    the faces per second of each candidate, named "backend/precision", at the batch of
    `speed_probe.probe_batch`; `failures` says why others could not run, and `not_cached` why a
    measurement could not be written into the artifact.
    """

    by: str
    speeds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    not_cached: str | None = None


def choose_candidate(
    artifact: Artifact, wanted: Candidate, options: BackendOptions
) -> tuple[Candidate, Choice]:
    """Return the fastest candidate for what `wanted` leaves open with "auto".

    Candidates are the precisions that the gate accepted, on every backend whose runtime is installed.
    The artifact keeps what was measured, for this CPU, these options, graphs and versions.

    Raises:
        ArtifactError: no precision is accepted, there is none of that name, or a graph that has to be
            measured is missing or damaged.
        BackendError: no candidate can run.
    """
    if AUTO not in wanted:
        return wanted, Choice("given")
    candidates = _candidates(artifact, wanted, options.device)
    if len(candidates) == 1:
        return candidates[0], Choice("only one")
    files = {candidate.precision: artifact.file(candidate.precision) for candidate in candidates}
    conditions = _conditions(files, candidates, options)
    by, not_cached, measured = "cached probe", None, None
    with contextlib.suppress(FerError):  # without a cache nothing was kept, and `_cache` says why
        measured = probe_cache.read_measurement(artifact.probes, conditions, candidates)
    if measured is None:
        models = {name: Model.of_artifact(artifact, name) for name in files}
        by, measured = "probe", speed_probe.measure_speeds(models, candidates, options)
        if not measured.speeds:
            raise BackendError(f"no candidate can run: {'; '.join(measured.failures.values())}")
        not_cached = _cache(artifact, conditions, measured, options.device)
    fastest = max(measured.speeds, key=measured.speeds.__getitem__)
    speeds = {str(candidate): speed for candidate, speed in measured.speeds.items()}
    failures = {str(candidate): reason for candidate, reason in measured.failures.items()}
    return fastest, Choice(by, speeds, failures, not_cached)


def _cache(
    artifact: Artifact, conditions: probe_cache.Conditions, measured: Measured, device: str
) -> str | None:
    """Write a measurement into the artifact; return why it was not, if so."""
    if device != "cpu":
        return "speeds of a GPU are measured at each load: nothing here would tell it from another"
    if measured.failures:
        return "a candidate failed, which may pass: the next load tries it again"
    try:
        probe_cache.write_measurement(artifact.probes, conditions, measured)
    except FerError as error:
        return str(error)
    return None


def _candidates(artifact: Artifact, wanted: Candidate, device: str) -> list[Candidate]:
    precisions = artifact.accepted() if wanted.precision == AUTO else (wanted.precision,)
    backends = available_backends(device) if wanted.backend == AUTO else (wanted.backend,)
    if not precisions:
        raise ArtifactError(
            f"{artifact.folder} holds no precision that the gate accepted; give one by its name: "
            f"{', '.join(artifact.files)}"
        )
    if not backends:
        raise BackendError("no runtime is installed; install one with: pip install 'fer-engine[cpu]'")
    candidates = [Candidate(precision, backend) for precision in precisions for backend in backends]
    unfit = artifact.gate.failing()
    return [candidate for candidate in candidates if candidate not in unfit] or candidates


def _conditions(
    files: Mapping[str, ModelFile], candidates: Sequence[Candidate], options: BackendOptions
) -> probe_cache.Conditions:
    """Return all that the speeds depend on, as JSON; `files` are the graphs by precision."""
    versions = {"fer-engine": __version__}
    for candidate in candidates:
        versions |= find_backend(candidate.backend).versions
    return {
        "cpu": cpu.cpu_key(),
        # The cache changes how long loading takes, not running.
        "options": dataclasses.asdict(options) | {"batch": speed_probe.probe_batch(options), "cache": None},
        "candidates": [str(candidate) for candidate in candidates],
        "versions": versions,
        "graphs": {precision: file.sha256 for precision, file in files.items()},
    }
