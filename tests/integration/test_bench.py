import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fer_bench import cli
from fer_bench.contenders import inputs
from fer_bench.report.page.flips import SHOWN
from fer_train import synthetic
from fer_train.data.votes import COLUMNS

QUICK = ["--rounds", "2", "--seconds", "0.02", "--cold-starts", "1"]
ENGINES = {f"engine/onnxruntime/{precision}" for precision in ("fp32", "fp16", "int8", "int8-cpu")}


@pytest.fixture(scope="module")
def labelled_data(tmp_path_factory):
    """Faces in the form of FER2013; only the split's size matters here."""
    path = tmp_path_factory.mktemp("data") / "fer2013.npz"
    usage = np.array(["Training"] * 10 + ["PublicTest"] * 90)
    np.savez(
        path, images=synthetic.faces(100, seed=3), labels=np.arange(100, dtype=np.uint8) % 7, usage=usage
    )
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of one run that had to make its artifact, the record, and what it said."""
    folder = tmp_path_factory.mktemp("measured")
    arguments = ["--batch", "1,8", "--threads", "1", "--markdown", "bench.md", *QUICK]
    arguments += ["--html", "bench.html", "--png", "figures"]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.chdir(folder)
        patch.setattr(inputs, "SYNTHETIC_FACES", 100)
        assert cli.main([*arguments, "--backend", "onnxruntime"]) == 0
    return folder, json.loads((folder / "reports" / "bench.json").read_text("utf-8")), said.getvalue()


def test_an_artifact_is_made_where_there_is_none(measured):
    folder, found, said = measured
    assert "no artifact at artifacts/mini_xception: exporting the shipped mini_xception" in said
    assert (folder / "artifacts" / "mini_xception" / "manifest.json").exists()
    assert found["artifact"]["model"] == "mini_xception"


def test_everyone_was_measured_at_every_batch(measured):
    _, found, _ = measured
    everyone = {"pytorch", "onnxruntime", "null"} | ENGINES
    assert {entry["name"] for entry in found["contenders"]} == everyone
    for batch in (1, 8):
        assert {entry["contender"] for entry in found["speed"] if entry["batch"] == batch} == everyone
    assert set(found["startup"]) == everyone
    assert set(found["parity"]) == everyone - {"null"}


def test_speed_follows_from_the_raw_samples(measured):
    _, found, _ = measured
    for entry in found["speed"]:
        samples = entry["samples_ns"]
        assert len(samples) == len(entry["images_per_second"]) == 2
        for turn, rate in zip(samples, entry["images_per_second"], strict=True):
            assert rate == pytest.approx(entry["batch"] * len(turn) / (sum(turn) / 1e9))
        pooled = np.concatenate(samples) / 1e6
        assert entry["latency_ms"]["p90"] == pytest.approx(np.percentile(pooled, 90))
        assert entry["latency_ms"]["samples"] == pooled.size


def test_the_engine_gives_the_answers_of_pytorch(measured):
    _, found, _ = measured
    for name in ("onnxruntime", "engine/onnxruntime/fp32"):
        parity = found["parity"][name]
        assert parity["max_abs_difference"] <= 1e-4 * parity["logit_range"]
    int8, fp16 = (found["parity"][f"engine/onnxruntime/{precision}"] for precision in ("int8", "fp16"))
    assert int8["mean_abs_difference"] > fp16["mean_abs_difference"] > 0.0


def test_cold_start_and_memory_were_measured(measured):
    _, found, _ = measured
    for entry in found["startup"].values():
        (start,) = entry["cold_starts"]
        assert min(start.values()) > 0
        assert start["total_ns"] == start["import_ns"] + start["load_ns"] + start["first_call_ns"]
        memory = entry["memory"]
        assert memory["steady_bytes"] is None or 2**20 < memory["steady_bytes"] <= memory["peak_bytes"]
    assert found["startup"]["engine/onnxruntime/fp32"]["memory"]["faces_a_call"] == 10_000


def test_size_and_energy_are_there_or_said_to_be_missing(measured):
    _, found, _ = measured
    sizes = found["runtime_sizes"]
    assert set(sizes) == {"pytorch", "onnxruntime", "engine/onnxruntime", "engine/null"}
    assert sizes["pytorch"]["bytes"] > sizes["engine/onnxruntime"]["bytes"] > sizes["engine/null"]["bytes"]
    for joules in found["energy"].values():
        assert joules is None if found["energy_source"].startswith("not available: ") else joules > 0
    assert found["skipped"] == []


def test_a_baseline_that_cannot_be_compared_ends_before_anything_is_measured(measured, capsys, monkeypatch):
    folder, _, _ = measured
    monkeypatch.chdir(folder)
    monkeypatch.setattr(inputs, "SYNTHETIC_FACES", 100)
    arguments = ["--batch", "8", "--threads", "1", "--baseline", "reports/bench.json", "--json", "other.json"]
    assert cli.main([*arguments, "--max-slowdown", "10%"]) == 2
    error = capsys.readouterr().err
    assert "at least 6 rounds, the baseline has 2" in error
    assert "cold start" not in error
    assert not (folder / "other.json").exists()


def test_the_record_says_what_was_measured_and_where(measured):
    folder, found, _ = measured
    manifest = json.loads((folder / "artifacts" / "mini_xception" / "manifest.json").read_text())
    markdown = (folder / "bench.md").read_text()
    assert found["artifact"]["checkpoint_sha256"] == manifest["spec"]["checkpoint_sha256"]
    assert found["artifact"]["files"]["fp32"]["sha256"] == manifest["files"]["fp32"]["sha256"]
    assert found["inputs"]["description"].startswith("synthetic faces, seed 0")
    assert not found["inputs"]["labelled"]
    assert found["command"].startswith("fer-bench --batch 1,8 --threads 1 ")
    engine = next(entry for entry in found["contenders"] if entry["name"] == "engine/onnxruntime/fp32")
    assert engine["info"]["threads"] == engine["threads"] == 1
    assert "synthetic faces" in markdown
    assert "Speed, batch 8" in markdown


def test_the_page_shows_what_was_measured(measured):
    folder, found, _ = measured
    text = (folder / "bench.html").read_text("utf-8")
    assert found["inputs"]["sha256"] == inputs.Inputs("", synthetic.faces(100), None).described().sha256
    flips = sum(min(len(parity["flips"]), SHOWN) for parity in found["parity"].values())
    assert text.count("<img") == flips > 0
    assert text.count("<svg") == 2 * len(list((folder / "figures").iterdir()))


def test_labelled_faces_give_accuracy(artifact, labelled_data, tmp_path, capsys):
    path = tmp_path / "bench.json"
    arguments = ["--artifact", str(artifact), "--data", str(labelled_data), "--backend", "onnxruntime"]
    arguments += ["--precision", "fp32,auto", "--micro-batch", "4,8", "--batch", "8"]
    assert cli.main([*arguments, *QUICK, "--busy", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text("utf-8"))
    assert found["inputs"]["description"] == "fer2013.npz PublicTest, n=90"
    engines = {entry["name"]: entry for entry in found["contenders"] if entry["name"].startswith("engine")}
    assert set(engines) == {f"engine/onnxruntime/{name}/m{m}" for name in ("fp32", "auto") for m in (4, 8)}
    assert engines["engine/onnxruntime/fp32/m4"]["info"]["micro_batch"] == 4
    automatic = engines["engine/onnxruntime/auto/m8"]
    assert automatic["info"]["choice"]["by"] in ("probe", "cached probe")
    assert automatic["bytes"] == found["artifact"]["files"][automatic["info"]["precision"]]["bytes"]
    labelled = found["parity"]["engine/onnxruntime/fp32/m4"]["labelled"]
    low, high = labelled["interval"]
    assert low <= labelled["accuracy"] <= high
    assert labelled["accuracy"] == labelled["reference_accuracy"]
    output = capsys.readouterr().out
    assert "Accuracy" in output
    assert "on purpose: 1" in output
    assert str(path) in output


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    """Votes for the faces of `labelled_data`: of every ten faces one has no majority, and one no votes."""
    counts = np.zeros((100, len(COLUMNS)), np.uint8)
    counts[np.arange(100), np.arange(100) % 7] = 6
    counts[:, COLUMNS.index("unknown")] = 4
    counts[::10] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
    counts[1::10] = 0
    path = tmp_path_factory.mktemp("votes") / "votes.npz"
    np.savez(path, votes=counts)
    return path


def test_votes_are_measured_beside_the_labels(artifact, labelled_data, votes, tmp_path, capsys):
    path, markdown = tmp_path / "bench.json", tmp_path / "bench.md"
    arguments = ["--artifact", str(artifact), "--data", str(labelled_data), "--votes", str(votes)]
    arguments += ["--backend", "onnxruntime", "--precision", "fp32,int8", "--batch", "8", "--json", str(path)]
    assert cli.main([*arguments, *QUICK]) == 0
    found = json.loads(path.read_text("utf-8"))
    for name, parity in found["parity"].items():
        voted = parity["voted"]
        assert (voted["faces"], voted["split_faces"]) == (72, 9)  # of the 90 of PublicTest
        assert np.sum(voted["confusion"]) == 72
        assert np.trace(voted["confusion"]) == pytest.approx(72 * voted["accuracy"])
        assert voted["changed_clear"] + voted["changed_split"] <= parity["changed"], name
    assert "Accuracy against labels and votes" in capsys.readouterr().out
    assert cli.main(["show", str(path), "--markdown", str(markdown)]) == 0
    assert "## Changed answers by votes" in markdown.read_text("utf-8")
    capsys.readouterr()
    assert cli.main(["compare", str(path), str(path), "--max-accuracy-drop", "0"]) == 0
    assert "FER+'s votes among them" in capsys.readouterr().out


def test_votes_for_other_labels_end_before_anything_is_measured(
    artifact, labelled_data, votes, tmp_path, capsys
):
    data = ["--data", str(labelled_data), "--votes", str(votes), "--labels", "ferplus"]
    path = tmp_path / "bench.json"
    assert cli.main(["--artifact", str(artifact), *data, "--json", str(path)]) == 2
    error = capsys.readouterr().err
    assert (
        "--votes goes with the labels angry, disgust, fear, happy, sad, surprise, neutral, contempt" in error
    )
    assert error.count("\n") == 1
    assert not path.exists()


def test_flip_averaging_stands_beside_the_engine_without_it(artifact, labelled_data, tmp_path):
    path = tmp_path / "bench.json"
    arguments = ["--artifact", str(artifact), "--data", str(labelled_data), "--backend", "onnxruntime"]
    arguments += ["--precision", "fp32", "--tta", "none,flip", "--batch", "8"]
    assert cli.main([*arguments, *QUICK, "--json", str(path)]) == 0
    found = json.loads(path.read_text("utf-8"))
    plain, flip = "engine/onnxruntime/fp32", "engine/onnxruntime/fp32/flip"
    assert {entry["name"]: entry["tta"] for entry in found["contenders"]}.items() >= {
        plain: "none",
        flip: "flip",
    }.items()
    assert found["parity"][plain]["max_abs_difference"] < 1e-3 < found["parity"][flip]["max_abs_difference"]
    assert {plain, flip} <= {entry["contender"] for entry in found["speed"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp8"], "holds no 'fp8' graph, it has fp32, fp16, int8, int8-cpu"),
        (["--backend", "abacus"], "unknown backend 'abacus'"),
        (["--artifact", "nowhere"], "nowhere is not an artifact folder"),
        (["--json", "."], "cannot write ."),
    ],
)
def test_a_bad_request_ends_before_anything_is_measured(
    artifact, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--artifact", str(artifact), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "cold start" not in error
    assert not list(tmp_path.glob("reports/*"))


def test_data_without_the_split_is_refused(artifact, labelled_data, tmp_path, capsys):
    arguments = ["--artifact", str(artifact), "--data", str(labelled_data), "--split", "PrivateTest"]
    assert cli.main([*arguments, "--json", str(tmp_path / "bench.json")]) == 2
    assert "no images of the split PrivateTest; it holds PublicTest, Training" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_ends_with_one_line_and_leaves_nothing(artifact, labelled_data, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text("an earlier record")
    code = "import sys; from fer_bench.cli import main; sys.exit(main())"
    arguments = ["--artifact", str(artifact), "--data", str(labelled_data), "--json", str(path)]
    arguments += ["--rounds", "1000", "--cold-starts", "1", "--backend", "onnxruntime", "--precision", "fp32"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    for line in process.stderr:
        if line.startswith("speed at batch"):
            break
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "interrupted\n"
    assert path.read_text() == "an earlier record"
    assert list(tmp_path.iterdir()) == [path]
    _wait_for_the_end_of(children)


def _children(parent: int) -> list[int]:
    """Return the children of a process, on Linux; elsewhere none are known."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def _wait_for_the_end_of(processes: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)


@pytest.mark.real
@pytest.mark.usefixtures("fer2013")
def test_fer2013_gives_the_accuracy_of_its_public_test(artifact, tmp_path):
    path = tmp_path / "bench.json"
    arguments = ["--artifact", str(artifact), "--data", os.environ["FER2013_DATA"], "--precision", "fp32"]
    assert cli.main([*arguments, *QUICK, "--json", str(path)]) == 0
    found = json.loads(path.read_text("utf-8"))
    assert found["inputs"]["description"] == "FER2013 PublicTest, n=3589"
    parity = found["parity"]["engine/onnxruntime/fp32"]
    assert parity["agreement"] >= 0.999  # a tie between two classes may fall either way
    assert parity["labelled"]["accuracy"] > 0.6
