"""This project's networks in the study: those that ship, and the tutorials' that do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch

from fer_bench.contenders.contender import Contender
from fer_engine.artifact.artifact import WEIGHTS_NAME, Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.shipped import shipped_artifact
from fer_export.graph.to_onnx import to_onnx
from fer_train.checkpoint import PRETRAINED
from fer_train.models import MODELS
from studies.other_networks.record import Kind

# Networks of FER2013 tutorials, which the registry builds from their descriptions.
TUTORIALS = ("simple_cnn", "cnn3", "face_cnn", "resnet34_48", "vgg16_48")
SEED = 0
THREADS = 1  # of every network: what most packages have, and all can be told


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    contender: Contender
    kind: Kind
    spec: ModelSpec


def own_networks(scratch: Path) -> list[OwnNetwork]:
    """Export this project's networks in float32.

    What ships is exported once into the user's cache, and runs in the engine on ONNX Runtime. A tutorial's
    network that does not ship becomes a graph in the folder `scratch`, with weights drawn at random, which
    are as fast as trained ones; it runs on plain ONNX Runtime.

    Raises:
        FerError: a network cannot be exported.
    """
    ships = [name for name in MODELS if (PRETRAINED / name / WEIGHTS_NAME).exists()]
    others = [name for name in TUTORIALS if name not in ships]
    return [shipped(Artifact.open(shipped_artifact(name))) for name in ships] + [
        untrained(name, scratch) for name in others
    ]


def shipped(artifact: Artifact) -> OwnNetwork:
    spec, graph = artifact.spec, str(artifact.graph("fp32"))
    folder = str(artifact.folder)
    contender = Contender(spec.name, "engine", folder, graph, backend="onnxruntime", threads=THREADS)
    return OwnNetwork(contender, "shipped", spec)


def untrained(name: str, folder: Path) -> OwnNetwork:
    entry = MODELS[name]
    torch.manual_seed(SEED)
    graph = folder / f"{name}.onnx"
    onnx.save(to_onnx(entry.build(entry.spec).eval(), entry.spec), graph)
    return OwnNetwork(own_graph(name, str(folder), str(graph)), "untrained", entry.spec)


def own_graph(name: str, folder: str, graph: str) -> Contender:
    """Return a graph on plain ONNX Runtime."""
    return Contender(name, "onnxruntime/1-thread", folder, graph, threads=THREADS)
