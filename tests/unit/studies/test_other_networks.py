"""The study of packages with a network of their own, without installing one."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.worker_client import Worker
from fer_bench.passes.options import BenchOptions
from fer_bench.record.environment import describe_machine
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.schema import from_json, to_json
from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import BackendError, ConfigError
from studies.other_networks import environments, study
from studies.other_networks.labels import columns, to_logits
from studies.other_networks.networks import NETWORKS, Network
from studies.other_networks.own import shipped, untrained
from studies.other_networks.record import MeasuredPeerNetwork, OtherNetworksRecord

# The seven faces are of the seven labels; nine of ten annotators agree on each but the last.
FACES, LABELS = np.zeros((7, 48, 48), np.uint8), np.arange(7, dtype=np.uint8)
VOTES = np.zeros((7, 10), np.uint8)
VOTES[range(7), [4, 5, 6, 1, 3, 2, 0]], VOTES[:, 8] = 9, 1  # in the order of FER+: neutral comes first
VOTES[6] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]


def install(monkeypatch, folder):
    """Let the one package be `ghost`, installed in an npm environment in `folder`."""
    source = "https://example.org/ghost"
    ghost = Network("nowhere:load", (), "npm install ghost", "ghost/model.bin", "as it is", source, npm=True)
    for name in list(NETWORKS):
        monkeypatch.delitem(NETWORKS, name)
    monkeypatch.setitem(NETWORKS, "ghost", ghost)
    file = folder / "node_modules" / "ghost" / "model.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a network")


def test_a_worker_in_another_environment_sees_our_packages_alone(artifact, tmp_path):
    only_ours = "import fer_train"
    packages = environments.worker_command(Path("python"))[3:]
    assert [Path(package).name for package in packages] == ["fer_bench", "fer_engine", "studies"]
    settings = {"name": "null", "kind": "engine", "artifact": str(artifact), "precision": "fp32"}
    settings |= {"backend": "null", "threads": 1, "micro_batch": None, "tta": "none", "file": ""}
    settings["device"] = "cpu"
    # -S: no site-packages, and so none of the ways in which this environment finds our packages.
    numpy = f"import sys; sys.path.append({str(Path(np.__file__).parents[1])!r})\n"
    run = subprocess.run(
        [sys.executable, "-S", "-c", numpy + environments.WORKER, *packages],
        input=json.dumps(settings) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert json.loads(run.stdout)["import_ns"] > 0, run.stderr
    found = subprocess.run([sys.executable, "-S", "-c", only_ours], capture_output=True, cwd=tmp_path)
    assert found.returncode == 1


def test_what_is_not_installed_is_told_with_the_way_to_install_it(tmp_path):
    with pytest.raises(BackendError, match=r"nowhere.bin.python does not run: No such file.*python -m venv"):
        environments.contenders({"fer": tmp_path / "nowhere"}, tmp_path)
    with pytest.raises(
        BackendError, match=r"human is not installed in .*emotion.bin is missing.*npm install"
    ):
        environments.contenders({"human": tmp_path}, tmp_path)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    with pytest.raises(BackendError, match=r"fer is not installed in .*ENV/bin/pip install fer"):
        environments.contenders({"fer": tmp_path}, tmp_path)
    assert environments.contenders({}, tmp_path) == []


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["ghost=x"], "NAME one of fer, facex.*got 'ghost=x'"),
        (["fer"], "takes NAME=FOLDER"),
        (["fer=a", "fer=b"], "fer is given twice"),
    ],
)
def test_environments_that_cannot_be_meant_are_refused(pairs, message):
    with pytest.raises(ConfigError, match=message):
        environments.parse(pairs)


def test_environments_are_folders_by_package():
    assert environments.parse(["fer=a=b", "human=c"]) == {"fer": Path("a=b"), "human": Path("c")}


def test_labels_are_matched_by_name_and_others_left_out():
    theirs = ["Neutral", "happiness", "contempt", "sadness", "anger", "disgusted", "fearful", "surprised"]
    assert [theirs[column] for column in columns(theirs)] == [
        "anger",
        "disgusted",
        "fearful",
        "happiness",
        "sadness",
        "surprised",
        "Neutral",
    ]
    with pytest.raises(ConfigError, match=r"no label neutral: its labels are angry.*OUR_NAMES"):
        columns(EXPRESSIONS[:-1])


def test_logits_give_the_network_s_own_probabilities_back():
    shares = np.array([[0.1, 0.0, 0.2, 0.3, 0.05, 0.15, 0.2]])
    order = [6, 0, 1, 2, 3, 4, 5]
    logits = to_logits(shares[:, order], [EXPRESSIONS[index] for index in order])
    assert logits.dtype == np.float32
    powers = np.exp(logits)
    assert np.allclose(powers / powers.sum(), shares, atol=1e-6)


class Answers:
    """A worker that always gives these logits."""

    def __init__(self, logits):
        self.logits = np.asarray(logits, np.float32)

    def ask(self, do, path):
        assert do == "logits"
        np.save(path, self.logits)
        return {}


def test_another_network_has_an_accuracy_by_labels_and_by_votes(tmp_path):
    right = np.eye(7, dtype=np.float32)
    wrong = right.copy()
    wrong[0] = right[1]
    faces = Inputs("seven faces", FACES, LABELS, VOTES)
    labelled, majority = study.measure_answers(Answers(wrong), faces, tmp_path)
    assert labelled.accuracy == pytest.approx(6 / 7)
    assert labelled.recall == (0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert (majority.accuracy, majority.faces) == (pytest.approx(5 / 6), 6)
    labelled, majority = study.measure_answers(Answers(right), Inputs("faces", FACES, LABELS), tmp_path)
    assert (labelled.accuracy, majority) == (1.0, None)
    assert study.measure_answers(Answers(right), Inputs("faces", FACES, None), tmp_path) == (None, None)


class FakeWorker:
    """Takes 2 ms for a call of the baseline, 1 of this project's network and 8 of the package."""

    def __init__(self, contender):
        self.contender = contender
        self.loaded = {"import_ns": 1, "load_ns": 2}

    def ask(self, do, **arguments):
        if do == "logits":
            assert self.contender.kind == "ghost"
            np.save(arguments["path"], np.eye(7, dtype=np.float32))
        ns = {"onnxruntime/1-thread": 2_000_000, "engine": 1_000_000, "ghost": 8_000_000}[self.contender.kind]
        other = {"settings": "as it is", "source": "https://example.org/ghost", "version": "9.9"}
        return {
            "turn": {"samples_ns": [ns] * 3},
            "memory": {"faces": 1, "faces_a_call": 1, "peak_bytes": 1, "steady_bytes": None},
            "info": {"threads": "default"} | (other if self.contender.kind == "ghost" else {}),
        }.get(do, {})

    def close(self):
        pass

    kill = close


def test_the_study_measures_packages_and_our_networks_beside_plain_onnxruntime(
    artifact, monkeypatch, tmp_path
):
    install(monkeypatch, tmp_path)
    opened = Artifact.open(artifact)
    monkeypatch.setattr(study, "YARDSTICK", opened.spec.name)
    faces = Inputs("seven faces", FACES, LABELS, VOTES)
    entrants = study.line_up([shipped(opened)], {"ghost": tmp_path}, lambda _: faces)
    found, _ = study.measure(entrants, BenchOptions(batches=(1, 64)), FakeWorker)
    assert [(network.name, network.kind) for network in found] == [
        ("onnxruntime", "baseline"),
        (opened.spec.name, "shipped"),
        ("ghost", "package"),
    ]
    ratios = [{batch: speed.ratio.median for batch, speed in network.speed.items()} for network in found]
    assert ratios == [{"1": 1.0, "64": 1.0}, {"1": 2.0, "64": 2.0}, {"1": 0.25, "64": 0.25}]
    ghost = found[-1]
    assert (ghost.accuracy.accuracy, ghost.majority.accuracy, found[1].accuracy) == (1.0, 1.0, None)
    assert (ghost.milliseconds(1), ghost.milliseconds(64)) == (8.0, 0.125)
    assert (ghost.bytes, ghost.startup.memory.peak_bytes, ghost.info.version) == (9, 1, "9.9")
    assert [from_json(MeasuredPeerNetwork, to_json(network)) for network in found] == list(found)


def test_accuracies_of_an_earlier_record_are_kept_where_nothing_has_changed(artifact, monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    opened = Artifact.open(artifact)
    monkeypatch.setattr(study, "YARDSTICK", opened.spec.name)
    faces = Inputs("seven faces", FACES, LABELS, VOTES)
    entrants = study.line_up([shipped(opened)], {"ghost": tmp_path}, lambda _: faces)
    options = BenchOptions(batches=(1,))
    networks, source = study.measure(entrants, options, FakeWorker)
    earlier = OtherNetworksRecord(
        date="2026-01-02",
        command="",
        environment=describe_machine(),
        faces=faces.described(),
        batches=(1,),
        rounds=9,
        seconds=0.4,
        networks=networks,
        skipped=(),
        energy_source=source,
    )

    class Mute(FakeWorker):
        def ask(self, do, **arguments):
            assert do != "logits"
            return super().ask(do, **arguments)

    again, _ = study.measure(entrants, options, Mute, earlier)
    assert again[-1].accuracy == networks[-1].accuracy

    class Newer(FakeWorker):
        asked = 0

        def ask(self, do, **arguments):
            Newer.asked += do == "logits"
            found = super().ask(do, **arguments)
            return found | {"version": "10"} if do == "info" else found

    study.measure(entrants, options, Newer, earlier)
    assert Newer.asked == 1
    others = dataclasses.replace(earlier, faces=Inputs("others", FACES, None).described())
    with pytest.raises(ConfigError, match="of other faces: others, not seven faces"):
        study.measure(entrants, options, FakeWorker, others)


def test_the_worker_of_a_package_starts_in_its_environment(monkeypatch):
    started = []
    monkeypatch.setattr(Worker, "__init__", lambda _self, _contender, *command: started.append(command))
    folders = {"fer": Path("envs/fer"), "human": Path("envs/node")}
    for kind in ("fer", "human", "engine"):
        environments.start_worker(folders, study.Contender(kind, kind, "artifact", "model"))
    (pip,), (npm,), ours = started
    assert pip[0] == str(Path.cwd() / "envs" / "fer" / "bin" / "python")
    assert npm[0] == sys.executable
    assert ours == ()


def test_a_network_without_weights_is_a_graph_that_plain_onnxruntime_runs(tmp_path):
    import onnxruntime

    network = untrained("simple_cnn", tmp_path)
    assert (network.kind, network.contender.kind) == ("untrained", "onnxruntime/1-thread")
    session = onnxruntime.InferenceSession(network.contender.file, providers=["CPUExecutionProvider"])
    assert session.run(None, {"faces": FACES})[0].shape == (7, 7)
