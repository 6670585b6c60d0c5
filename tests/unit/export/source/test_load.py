"""A network of the user's own: found by its name, filled with its weights, held against its spec."""

from __future__ import annotations

import dataclasses
import itertools
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fer_engine.artifact.artifact import SPEC_NAME
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError, CheckpointError, ConfigError, ExportError
from fer_export.source.load import PYTORCH, UserNetwork, find_spec, source_from_module, trained_name
from fer_train import checkpoint, user_network

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

class Squeezed(Net):
    def forward(self, x):
        return super().forward(x)[:, :, None].squeeze()

class Branch(Net):
    def forward(self, x):
        y = super().forward(x)
        return y if y.mean() > 0 else -y

class Needy(Net):
    def __init__(self, classes):
        super().__init__(classes)

def three():
    return Net(3)

def leave():
    raise SystemExit(2)

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
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return name


@pytest.fixture
def given(package, tmp_path):
    def make(attribute: str = "Net", weights: str = "Net", suffix: str = ".pth") -> UserNetwork:
        torch.manual_seed(0)
        network = user_network.build_network(f"{package}:{weights}")
        path = tmp_path / f"weights{suffix}"
        if suffix == ".safetensors":
            save_file(network.state_dict(), path)
        else:
            torch.save(network.state_dict(), path)
        return UserNetwork(f"{package}:{attribute}", path, SPEC)

    return make


def test_the_reference_is_the_users_module_on_normalized_faces(given):
    own = given()
    source = source_from_module(own)
    faces = np.random.default_rng(0).integers(0, 256, (9, *SPEC.face_shape), dtype=np.uint8)
    torch.manual_seed(0)
    network = user_network.build_network(own.target).eval()  # the weights that were saved
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
    source = source_from_module(own)
    source.save(tmp_path / "checkpoint")
    network, spec = checkpoint.load(tmp_path / "checkpoint", own.target)
    assert type(network).__name__ == "Net"
    assert spec == source.spec
    assert user_network.read_target(tmp_path / "checkpoint") == own.target
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sys.path.remove(str(tmp_path))
    monkeypatch.delitem(sys.modules, own.target.partition(":")[0])
    with pytest.raises(
        ConfigError, match=r"cannot import own_networks_.*run in the folder that own_networks"
    ):
        checkpoint.load(tmp_path / "checkpoint", own.target)


def test_a_folder_alone_runs_no_code(given, tmp_path, monkeypatch):
    own = given()
    source_from_module(own).save(tmp_path / "checkpoint")
    (module := tmp_path / f"{own.target.partition(':')[0]}.py").write_text("raise SystemExit('it ran')")
    monkeypatch.delitem(sys.modules, module.stem)
    for named in (None, "another:Net"):
        with pytest.raises(
            ConfigError, match=rf"asks for the code of {own.target}, which nobody named.*--module"
        ):
            checkpoint.load(tmp_path / "checkpoint", named)
    monkeypatch.setenv(user_network.TRUSTED, own.target)  # as fer-bench --module does
    with pytest.raises(ConfigError, match="it ran"):
        checkpoint.load(tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere", r"expected a network as package\.module:MyNet, got 'nowhere'"),
        ("nowhere:Net", "cannot import nowhere:Net .*No module named 'nowhere'"),
        ("{}:Gone", "cannot import .*has no attribute 'Gone'"),
        ("{}:constant", "is int, expected a class or a function"),
        ("{}:Needy", "cannot be called without arguments .*classes"),
        ("{}:leave", "cannot be called without arguments .SystemExit: 2"),
        ("{}:number", r"gives int, expected a torch\.nn\.Module"),
    ],
)
def test_a_target_that_makes_no_network_is_told(package, target, text):
    with pytest.raises(ConfigError, match=text):
        user_network.build_network(target.format(package))


@pytest.mark.parametrize("failure", ["RuntimeError: no such luck", "SystemExit: 2"])
def test_a_module_that_fails_on_import_is_told(package, tmp_path, failure):
    kind, _, reason = failure.partition(": ")
    (tmp_path / f"broken_{package}.py").write_text(f"raise {kind}({reason!r})\n")
    with pytest.raises(ConfigError, match=rf"cannot import broken_{package}:Net .{failure}"):
        user_network.build_network(f"broken_{package}:Net")


def test_a_factory_may_import_what_lies_beside_it(package, tmp_path):
    (tmp_path / f"side_{package}.py").write_text(
        f"def make():\n    import {package}\n    return {package}.Net()\n"
    )
    assert type(user_network.build_network(f"side_{package}:make")).__name__ == "Net"


def test_an_attribute_called_module_keeps_its_name(package, tmp_path):
    (tmp_path / f"outer_{package}.py").write_text(
        f"from torch import nn\nimport {package}\n"
        f"class Outer(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.module = {package}.Net()\n"
    )
    target = f"outer_{package}:Outer"
    made = user_network.build_network(target)
    torch.save(made.state_dict(), tmp_path / "w.pth")
    loaded, _ = checkpoint.load_state_dict(tmp_path / "w.pth", SPEC, target)
    assert torch.equal(loaded.module.head.weight, made.module.head.weight)


def test_a_network_that_does_not_give_what_the_spec_says_is_told(given):
    with pytest.raises(ConfigError, match=r"gives float32 \[2, 3\] on .*expected float32 \[2, 2\]"):
        source_from_module(given("three", "three"))
    with pytest.raises(ConfigError, match="gives tuple on"):
        source_from_module(given("Pair"))
    with pytest.raises(ConfigError, match=r"ends in a softmax, expected logits"):
        source_from_module(given("Soft"))
    with pytest.raises(CheckpointError, match="was not made for small"):
        source_from_module(given("three"))
    own = given()
    taller = UserNetwork(own.target, own.checkpoint, ModelSpec("small", ("calm", "tense")))
    with pytest.raises(ConfigError, match=r"fails on float32 \[2, 1, 48, 48\]"):
        source_from_module(taller)


def test_an_opset_that_pytorch_does_not_give_is_told(given):
    own = given()
    with pytest.raises(ExportError, match="PyTorch exported small in opset 18, the spec says 11; say 18"):
        source_from_module(dataclasses.replace(own, spec=dataclasses.replace(SPEC, opset=11)))


def test_a_spec_that_is_no_text_is_told(tmp_path):
    (tmp_path / SPEC_NAME).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ArtifactError):
        find_spec("mini_xception", tmp_path)


def test_a_folder_is_no_state_dict(given, tmp_path):
    own = given()
    with pytest.raises(ConfigError, match="is a folder, expected a state dict"):
        source_from_module(UserNetwork(own.target, tmp_path, SPEC))


def test_a_damaged_note_of_the_module_is_told(tmp_path):
    for text in ("{", "[]", '{"format_version": 9, "module": "a:b"}', '{"format_version": 1, "module": 3}'):
        (tmp_path / user_network.NAME).write_text(text)
        with pytest.raises(CheckpointError, match="export the network again"):
            user_network.read_target(tmp_path)
    (tmp_path / user_network.NAME).unlink()
    assert user_network.read_target(tmp_path) is None


def test_an_axis_that_a_batch_of_one_loses_is_told(given):
    with pytest.raises(
        ConfigError, match=r":Squeezed gives float32 \[2\] on float32 \[1, 3, 12, 8\], expected"
    ):
        source_from_module(given("Squeezed"))


def test_a_failure_is_one_line_without_pytorch_s_pages(given, capfd):
    with pytest.raises(ExportError, match=r"PyTorch cannot export small .* no branch on values"):
        source_from_module(given("Branch"))
    assert capfd.readouterr() == ("", "")


def test_a_checkpoint_folder_names_its_network(tmp_path):
    checkpoint.write_spec(tmp_path, SPEC)
    assert trained_name(tmp_path) == "small"
    assert trained_name(tmp_path / "w.pth") is None
    assert trained_name(None) is None
