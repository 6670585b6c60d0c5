"""fer-export with a network of the user's own: from the command line to the engine, in every precision."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_engine import Engine
from fer_engine.artifact.artifact import MANIFEST_NAME, Artifact
from fer_engine.errors import ArtifactError
from fer_export.cli import main
from fer_train import checkpoint
from fer_train.loop import logits
from onnx_reference import load_reference

LABELS = ["calm", "glad", "tense"]
CODE = '''
from torch import nn

class SmileNet(nn.Sequential):
    """Half the size of a thumbnail, in colour."""
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.SiLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
        )
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Give a folder with a network's code, its state dict, its spec and its ONNX file with a fixed batch."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "smile_net.py").write_text(CODE)
    spec = {
        "name": "smile_net", "labels": LABELS, "task": "classification", "height": 32, "width": 24,
        "channels": 3, "mean": [123.7, 116.3, 103.5], "scale": [58.4, 57.1, 57.4],
    }  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        from smile_net import SmileNet

        torch.manual_seed(0)
        network = SmileNet().train()
        with torch.no_grad():
            network(torch.randn(8, 3, 32, 24))
        torch.save(network.eval().state_dict(), folder / "w.pth")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch
            program = torch.onnx.export(network, (torch.zeros(1, 3, 32, 24),), dynamo=True, verbose=False)
        program.save(folder / "smile.onnx")
    return folder


@pytest.fixture
def here(own, monkeypatch):
    monkeypatch.chdir(own)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return own


def faces(count: int = 20) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 24, 3), dtype=np.uint8)


def check_every_precision(folder, expected):
    """Run the engine on all that the artifact holds, against the reference's logits."""
    opened = Artifact.open(folder)
    assert list(opened.files) == ["fp32", "fp16", "int8", "int8-cpu"]
    assert opened.spec.labels == tuple(LABELS)
    for precision in opened.files:
        with Engine.load(folder, precision=precision) as engine:
            found = engine.logits(faces())
            assert engine.predict(faces()).labels == [LABELS[i] for i in found.argmax(1)]
        tolerance = {"fp32": 1e-4, "fp16": 1e-2}.get(precision, 0.1)
        np.testing.assert_allclose(found, expected, atol=tolerance * np.ptp(expected))
    return opened.manifest


@pytest.mark.usefixtures("here")
def test_a_module_makes_the_whole_trip(small, tmp_path):
    output = tmp_path / "a"
    argv = [
        "--module",
        "smile_net:SmileNet",
        "--checkpoint",
        "w.pth",
        "--spec",
        "spec.json",
        "--fp16",
        "--int8",
    ]
    argv += ["--data", str(small), "--calibration-size", "64", "--force", "--output", str(output)]
    assert main(argv) == 0
    network, spec = checkpoint.load(output / "checkpoint", "smile_net:SmileNet")
    manifest = check_every_precision(output, logits(network, spec, faces()))
    assert manifest.made.checkpoint.module == "smile_net:SmileNet"
    assert manifest.made.calibration["source"] == (
        "small.npz Training, stratified, n=64, resized to 32x24, gray as RGB"
    )
    manifest = json.loads((output / MANIFEST_NAME).read_text())
    del manifest["files"]["int8"]
    (output / MANIFEST_NAME).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="'fer-export --module smile_net:SmileNet --checkpoint"):
        Engine.load(output, precision="int8")
    report = (output / "report.md").read_text()
    assert "the reference is PyTorch in float32" in report
    assert "without its labels: the network has others" in report


@pytest.mark.usefixtures("here")
def test_labels_of_ones_own_are_compared(tmp_path):
    count = 60
    np.savez(
        tmp_path / "own.npz",
        images=faces(count),
        labels=(np.arange(count) % 3).astype(np.uint8),
        usage=np.where(np.arange(count) < 30, "Training", "PublicTest"),
    )
    argv = ["--module", "smile_net:SmileNet", "--checkpoint", "w.pth", "--spec", "spec.json"]
    argv += ["--data", str(tmp_path / "own.npz"), "--labels", ",".join(LABELS), "--min-accuracy", "0.5"]
    assert main([*argv, "--output", str(tmp_path / "a")]) == 0
    manifest = Artifact.open(tmp_path / "a").manifest
    assert manifest.gate.answers == "accuracy"
    assert manifest.verification["fp32"]["samples"] == "own.npz PublicTest, n=30"


@pytest.mark.usefixtures("here")
def test_a_regression_is_judged_by_agreement(tmp_path, error_of):
    count = 60
    np.savez(
        tmp_path / "own.npz",
        images=faces(count),
        labels=np.random.default_rng(2).standard_normal((count, 3)).astype(np.float32),
        usage=np.where(np.arange(count) < 30, "Training", "PublicTest"),
    )
    spec = json.loads(Path("spec.json").read_text()) | {"task": "regression"}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    argv = ["--module", "smile_net:SmileNet", "--checkpoint", "w.pth", "--spec", tmp_path / "spec.json"]
    argv += ["--data", tmp_path / "own.npz", "--labels", ",".join(LABELS), "--output", tmp_path / "a"]
    assert "--min-accuracy needs labels, and a classification" in error_of([*argv, "--min-accuracy", 0.5])
    assert main([str(word) for word in [*argv, "--min-agreement", 0.5]]) == 0
    gate = Artifact.open(tmp_path / "a").manifest.gate
    assert (gate.answers, gate.thresholds["agreement"]) == ("agreement", 0.5)


def test_an_onnx_file_makes_the_whole_trip(here, small, tmp_path):
    output = tmp_path / "a"
    argv = ["--onnx", "smile.onnx", "--outputs", "logits", "--spec", "spec.json", "--fp16", "--int8"]
    argv += ["--data", str(small), "--calibration-size", "64", "--force", "--output", str(output)]
    assert main(argv) == 0
    manifest = check_every_precision(output, load_reference(output / "checkpoint").logits(faces()))
    made = manifest.made.checkpoint
    assert (made.path, made.outputs) == ("smile.onnx", "logits")
    assert made.extra["file_sha256"] == hashlib.sha256((here / "smile.onnx").read_bytes()).hexdigest()
    assert (
        "the reference is the given ONNX file in ONNX Runtime in float32"
        in (output / "report.md").read_text()
    )


@pytest.mark.usefixtures("here")
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, error_of):
    output = tmp_path / "a"
    module, spec = ["--module", "smile_net:SmileNet"], ["--spec", "spec.json"]
    onnx = ["--onnx", "smile.onnx"]
    cases = [
        ([*module, *onnx, *spec], "give one of --model, --module and --onnx, got --module and --onnx"),
        ([*module, "--checkpoint", "w.pth"], "--module needs --spec"),
        ([*module, *spec], "--module needs --checkpoint"),
        ([*onnx, *spec], "--onnx needs --outputs"),
        ([*onnx, *spec, "--outputs", "probabilities"], "gives no probabilities"),
        ([*onnx, *spec, "--outputs", "scores"], "outputs must be logits or probabilities"),
        ([*onnx, *spec, "--outputs", "logits", "--mean", 0], "--mean goes with --model, not with --onnx"),
        ([*onnx, *spec, "--checkpoint", "w.pth"], "--checkpoint goes with --model or --module"),
        (["--labels", "calm,tense"], "--labels are those of --data"),
        (spec, "--spec goes with --module or --onnx"),
        (["--outputs", "logits"], "--outputs goes with --onnx, not with --model"),
        (
            [*module, *spec, "--checkpoint", "w.pth", "--outputs", "logits"],
            "--outputs goes with --onnx, not with --module",
        ),
        ([*module, *spec, "--checkpoint", "none.pth"], "cannot read none.pth"),
        ([*module, *spec, "--checkpoint", "w.pth", "--int8"], "needs faces to calibrate"),
        ([*module, *spec, "--checkpoint", "w.pth", "--min-accuracy", 0.9], "--min-accuracy needs labels"),
        (["--module", "smile_net:Frown", *spec, "--checkpoint", "w.pth"], "cannot import smile_net:Frown"),
    ]
    for argv, text in cases:
        assert text in error_of([*argv, "--output", output]), argv
    assert not output.exists()
