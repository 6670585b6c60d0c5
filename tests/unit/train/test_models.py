"""Every network of the registry keeps its contract; a new one is tested without a line here."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fer_engine.errors import ConfigError
from fer_train.loop import logits, normalize
from fer_train.models import MODELS, find_model
from registry import SMALL, faces

pytestmark = pytest.mark.slow  # every network is built and run


@pytest.mark.parametrize("name", MODELS)
def test_a_network_has_the_size_that_its_entry_says(name):
    entry = find_model(name)
    spec = entry.spec
    assert spec.name == name
    with torch.device("meta"):  # shapes without values: the largest has half a gigabyte of them
        network = entry.build(spec).eval()
        face = torch.empty(1, spec.channels, spec.height, spec.width)
        with FlopCounterMode(display=False) as counter:
            outputs = network(face)
    assert sum(weight.numel() for weight in network.parameters()) == entry.parameters
    assert counter.get_total_flops() == 2 * entry.multiply_adds
    assert outputs.shape == (1, len(spec.labels))


@pytest.mark.parametrize("name", SMALL)
def test_faces_become_one_output_a_label(name):
    spec = SMALL[name]
    outputs = logits(find_model(spec.name).build(spec), spec, faces(spec, 3))
    assert outputs.shape == (3, len(spec.labels))
    assert outputs.dtype == "float32"


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name):
    spec = SMALL[name]
    network = find_model(spec.name).build(spec).train()
    network(normalize(torch.from_numpy(faces(spec, 4)), spec)).square().sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.parametrize("name", ["simple_cnn", "cnn3", "face_cnn", "vgg16_48", "resnet34_48"])
def test_labels_and_channels_are_those_of_the_spec(name):
    """As for data with labels of its own, in colour."""
    spec = type(find_model(name).spec)(name, ("a", "b", "c"), channels=3, mean=(0.0,) * 3, scale=(255.0,) * 3)
    with torch.device("meta"):
        assert find_model(name).build(spec)(torch.empty(2, 3, 48, 48)).shape == (2, 3)


def test_unknown_network_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown model 'nope'; known: .*mini_xception"):
        find_model("nope")
