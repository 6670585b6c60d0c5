import re
from pathlib import Path

import pytest

from fer_engine import BACKENDS, Artifact, Engine
from fer_engine.artifact import artifact as layout
from fer_engine.artifact.artifact import MANIFEST_NAME

ROOT = Path(__file__).parents[4]
SOURCES = [path for part in ("engine", "export", "train") for path in (ROOT / part).rglob("*.py")]
# "checkpoint" is a word too, and "model.onnx" is nobody's in particular.
NAMES = (
    "manifest.json",
    "model.fp16.onnx",
    "model.int8.onnx",
    "calibration.json",
    "probes.json",
    "report.md",
)


@pytest.mark.parametrize("name", [*NAMES, layout.WEIGHTS_NAME, layout.SPEC_NAME, layout.ENGINES_NAME])
def test_the_names_of_the_layout_stand_in_one_module(name):
    holders = [path for path in SOURCES if f'"{name}"' in path.read_text("utf-8")]
    assert holders == [Path(layout.__file__)]


def test_the_engine_takes_an_open_artifact_and_does_not_read_its_manifest_again(artifact):
    opened = Artifact.open(artifact.folder)
    (artifact.folder / MANIFEST_NAME).unlink()
    with Engine.load(opened, precision="auto", backend="onnxruntime") as engine:
        assert engine.spec is opened.spec
        assert (engine.logits(artifact.faces(3)) == artifact.logits(artifact.faces(3))).all()


def test_a_path_may_be_a_text(artifact):
    assert Artifact.open(str(artifact.folder)) == Artifact.open(artifact.folder)
    assert re.search(r"tiny$", str(Artifact.open(str(artifact.folder)).folder))


def test_what_is_there_is_told_from_what_is_not(artifact, tmp_path):
    assert Artifact.is_at(artifact.folder)
    assert not Artifact.is_at(tmp_path / "nothing")


def test_the_registry_of_backends_is_public():
    assert {"onnxruntime", "openvino", "tensorrt"} <= set(BACKENDS)
