from __future__ import annotations

import dataclasses

import pytest
import torch

from fer_engine.errors import CheckpointError
from fer_train.checkpoint import load_backbone
from fer_train.models import find_model

SPEC = find_model("resnet34_48").spec


def imagenet(path, spec=SPEC):
    """Save random weights under torchvision's names, with ImageNet's thousand classes and no counters."""
    torch.manual_seed(1)
    labels = tuple(map(str, range(1000)))
    network = find_model("resnet34_48").build(dataclasses.replace(spec, labels=labels))
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    torch.save(state, path)
    return state


def test_torchvision_s_weights_fit_but_for_the_head(tmp_path):
    given = imagenet(tmp_path / "resnet34.pth")
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.0.weight", "fc.bias"} <= given.keys()
    assert len(given) == 182  # as torchvision's resnet34 of that time
    network = find_model("resnet34_48").build(SPEC)
    head = network.fc.weight.clone()
    told = load_backbone(tmp_path / "resnet34.pth", network)
    assert told.endswith("180 tensors loaded; fresh: fc")
    for name, weight in network.state_dict().items():
        if name in given and not name.startswith("fc."):
            assert torch.equal(weight, given[name]), name
    assert torch.equal(network.fc.weight, head)


def test_an_attribute_called_module_is_not_taken_for_data_parallel(tmp_path):
    torch.manual_seed(2)
    given, network = (torch.nn.ModuleDict({"module": torch.nn.Linear(2, 2)}) for _ in range(2))
    torch.save(given.state_dict(), tmp_path / "w.pth")
    assert load_backbone(tmp_path / "w.pth", network).endswith("2 tensors loaded; fresh: none")
    assert torch.equal(network["module"].weight, given["module"].weight)
    plain = torch.nn.Linear(2, 2)  # saved out of torch.nn.DataParallel, the same file fits it
    load_backbone(tmp_path / "w.pth", plain)
    assert torch.equal(plain.weight, given["module"].weight)


def test_vgg16_has_torchvision_s_names():
    with torch.device("meta"):
        names = find_model("vgg16").build(find_model("vgg16").spec).state_dict()
    shapes = {name: tuple(weight.shape) for name, weight in names.items()}
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)
    assert shapes["classifier.6.weight"] == (1000, 4096)
    assert {name.partition(".")[0] for name in names} == {"features", "classifier", "head"}


def test_weights_of_another_network_are_refused(tmp_path):
    imagenet(tmp_path / "resnet34.pth")
    with pytest.raises(CheckpointError, match=r"made for another network: .* tensors unknown"):
        load_backbone(tmp_path / "resnet34.pth", find_model("cnn3").build(find_model("cnn3").spec))
    with pytest.raises(CheckpointError, match="cannot read"):
        load_backbone(tmp_path / "none.pth", torch.nn.Linear(1, 1))
