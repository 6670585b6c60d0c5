"""Whatever holds a picture gives the same faces, and results as people use them."""

from __future__ import annotations

import importlib
import io
import json
import pickle
import threading
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import PIL.Image
import pytest
import torch

from fer_engine import Engine, FerError
from fer_engine.errors import BackendError, ImageError, InputError
from fer_engine.predict.results import json_lines
from fer_engine.vision import Analysis, Frame, analyze, find_expressions, read_image


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """Give a lossless photograph of one person, in the public domain."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    path = tmp_path_factory.mktemp("photo") / "hopper.png"
    cv2.imwrite(str(path), image)
    return path


@pytest.fixture(scope="module")
def expected(photo):
    return analyze(photo)


def opened(path: Path) -> PIL.Image.Image:
    with PIL.Image.open(path) as image:
        return image.copy()


def forms(path: Path) -> dict[str, object]:
    rgb = np.asarray(opened(path).convert("RGB"))
    return {
        "text": str(path),
        "bytes": path.read_bytes(),
        "Pillow": opened(path),
        "transparent": opened(path).convert("RGBA"),
        "array": cv2.imread(str(path)),
        "tensor": torch.from_numpy(rgb.copy()).permute(2, 0, 1),
        "tensor of floats": torch.from_numpy(rgb.copy()).permute(2, 0, 1) / 255,
        "half": (torch.from_numpy(rgb.copy()).permute(2, 0, 1) / 255).half(),
        "channels last": torch.from_numpy(rgb.copy()),
    }


def test_every_form_of_a_picture_gives_the_same_answer(photo, expected):
    assert len(expected.faces) == 1
    for name, form in forms(photo).items():
        np.testing.assert_array_equal(analyze(form).image, expected.image, err_msg=name)
    first = analyze(list(forms(photo).values())[:2])
    assert [one.to_dicts()[0]["probabilities"] for one in first] == [
        expected.to_dicts()[0]["probabilities"]
    ] * 2


def test_the_order_of_channels_may_be_named(expected):
    rgb = np.ascontiguousarray(expected.image[..., ::-1])
    np.testing.assert_array_equal(analyze(rgb, order="rgb").image, expected.image)
    gray = cv2.cvtColor(expected.image, cv2.COLOR_BGR2GRAY)
    assert len(analyze(gray).faces) == len(analyze(gray[..., np.newaxis]).faces) == 1
    with pytest.raises(InputError, match="order must be bgr or rgb, got 'gbr'"):
        analyze(rgb, order="gbr")


def test_a_turned_photograph_of_pillow_is_upright(photo, expected, tmp_path):
    turned = opened(photo).transpose(PIL.Image.Transpose.ROTATE_90)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(analyze(opened(tmp_path / "turned.png")).image, expected.image)


def test_results_are_those_of_the_command(photo, expected):
    frame = Frame(str(photo), 0, 0.0, expected.image)
    line = json.loads(json_lines(Analysis(frame, expected.faces), expected.labels))
    (own,) = json.loads(expected.to_json())
    assert own == {name: value for name, value in line.items() if name not in ("frame", "time_ms")}
    assert repr(expected).startswith(f"ImageResult({photo}, 512x600: {expected.faces[0].label} 0.")


def test_copies_are_drawn_and_written(expected, tmp_path):
    drawn = np.asarray(expected.plot())[..., ::-1]
    assert drawn.shape == expected.image.shape
    assert (drawn != expected.image).any()
    np.testing.assert_array_equal(read_image(expected.save(tmp_path / "seen.png")), drawn)
    (tmp_path / "seen.txt").write_text("kept")
    for name in ("seen.txt", "seen"):
        with pytest.raises(ImageError, match=r"is no format of images; end the name in \.jpg"):
            expected.save(tmp_path / name)
    assert (tmp_path / "seen.txt").read_text() == "kept"


def test_an_engine_and_a_detector_of_ones_own_are_used(expected):
    with Engine.load("simple_cnn", threads=1) as engine:
        box = np.array([[10, 10, 60, 60]], np.int32)
        (face,) = analyze(expected.image, engine=engine, detector=lambda _: box, min_confidence=1.0).faces
        (same,) = find_expressions(engine, expected.image, lambda _: box)
    assert (face.box, face.label) == ((10, 10, 60, 60), "uncertain")
    np.testing.assert_array_equal(face.probabilities, same.probabilities)


def test_a_result_keeps_its_picture_where_the_caller_reuses_the_memory(expected):
    frame = expected.image.copy()
    result = analyze(frame)
    frame[:] = 0
    np.testing.assert_array_equal(result.image, expected.image)


def test_threads_that_call_at_once_share_one_engine(expected, monkeypatch):
    loaded, load = [], Engine.load
    module = importlib.import_module("fer_engine.vision.analyze")
    monkeypatch.setattr(module.Engine, "load", lambda name: (loaded.append(name), load(name))[1])
    module._default_engine.cache_clear()
    threads = [threading.Thread(target=analyze, args=(expected.image,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["fer_tiny"]


def test_a_damaged_image_of_pillow_is_one_of_our_errors():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, "PNG")
    image = PIL.Image.open(io.BytesIO(file.getvalue()[:2000]))  # decoded when it is used
    with image, pytest.raises(ImageError, match="the image of Pillow cannot be decoded"):
        analyze(image)


def test_a_tensor_of_bfloat16_is_read():
    gray = torch.full((3, 20, 30), 0.5, dtype=torch.bfloat16)
    np.testing.assert_array_equal(analyze(gray).image, np.full((20, 30, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://example.org/a.jpg", "is an address, and nothing is fetched"),
        ("nowhere.png", "cannot read nowhere.png"),
        (b"no image", "the image's bytes"),
        (3, "int holds no picture; give a path"),
        (np.zeros((2, 20, 20, 3), np.uint8), r"got uint8 \[2, 20, 20, 3\]; give a batch as a list"),
        (np.zeros((20, 20, 4), np.uint8), r"got uint8 \[20, 20, 4\]"),
        (np.zeros((20, 20, 3)), "got float64"),
        (torch.full((3, 20, 20), 7.0), "got float32"),
        (PIL.Image.fromarray(np.full((20, 20), 30000, np.uint16)), "must have 8 bits, got mode I;16"),
        (PIL.Image.fromarray(np.full((20, 20), 0.5, np.float32)), "must have 8 bits, got mode F"),
        (np.zeros((0, 20, 3), np.uint8), r"got uint8 \[0, 20, 3\]"),
    ],
)
def test_what_is_no_picture_is_told(given, text):
    with pytest.raises(FerError, match=text):
        analyze(given)


def test_faces_and_pictures_are_not_mixed_up(photo, expected):
    with Engine.load("simple_cnn", threads=1) as engine:
        for given in (str(photo), photo, photo.read_bytes(), opened(photo)):
            with pytest.raises(InputError, match=r"fer_engine\.vision\.analyze takes pictures"):
                engine.predict(given)
        with pytest.raises(
            InputError, match=r"for a picture with faces in it take fer_engine\.vision\.analyze"
        ):
            engine.predict(expected.image)


def test_an_engine_says_what_it_is_and_stays_in_its_process():
    with Engine.load("simple_cnn", threads=1) as engine:
        assert repr(engine) == "Engine(simple_cnn, fp32 on onnxruntime, cpu, threads=1)"
        with pytest.raises(
            BackendError, match="cannot be pickled or copied; give the artifact's path or name"
        ):
            pickle.dumps(engine)
