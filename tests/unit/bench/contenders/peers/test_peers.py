import importlib.util

import pytest

from fer_bench import cli
from fer_bench.contenders import kinds
from fer_bench.contenders.contender import Skipped
from fer_bench.contenders.peers import convert
from fer_bench.contenders.peers.line_up import line_up_peers
from fer_bench.contenders.peers.normalize import mean_and_scale
from fer_bench.contenders.peers.peer import Conversion, Peer
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.record.record_file import parse_record
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
    return [entry.name for entry in line_up_peers(Artifact.open(artifact), names, None)[0]]


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


def test_without_names_all_are_asked_for(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer(), "two": peer()})
    assert chosen(artifact) == ["one/a", "two"]


def test_a_name_before_the_slash_stands_for_all_of_a_runtime(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer(), "one/b": peer(), "two": peer()})
    assert chosen(artifact, "two", "one") == ["two", "one/a", "one/b"]
    assert chosen(artifact, "one/b", "one") == ["one/b", "one/a"]


def test_peers_are_optional_and_know_their_file(artifact, monkeypatch):
    only(monkeypatch, graph=peer(), weights=peer(reads="checkpoint", precision="default"))
    graph, weights = line_up_peers(Artifact.open(artifact), (), 3)[0]
    assert graph.optional
    assert graph.threads == weights.threads == 3
    assert graph.kind == "graph"
    assert graph.file == str(artifact / "model.onnx")
    assert weights.file_bytes == len(b"weights")
    assert (graph.precision, weights.precision) == ("fp32", "default")


def test_one_that_is_not_installed_is_skipped_with_the_line_that_installs_it(artifact, monkeypatch):
    only(monkeypatch, here=peer(), ghost=peer(("ghost_module.part",)))
    contenders, skipped = line_up_peers(Artifact.open(artifact), (), None)
    assert [entry.name for entry in contenders] == ["here"]
    assert skipped == [
        Skipped("ghost", "peer 'ghost' needs ghost_module.part; install with: pip install ghost-pip")
    ]


def test_one_that_is_named_and_not_installed_is_an_error(artifact, tmp_path, monkeypatch, capsys):
    only(monkeypatch, ghost=peer(("ghost_module",)))
    monkeypatch.chdir(tmp_path)
    arguments = ["--artifact", str(artifact), "--backend", "onnxruntime", "--precision", "fp32"]
    assert cli.main([*arguments, "--peers", "ghost"]) == 2
    assert "install with: pip install ghost-pip" in capsys.readouterr().err


def test_an_unknown_peer_is_refused(artifact, monkeypatch):
    only(monkeypatch, **{"one/a": peer()})
    with pytest.raises(ConfigError, match=r"unknown peer 'three'; known: one/a; all of a runtime: one"):
        line_up_peers(Artifact.open(artifact), ("three",), None)


def test_one_that_cannot_be_converted_is_skipped_with_its_last_words(artifact, monkeypatch, cache):
    only(monkeypatch, ghost=peer(reads=Conversion("nowhere:convert", "model.ghost", ("numpy",))))
    contenders, (skipped,) = line_up_peers(Artifact.open(artifact), ("ghost",), None)
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
    file = convert.converted_model(conversion, Artifact.open(artifact))
    assert file.read_text() == "ghost:convert of checkpoint"
    monkeypatch.setattr(convert, "_run", pytest.fail)
    assert convert.converted_model(conversion, Artifact.open(artifact)) == file
    monkeypatch.setattr(convert, "_run", write)
    monkeypatch.setattr(convert, "__version__", "next")
    assert convert.converted_model(conversion, Artifact.open(artifact)) != file


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
    text = render_markdown(parse_record(record))
    assert "| 9.9 | BF16: 14, FP32: 1 | hint LATENCY |" in text
    assert "documentation: https://example.org/hints." in text


def test_a_record_without_peers_has_no_such_section(record):
    assert "Peers" not in render_markdown(parse_record(record))
