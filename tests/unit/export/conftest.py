"""Graphs that several modules quantize; PyTorch takes seconds to export one, so each is made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import onnx
import pytest
import torch

from fer_engine.artifact.spec import ModelSpec
from fer_export.graph.to_onnx import to_onnx
from fer_train.models import find_model

RandomGraph = Callable[[ModelSpec], onnx.ModelProto]


@pytest.fixture(scope="session")
def random_graph() -> RandomGraph:
    """Give the float graph of a network with random weights; tests must not change it."""

    @cache
    def make(spec: ModelSpec) -> onnx.ModelProto:
        torch.manual_seed(0)
        network = find_model(spec.name).build(spec)
        with torch.no_grad():  # batch norm has to see data, or the activations have no common scale
            for _ in range(3):
                network(torch.randn(8, spec.channels, spec.height, spec.width))
        return to_onnx(network.eval(), spec)

    return make


@pytest.fixture(scope="session")
def shipped_graph(artifact: Path) -> onnx.ModelProto:
    """Give the float graph of the shipped mini_xception; tests must not change it."""
    return onnx.load(artifact / "model.onnx")
