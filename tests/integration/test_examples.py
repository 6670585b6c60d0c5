"""The programs in examples/, run as they stand."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from fer_engine import Engine

EXAMPLES = Path(__file__).parents[2] / "examples"
FACE = (200, 130, 320, 270)  # eyes, nose and mouth: left, top, right, bottom


@pytest.fixture(scope="module")
def photo():
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return file.read()


@pytest.fixture(scope="module")
def video(photo, tmp_path_factory):
    """Give a video of 12 frames at 10 a second with one face."""
    path = tmp_path_factory.mktemp("video") / "still.avi"
    image = cv2.resize(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), (256, 300))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 300))
    for _ in range(12):
        writer.write(image)
    writer.release()
    return path


def run(name, *argv):
    command = [sys.executable, str(EXAMPLES / name), *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # FastAPI looks there for what annotations name
    spec.loader.exec_module(module)
    return module


def covers(box, face):
    left, top, width, height = box
    return left <= face[0] and top <= face[1] and left + width >= face[2] and top + height >= face[3]


def test_each_is_short_and_tested():
    lengths = {path.stem: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert set(lengths) == {
        "analyze_photo",
        "batch_folder",
        "camera_loop",
        "fastapi_app",
        "gstreamer_callback",
    }
    assert max(lengths.values()) < 40


def test_camera_loop(video):
    done = run("camera_loop.py", video)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert [float(line.split()[0]) for line in lines] == pytest.approx([index / 10 for index in range(12)])
    assert all("face 0: " in line for line in lines)


def test_batch_folder(photo, tmp_path):
    (tmp_path / "one.jpg").write_bytes(photo)
    (tmp_path / "two.JPG").write_bytes(photo)
    (tmp_path / "broken.png").write_bytes(photo[:100])
    (tmp_path / "notes.txt").write_text("no image")
    done = run("batch_folder.py", tmp_path, tmp_path / "faces.csv")
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["one.jpg", "two.JPG"]
    for row in rows:
        assert covers([int(row[side]) for side in ("left", "top", "width", "height")], FACE)
        shares = {
            label: float(row[label]) for label in ("angry", "disgust", "fear", "happy", "sad", "surprise")
        }
        assert sum(shares.values()) + float(row["neutral"]) == pytest.approx(1, abs=1e-5)


def test_analyze_photo(photo, tmp_path):
    (tmp_path / "one.png").write_bytes(photo)
    (tmp_path / "broken.png").write_bytes(photo[:100])
    done = run("analyze_photo.py", tmp_path / "seen", tmp_path / "broken.png", tmp_path / "one.png")
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    (face,) = json.loads(done.stdout)
    assert covers(face["box"], FACE)
    assert face["file"] == str(tmp_path / "one.png")
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["one.jpg"]


def test_fastapi_app(photo):
    from fastapi.testclient import TestClient

    with TestClient(load("fastapi_app").app) as client:
        answer = client.post("/expressions", files={"image": photo})
        assert answer.status_code == 200
        (face,) = answer.json()
        assert covers(face["box"], FACE)
        assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
        answer = client.post("/expressions", files={"image": photo[:100]})
        assert answer.status_code == 400
        assert "the upload" in answer.json()["detail"]


def test_gstreamer_callback(photo):
    image = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    stride = width * 3 + 4
    padded = np.zeros((height, stride), np.uint8)
    padded[:, : width * 3] = image.reshape(height, -1)
    with Engine.load("fer_tiny") as engine:
        expressions = load("gstreamer_callback").Expressions(engine)
        analyses = expressions.analyses()

        def stream():
            for index in range(100):  # far quicker than they can be analysed
                expressions.on_frame(padded.tobytes(), width, height, stride, index * 40_000_000)
            expressions.on_end()

        thread = threading.Thread(target=stream)
        thread.start()
        found = list(analyses)
        thread.join()
    indices = [analysis.frame.index for analysis in found]
    assert indices[:1] == [0]
    assert indices == sorted(set(indices))
    for analysis in found:
        assert analysis.frame.time_ms == analysis.frame.index * 40
        assert (analysis.frame.image == image).all()
        assert [covers(face.box, FACE) for face in analysis.faces] == [True]
