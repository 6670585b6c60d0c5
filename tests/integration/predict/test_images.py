"""fer-predict on photographs: what it finds, and each of the ways to have it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_engine import Engine, shipped
from fer_engine.vision.detectors import DEFAULT
from fer_predict import ASTRONAUT, HOPPER, covers, lines, run

KEYS = ["file", "frame", "time_ms", "box", "label", "probabilities"]


def test_the_first_use_needs_nothing_but_the_package(home, photos, predict):
    first, _ = home
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{photos / 'hopper.jpg'}: ")
    out, err = predict(photos / "hopper.jpg")
    assert out == first.stdout
    assert "fer_tiny fp32 on onnxruntime, cpu" in err


def test_photographs_become_lines_of_json(predict, photos):
    out, _ = predict(photos, "--json", "-")
    astronaut, hopper = lines(out)
    assert (Path(astronaut["file"]).name, Path(hopper["file"]).name) == ("astronaut.png", "hopper.jpg")
    assert covers(astronaut["box"], ASTRONAUT)
    assert covers(hopper["box"], HOPPER)
    for found in (astronaut, hopper):
        assert [key for key in found if key != "score"] == KEYS
        assert 0 <= found.get("score", 1) <= 1
        assert (found["frame"], found["time_ms"]) == (0, 0.0)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert astronaut["label"] == "happy"  # she smiles for the camera


def test_backend_and_mirror_images_are_the_ones_asked_for(predict, photos):
    plain = lines(predict(photos / "hopper.jpg", "--json", "-")[0])[0]["probabilities"]
    out, err = predict(photos / "hopper.jpg", "--json", "-", "--tta", "flip", "--backend", "openvino")
    assert "fer_tiny fp32 on openvino, cpu, averaged over mirror images; " in err
    assert f"faces by {DEFAULT}" in err
    assert lines(out)[0]["probabilities"] != plain


def test_the_table_says_what_the_json_says(predict, photos):
    predict(photos, "--json", "found.jsonl", "--csv", "found.csv")
    rows = list(csv.DictReader(io.StringIO(Path("found.csv").read_text("utf-8"))))
    for row, found in zip(rows, lines(Path("found.jsonl").read_text("utf-8")), strict=True):
        assert [int(row[side]) for side in ("left", "top", "width", "height")] == found["box"]
        assert (row["file"], row["label"], row["track"]) == (found["file"], found["label"], "")
        assert {label: float(row[label]) for label in found["probabilities"]} == found["probabilities"]


def test_an_annotated_image_differs_around_the_face_alone(predict, photos):
    before = (photos / "astronaut.png").read_bytes()
    out, _ = predict(photos / "astronaut.png", "--output", "seen.png", "--json", "-")
    left, top, width, height = lines(out)[0]["box"]
    image, seen = cv2.imread(str(photos / "astronaut.png")), cv2.imread("seen.png")
    changed = (image != seen).any(2)
    assert changed[top : top + height, left : left + width].any()
    assert not changed[top + height + 20 :].any()
    assert (photos / "astronaut.png").read_bytes() == before


def test_quiet_leaves_the_results_and_nothing_else(predict, photos):
    loud, described = predict(photos / "hopper.jpg", "--model", "fer_tiny", "--output", "loud.png")
    assert "inputs: 1, frames: 1, faces: 1, errors: 0" in described
    assert predict("-q", photos / "hopper.jpg", "-m", "fer_tiny", "-o", "quiet.png") == (loud, "")
    assert Path("quiet.png").read_bytes() == Path("loud.png").read_bytes()
    assert "error: nowhere.png does not exist" in predict("--quiet", "nowhere.png", code=2)[1]


def test_an_image_on_standard_input(home, photos):
    photo = (photos / "hopper.jpg").read_bytes()
    done = run(["-", "--json", "-"], input=photo, text=False, env=home[1])
    (found,) = lines(done.stdout.decode())
    assert (done.returncode, found["file"]) == (0, "-")
    assert covers(found["box"], HOPPER)
    done = run(["-"], input=photo[:1000], text=False, env=home[1])
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"standard input" in done.stderr


def test_crops_give_what_the_engine_gives(predict, photos):
    left, top, right, bottom = HOPPER
    gray = cv2.imread(str(photos / "hopper.jpg"), cv2.IMREAD_GRAYSCALE)[top:bottom, left:right]
    face = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)
    cv2.imwrite("face.png", face)
    (found,) = lines(predict("face.png", "--crop", "--json", "-")[0])
    with Engine.load(shipped.shipped_artifact()) as engine:
        result = engine.predict(face[np.newaxis])
    assert found["box"] == [0, 0, 48, 48]
    assert list(found["probabilities"].values()) == pytest.approx(result.probabilities[0].tolist(), abs=1e-6)


def test_no_face_is_an_empty_result(predict):
    cv2.imwrite("wall.png", np.full((200, 200, 3), 128, np.uint8))
    out, err = predict("wall.png", "--json", "f.jsonl", "--output", "seen.png")
    assert out == "wall.png: no face\n"
    assert Path("f.jsonl").read_text() == ""
    assert (cv2.imread("seen.png") == 128).all()
    assert "frames: 1, faces: 0, errors: 0" in err
    assert "no face in 1 of 1 inputs: try a larger --detect-size" in err
    assert "a lower --min-face-score" in err


def test_what_to_try_is_said_once_and_not_where_all_have_faces(predict, photos):
    cv2.imwrite("wall.png", np.full((200, 200, 3), 128, np.uint8))
    _, err = predict("wall.png", photos / "hopper.jpg")
    assert err.splitlines()[-1].startswith("no face in 1 of 2 inputs")
    _, err = predict(photos / "hopper.jpg")
    assert "no face" not in err


def test_formats_that_are_not_written_become_png(predict, photos):
    Image.open(photos / "hopper.jpg").save("hopper.gif")
    predict("hopper.gif", "--output", "out")
    assert [path.name for path in Path("out").iterdir()] == ["hopper.png"]


def test_a_face_below_the_least_confidence_is_uncertain_in_every_output(predict, photos):
    photo = photos / "astronaut.png"
    (plain,) = lines(predict(photo, "--json", "-")[0])
    out, _ = predict(photo, "--min-confidence", 1, "--json", "all.json", "--csv", "all.csv", "-o", "seen.png")
    assert f"uncertain, happy {max(plain['probabilities'].values()):.2f}, " in out
    (found,) = lines(Path("all.json").read_text())
    assert found == plain | {"label": "uncertain"}
    (row,) = csv.DictReader(io.StringIO(Path("all.csv").read_text()))
    assert row["label"] == "uncertain"
    predict(photo, "-o", "sure.png")
    assert (cv2.imread("seen.png") != cv2.imread("sure.png")).any()  # the text in the box
    _, err = predict(photo, "--min-confidence", 2, code=2)
    assert "min_confidence must be a probability from 0 (off) to 1, got 2.0" in err
