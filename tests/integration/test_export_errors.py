"""What goes wrong in fer-export: bad input, a full disk, Ctrl-C, kill -9 in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from fer_engine.artifact.artifact import Artifact
from fer_train import checkpoint
from fer_train.checkpoint import PRETRAINED

COMMAND = [sys.executable, "-c", "import sys; from fer_export.cli import main; sys.exit(main())"]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, small, error_of):
    output = tmp_path / "a"
    cases = [
        (["--model", "nope"], "unknown model 'nope'; known: "),
        (["--model", "fer_teacher"], "no checkpoint of 'fer_teacher' ships"),
        (
            ["--checkpoint", tmp_path / "none.pth", "--mean", 0, "--scale", 1],
            "none.pth: no such file or folder",
        ),
        (["--checkpoint", tmp_path / "none"], "none: no such file or folder"),
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
        (["--tensorrt", "--engine-precision", "int8"], "add --int8, or give --artifact"),
    ]
    for argv, text in cases:
        assert text in error_of([*argv, "--output", output]), argv
    assert not output.exists()


def test_a_folder_that_is_no_artifact_is_not_replaced(tmp_path, error_of):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("keep me")
    assert "is no artifact folder" in error_of(["--output", tmp_path / "letters"])
    assert (tmp_path / "letters" / "dear.txt").read_text() == "keep me"


def test_an_output_below_a_file_is_refused(tmp_path, error_of):
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in error_of(["--output", tmp_path / "file" / "a"])


def test_a_failure_while_writing_leaves_the_earlier_artifact(
    artifact, tmp_path, monkeypatch, error_of, content
):
    output = tmp_path / "mini_xception"
    shutil.copytree(artifact, output)
    before = content(output)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    assert "No space left on device" in error_of(["--output", output])
    assert content(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mini_xception"]


def test_an_export_killed_at_any_moment_leaves_a_whole_artifact(artifact, tmp_path, content):
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
        found = Artifact.open(output)
        for precision in found.files:
            found.read_graph(precision)
        checkpoint.load(output / "checkpoint")
        if "fp16" in found.files:  # the new one has none
            assert content(output) == before


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one child alone")
def test_ctrl_c_ends_with_one_line_and_changes_nothing(artifact, tmp_path, content):
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


def test_the_root_of_the_file_system_is_no_output(error_of):
    assert "is no artifact folder" in error_of(["--output", os.sep])
