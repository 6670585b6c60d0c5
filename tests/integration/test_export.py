"""fer-export as a user runs it: the artifact that it writes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import torch

from fer_engine.artifact.artifact import Artifact
from fer_export.cli import main
from fer_export.int8.make import Int8Options
from fer_export.pipeline import ExportOptions, export_model
from fer_export.report import render
from fer_train import checkpoint
from fer_train.models import find_model


def test_the_artifact_holds_what_its_manifest_says(artifact, content):
    opened = Artifact.open(artifact)
    assert list(opened.files) == ["fp32", "fp16", "int8", "int8-cpu"]
    for precision, file in opened.files.items():
        data = opened.read_graph(precision)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
    # Other tests share the artifact, and an engine that chooses by itself keeps its probe there.
    assert set(content(artifact)) - {"probes.json"} == {
        "manifest.json", "model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx",
        "calibration.json", "report.md",
        "checkpoint/model.safetensors", "checkpoint/spec.json",
    }  # fmt: skip
    assert opened.spec.checkpoint_sha256 == checkpoint.load(artifact / "checkpoint")[1].checkpoint_sha256
    assert sorted(path.name for path in artifact.parent.iterdir()) == [artifact.name]


def test_the_report_is_made_from_the_manifest_alone(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    text = (artifact / "report.md").read_text()
    assert text == render(manifest)
    assert "synthetic faces, seed 0" in text
    assert f"{manifest['verification']['int8']['parity']['agreement']:.2%}" in text


def test_verification_is_on_record_for_every_precision(artifact):
    verification = Artifact.open(artifact).manifest.verification
    assert verification["fp32"]["difference"] <= 1e-4
    assert verification["fp32"]["batches"] == [1, 3, 64]
    assert verification["fp16"]["declared"] == {"fp16": 1.0}
    assert verification["int8"]["declared"] == {"int8": 1.0}
    assert (verification["int8"]["quantize_nodes"], verification["int8"]["dequantize_nodes"]) == (23, 46)
    assert verification["int8"]["multiply_adds"] == 5_520_448
    assert verification["int8-cpu"]["executed"]["onnxruntime"]["multiply_adds"] == {"int8": 1.0}


def test_the_same_input_gives_the_same_graphs(artifact, tmp_path):
    again = export_model(
        ExportOptions("mini_xception", tmp_path / "again", fp16=True, int8=Int8Options(), force=True)
    )
    first, second = Artifact.open(artifact), again
    assert first.files == second.files


def test_a_foreign_state_dict_needs_its_normalization(small, tmp_path, error_of):
    torch.manual_seed(1)
    path = tmp_path / "w.pth"
    torch.save(find_model("mini_xception").build(find_model("mini_xception").spec).state_dict(), path)
    output = tmp_path / "a"
    assert "--mean and --scale" in error_of(["--checkpoint", path, "--output", output])
    normalization = ["--mean", 0, "--scale", 255]
    assert "--int8 needs faces" in error_of(
        ["--checkpoint", path, *normalization, "--int8", "--output", output]
    )
    assert not output.exists()
    argv = ["--checkpoint", path, *normalization, "--int8", "--data", small, "--calibration-size", 64]
    assert main([str(word) for word in ["onnx", *argv, "--quiet", "--output", output]]) == 0
    spec = Artifact.open(output).spec
    assert spec.scale == (255.0,)
    assert spec.checkpoint_sha256 == checkpoint.load(output / "checkpoint")[1].checkpoint_sha256


def test_a_checkpoint_folder_says_which_network_it_holds(tmp_path):
    folder = checkpoint.pretrained("fer_nano")
    argv = ["--checkpoint", folder, "--max-batch", 2, "--quiet", "--output", tmp_path / "a"]
    assert main([str(word) for word in argv]) == 0
    assert Artifact.open(tmp_path / "a").spec.name == "fer_nano"


def test_help_needs_no_extras():
    code = (
        "import sys; sys.modules.update(torch=None, onnx=None, onnxruntime=None, cv2=None, rich=None)\n"
        "from fer_export.cli import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--calibration-method" in done.stdout
    assert "'fer-export tensorrt' do one of the two" in " ".join(done.stdout.split())
