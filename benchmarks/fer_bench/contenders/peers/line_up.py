"""Chooses the peers that take part, and says why the others cannot."""

from __future__ import annotations

from collections.abc import Sequence

from fer_bench.contenders import reference
from fer_bench.contenders.contender import Contender, Skipped
from fer_bench.contenders.peers.convert import converted_model
from fer_bench.contenders.peers.peer import CHECKPOINT, Conversion
from fer_bench.contenders.peers.registry import PEERS
from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import BackendError, ConfigError
from fer_engine.system.progress import bar


def line_up_peers(
    artifact: Artifact, names: Sequence[str], threads: int | None
) -> tuple[list[Contender], list[Skipped]]:
    """Return the peers of an artifact that can take part, and why the others cannot.

    Without `names` these are all that are installed. A name before "/" stands for all of a runtime.
    What a peer needs is converted here.

    Raises:
        ArtifactError: the artifact cannot be read.
        BackendError: a peer that was named is not installed.
        ConfigError: a name is not known.
    """
    skipped: list[Skipped] = []
    present: list[str] = []
    for name in _chosen(names):
        advice = _how_to_install(name)
        if advice and names:
            raise BackendError(advice)
        if advice:
            skipped.append(Skipped(name, advice))
        else:
            present.append(name)
    contenders: list[Contender] = []
    with bar("peers: converting the network to their formats", len(present)) as advance:
        for name in present:
            try:
                contenders.append(_contender(name, artifact, threads))
            except BackendError as error:
                skipped.append(Skipped(name, str(error)))
            advance(1)
    return contenders, skipped


def _chosen(names: Sequence[str]) -> list[str]:
    """Return the peers of these names, each once; without names, all."""
    if not names:
        return list(PEERS)
    chosen: dict[str, None] = {}
    for asked in names:
        found = [name for name in PEERS if asked in (name, name.partition("/")[0])]
        if not found:
            runtimes = dict.fromkeys(name.partition("/")[0] for name in PEERS)
            raise ConfigError(
                f"unknown peer {asked!r}; known: {', '.join(PEERS)}; all of a runtime: {', '.join(runtimes)}"
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _how_to_install(name: str) -> str:
    """Return what a peer lacks and how to install it, or nothing."""
    peer = PEERS[name]
    absent = ", ".join(peer.missing())
    return f"peer {name!r} needs {absent}; install with: pip install {peer.packages}" if absent else ""


def _contender(name: str, artifact: Artifact, threads: int | None) -> Contender:
    peer = PEERS[name]
    from_network = isinstance(peer.reads, Conversion) or peer.reads == CHECKPOINT
    if from_network and reference.of_artifact(artifact) != reference.PYTORCH:
        raise BackendError(
            f"{name} starts from the PyTorch network, and this artifact was made from an ONNX file; "
            "onnxruntime and openvino read the artifact's graph"
        )
    if isinstance(peer.reads, Conversion):
        file = converted_model(peer.reads, artifact)
    elif peer.reads == CHECKPOINT:
        file = artifact.checkpoint
    else:
        file = artifact.graph("fp32")
    return Contender(
        name, name, str(artifact.folder), str(file), precision=peer.precision, threads=threads, optional=True
    )
