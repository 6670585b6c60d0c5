"""The artifacts in the package are those of the checkpoints that ship, and load by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_engine import Engine
from fer_engine.artifact.artifact import GRAPH_NAMES, MANIFEST_NAME, Artifact
from fer_engine.errors import ArtifactError, ConfigError
from fer_engine.shipped import FOLDER, find_artifact, shipped_artifact, shipped_names
from fer_engine.system.cache import VARIABLE
from fer_train.checkpoint import PRETRAINED

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)


def test_every_network_with_a_checkpoint_ships_in_all_precisions():
    checkpoints = {
        path.parent.name: json.loads(path.read_text("utf-8"))["checkpoint_sha256"]
        for path in PRETRAINED.glob("*/spec.json")
    }
    artifacts = {name: Artifact.open(shipped_artifact(name)) for name in shipped_names()}
    assert {name: one.spec.checkpoint_sha256 for name, one in artifacts.items()} == checkpoints
    for name, artifact in artifacts.items():
        assert list(artifact.files) == list(GRAPH_NAMES), name
        assert all(artifact.read_graph(precision) for precision in artifact.files)
        gate = artifact.manifest.gate
        assert (gate.answers, gate.thresholds["speed"]) == ("accuracy", 0), "judged by answers alone"
        assert artifact.accepted() == tuple(GRAPH_NAMES)
        held = {path.name for path in artifact.folder.iterdir()}
        assert held == {"manifest.json", *GRAPH_NAMES.values()}, "nothing is written beside them"


def test_the_exporter_makes_the_same_bytes(exported):
    """With the versions that they were made by; others may order a graph in another way."""
    ours, fresh = (
        json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
        for folder in (shipped_artifact("mini_xception"), exported)
    )
    then, now = ours["made"]["packages"], fresh["made"]["packages"]
    if then != now:
        pytest.skip(f"made with {then}, not with {now}")
    assert ours["files"] == fresh["files"]


def test_a_name_loads_where_no_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Engine.load("fer_nano", threads=1) as engine:
        assert engine.info.model == "fer_nano"
        expected = engine.logits(FACES)
    shutil.copytree(shipped_artifact("simple_cnn"), tmp_path / "fer_nano")
    with Engine.load("fer_nano", threads=1) as engine:
        assert engine.info.model == "simple_cnn"
    with Engine.load(FOLDER / "fer_nano", threads=1) as engine:
        np.testing.assert_array_equal(engine.logits(FACES), expected)
    assert find_artifact(Path("mini_xception")) == Path("mini_xception"), "a Path is a folder"


def test_unknown_names_are_told_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no model 'vgg' ships .* fer_tiny, mini_xception"):
        shipped_artifact("vgg")
    with pytest.raises(
        ArtifactError, match=r"no_such is not an artifact folder.*that ships, such as fer_tiny"
    ):
        Engine.load("no_such")


def test_what_auto_measures_of_a_shipped_network_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    found = [Engine.load("simple_cnn", precision="auto", threads=1) for _ in range(2)]
    assert [engine.info.choice.by for engine in found] == ["probe", "cached probe"]
    assert [path.name.partition("-")[0] for path in (tmp_path / "probes").iterdir()] == ["simple_cnn"]
    for engine in found:
        engine.close()


def test_without_a_cache_auto_still_chooses_and_says_so():
    """Numpy and a runtime are all that the engine needs."""
    code = (
        "import sys; sys.modules['platformdirs'] = None\n"
        "from fer_engine import Engine\n"
        "print(Engine.load('simple_cnn', precision='auto', threads=1).info.choice.not_cached)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install it with: pip install platformdirs" in done.stdout
