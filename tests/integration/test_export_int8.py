"""INT8 as a user of fer-export asks for it: calibration, its report, weights that were trained for it."""

from __future__ import annotations

import hashlib

import onnx
import pytest
from onnx import numpy_helper

from fer_engine.artifact.artifact import Artifact
from fer_export.cli import main
from fer_export.int8.make import Int8Options
from fer_export.pipeline import ExportOptions, export_model
from fer_train import checkpoint, qat, synthetic
from fer_train.checkpoint import Quantization
from fer_train.data import load_dataset
from fer_train.sampling import stratified


def test_the_command_calibrates_and_verifies_on_a_dataset(small, tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--int8", "--data", small, "--calibration-size", 70, "--calibration-method", "max"]
    argv += ["--max-batch", 5, "--output", output]
    assert main([str(word) for word in argv]) == 0
    assert f"artifact: {output}" in capsys.readouterr().out
    manifest = Artifact.open(output).manifest
    assert manifest.made.calibration["samples"] == 70
    assert manifest.made.int8 == {"method": "max"}
    assert manifest.verification["int8"]["samples"] == "small.npz PublicTest, n=70"
    assert manifest.verification["int8"]["batches"] == [1, 3, 5]
    assert manifest.verification["int8"]["parity"]["labelled"]["accuracy"] <= 1


def test_a_report_says_what_each_step_bought_and_each_layer_costs(small, tmp_path):
    output = tmp_path / "a"
    argv = ["--int8", "--report", "--data", small, "--calibration-size", 70, "--force", "--output", output]
    assert main([str(word) for word in argv]) == 0
    made = Artifact.open(output).manifest.made.int8
    assert list(made["steps"]) == [
        "ranges by max", "ranges by mse", "equalization", "bias correction", "the CPU file instead",
    ]  # fmt: skip
    assert all(0 < step["agreement"] <= 1 for step in made["steps"].values())
    assert len(made["sensitivity"]["layers"]) == 23
    text = (output / "report.md").read_text()
    for name in ("ranges by max", "bias correction", "trunk.0.body.0.1"):
        assert f"| {name} | " in text


def test_weights_trained_for_int8_are_exported_with_their_ranges(tmp_path, error_of):
    network, spec = checkpoint.load(checkpoint.pretrained("mini_xception"))
    ranges = qat.measure_input_ranges(network, spec, synthetic.faces(64, seed=0))
    tuned = checkpoint.save(tmp_path / "tuned", network, spec, Quantization(ranges, spec.checkpoint_sha256))
    output = tmp_path / "a"
    argv = ["--int8", "--qat", str(tmp_path / "tuned"), "--force", "--output", str(output)]
    assert main(argv) == 0
    manifest = Artifact.open(output).manifest
    assert manifest.made.int8["checkpoint_sha256"] == tuned.checkpoint_sha256
    assert manifest.made.int8["ranges"] == ranges
    graph = onnx.load(output / "model.int8.onnx").graph
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    assert len(ranges) == 23
    for layer, reach in ranges.items():
        assert constants[f"{layer}.input.quantize.scale"] == pytest.approx(reach / 127)
    checkpoint.save(tmp_path / "foreign", network, spec, Quantization(ranges, "0" * 64))
    argv[2] = str(tmp_path / "foreign")
    assert "trained for INT8 from the checkpoint 000000000000" in error_of(argv)


def test_layers_are_left_in_float_until_the_agreement_is_reached(small, tmp_path):
    output = tmp_path / "a"
    argv = ["--int8", "--float-layers", 1.0, "--data", small, "--calibration-size", 70, "--force"]
    assert main([str(word) for word in [*argv, "--output", output]]) == 0
    manifest = Artifact.open(output).manifest
    chosen = manifest.made.int8["float_layers"]
    assert chosen["agreement"] == 1.0
    assert 0 < chosen["share"] < 1
    declared = manifest.verification["int8"]["declared"]
    assert declared["fp32"] == pytest.approx(chosen["share"])


def test_calibration_of_the_test_splits_is_impossible(small, tmp_path):
    """The samples' hash on record is that of faces of Training."""
    dataset = load_dataset(small)
    exported = export_model(
        ExportOptions("mini_xception", tmp_path / "a", int8=Int8Options(), dataset=dataset)
    )
    faces, labels = dataset.split("Training")
    rows = stratified(labels, len(labels), 0)  # all: there are fewer than are taken of more
    made = exported.manifest.made.calibration
    assert made["samples_sha256"] == hashlib.sha256(faces[rows].tobytes()).hexdigest()
