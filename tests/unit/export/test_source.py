"""A network of the user's own: found by its name, filled with its weights, held against its spec."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fer_engine.errors import CheckpointError, ConfigError
from fer_engine.spec import ModelSpec
from fer_export.source import PYTORCH, UserNetwork, of_user
from fer_train import checkpoint, module

SPEC = ModelSpec(
    "small", ("calm", "tense"), height=12, width=8, channels=3, mean=(120.0, 110.0, 100.0), scale=(60.0,) * 3
)
CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.head = nn.Linear(8 * 5 * 3, classes)
    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.head(x.view(x.size(0), -1))

class Soft(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

class Needy(Net):
    def __init__(self, classes):
        super().__init__(classes)

def three():
    return Net(3)

def number():
    return 3

constant = 3
"""
names = itertools.count()


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """Write a module that nobody imported yet into the current folder; give its name."""
    name = f"own_networks_{next(names)}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def given(package, tmp_path):
    def make(attribute: str = "Net", weights: str = "Net", suffix: str = ".pth") -> UserNetwork:
        torch.manual_seed(0)
        network = module.build(f"{package}:{weights}")
        path = tmp_path / f"weights{suffix}"
        if suffix == ".safetensors":
            save_file(network.state_dict(), path)
        else:
            torch.save(network.state_dict(), path)
        return UserNetwork(f"{package}:{attribute}", path, SPEC)

    return make


def test_the_reference_is_the_users_module_on_normalized_faces(given):
    own = given()
    source = of_user(own)
    faces = np.random.default_rng(0).integers(0, 256, (9, *SPEC.face_shape), dtype=np.uint8)
    torch.manual_seed(0)
    network = module.build(own.target).eval()  # the weights that were saved
    pixels = ((faces - np.array(SPEC.mean)) / np.array(SPEC.scale)).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(torch.from_numpy(np.ascontiguousarray(pixels, np.float32))).numpy()
    np.testing.assert_allclose(source.logits(faces), expected, atol=1e-5)
    assert source.reference == PYTORCH
    assert source.made == {"path": str(own.checkpoint), "module": own.target}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_forms_of_a_state_dict_give_the_same_weights(given, suffix):
    first, second = (
        checkpoint.load_state_dict(own.checkpoint, SPEC, own.target)
        for own in (given(), given(suffix=suffix))
    )
    assert first[1].checkpoint_sha256 == second[1].checkpoint_sha256


def test_its_checkpoint_folder_names_the_module_and_loads_again(given, tmp_path, monkeypatch):
    own = given()
    source = of_user(own)
    source.save(tmp_path / "checkpoint")
    network, spec = checkpoint.load(tmp_path / "checkpoint")
    assert type(network).__name__ == "Net"
    assert spec == source.spec
    assert module.read(tmp_path / "checkpoint") == own.target
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delitem(sys.modules, own.target.partition(":")[0])
    with pytest.raises(
        ConfigError, match=r"cannot import own_networks_.*run in the folder that own_networks"
    ):
        checkpoint.load(tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere", r"expected a network as package\.module:MyNet, got 'nowhere'"),
        ("nowhere:Net", "cannot import nowhere:Net .*No module named 'nowhere'"),
        ("{}:Gone", "cannot import .*has no attribute 'Gone'"),
        ("{}:constant", "is int, expected a class or a function"),
        ("{}:Needy", "cannot be called without arguments .*classes"),
        ("{}:number", r"gives int, expected a torch\.nn\.Module"),
    ],
)
def test_a_target_that_makes_no_network_is_told(package, target, text):
    with pytest.raises(ConfigError, match=text):
        module.build(target.format(package))


def test_a_module_that_fails_on_import_is_told(tmp_path, monkeypatch):
    (tmp_path / "broken_network.py").write_text("raise RuntimeError('no such luck')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot import broken_network:Net .RuntimeError: no such luck"):
        module.build("broken_network:Net")


def test_a_network_that_does_not_give_what_the_spec_says_is_told(given):
    with pytest.raises(ConfigError, match=r"gives float32 \[2, 3\] on .*expected float32 \[2, 2\]"):
        of_user(given("three", "three"))
    with pytest.raises(ConfigError, match="gives tuple on"):
        of_user(given("Pair"))
    with pytest.raises(ConfigError, match=r"ends in a softmax, expected logits"):
        of_user(given("Soft"))
    with pytest.raises(CheckpointError, match="was not made for small"):
        of_user(given("three"))
    own = given()
    taller = UserNetwork(own.target, own.checkpoint, ModelSpec("small", ("calm", "tense")))
    with pytest.raises(ConfigError, match=r"fails on float32 \[2, 1, 48, 48\]"):
        of_user(taller)


def test_a_folder_is_no_state_dict(given, tmp_path):
    own = given()
    with pytest.raises(ConfigError, match="is a folder, expected a state dict"):
        of_user(UserNetwork(own.target, tmp_path, SPEC))


def test_a_damaged_note_of_the_module_is_told(tmp_path):
    for text in ("{", "[]", '{"format_version": 9, "module": "a:b"}', '{"format_version": 1, "module": 3}'):
        (tmp_path / module.NAME).write_text(text)
        with pytest.raises(CheckpointError, match="export the network again"):
            module.read(tmp_path)
    (tmp_path / module.NAME).unlink()
    assert module.read(tmp_path) is None
