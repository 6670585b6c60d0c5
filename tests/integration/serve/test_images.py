"""POST /predict: photographs, forms, and bodies that are neither."""

from __future__ import annotations

import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import tritonclient.http as triton

from fer_engine.artifact.spec import EXPRESSIONS
from serving import CLOSE, MODEL, asked, form_of, noise, serving


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "multipart/form-data"])
def test_a_photograph_is_answered_with_its_faces(server, hopper, kind):
    body, kind = form_of(hopper) if kind.startswith("multipart") else (hopper, kind)
    code, _, text = server.post("/predict", body, Content_Type=kind)
    answer = json.loads(text)
    assert code == 200
    assert (answer["width"], answer["height"]) == (512, 600)
    assert answer["labels"] == list(EXPRESSIONS)
    (face,) = answer["faces"]
    left, top, width, height = face["box"]
    assert left < 263 < left + width  # between her eyes
    assert top < 225 < top + height
    assert set(face) - {"score"} == {"box", "label", "probabilities"}
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
    assert set(answer["milliseconds"]) == {"decode", "detect", "classify", "total"}
    model = {"name": MODEL, "precision": "fp32", "backend": "onnxruntime", "device": "cpu"}
    assert answer["model"] == model


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("DEFLATE", zlib.compress)])
def test_a_packed_form_is_answered_with_its_faces(server, hopper, encoding, pack):
    body, kind = form_of(hopper)
    code, _, text = server.post("/predict", pack(body), Content_Type=kind, Content_Encoding=encoding)
    assert (code, len(json.loads(text)["faces"])) == (200, 1)


def test_an_image_without_a_face_is_no_error(server):
    blank = cv2.imencode(".png", np.full((90, 120, 3), 200, np.uint8))[1].tobytes()
    code, _, text = server.post("/predict", blank, Content_Type="image/png")
    answer = json.loads(text)
    assert (code, answer["faces"], answer["width"], answer["height"]) == (200, [], 120, 90)


def test_bodies_that_are_no_image(server, hopper):
    for body, words in (
        (b"", "is empty"),
        (b"no image at all", "no image of a known format"),
        (hopper[: len(hopper) // 2], "cannot be decoded"),
    ):
        code, _, text = server.post("/predict", body, Content_Type="image/jpeg")
        assert code == 400
        assert words in json.loads(text)["error"]
    code, _, text = server.post("/predict", hopper, Content_Type="text/html")
    assert (code, "got 'text/html'" in json.loads(text)["error"]) == (415, True)


def test_forms_without_one_file(server):
    for body, kind, words in (
        (b"--cut--\r\n", "multipart/form-data; boundary=cut", "must have one file, got 0"),
        (b"x", "multipart/form-data", "Missing boundary"),
        (b"x", "multipart/form-data; boundary=cut", "cannot be read"),
        (form_of(b"a")[0][:-9] + form_of(b"b")[0], "multipart/form-data; boundary=cut", "Too many files"),
    ):
        code, _, text = server.post("/predict", body, Content_Type=kind)
        assert code == 400
        assert words in json.loads(text)["error"]


def test_images_and_tensors_share_the_engine(server, engine, hopper):
    def predict(_: int) -> tuple[int, bytes]:
        code, _, text = server.post("/predict", hopper, Content_Type="image/jpeg")
        return code, json.dumps(json.loads(text)["faces"]).encode()

    def infer(index: int) -> bool:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as own:
            logits = own.infer(MODEL, asked(noise(2, index))).as_numpy("logits")
        return np.allclose(logits, engine.logits(noise(2, index)), atol=CLOSE)

    with ThreadPoolExecutor(8) as pool:
        images, tensors = pool.map(predict, range(12)), pool.map(infer, range(40))
        labels = {(code, json.loads(text)[0]["label"]) for code, text in images}
        assert len(labels) == 1
        assert all(tensors)


def test_a_face_below_the_least_confidence_is_uncertain(server, artifact, hopper):
    _, _, text = server.post("/predict", hopper, Content_Type="image/jpeg")
    with serving(artifact, "--min-confidence", 1) as doubting:
        _, _, doubted = doubting.post("/predict", hopper, Content_Type="image/jpeg")
    (plain,), (face,) = json.loads(text)["faces"], json.loads(doubted)["faces"]
    assert face["label"] == "uncertain"
    assert face["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-5)
    assert face["box"] == plain["box"]
