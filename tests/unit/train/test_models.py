"""Every network of the registry keeps its contract; a new one is tested without a line here."""

from __future__ import annotations

import pytest
import torch

from fer_engine.errors import ConfigError
from fer_export.graph import to_onnx
from fer_export.layers import find_layers
from fer_train.loop import normalize
from fer_train.models import MODELS, find

# Parameters and multiply-adds of one image, counted by hand from the papers' layer tables.
SIZES = {"mini_xception": (58_047, 5_520_448), "fer_teacher": (1_095_815, 92_235_072)}


def test_every_network_has_its_size_pinned():
    assert set(SIZES) == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_network_has_its_published_size_and_maps_faces_to_logits(name):
    entry = find(name)
    network = entry.build(entry.spec).eval()
    parameters, multiply_adds = SIZES[name]
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    layers = find_layers(to_onnx(network, entry.spec))
    assert sum(layer.multiply_adds for layer in layers) == multiply_adds
    faces = torch.randint(0, 256, (3, *entry.spec.face_shape), dtype=torch.uint8)
    logits = network(normalize(faces, entry.spec))
    assert logits.shape == (3, len(entry.spec.labels))
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_parameter_gets_a_gradient(name):
    entry = find(name)
    network = entry.build(entry.spec).train()
    faces = torch.randint(0, 256, (4, *entry.spec.face_shape), dtype=torch.uint8)
    network(normalize(faces, entry.spec)).square().sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert without == []


def test_unknown_network_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown model 'nope'; known: .*mini_xception"):
        find("nope")
