"""A network, data set, backend or peer is one new file and its entry in one registry.

Each test adds those to a copy of the packages, and then uses what is new through the public commands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

NETWORK = """
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_train.models.entry import Entry


class LineCnn(nn.Module):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.conv = nn.Conv2d(spec.channels, 4, 3, stride=4)
        self.head = nn.Linear(4 * 12 * 12, len(spec.labels))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().flatten(1))


ENTRIES = {"line_cnn": Entry(LineCnn, ModelSpec("line_cnn"), "a test", 4_079, 9_216)}
"""

DATA_SET = """
import numpy as np

from fer_train.data.annotations import read_rows
from fer_train.data.dataset import Dataset
from fer_train.data.image import decode_image

COLUMN = "portrait"
LABELS = ("calm", "tense")


def read_portraits(path, images, names, face_shape):
    found = list(read_rows(path, (COLUMN, "mood")))
    faces = np.stack([decode_image(row.file(COLUMN, images), 1) for row in found])
    labels = np.array([LABELS.index(row.fields["mood"]) for row in found], np.uint8)
    return Dataset.split_off(faces, labels, path.name, LABELS)
"""

BACKEND = '''
import numpy as np

from fer_engine.runtime.backend import Backend


class DarknessBackend(Backend):
    """Finds every face disgusting, the more so the darker it is."""

    name = "darkness"
    versions = {}
    providers = ("none",)
    threads = workers = 1
    micro_batches = (8,)

    @classmethod
    def load(cls, model, options):
        backend = cls()
        backend.outputs = model.spec.outputs
        return backend

    def infer(self, faces):
        logits = np.zeros((len(faces), self.outputs), np.float32)
        logits[:, 1] = 255 - faces.mean(axis=(1, 2))
        return logits

    def close(self):
        pass
'''

PEER = """
import onnxruntime

from fer_bench.contenders.runtime import Runtime


def load(settings):
    session = onnxruntime.InferenceSession(settings["file"], providers=["CPUExecutionProvider"])
    info = {"version": onnxruntime.__version__, "threads": "default"}
    return Runtime(lambda faces: session.run(None, {"faces": faces})[0], splits=False, info=lambda: info)
"""


class House:
    """A copy of the four packages, to which a test adds a file and its entry in a registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("engine/fer_engine", "train/fer_train", "export/fer_export", "benchmarks/fer_bench"):
            name = part.partition("/")[2]
            shutil.copytree(ROOT / part, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def add(self, file: str, content: str) -> None:
        assert not (self.folder / file).exists()
        (self.folder / file).write_text(content)

    def register(self, file: str, registry: str, entry: str) -> None:
        """Put an entry first into the dictionary `registry`; the import that it needs goes before it."""
        *imports, entry = entry.splitlines()
        text = (self.folder / file).read_text("utf-8")
        changed, count = re.subn(
            rf"^({registry}\b[^=\n]*= {{)", "\n".join([*imports, rf"\1{entry}"]), text, flags=re.MULTILINE
        )
        assert count == 1, f"{file} has no dictionary {registry}"
        (self.folder / file).write_text(changed)

    def run(self, *command: object) -> str:
        """Run `python -m` with the copy; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


def test_a_network_is_a_file_and_an_entry(house, small, tmp_path):
    house.add("fer_train/models/line_cnn.py", NETWORK)
    house.register(
        "fer_train/models/__init__.py",
        "MODELS",
        "from fer_train.models import line_cnn\n**line_cnn.ENTRIES,",
    )
    assert "line_cnn" in house.run("fer_train", "--list")
    run, artifact = tmp_path / "run", tmp_path / "artifact"
    house.run("fer_train", "--model", "line_cnn", "--data", small, "--epochs", 1, "--output", run)
    house.run("fer_export", "--model", "line_cnn", "--checkpoint", run / "best", "--output", artifact)
    manifest = json.loads((artifact / "manifest.json").read_text("utf-8"))
    assert manifest["spec"]["name"] == "line_cnn"
    assert manifest["files"].keys() == {"fp32"}


def test_a_data_set_is_a_file_and_an_entry(house, tmp_path):
    house.add("fer_train/data/portraits.py", DATA_SET)
    house.register(
        "fer_train/data/__init__.py",
        "ANNOTATED",
        "from fer_train.data import portraits\nportraits.COLUMN: portraits.read_portraits,",
    )
    lines = ["portrait,mood"]
    for index in range(40):
        face = np.random.default_rng(index).integers(0, 256, (48, 48), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), face)
        lines.append(f"{index}.png,{'tense' if index % 2 else 'calm'}")
    (tmp_path / "portraits.csv").write_text("\n".join(lines) + "\n")
    data = ("--data", tmp_path / "portraits.csv", "--model", "simple_cnn", "--epochs", 1)
    house.run("fer_train", *data, "--output", tmp_path / "run")
    spec = json.loads((tmp_path / "run" / "best" / "spec.json").read_text("utf-8"))
    assert spec["labels"] == ["calm", "tense"]


def test_a_backend_is_a_file_and_an_entry(house, artifact, tmp_path):
    house.add("fer_engine/backends/darkness.py", BACKEND)
    house.register(
        "fer_engine/runtime/backend.py",
        "BACKENDS",
        '"darkness": Entry("fer_engine.backends.darkness:DarknessBackend"),',
    )
    skimage = pytest.importorskip("skimage", reason="scikit-image is not installed")
    photo = Path(skimage.__file__).parent / "data" / "astronaut.png"
    command = ("fer_engine.predict", photo, "--artifact", artifact, "--backend", "darkness")
    house.run(*command, "--precision", "fp32", "--json", tmp_path / "found.jsonl")
    lines = (tmp_path / "found.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["label"] for line in lines} == {"disgust"}


def test_a_peer_is_a_file_and_an_entry(house, artifact, tmp_path):
    house.add("fer_bench/contenders/peers/plain.py", PEER)
    house.register(
        "fer_bench/contenders/peers/registry.py",
        "PEERS",
        '"plain": Peer("fer_bench.contenders.peers.plain:load", "onnxruntime", ("onnxruntime",), '
        '"as it comes", "https://onnxruntime.ai"),',
    )
    command = ("fer_bench", "--artifact", artifact, "--backend", "onnxruntime", "--precision", "fp32")
    quick = ("--batch", 1, "--rounds", 1, "--seconds", 0.02, "--cold-starts", 1)
    house.run(*command, *quick, "--peers", "plain", "--json", tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text("utf-8"))
    assert "plain" in {contender["name"] for contender in record["contenders"]}
    assert record["parity"]["plain"]["agreement"] == 1.0
