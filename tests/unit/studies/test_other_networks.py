"""The study of packages with a network of their own, without installing one."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.peers.peer import Peer
from fer_bench.contenders.worker_client import Worker
from fer_bench.passes.options import BenchOptions
from fer_engine.artifact.artifact import Artifact
from fer_engine.errors import BackendError
from studies.other_networks import study
from studies.other_networks.networks import NETWORKS


def only(monkeypatch, packages):
    """Let the one network be `ghost`, of these packages."""
    monkeypatch.delitem(NETWORKS, "fer", raising=False)
    source = "https://example.org/ghost"
    monkeypatch.setitem(
        NETWORKS, "ghost", Peer("nowhere:load", packages, (), "as it is", source, "model.bin")
    )


def test_a_worker_in_another_environment_sees_our_packages_alone(artifact, tmp_path):
    only_ours = "import fer_train"
    packages = study.worker_command(Path("python"))[3:]
    assert [Path(package).name for package in packages] == ["fer_bench", "fer_engine", "studies"]
    settings = {"name": "null", "kind": "engine", "artifact": str(artifact), "precision": "fp32"}
    settings |= {"backend": "null", "threads": 1, "micro_batch": None, "tta": "none", "file": ""}
    settings["device"] = "cpu"
    # -S: no site-packages, and so none of the ways in which this environment finds our packages.
    numpy = f"import sys; sys.path.append({str(Path(np.__file__).parents[1])!r})\n"
    run = subprocess.run(
        [sys.executable, "-S", "-c", numpy + study.WORKER, *packages],
        input=json.dumps(settings) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert json.loads(run.stdout)["import_ns"] > 0, run.stderr
    found = subprocess.run([sys.executable, "-S", "-c", only_ours], capture_output=True, cwd=tmp_path)
    assert found.returncode == 1


def test_what_is_not_installed_is_told_with_the_way_to_install_it(artifact, tmp_path):
    with pytest.raises(BackendError, match=r"fer is not installed in .*ENV/bin/pip install fer"):
        study.line_up(Artifact.open(artifact), tmp_path)
    with pytest.raises(BackendError, match=r"nowhere does not run: No such file.*python -m venv"):
        study.site_packages(tmp_path / "nowhere")
    assert study.site_packages(Path(sys.executable)) == Path(sysconfig.get_path("purelib"))


class Answers:
    """A worker that always gives these logits."""

    def __init__(self, logits):
        self.logits = np.asarray(logits, np.float32)

    def ask(self, do, path):
        assert do == "logits"
        np.save(path, self.logits)
        return {}


def test_another_network_has_an_accuracy_and_no_parity(tmp_path):
    others = {"odd": Answers([[2, 1], [0, 3], [4, 1], [5, 0]])}
    faces, labels = np.zeros((4, 48, 48), np.uint8), np.array([0, 1, 1, 0], np.uint8)
    found = study.accuracy(others, Inputs("faces", faces, labels), tmp_path)
    assert found["odd"]["accuracy"] == 0.75
    assert found["odd"]["recall"] == (1.0, 0.5)
    assert not {"mcnemar_p", "right_to_wrong"} & set(found["odd"])
    assert study.accuracy(others, Inputs("faces", faces, None), tmp_path) == {"odd": None}


class FakeWorker:
    """Takes 2 ms for a call of the baseline and 8 of the other network."""

    def __init__(self, contender):
        self.contender = contender
        self.loaded = {"import_ns": 1, "load_ns": 2}

    def ask(self, do, **arguments):
        if do == "logits":
            np.save(arguments["path"], np.eye(7, dtype=np.float32))
        ns = 2_000_000 if self.contender.kind == "onnxruntime" else 8_000_000
        other = {"settings": "as it is", "source": "https://example.org/ghost", "version": "9.9"}
        return {
            "turn": {"samples_ns": [ns] * 3},
            "memory": {"faces": 1, "faces_a_call": 1, "peak_bytes": 1, "steady_bytes": None},
            "info": other if self.contender.kind == "ghost" else {"version": "1"},
        }.get(do, {})

    def close(self):
        pass

    kill = close


def test_the_study_measures_the_other_network_beside_plain_onnxruntime(artifact, monkeypatch, tmp_path):
    only(monkeypatch, "pip")
    (tmp_path / "model.bin").write_bytes(b"a network")
    faces = Inputs("seven faces", np.zeros((7, 48, 48), np.uint8), np.arange(7, dtype=np.uint8))
    found = study.measure(
        Artifact.open(artifact), faces, BenchOptions(batches=(1, 64), cold_starts=1), tmp_path, FakeWorker
    )
    ratios = {(entry["contender"], entry["batch"]): entry["ratio"]["median"] for entry in found["speed"]}
    assert ratios == {
        ("onnxruntime", 1): 1.0,
        ("ghost", 1): 0.25,
        ("onnxruntime", 64): 1.0,
        ("ghost", 64): 0.25,
    }
    assert found["other_networks"]["ghost"]["accuracy"] == 1.0
    assert found["startup"]["ghost"]["memory"]["peak_bytes"] == 1
    assert found["contenders"][1]["file"] == str(tmp_path / "model.bin")
    json.dumps(found)
    found["date"] = "2026-01-02"
    found["other_networks"] = {"fer": {"accuracy": 0.6543, "interval": [0.64, 0.67], "ece": 0.123}}
    text = study.render(found)
    assert "| fer | 65.43 [64.00, 67.00] | 0.1230 |" in text
    assert "| ghost | 64 | 8,000 | 0.250x [0.250, 0.250] |" in text
    assert "as it is (version 9.9, https://example.org/ghost)." in text


def test_the_worker_of_another_network_starts_in_its_environment(monkeypatch):
    started = []
    monkeypatch.setattr(Worker, "__init__", lambda _self, _contender, *command: started.append(command))
    for kind in ("fer", "onnxruntime"):
        study.start_worker(Path("other/python"), study.Contender(kind, kind, "artifact", "model"))
    (command,), ours = started
    assert command[0] == str(Path("other/python"))
    assert ours == ()
