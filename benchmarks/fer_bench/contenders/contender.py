"""The contenders of a benchmark: what runs, in which precision, with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_bench.contenders import reference
from fer_bench.contenders.sweep import Setting, Sweep
from fer_engine.artifact.artifact import CHECKPOINT_NAME, WEIGHTS_NAME, Artifact
from fer_engine.errors import BackendError, ConfigError
from fer_engine.runtime.backend import BACKENDS, find_backend
from fer_engine.selection.select import AUTO

REFERENCE = reference.PYTORCH  # parity is measured against it, where the artifact has a PyTorch network
BASELINE = reference.ONNXRUNTIME  # speed is compared with it
OVERHEAD = "null"  # computes nothing: what remains is the harness and the engine's checks
CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing to measure; `kind` is a key of `fer_bench.contenders.kinds.KINDS`.

    `file` is what it loads: a graph, the checkpoint folder, or the artifact where the engine chooses
    the graph. `threads` and `micro_batch` are None for the runtime's own choice. One that is
    `optional` and cannot run is left out with the reason; another ends the benchmark.
    """

    name: str
    kind: str
    artifact: str
    file: str
    precision: str = "fp32"
    backend: str | None = None
    threads: int | None = None
    micro_batch: int | None = None
    tta: str = "none"
    optional: bool = False
    device: str = CPU

    @property
    def file_bytes(self) -> int | None:
        """Size of the weights or of the graph on disk; None where the engine chooses the graph."""
        if self.precision == AUTO:
            return None
        path = Path(self.file)
        if path.name == CHECKPOINT_NAME:
            path /= WEIGHTS_NAME
        files = path.iterdir() if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A contender, or all of one backend, that cannot run here."""

    name: str
    reason: str


def line_up(artifact: Artifact, sweep: Sweep, device: str = CPU) -> tuple[list[Contender], list[Skipped]]:
    """Return the contenders, and the backends that are not installed and were not asked for by name.

    The contenders are the reference, the baseline, the engine on `device` in every setting, and the
    overhead. The reference and the baseline, which run on the CPU, may be one.

    Raises:
        ArtifactError: a graph is missing or damaged, or the weights are missing.
        BackendError: a backend is not known, or one that was named is not installed.
        ConfigError: the backend that computes nothing was named, or the network is no classification.
    """
    _check(artifact, sweep)
    backends, skipped = _available_backends(device) if not sweep.backends else (sweep.backends, [])
    settings = sweep.settings(backends, artifact.files)
    threads, micro_batch = sweep.shared_threads, sweep.shared_micro_batch
    folder, graph = str(artifact.folder), str(artifact.graph("fp32"))
    contenders = [
        Contender(BASELINE, "onnxruntime", folder, graph),
        *(_engine(artifact, sweep, setting, device) for setting in settings),
        Contender(OVERHEAD, "engine", folder, graph, "fp32", "null", threads, micro_batch),
    ]
    if reference.of_artifact(artifact) == REFERENCE:
        weights = str(artifact.checkpoint)
        contenders.insert(0, Contender(REFERENCE, "pytorch", folder, weights, threads=threads))
    return contenders, skipped


def _engine(artifact: Artifact, sweep: Sweep, setting: Setting, device: str) -> Contender:
    file = artifact.folder if setting.precision == AUTO else artifact.graph(setting.precision)
    return Contender(
        sweep.name(setting),
        "engine",
        str(artifact.folder),
        str(file),
        setting.precision,
        setting.backend,
        setting.threads,
        setting.micro_batch,
        setting.tta,
        optional=not sweep.by_name,
        device=device,
    )


def _check(artifact: Artifact, sweep: Sweep) -> None:
    if artifact.spec.task != "classification":
        raise ConfigError(
            f"{artifact.folder} holds a network for {artifact.spec.task}, fer-bench compares the answers of "
            "classifications alone; the report of fer-export has its parity"
        )
    for backend in sweep.backends:
        if backend == OVERHEAD:
            raise ConfigError(
                f"backend {OVERHEAD!r} is measured in every run: name those to measure beside it"
            )
        if backend != AUTO:
            find_backend(backend)
    for precision in {"fp32", *(sweep.precisions or artifact.files)} - {AUTO}:
        artifact.read_graph(precision)


def _available_backends(device: str) -> tuple[list[str], list[Skipped]]:
    """Return the backends for a device that are installed, and why the others cannot take part."""
    kind = device.partition(":")[0]
    installed, skipped = [], []
    for name, entry in BACKENDS.items():
        if name != OVERHEAD and kind in entry.devices:
            try:
                find_backend(name)
                installed.append(name)
            except BackendError as error:
                skipped.append(Skipped(f"engine/{name}", str(error)))
    return installed, skipped
