"""fer-export with a face detector: from the command line to the engine, in every precision, and its gate."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_engine import Engine
from fer_engine.artifact.artifact import Artifact
from fer_export.cli import main
from fer_train import checkpoint
from fer_train.loop import logits
from tiny_detector import SPEC, pictures, tiny_detector


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """Give a folder with a detector's state dict and spec, and pictures."""
    folder = tmp_path_factory.mktemp("detector")
    torch.save(tiny_detector().state_dict(), folder / "w.pth")
    (folder / "spec.json").write_text(json.dumps(SPEC.to_json()))
    usage = np.repeat(["Training", "PublicTest"], [24, 16])
    calibrated, verified = pictures(24, seed=9), pictures(16, seed=8)
    for name, contrast in {"pictures": 1.0, "faint": 0.7, "flat": 0.05}.items():
        images = ((calibrated - 128.0) * contrast + 128).astype(np.uint8)
        np.savez(folder / f"{name}.npz", images=np.concatenate([images, verified]), usage=usage)
    return folder


def command(own: Path, output: Path, *more: object) -> list[str]:
    argv = ["--module", "tiny_detector:TinyDetector", "--checkpoint", own / "w.pth"]
    argv += ["--spec", own / "spec.json", "--output", output]
    return [str(word) for word in [*argv, *more]]


@pytest.fixture(scope="module")
def exported(own, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("artifact") / "a"
    argv = command(own, output, "--fp16", "--int8", "--data", own / "pictures.npz", "--max-batch", 8)
    assert main([*argv, "--min-speed", "0"]) == 0
    return output


def test_every_precision_passes_and_the_engine_runs_it(exported):
    artifact = Artifact.open(exported)
    assert list(artifact.files) == ["fp32", "fp16", "int8", "int8-cpu"]
    assert artifact.gate.refusals() == {}
    assert (artifact.gate.answers, artifact.gate.thresholds["agreement_fp16"]) == ("agreement", 0.995)
    network, spec = checkpoint.load(artifact.checkpoint, "tiny_detector:TinyDetector")
    expected = logits(network, spec, pictures(5))
    for precision in artifact.files:
        with Engine.load(exported, precision=precision) as engine:
            found = engine.logits(pictures(5))
        scores, wanted = (outputs.reshape(5, -1, 5)[..., 0] for outputs in (found, expected))
        tolerance = {"fp32": 1e-4, "fp16": 1e-2}.get(precision, 0.2)
        np.testing.assert_allclose(scores, wanted, atol=tolerance * np.ptp(wanted))


def test_plans_are_built_from_its_graphs(exported, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed (Linux and Windows on x86-64)")
    argv = ["tensorrt", "--artifact", exported, "--tensorrt-rtx", "--target", "8.9", "--engines", tmp_path]
    assert main([str(word) for word in argv]) == 0
    plans = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert {plan["precision"] for plan in plans} == {"fp32", "fp16", "int8"}
    layers = {plan["precision"]: plan["layers"] for plan in plans}
    assert layers["fp32"] == {"fp32": 1.0}
    assert layers["int8"] == {"fp32": pytest.approx(3 / 8), "int8": pytest.approx(5 / 8)}


def test_the_record_and_the_report_tell_of_boxes(exported):
    verification = json.loads((exported / "manifest.json").read_text())["verification"]
    parity = verification["int8"]["parity"]
    assert parity.keys() == {
        "pictures", "agreement", "changed", "found", "reference_found", "max_score_difference",
        "mean_score_difference", "score_range", "likely", "max_box_error", "mean_box_error",
    }  # fmt: skip
    assert parity["pictures"] == 16
    assert parity["reference_found"] > 100
    assert 0 < parity["mean_box_error"] < 2
    report = (exported / "report.md").read_text()
    assert "| boxes that both find | boxes found | largest and mean score difference |" in report
    assert "Measured on pictures.npz PublicTest, n=16; the reference is PyTorch in float32." in report
    assert "of the boxes are those of the reference" in report


def test_the_gate_refuses_int8_that_loses_boxes(own, tmp_path, capsys):
    output = tmp_path / "a"
    argv = command(own, output, "--int8", "--data", own / "faint.npz", "--max-batch", 8, "--min-speed", 0)
    assert main([*argv, "--strict"]) == 3
    (refused,) = (line for line in capsys.readouterr().err.splitlines() if "refused: int8: " in line)
    assert "of the boxes are those of the reference" in refused
    assert "at least 97.00% is required" in refused
    assert "int8" not in Artifact.open(output).files


def test_int8_of_wrong_ranges_is_an_error(own, tmp_path, error_of):
    error = error_of(command(own, tmp_path / "a", "--int8", "--data", own / "flat.npz", "--max-batch", 8))
    assert "int8 graph of tiny_detector differs from the reference by" in error
    assert not (tmp_path / "a").exists()


def test_layers_are_left_in_float_until_the_boxes_agree(own, tmp_path):
    output = tmp_path / "a"
    argv = command(own, output, "--int8", "--data", own / "pictures.npz", "--max-batch", 4, "--force")
    assert main([*argv, "--float-layers", "0.999", "--report"]) == 0
    made = Artifact.open(output).manifest.made.int8
    assert made["float_layers"]["agreement"] >= 0.999
    assert "heads.0" not in {layer["name"] for layer in made["sensitivity"]["layers"]}
    assert "| bias correction | " in (output / "report.md").read_text()


def test_without_data_pictures_are_made(own, tmp_path):
    assert main(command(own, tmp_path / "a", "--max-batch", 4)) == 0
    verification = Artifact.open(tmp_path / "a").manifest.verification["fp32"]
    assert verification["samples"].startswith("synthetic pictures with faces, seed 0, n=")
    assert verification["parity"]["agreement"] == 1.0


def test_bad_input_is_one_line_and_exit_code_2(own, tmp_path, small, error_of):
    output = tmp_path / "a"
    data = ["--data", own / "pictures.npz"]
    for more, text in [
        (["--data", small], "the detector takes uint8 [n, 96, 96]"),
        (["--data", own], "pictures for a detector come as an .npz file"),
        ([*data, "--labels", "face"], "--labels is for labelled faces, tiny_detector takes pictures"),
        ([*data, "--min-accuracy", 0.9], "--min-accuracy needs labels"),
        (["--int8"], "needs faces to calibrate"),
    ]:
        assert text in error_of(command(own, output, *more)), more
    assert not output.exists()


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
