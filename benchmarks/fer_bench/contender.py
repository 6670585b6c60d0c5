"""Who takes part: what runs, in which precision, with which settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.backend import find
from fer_engine.errors import ArtifactError, ConfigError
from fer_engine.manifest import Manifest

REFERENCE = "pytorch"  # parity is measured against it
BASELINE = "onnxruntime"  # speed is compared with it
OVERHEAD = "null"  # computes nothing: what remains is the harness and the engine's checks
CHECKPOINT = "checkpoint"  # folder of an artifact with the weights that its graphs were made from


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing to measure; `kind` is a key of `fer_bench.runtimes.KINDS`.

    `file` is what it loads: a graph, or the checkpoint folder. `threads` is None for the
    runtime's own choice.
    """

    name: str
    kind: str
    artifact: str
    file: str
    precision: str = "fp32"
    backend: str | None = None
    threads: int | None = None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def bytes(self) -> int:
        """Size of the weights or of the graph on disk."""
        path = Path(self.file)
        return (path / "model.safetensors" if path.is_dir() else path).stat().st_size


def line_up(
    folder: Path,
    manifest: Manifest,
    backends: Sequence[str],
    precisions: Sequence[str],
    threads: int | None,
) -> list[Contender]:
    """Return the contenders: reference, baseline, overhead, and an engine a backend and precision.

    Raises:
        ArtifactError: a graph or the checkpoint is missing or damaged.
        BackendError: a backend is not known, or its runtime is not installed.
        ConfigError: the backend that computes nothing was named.
    """
    for backend in backends:
        if backend == OVERHEAD:
            raise ConfigError(
                f"backend {OVERHEAD!r} is measured in every run: name those to measure beside it"
            )
        find(backend)
    for precision in {"fp32", *precisions}:
        manifest.read_model(folder, precision)
    if not (folder / CHECKPOINT).is_dir():
        raise ArtifactError(
            f"{folder} holds no folder {CHECKPOINT!r} with the PyTorch weights, against which parity is "
            "measured; run fer-export again"
        )
    graphs = {precision: str(folder / file.path) for precision, file in manifest.files.items()}
    artifact, checkpoint = str(folder), str(folder / CHECKPOINT)
    return [
        Contender(REFERENCE, "pytorch", artifact, checkpoint, threads=threads),
        Contender(BASELINE, "onnxruntime", artifact, graphs["fp32"]),
        *(
            Contender(
                f"engine/{backend}/{precision}",
                "engine",
                artifact,
                graphs[precision],
                precision,
                backend,
                threads,
            )
            for backend in backends
            for precision in precisions
        ),
        Contender(OVERHEAD, "engine", artifact, graphs["fp32"], "fp32", "null", threads),
    ]
