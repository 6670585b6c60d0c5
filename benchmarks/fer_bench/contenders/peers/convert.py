"""Conversion of the checkpoint to a peer's own format, in a process of its own, kept for the next run.

A converter may print, change global settings or crash: none of that reaches the benchmark.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from fer_bench.contenders.peers.peer import Conversion, resolve
from fer_bench.contenders.subprocess_run import output_of
from fer_engine._version import __version__
from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import NO_TEMPERATURE, ModelSpec
from fer_engine.errors import BackendError
from fer_engine.system.cache import cache_folder

SECONDS = 600  # the slowest takes half a minute on a quiet machine


def converted_model(conversion: Conversion, artifact: Artifact) -> Path:
    """Return the model file made from the artifact's checkpoint, in an earlier run where there was one.

    Raises:
        BackendError: the converter failed.
        FerError: the cache cannot be written.
    """
    folder = _cache_folder(conversion, artifact.spec)
    if not (folder / conversion.file).exists():
        with files.folder(folder) as fresh:
            _run(conversion.target, artifact.checkpoint, fresh / conversion.file)
    return folder / conversion.file


def _cache_folder(conversion: Conversion, spec: ModelSpec) -> Path:
    """Return a folder that changes with weights and temperature, the converter, its version and ours."""
    versions = {module: metadata.version(module) for module in conversion.modules}
    versions["fer-engine"] = __version__
    converter = "-".join(f"{name}-{version}" for name, version in versions.items())
    return cache_folder() / "peers" / f"{converter}-{spec.checkpoint_sha256[:16]}-{spec.temperature:g}"


def _run(target: str, checkpoint: Path, path: Path) -> None:
    command = [sys.executable, "-m", "fer_bench.contenders.peers.convert", target, str(checkpoint), str(path)]
    output_of(target, command, seconds=SECONDS)
    if not path.exists():
        raise BackendError(f"{target} wrote no {path.name}")


def main(target: str, checkpoint: str, path: str) -> None:
    """Convert in this process."""
    convert = resolve(target)
    import torch

    from fer_train import checkpoint as checkpoints
    from fer_train.loop import WithTemperature

    network, spec = checkpoints.load(Path(checkpoint))
    if spec.temperature != NO_TEMPERATURE:
        network = WithTemperature(network, spec.temperature).eval()
    example = torch.zeros((1, spec.channels, *spec.face_shape[:2]))
    convert(network, example, Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
