"""fer-export as a user runs it: the artifact, kill -9 in the middle, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from fer_engine import Engine
from fer_engine.errors import ArtifactError
from fer_engine.manifest import Manifest
from fer_export.cli import main
from fer_export.int8 import Int8Options
from fer_export.pipeline import ExportOptions, export_model
from fer_export.report import render
from fer_train import checkpoint, qat, synthetic
from fer_train.checkpoint import PRETRAINED, Quantization
from fer_train.data import load
from fer_train.models import find

COMMAND = [sys.executable, "-c", "import sys; from fer_export.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    count = 210
    np.savez(
        path,
        images=np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8),
        labels=(np.arange(count) % 7).astype(np.uint8),
        usage=np.where(np.arange(count) < 140, "Training", "PublicTest"),
    )
    return path


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def error_of(capsys, argv) -> str:
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in error
    return error


def test_the_artifact_holds_what_its_manifest_says(artifact):
    manifest = Manifest.load(artifact)
    assert list(manifest.files) == ["fp32", "fp16", "int8", "int8-cpu"]
    for precision, file in manifest.files.items():
        data = manifest.read_model(artifact, precision)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
    assert set(content(artifact)) == {
        "manifest.json", "model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx",
        "calibration.json", "report.md",
        "checkpoint/model.safetensors", "checkpoint/spec.json",
    }  # fmt: skip
    assert manifest.spec.checkpoint_sha256 == checkpoint.load(artifact / "checkpoint")[1].checkpoint_sha256
    assert sorted(path.name for path in artifact.parent.iterdir()) == [artifact.name]


def test_the_report_is_made_from_the_manifest_alone(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    text = (artifact / "report.md").read_text()
    assert text == render(manifest)
    assert "synthetic faces, seed 0" in text
    assert f"{manifest['verification']['int8']['parity']['agreement']:.2%}" in text


def test_verification_is_on_record_for_every_precision(artifact):
    verification = Manifest.load(artifact).verification
    assert verification["fp32"]["difference"] <= 1e-4
    assert verification["fp32"]["batches"] == [1, 3, 64]
    assert verification["fp16"]["declared"] == {"fp16": 1.0}
    assert verification["int8"]["declared"] == {"int8": 1.0}
    assert (verification["int8"]["quantize_nodes"], verification["int8"]["dequantize_nodes"]) == (23, 46)
    assert verification["int8"]["multiply_adds"] == 5_520_448
    assert verification["int8-cpu"]["executed"]["onnxruntime"]["multiply_adds"] == {"int8": 1.0}


def test_the_command_calibrates_and_verifies_on_a_dataset(small, tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--int8", "--data", small, "--calibration-size", 70, "--calibration-method", "max"]
    argv += ["--max-batch", 5, "--output", output]
    assert main([str(word) for word in argv]) == 0
    assert f"artifact: {output}" in capsys.readouterr().out
    manifest = Manifest.load(output)
    assert manifest.made["calibration"]["samples"] == 70
    assert manifest.made["int8"] == {"method": "max"}
    assert manifest.verification["int8"]["samples"] == "FER2013 PublicTest, n=70"
    assert manifest.verification["int8"]["batches"] == [1, 3, 5]
    assert manifest.verification["int8"]["parity"]["labelled"]["accuracy"] <= 1


def test_a_report_says_what_each_step_bought_and_each_layer_costs(small, tmp_path):
    output = tmp_path / "a"
    argv = ["--int8", "--report", "--data", small, "--calibration-size", 70, "--force", "--output", output]
    assert main([str(word) for word in argv]) == 0
    made = Manifest.load(output).made["int8"]
    assert list(made["steps"]) == [
        "ranges by max", "ranges by mse", "equalization", "bias correction", "the CPU file instead",
    ]  # fmt: skip
    assert all(0 < step["agreement"] <= 1 for step in made["steps"].values())
    assert len(made["sensitivity"]["layers"]) == 23
    text = (output / "report.md").read_text()
    for name in ("ranges by max", "bias correction", "trunk.0.body.0.1"):
        assert f"| {name} | " in text


def test_weights_trained_for_int8_are_exported_with_their_ranges(tmp_path, capsys):
    network, spec = checkpoint.load(checkpoint.pretrained("mini_xception"))
    ranges = qat.measure_ranges(network, spec, synthetic.faces(64, seed=0))
    tuned = checkpoint.save(tmp_path / "tuned", network, spec, Quantization(ranges, spec.checkpoint_sha256))
    output = tmp_path / "a"
    argv = ["--int8", "--qat", str(tmp_path / "tuned"), "--force", "--output", str(output)]
    assert main(argv) == 0
    manifest = Manifest.load(output)
    assert manifest.made["int8"]["checkpoint_sha256"] == tuned.checkpoint_sha256
    assert manifest.made["int8"]["ranges"] == ranges
    graph = onnx.load(output / "model.int8.onnx").graph
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    assert len(ranges) == 23
    for layer, reach in ranges.items():
        assert constants[f"{layer}.input.step"] == pytest.approx(reach / 127)
    checkpoint.save(tmp_path / "foreign", network, spec, Quantization(ranges, "0" * 64))
    argv[2] = str(tmp_path / "foreign")
    assert "trained for INT8 from the checkpoint 000000000000" in error_of(capsys, argv)


def test_layers_are_left_in_float_until_the_agreement_is_reached(small, tmp_path):
    output = tmp_path / "a"
    argv = ["--int8", "--float-layers", 1.0, "--data", small, "--calibration-size", 70, "--force"]
    assert main([str(word) for word in [*argv, "--output", output]]) == 0
    manifest = Manifest.load(output)
    chosen = manifest.made["int8"]["float_layers"]
    assert chosen["agreement"] == 1.0
    assert 0 < chosen["share"] < 1
    declared = manifest.verification["int8"]["declared"]
    assert declared["fp32"] == pytest.approx(chosen["share"])


def test_the_same_input_gives_the_same_graphs(artifact, tmp_path):
    again = export_model(
        ExportOptions("mini_xception", tmp_path / "again", fp16=True, int8=Int8Options(), force=True)
    )
    first, second = Manifest.load(artifact), Manifest.load(again)
    assert first.files == second.files


def test_what_the_gate_refuses_is_not_kept_and_its_reason_is(tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--fp16", "--min-speed", "1000", "--output", str(output)]
    assert main(argv) == 0
    assert "refused: fp16: " in capsys.readouterr().err
    manifest = Manifest.load(output)
    assert list(manifest.files) == ["fp32"]
    assert not (output / "model.fp16.onnx").exists()
    verdict = manifest.gate["verdicts"]["fp16"]
    assert not verdict["accepted"]
    assert verdict["trials"]["onnxruntime"]["speed"] > 0
    assert "| fp16 | refused | " in (output / "report.md").read_text()
    with pytest.raises(ArtifactError, match=r"the gate refused it: .*1000.00x is asked.*--force"):
        Engine.load(output, precision="fp16")


def test_force_keeps_what_is_refused_and_strict_says_so(tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--fp16", "--min-speed", "1000", "--force", "--strict", "--output", str(output)]
    assert main(argv) == 3
    assert "refused: fp16: " in capsys.readouterr().err
    manifest = Manifest.load(output)
    assert list(manifest.files) == ["fp32", "fp16"]
    assert manifest.accepted() == ("fp32",)
    with Engine.load(output, precision="fp16") as engine:
        assert engine.info.precision == "fp16"
    with Engine.load(output, precision="auto") as engine:
        assert engine.info.precision == "fp32"


def test_strict_accepts_what_the_gate_accepts(tmp_path):
    argv = ["--fp16", "--min-speed", "0", "--strict", "--output", str(tmp_path / "a")]
    assert main(argv) == 0
    assert Manifest.load(tmp_path / "a").accepted() == ("fp32", "fp16")


def test_a_foreign_state_dict_needs_its_normalization(small, tmp_path, capsys):
    torch.manual_seed(1)
    path = tmp_path / "w.pth"
    torch.save(find("mini_xception").build(find("mini_xception").spec).state_dict(), path)
    output = tmp_path / "a"
    assert "--mean and --scale" in error_of(capsys, ["--checkpoint", path, "--output", output])
    normalization = ["--mean", 0, "--scale", 255]
    assert "--int8 needs faces" in error_of(
        capsys, ["--checkpoint", path, *normalization, "--int8", "--output", output]
    )
    assert not output.exists()
    argv = ["--checkpoint", path, *normalization, "--int8", "--data", small, "--calibration-size", 64]
    assert main([str(word) for word in [*argv, "--output", output]]) == 0
    spec = Manifest.load(output).spec
    assert spec.scale == (255.0,)
    assert spec.checkpoint_sha256 == checkpoint.load(output / "checkpoint")[1].checkpoint_sha256


def test_an_export_killed_at_any_moment_leaves_a_whole_artifact(artifact, tmp_path):
    """The earlier one, or, where the kill came too late, the new one: never a mixture."""
    output = tmp_path / "mini_xception"
    shutil.copytree(artifact, output)
    before = content(output)
    for wait in (2.0, 5.0):
        process = subprocess.Popen(
            [*COMMAND, "--int8", "--output", str(output)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        process.kill()
        process.wait()
        manifest = Manifest.load(output)
        for precision in manifest.files:
            manifest.read_model(output, precision)
        checkpoint.load(output / "checkpoint")
        if "fp16" in manifest.files:  # the new one has none
            assert content(output) == before


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one child alone")
def test_ctrl_c_ends_with_one_line_and_changes_nothing(artifact, tmp_path):
    output = tmp_path / "mini_xception"
    shutil.copytree(artifact, output)
    before = content(output)
    process = subprocess.Popen(
        [*COMMAND, "--int8", "--output", str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "export to ONNX" in process.stderr.readline()  # under way now
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr.read().splitlines()[-1] == "interrupted"
    process.stderr.close()
    assert content(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mini_xception"]


def test_a_failure_while_writing_leaves_the_earlier_artifact(artifact, tmp_path, monkeypatch, capsys):
    output = tmp_path / "mini_xception"
    shutil.copytree(artifact, output)
    before = content(output)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    assert "No space left on device" in error_of(capsys, ["--output", output])
    assert content(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mini_xception"]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, small, capsys):
    output = tmp_path / "a"
    cases = [
        (["--model", "nope"], "unknown model 'nope'; known: "),
        (["--model", "fer_teacher"], "no checkpoint of 'fer_teacher' ships"),
        (["--checkpoint", tmp_path / "none.pth", "--mean", 0, "--scale", 1], "cannot read"),
        (["--checkpoint", tmp_path], "cannot read"),
        (["--data", tmp_path / "none.csv"], "no such file"),
        (["--int8", "--calibration-method", "best"], "unknown calibration method 'best'"),
        (["--int8", "--data", small, "--calibration-size", 0], "calibration_size must be at least 1"),
        (["--int8", "--float-layers", 99], "must be in (0, 1], got 99"),
        (["--int8", "--report"], "need faces to measure on: give FER2013 with --data"),
        (["--int8", "--qat", tmp_path, "--float-layers", 0.99], "give --qat or --float-layers"),
        (["--calibration-method", "mse"], "say --int8 as well"),
        (["--int8", "--calibration-size", 64], "--calibration-size needs faces"),
        (["--int8", "--qat", tmp_path, "--calibration-method", "mse"], "training chose the ranges"),
        (["--min-agreement", 0.9, "--data", small], "with --data use --min-accuracy"),
        (["--max-batch", 0], "max_batch must be at least 1"),
        (["--int8", "--data", small, "--calibration-size", 5000], "5000"),
        (["--min-accuracy", 0.9], "--min-accuracy needs labels"),
        (["--min-accuracy", 99, "--data", small], "the gate's accuracy must be in [0, 1]"),
        (["--int8", "--qat", tmp_path / "none"], "cannot read"),
        (["--int8", "--qat", PRETRAINED / "mini_xception"], "expected one of 'fer-train --qat'"),
        (["--mean", 0, "--scale", 255], "a checkpoint folder has its own"),
    ]
    for argv, text in cases:
        assert text in error_of(capsys, [*argv, "--output", output]), argv
    assert not output.exists()


def test_a_folder_that_is_no_artifact_is_not_replaced(tmp_path, capsys):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("keep me")
    assert "is no artifact folder" in error_of(capsys, ["--output", tmp_path / "letters"])
    assert (tmp_path / "letters" / "dear.txt").read_text() == "keep me"


def test_an_output_below_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in error_of(capsys, ["--output", tmp_path / "file" / "a"])


def test_calibration_of_the_test_splits_is_impossible(small, tmp_path):
    """The samples' hash on record is that of faces of Training."""
    dataset = load(small)
    folder = export_model(
        ExportOptions("mini_xception", tmp_path / "a", int8=Int8Options(size=140), dataset=dataset)
    )
    faces, labels = dataset.split("Training")
    from fer_train.sampling import stratified

    rows = stratified(labels, 140, 0)
    made = Manifest.load(folder).made["calibration"]
    assert made["samples_sha256"] == hashlib.sha256(faces[rows].tobytes()).hexdigest()


def test_help_needs_no_extras():
    code = (
        "import sys; sys.modules.update(torch=None, onnx=None, onnxruntime=None, cv2=None, rich=None)\n"
        "from fer_export.cli import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--calibration-method" in done.stdout
