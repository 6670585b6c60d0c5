from __future__ import annotations

import argparse
import io
import json
import pickle
import warnings

import numpy as np
import pytest
import torch

from fer_engine.artifact.artifact import SPEC_NAME, WEIGHTS_NAME
from fer_engine.errors import ArtifactError, CheckpointError, ConfigError
from fer_train import checkpoint
from fer_train.models import find_model

ENTRY = find_model("mini_xception")


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = ENTRY.build(ENTRY.spec)
    checkpoint.save(tmp_path / "c", network, ENTRY.spec)
    return tmp_path / "c", network


def test_round_trip_keeps_every_weight_and_the_spec(saved):
    folder, network = saved
    loaded, spec = checkpoint.load(folder)
    assert not loaded.training
    assert spec.labels == ENTRY.spec.labels
    for name, weight in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name


def test_truncated_weights_are_refused(saved):
    path = saved[0] / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"not the file that spec\.json vouches for"):
        checkpoint.load(saved[0])


def test_missing_folder_says_what_was_expected(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*model\.safetensors .*as fer-train writes it"):
        checkpoint.load(tmp_path / "nowhere")


def test_damaged_spec_is_refused(saved):
    (saved[0] / SPEC_NAME).write_text("{")
    with pytest.raises(ArtifactError, match="spec is not JSON"):
        checkpoint.load(saved[0])


def test_spec_of_another_network_is_refused(saved):
    path = saved[0] / SPEC_NAME
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "name": "fer_teacher"}))
    with pytest.raises(CheckpointError, match="was not made for fer_teacher"):
        checkpoint.load(saved[0])


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = ENTRY.build(ENTRY.spec)
    with torch.no_grad():
        network.head.bias[0] = float("nan")
    checkpoint.save(tmp_path / "c", network, ENTRY.spec)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        checkpoint.load(tmp_path / "c")


def test_no_shipped_checkpoint_names_the_shipped_ones():
    with pytest.raises(CheckpointError, match=r"no checkpoint of 'fer_teacher' ships .*mini_xception"):
        checkpoint.pretrained("fer_teacher")
    with pytest.raises(ConfigError, match="unknown model"):
        checkpoint.pretrained("../../etc")


def prefixed(prefix):
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


FORMS = {
    "plain": lambda s: s,
    "nested": lambda s: {"state_dict": s},
    "any key": lambda s: {"model_state_dict": s, "epoch": 3, "optimizer": {"state": {0: {"step": 1}}}},
    "parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "compiled in parallel": prefixed("module._orig_mod."),
    "lightning": lambda s: {"state_dict": prefixed("model.")(s), "hyper_parameters": {"lr": 0.001}},
    "inside": lambda s: {name.replace(".", ".module.", 1): value for name, value in s.items()},
    "profiled": lambda s: s | {"total_ops": torch.zeros(1), "head.total_params": torch.zeros(1)},
    "settings": lambda s: {"state_dict": s, "args": argparse.Namespace(lr=1), "best": np.float64(0.7)},
}


@pytest.mark.parametrize("wrap", FORMS.values(), ids=FORMS)
def test_bare_state_dicts_load(tmp_path, wrap):
    network = ENTRY.build(ENTRY.spec)
    torch.save(wrap(network.state_dict()), tmp_path / "w.pth")
    loaded, spec = checkpoint.load_state_dict(tmp_path / "w.pth", ENTRY.spec)
    assert torch.equal(loaded.state_dict()["head.weight"], network.head.weight)
    assert len(spec.checkpoint_sha256) == 64


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Evil()), b"", b"\x80\x02not a pickle", b"PK\x03\x04 cut off", b"<html>", b"version https:"],
    ids=["code", "empty", "garbage", "truncated", "page", "pointer"],
)
def test_foreign_pth_is_refused_and_runs_no_code(tmp_path, capsys, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="holds no plain state dict") as error:
        checkpoint.load_state_dict(tmp_path / "w.pth", ENTRY.spec)
    assert "weights_only" not in str(error.value)
    assert "code ran" not in capsys.readouterr().out


def test_what_is_no_state_dict_is_called_by_its_name(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(
        CheckpointError, match=r"objects of torch\.nn\.modules\.linear\.Linear, as of a whole"
    ):
        checkpoint.load_state_dict(path, ENTRY.spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own words on TorchScript's age
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(CheckpointError, match=r"but TorchScript; torch\.save\(torch\.jit\.load\('w\.pth'\)"):
        checkpoint.load_state_dict(path, ENTRY.spec)
    state = {"fc.weight": torch.zeros(7, 3)}
    for data, text in (
        ({"model": state, "ema": state}, "several state dicts: model, ema, expected one"),
        ({"epoch": 3, "lr": 0.1}, "dict with the keys epoch, lr, expected one"),
        ([state], "holds list, expected one"),
    ):
        torch.save(data, path)
        with pytest.raises(CheckpointError, match=text):
            checkpoint.load_state_dict(path, ENTRY.spec)


def test_state_dict_of_another_network_names_what_differs(tmp_path):
    torch.save({"fc.weight": torch.zeros(7, 3)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"was not made for mini_xception .*1 tensors, expected"):
        checkpoint.load_state_dict(tmp_path / "w.pth", ENTRY.spec)


def test_whatever_byte_is_damaged_the_error_is_ours(tmp_path):
    whole = io.BytesIO()
    torch.save({"fc.weight": torch.arange(21.0).reshape(7, 3)}, whole)
    content = whole.getvalue()
    random = np.random.default_rng(0)
    for _ in range(200):
        spoiled = bytearray(content)
        for place in random.integers(len(content), size=4):
            spoiled[place] = random.integers(256)
        (tmp_path / "w.pth").write_bytes(spoiled)
        with pytest.raises(CheckpointError, match=r"w\.pth (holds|was not made)"):
            checkpoint.load_state_dict(tmp_path / "w.pth", ENTRY.spec)
