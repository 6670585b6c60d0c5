"""fer-train as a user runs it: whole runs, kill -9 at bad moments, bad input."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fer_train import checkpoint
from fer_train.cli import main

COMMAND = [sys.executable, "-c", "import sys; from fer_train.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    random, count = np.random.default_rng(0), 1200
    usage = np.where(np.arange(count) % 6 == 0, "PublicTest", "Training")
    np.savez(
        path,
        images=random.integers(0, 256, (count, 48, 48), dtype=np.uint8),
        labels=(np.arange(count) % 7).astype(np.uint8),
        usage=usage,
    )
    return path


def arguments(data, output, epochs=3):
    return ["--data", str(data), "--output", str(output), "--epochs", str(epochs), "--batch-size", "32"]


def test_a_run_leaves_checkpoint_log_and_figures(data, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(arguments(data, output, epochs=2)) == 0
    assert "best checkpoint" in capsys.readouterr().out
    with (output / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["train_loss"]) > 0
    for name in ("curves.png", "confusion.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (output / "best").iterdir()) == ["model.safetensors", "spec.json"]
    assert not [path for path in output.rglob("*") if path.name.startswith(".")]


def test_votes_that_were_asked_for_and_are_not_there_are_an_error(data, tmp_path, capsys):
    """Before the first stage: the later one that mixes them in may be hours away."""
    asked = arguments(data, tmp_path / "run", epochs=1)
    expected = "small.npz has no votes: give FER+'s with --votes fer2013new.csv"
    assert expected in error_of(capsys, [*asked, "--vote-weight", "1"])
    stages = "".join(
        f'[[stage]]\nname = "{name}"\nmodel = "simple_cnn"\nvote_weight = {weight}\n'
        for name, weight in (("labels", 0.0), ("both", 0.3))
    )
    (tmp_path / "both.toml").write_text(stages)
    said = error_of(capsys, [*asked, "--recipe", str(tmp_path / "both.toml")])
    assert "a vote weight of 0.3 was asked for" in said
    assert not (tmp_path / "run").exists()
    assert main([*asked, "--vote-weight", "0"]) == 0


def test_votes_are_learned_and_measured(data, tmp_path, capsys):
    votes = np.zeros((1200, 10), np.uint8)
    votes[:, 1] = 10  # all see happiness
    votes[1:13:6] = 0
    votes[1:13:6, 9] = 10  # but in two faces of Training, where they see no face
    np.savez(tmp_path / "votes.npz", votes=votes)
    asked = [*arguments(data, tmp_path / "run", epochs=1), "--votes", str(tmp_path / "votes.npz")]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "votes of Training: 998 faces have some, 2 none" in said
    assert "2 faces of Training without a distribution of votes are left out" in said
    with (tmp_path / "run" / "log.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["validation_ferplus_accuracy"]) > 0.9 > float(row["validation_accuracy"])
    assert main([*asked, "--resume", "--vote-weight", "0.5"]) == 2
    assert "vote_weight 1.0 (now 0.5)" in capsys.readouterr().err
    assert main([*asked[:2], "--output", str(tmp_path / "b"), *asked[6:], "--vote-target", "mean"]) == 2
    assert "vote_target must be one of distribution, majority, got 'mean'" in capsys.readouterr().err


def test_faces_held_out_train_nothing_and_calibrate_the_result(data, tmp_path, capsys, monkeypatch):
    from fer_train import temperature
    from fer_train.data import load_dataset
    from fer_train.loop import Trainer

    dataset, seen = load_dataset(data), []
    run_epoch = Trainer.run_epoch

    def record(trainer, train, *others, **named):
        seen.append(train[0])
        return run_epoch(trainer, train, *others, **named)

    monkeypatch.setattr(Trainer, "run_epoch", record)
    asked = [*arguments(data, tmp_path / "run", epochs=2), "--model", "simple_cnn", "--hold-out", "0.1"]
    assert main([*asked, "--stop", "1"]) == 0
    first = capsys.readouterr().out
    held = temperature.held_out(dataset, 0.1)
    assert f"{held.sum()} faces of Training are held out" in first
    assert f"fitted on {held.sum()} held-out faces: expected calibration error" in first
    np.testing.assert_array_equal(seen[0], dataset.split("Training")[0][~held])
    assert main([*asked, "--resume"]) == 0
    resumed = (tmp_path / "run" / "best" / "spec.json").read_text()
    assert json.loads(resumed)["temperature"] > 0
    assert main([*asked, "--resume"]) == 0  # nothing is left to train: the same fit again
    assert main([*asked[:2], "--output", str(tmp_path / "whole"), *asked[4:]]) == 0
    for again in ("run", "whole"):
        assert (tmp_path / again / "best" / "spec.json").read_text() == resumed
    assert main([*asked[:-2], "--resume"]) == 2
    assert "hold_out 0.1 (now 0.0)" in capsys.readouterr().err
    assert "--qat keeps the answers" in error_of(capsys, [*asked, "--qat", "--model", "mini_xception"])


def test_a_finished_checkpoint_is_calibrated_without_training(data, tmp_path, capsys):
    shipped, output = checkpoint.PRETRAINED / "mini_xception", tmp_path / "calibrated"
    asked = ["--calibrate", "--init", str(shipped), "--data", str(data), "-o", str(output)]
    assert "say with --hold-out" in error_of(capsys, asked)
    assert "leave out --epochs" in error_of(capsys, [*asked, "--epochs", "3"])
    assert not output.exists()
    assert main([*asked, "--hold-out", "0.1"]) == 0
    assert f"calibrated checkpoint: {output}" in capsys.readouterr().out
    assert checkpoint.load(output)[1].temperature > 1  # the faces are noise, of which nothing can be sure
    assert (output / "calibration.json").exists()


def test_a_killed_run_resumes_to_the_bit(data, tmp_path):
    """Three kills, each as soon as a new state is there and the next epoch under way."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run([*COMMAND, *arguments(data, whole, 4)], check=True, capture_output=True)
    for finished in (0, 1, 2):
        resume = ["--resume"] if finished else []
        process = subprocess.Popen(
            [*COMMAND, *arguments(data, cut, 4), *resume],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"epoch {finished + 1}/4"):
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        process.wait()
        process.stdout.close()
    subprocess.run([*COMMAND, *arguments(data, cut, 4), "--resume"], check=True, capture_output=True)
    for folder in (whole, cut):
        assert (folder / "best" / "spec.json").exists()
    expected, found = (load_file(folder / "best" / "model.safetensors") for folder in (whole, cut))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (whole, cut)]
    for part in ("network", "average"):
        assert all(torch.equal(states[0][part][name], states[1][part][name]) for name in states[0][part])
    moments = [state["optimizer"]["state"] for state in states]
    assert all(
        torch.equal(moments[0][key]["exp_avg_sq"], moments[1][key]["exp_avg_sq"]) for key in moments[0]
    )


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one child alone")
def test_ctrl_c_ends_with_one_line_and_the_run_can_go_on(data, tmp_path):
    output = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, *arguments(data, output, 50)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1/50"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert not [path for path in output.rglob("*") if path.suffix == ".tmp"]
    assert torch.load(output / "state.pt", weights_only=True)["finished"] >= 1


def test_patience_stops_a_run_that_gets_no_better(data, tmp_path):
    output = tmp_path / "run"
    assert main([*arguments(data, output, 30), "--patience", "1", "--learning-rate", "1e-6"]) == 0
    with (output / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) < 30


def test_a_run_that_was_stopped_goes_on(data, tmp_path):
    output, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*arguments(data, output, 3), "--stop", "1"]) == 0
    asked = json.loads((output / "run.json").read_text())
    del asked["teacher_mirror"]  # as a release without that option would leave it
    (output / "run.json").write_text(json.dumps(asked))
    assert main([*arguments(data, output, 3), "--stop", "2", "--resume"]) == 0
    log = (output / "log.csv").read_text()
    assert len(log.splitlines()) == 3
    (output / "log.csv").unlink()  # as a kill leaves it right after the state is written
    assert main([*arguments(data, output, 3), "--stop", "2", "--resume"]) == 0
    assert (output / "log.csv").read_text() == log
    assert main([*arguments(data, output, 3), "--resume"]) == 0
    assert main(arguments(data, whole, 3)) == 0
    expected, found = (load_file(folder / "best" / "model.safetensors") for folder in (whole, output))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_classes_without_a_face_are_told_and_one_class_is_refused(tmp_path, capsys, caplog):
    random = np.random.default_rng(0)
    for name in ("calm", "tense"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for index in range(4):
            image = random.integers(0, 256, (48, 48), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "faces" / name / f"{index}.png"), image)
    argv = ["--data", str(tmp_path / "faces"), "--output", str(tmp_path / "run")]
    argv += ["--model", "simple_cnn", "--epochs", "1"]
    assert main([*argv, "--labels", "calm,tense,glad"]) == 0
    assert "no face of Training is glad: the network cannot learn it" in caplog.text
    for file in (tmp_path / "faces" / "calm").iterdir():
        file.unlink()
    told = error_of(capsys, [*argv, "--labels", "calm,tense", "--output", str(tmp_path / "other")])
    assert "has faces of 1 of the labels calm, tense, expected at least two" in told
    assert not (tmp_path / "other").exists()


def test_a_run_that_diverges_ends_with_an_error_and_keeps_no_such_weights(data, tmp_path, capsys):
    argv = [*arguments(data, tmp_path / "run", 3), "--model", "simple_cnn", "--learning-rate", "1e30"]
    assert "diverged; start anew in another --output with a lower --learning-rate" in error_of(capsys, argv)
    assert not (tmp_path / "run" / "best").exists()


def test_distillation_and_init_take_checkpoint_folders(data, tmp_path):
    first = tmp_path / "first"
    assert main(arguments(data, first, 1)) == 0
    best = str(first / "best")
    taught = [*arguments(data, tmp_path / "taught", 1), "--init", best, "--teacher", best, "--teacher", best]
    assert main(taught) == 0
    assert (tmp_path / "taught" / "best" / "spec.json").exists()


def error_of(capsys, argv) -> str:
    assert main(argv) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in error
    return error


def test_bad_input_is_one_line_and_exit_code_2(data, tmp_path, capsys):
    output = tmp_path / "run"
    assert "--data is missing" in error_of(capsys, ["--output", str(output)])
    assert "no such file" in error_of(capsys, arguments(tmp_path / "no.csv", output))
    assert "unknown model 'x'" in error_of(capsys, [*arguments(data, output), "--model", "x"])
    assert "epochs must be at least 1" in error_of(capsys, arguments(data, output, epochs=0))
    assert "threads must be at least 1" in error_of(capsys, [*arguments(data, output), "--threads", "0"])
    assert "cannot read" in error_of(capsys, [*arguments(data, output), "--init", str(tmp_path / "none")])
    assert not output.exists()


def test_an_output_that_cannot_be_written_is_said_at_once(data, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "cannot write" in error_of(capsys, arguments(data, blocked / "run"))
    assert blocked.read_text() == "in the way"


def test_a_run_is_never_overwritten_nor_mixed_with_another(data, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(arguments(data, output, 1)) == 0
    before = (output / "state.pt").read_bytes()
    assert "already holds a run; add --resume" in error_of(capsys, arguments(data, output, 1))
    assert "epochs 1 (now 5)" in error_of(capsys, [*arguments(data, output, 5), "--resume"])
    assert (output / "state.pt").read_bytes() == before
    (output / "state.pt").write_bytes(before[:1000])
    assert "cannot be resumed from" in error_of(capsys, [*arguments(data, output, 1), "--resume"])
    torch.save({"finished": "one"}, output / "state.pt")
    assert "an object with the keys" in error_of(capsys, [*arguments(data, output, 1), "--resume"])
    (output / "run.json").write_text("[]")
    assert "options must be an object, got []" in error_of(capsys, [*arguments(data, output, 1), "--resume"])


def test_list_names_the_networks_and_recipes(capsys):
    assert main(["--list"]) == 0
    output = capsys.readouterr().out
    (line,) = (line for line in output.splitlines() if line.startswith("mini_xception"))
    assert line.split()[1:4] == ["48x48", "58,047", "5,520,448"]
    assert "recipes: " in output


RECIPE = """
[[stage]]
name = "teacher"
model = "cnn3"
epochs = 9
stop = 1

[[stage]]
name = "student"
model = "simple_cnn"
teacher = "teacher"
epochs = 2
mixup = 0.2
teacher_mirror = true
"""


def test_a_recipe_runs_its_stages_and_goes_on_where_it_stopped(data, tmp_path, capsys):
    (tmp_path / "pair.toml").write_text(RECIPE)
    output = tmp_path / "run"
    given = ["--recipe", str(tmp_path / "pair.toml"), "--data", str(data), "--output", str(output)]
    assert main([*given, "--batch-size", "64"]) == 0
    names = {
        folder: json.loads((folder / "best" / "spec.json").read_text())["name"]
        for folder in (output, output / "teacher")
    }
    assert list(names.values()) == ["simple_cnn", "cnn3"]
    assert len((output / "teacher" / "log.csv").read_text().splitlines()) == 2
    before = (output / "state.pt").read_bytes()
    assert main([*given, "--batch-size", "64", "--resume"]) == 0
    assert (output / "state.pt").read_bytes() == before
    capsys.readouterr()
    assert "already holds a run" in error_of(capsys, [*given, "--batch-size", "64"])
    assert "a recipe names the networks itself" in error_of(capsys, [*given, "--model", "cnn3"])
    weights = str(output / "best" / "model.safetensors")
    qat = ["--qat", "--model", "simple_cnn", "--data", str(data), "--output", str(tmp_path / "qat")]
    assert "expected a checkpoint folder" in error_of(capsys, [*qat, "--init", weights])
    teacher = ["--teacher", str(output / "teacher" / "best")]
    assert "trains a teacher of its own" in error_of(capsys, [*given, *teacher])
    assert "no recipe 'none'" in error_of(capsys, ["--recipe", "none", "--data", str(data)])


def test_values_are_learned_from_affectnet_s_csv(tmp_path, capsys):
    lines = ["subDirectory_filePath,face_x,face_y,face_width,face_height,valence,arousal"]
    for index in range(40):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((60, 60), index * 6, np.uint8))
        lines.append(f"{index}.png,5,5,50,50,{index / 40},{-index / 40}")
    (tmp_path / "training.csv").write_text("\n".join(lines) + "\n")
    output = tmp_path / "run"
    argv = ["--data", str(tmp_path / "training.csv"), "--output", str(output), "--model", "simple_cnn"]
    argv += ["--labels", "arousal", "--loss", "ccc", "--epochs", "2", "--batch-size", "16"]
    assert main(argv) == 0
    spec = json.loads((output / "best" / "spec.json").read_text())
    assert (spec["task"], spec["labels"], spec["output"]) == ("regression", ["arousal"], "affect")
    with (output / "log.csv").open() as file:
        assert {"validation_arousal_rmse", "validation_arousal_pcc", "validation_arousal_ccc"} <= set(
            next(csv.DictReader(file))
        )
    assert (output / "predictions.png").read_bytes().startswith(b"\x89PNG")
    best = ["--init", str(output / "best"), "--output", str(tmp_path / "other"), "--epochs", "1"]
    again = ["--data", str(tmp_path / "training.csv"), "--model", "simple_cnn", *best]
    assert "has the labels arousal for regression, the data has valence, arousal" in error_of(capsys, again)


def test_a_folder_with_labels_of_its_own_is_learned(tmp_path):
    for name, gray in (("calm", 20), ("tense", 220)):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for index in range(20):
            cv2.imwrite(str(tmp_path / "faces" / name / f"{index}.png"), np.full((64, 64), gray, np.uint8))
    argv = ["--data", str(tmp_path / "faces"), "--labels", "calm, tense", "--output", str(tmp_path / "run")]
    argv += ["--model", "simple_cnn", "--epochs", "4", "--batch-size", "8", "--learning-rate", "0.01"]
    assert main([*argv, "--brightness", "0"]) == 0
    spec = json.loads((tmp_path / "run" / "best" / "spec.json").read_text())
    assert spec["labels"] == ["calm", "tense"]
    with (tmp_path / "run" / "log.csv").open() as file:
        assert max(float(row["validation_accuracy"]) for row in csv.DictReader(file)) == 1


def test_help_needs_no_extras():
    code = (
        "import sys; sys.modules.update(torch=None, cv2=None, rich=None, safetensors=None, matplotlib=None)\n"
        "from fer_train.cli import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--epochs" in done.stdout


def test_a_missing_extra_names_the_command_that_brings_it():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from fer_train.cli import main; sys.exit(main(['--data', 'x.csv']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "torch is not installed; install it with pip install 'fer-engine[train]'" in done.stderr
