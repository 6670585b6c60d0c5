"""The gate of fer-export as a user meets it: refused, forced, strict."""

from __future__ import annotations

import pytest

from fer_engine import Engine
from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import ArtifactError
from fer_export.cli import main


def test_what_the_gate_refuses_is_not_kept_and_its_reason_is(tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--fp16", "--min-speed", "1000", "--output", str(output)]
    assert main(argv) == 0
    assert "refused: fp16: " in capsys.readouterr().err
    opened = Artifact.open(output)
    assert list(opened.files) == ["fp32"]
    assert not (output / "model.fp16.onnx").exists()
    verdict = opened.gate.verdicts["fp16"]
    assert not verdict.accepted
    assert verdict.trials["onnxruntime"].speed > 0
    assert "| fp16 | refused | " in (output / "report.md").read_text()
    with pytest.raises(ArtifactError, match=r"the gate refused it: .*1000.00x is required.*--force"):
        Engine.load(output, precision="fp16")


def test_force_keeps_what_is_refused_and_strict_says_so(tmp_path, capsys):
    output = tmp_path / "a"
    argv = ["--fp16", "--min-speed", "1000", "--force", "--strict", "--output", str(output)]
    assert main(argv) == 3
    assert "refused: fp16: " in capsys.readouterr().err
    opened = Artifact.open(output)
    assert list(opened.files) == ["fp32", "fp16"]
    assert opened.accepted() == ("fp32",)
    with Engine.load(output, precision="fp16") as engine:
        assert engine.info.precision == "fp16"
    with Engine.load(output, precision="auto") as engine:
        assert engine.info.precision == "fp32"


def test_strict_accepts_what_the_gate_accepts(tmp_path):
    argv = ["--fp16", "--min-speed", "0", "--strict", "--output", str(tmp_path / "a")]
    assert main(argv) == 0
    assert Artifact.open(tmp_path / "a").accepted() == ("fp32", "fp16")
