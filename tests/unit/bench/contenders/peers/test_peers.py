import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_bench import cli
from fer_bench.contenders import kinds
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.peers import answers, convert, isolated
from fer_bench.contenders.peers.line_up import line_up
from fer_bench.contenders.peers.normalize import mean_and_scale
from fer_bench.contenders.peers.peer import Conversion, Peer
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.report.render import render_markdown
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import BackendError, ConfigError


def peer(modules=("numpy",), **changes):
    values = {"settings": "as it is", "source": "https://example.org/ghost"} | changes
    return Peer("nowhere:load", "ghost-pip", modules, **values)


def only(monkeypatch, **peers):
    """Let these be the peers there are."""
    for name in list(PEERS):
        monkeypatch.delitem(PEERS, name)
    for name, entry in peers.items():
        monkeypatch.setitem(PEERS, name, entry)


def chosen(artifact, *names):
    return [entry.name for entry in line_up(Artifact.open(artifact), names, None)[0]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_peer_that_normalizes_gray_faces_refuses_colours(artifact):
    spec = ModelSpec("colours", channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
    Artifact(artifact, Manifest(spec, Artifact.open(artifact).files)).write_manifest()
    with pytest.raises(BackendError, match="gray faces alone, the network takes 3 channels"):
        mean_and_scale({"artifact": str(artifact)})


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_says_what_it_is(name):
    entry = PEERS[name]
    targets = [entry.target, *([entry.reads.target] if isinstance(entry.reads, Conversion) else [])]
    for target in targets:
        assert importlib.util.find_spec(target.partition(":")[0]) is not None
    assert name in kinds.KINDS
    assert kinds.KINDS[name].modules == entry.modules
    assert entry.source.startswith("https://")
    assert entry.settings
    assert entry.packages


def test_without_names_all_of_the_same_network_are_asked_for(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer(), "two": peer(), "odd": peer(other_network=True)})
    assert chosen(artifact) == ["one/a", "two"]


def test_a_name_before_the_slash_stands_for_all_of_a_runtime(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer(), "one/b": peer(), "two": peer()})
    assert chosen(artifact, "two", "one") == ["two", "one/a", "one/b"]
    assert chosen(artifact, "one/b", "one") == ["one/b", "one/a"]


def test_peers_are_optional_and_know_their_file(artifact, monkeypatch):
    only(monkeypatch, graph=peer(), weights=peer(reads="checkpoint", precision="default"))
    graph, weights = line_up(Artifact.open(artifact), (), 3)[0]
    assert graph.optional
    assert graph.threads == weights.threads == 3
    assert graph.kind == "graph"
    assert graph.file == str(artifact / "model.onnx")
    assert weights.bytes == len(b"weights")
    assert (graph.precision, weights.precision) == ("fp32", "default")


def test_one_that_is_not_installed_is_skipped_with_the_line_that_installs_it(artifact, monkeypatch):
    only(monkeypatch, here=peer(), ghost=peer(("ghost_module.part",)))
    contenders, skipped = line_up(Artifact.open(artifact), (), None)
    assert [entry.name for entry in contenders] == ["here"]
    assert skipped == [("ghost", "peer 'ghost' needs ghost_module.part; install with: pip install ghost-pip")]


def test_one_that_is_named_and_not_installed_is_an_error(artifact, tmp_path, monkeypatch, capsys):
    only(monkeypatch, ghost=peer(("ghost_module",)))
    monkeypatch.chdir(tmp_path)
    arguments = ["--artifact", str(artifact), "--backend", "onnxruntime", "--precision", "fp32"]
    assert cli.main([*arguments, "--peers", "ghost"]) == 2
    assert "install with: pip install ghost-pip" in capsys.readouterr().err


def test_an_unknown_peer_is_refused(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer()})
    with pytest.raises(ConfigError, match=r"unknown peer 'three'; known: one/a; all of a runtime: one"):
        line_up(Artifact.open(artifact), ("three",), None)


def test_one_that_cannot_be_converted_is_skipped_with_its_last_words(artifact, monkeypatch, cache):
    only(monkeypatch, ghost=peer(reads=Conversion("nowhere:convert", "model.ghost", ("numpy",))))
    contenders, (skipped,) = line_up(Artifact.open(artifact), ("ghost",), None)
    assert contenders == []
    assert skipped.name == "ghost"
    assert skipped.reason.startswith("nowhere:convert failed (exit code 1): ")
    assert skipped.reason.endswith("No module named 'nowhere'")
    assert not list(cache.rglob("model.ghost"))


def test_a_conversion_is_made_once(artifact, monkeypatch):
    def write(target, checkpoint, path):
        path.write_text(f"{target} of {checkpoint.name}")

    monkeypatch.setattr(convert, "_run", write)
    conversion = Conversion("ghost:convert", "model.ghost", ("numpy",))
    file = convert.converted(conversion, Artifact.open(artifact))
    assert file.read_text() == "ghost:convert of checkpoint"
    monkeypatch.setattr(convert, "_run", pytest.fail)
    assert convert.converted(conversion, Artifact.open(artifact)) == file
    monkeypatch.setattr(convert, "_run", write)
    monkeypatch.setattr(convert, "__version__", "next")
    assert convert.converted(conversion, Artifact.open(artifact)) != file


def test_a_worker_in_another_environment_sees_our_two_packages_alone(artifact, tmp_path):
    only_ours = "import fer_train"
    packages = isolated.worker_command("fer")[3:]
    assert [Path(package).name for package in packages] == ["fer_bench", "fer_engine"]
    settings = {"name": "null", "kind": "engine", "artifact": str(artifact), "precision": "fp32"}
    settings |= {"backend": "null", "threads": 1, "micro_batch": None, "tta": "none", "file": ""}
    settings["device"] = "cpu"
    # -S: no site-packages, and so none of the ways in which this environment finds our packages.
    numpy = f"import sys; sys.path.append({str(Path(np.__file__).parents[1])!r})\n"
    run = subprocess.run(
        [sys.executable, "-S", "-c", numpy + isolated.WORKER, *packages],
        input=json.dumps(settings) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert json.loads(run.stdout)["import_ns"] > 0, run.stderr
    found = subprocess.run([sys.executable, "-S", "-c", only_ours], capture_output=True, cwd=tmp_path)
    assert found.returncode == 1


def test_an_environment_that_pip_could_not_fill_is_not_taken_for_complete(monkeypatch, cache):
    entry = Peer("nowhere:load", "--no-index ghost-pip", (), "as it is", "https://e.org", other_network=True)
    only(monkeypatch, ghost=entry)
    # A new environment with pip takes seconds; this one's pip fails as well.
    monkeypatch.setattr(isolated.venv, "create", lambda folder, **_: folder.mkdir(parents=True))
    monkeypatch.setattr(isolated, "python", lambda _: sys.executable)
    with pytest.raises(
        BackendError, match=r"ghost: pip, .* failed \(exit code 1\): .*ghost-pip.*; name other"
    ):
        isolated.install("ghost")
    assert not list(cache.rglob(isolated.COMPLETE))


def test_an_environment_of_other_packages_is_made_anew(monkeypatch):
    made = []

    def create(folder, **_):
        made.append(folder)
        folder.mkdir(parents=True)

    monkeypatch.setattr(isolated.venv, "create", create)
    monkeypatch.setattr(isolated, "python", lambda _: sys.executable)
    for packages, times in (("pip", 1), ("pip", 1), ("pip packaging", 2)):  # installed: pip has nothing to do
        entry = Peer("nowhere:load", packages, (), "as it is", "https://e.org", other_network=True)
        only(monkeypatch, ghost=entry)
        isolated.install("ghost")
        assert len(made) == times


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), subprocess.CalledProcessError(1, ["-m", "ensurepip"])]
)
def test_an_environment_that_cannot_be_made_is_an_error_with_advice(monkeypatch, cache, error):
    def create(*_, **__):
        raise error

    only(monkeypatch, ghost=peer(other_network=True))
    monkeypatch.setattr(isolated.venv, "create", create)
    with pytest.raises(BackendError, match=r"ghost gets no environment in .*apt-get install python3-venv"):
        isolated.install("ghost")
    assert not list(cache.rglob(isolated.COMPLETE))


class Answers:
    """A worker that always gives these logits."""

    def __init__(self, logits):
        self.logits = np.asarray(logits, np.float32)

    def ask(self, do, path):
        assert do == "logits"
        np.save(path, self.logits)
        return {}


def test_another_network_has_an_accuracy_and_no_parity(monkeypatch, tmp_path):
    only(monkeypatch, odd=peer(other_network=True), even=peer())
    workers = {"pytorch": Answers([]), "odd": Answers([[2, 1], [0, 3], [4, 1], [5, 0]]), "even": Answers([])}
    ours, others = answers.apart(workers)
    assert (list(ours), list(others)) == (["pytorch", "even"], ["odd"])
    faces, labels = np.zeros((4, 48, 48), np.uint8), np.array([0, 1, 1, 0], np.uint8)
    found = answers.measure(others, Inputs("faces", faces, labels), tmp_path)
    assert found["odd"]["accuracy"] == 0.75
    assert found["odd"]["recall"] == (1.0, 0.5)
    assert not {"mcnemar_p", "right_to_wrong"} & set(found["odd"])
    assert answers.measure(others, Inputs("faces", faces, None), tmp_path) == {"odd": None}


def test_the_report_states_the_settings_and_what_was_computed_in(record):
    info = {
        "version": "9.9",
        "threads": 2,
        "settings": "hint LATENCY",
        "source": "https://example.org/hints",
        "executed": {"BF16": 14, "FP32": 1},
    }
    entry = record["contenders"][1] | {"kind": "openvino/latency", "precision": "default", "info": info}
    record["contenders"][1] = entry
    record["other_networks"] = {"fer": {"accuracy": 0.6543, "interval": [0.64, 0.67], "ece": 0.123}}
    text = render_markdown(record)
    assert "| 9.9 | BF16: 14, FP32: 1 | hint LATENCY |" in text
    assert "documentation: https://example.org/hints." in text
    assert "| fer | 65.43 [64.00, 67.00] | 0.1230 |" in text


def test_a_record_without_peers_has_no_such_section(record):
    assert "Peers" not in render_markdown(record)
