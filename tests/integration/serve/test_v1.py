"""KServe's first protocol: faces as lists of pixels, images as base64."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from serving import MODEL, image_of, noise

PREDICT = f"/v1/models/{MODEL}:predict"


def predictions_of(server, instances: list[object]) -> list[dict]:
    code, headers, text = server.post(PREDICT, json.dumps({"instances": instances}).encode())
    assert (code, headers["content-type"]) == (200, "application/json"), text
    return json.loads(text)["predictions"]


def error_of(server, request: object, path: str = PREDICT) -> tuple[int, str]:
    code, _, text = server.post(path, json.dumps(request).encode())
    return code, json.loads(text)["error"]


def close(one: dict, other: dict) -> bool:
    """Whether two answers are those of the same face, in batches of different sizes perhaps."""
    return one["label"] == other["label"] and one["probabilities"] == pytest.approx(
        other["probabilities"], abs=1e-3
    )


def test_the_model_is_ready(server):
    assert json.loads(server.get("/v1/models")[2]) == {"models": [MODEL]}
    assert json.loads(server.get(f"/v1/models/{MODEL}")[2]) == {"name": MODEL, "ready": True}
    code, _, text = server.get("/v1/models/another")
    assert (code, "there is no model 'another'" in json.loads(text)["error"]) == (404, True)


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_faces_get_labels_and_probabilities(server, engine, kind):
    faces = noise(3)
    expected = engine.predict(faces)
    predictions = predictions_of(server, faces.astype(kind).tolist())
    assert [entry["label"] for entry in predictions] == expected.labels
    for entry, row in zip(predictions, expected.probabilities, strict=True):
        assert list(entry) == ["label", "probabilities"]
        np.testing.assert_allclose(list(entry["probabilities"].values()), row, atol=1e-3)


def test_images_and_faces_in_one_request_keep_their_order(server, engine, hopper):
    photo, blank = (base64.b64encode(image).decode() for image in (hopper, image_of(60, 50)))
    face = noise(1)[0].tolist()
    answers = predictions_of(server, [face, {"b64": photo}, {"image": {"b64": blank}}, photo, face])
    assert close(answers[0], answers[4])
    assert answers[0]["label"] == engine.predict(noise(1)).labels[0]
    assert (answers[1]["width"], answers[1]["height"], len(answers[1]["faces"])) == (512, 600, 1)
    assert close(answers[1]["faces"][0], answers[3]["faces"][0])
    assert answers[2] == {"width": 60, "height": 50, "faces": []}


def test_an_image_in_json_is_answered_as_its_bytes_are(server, hopper):
    text = json.dumps({"image": base64.b64encode(hopper).decode()}).encode()
    code, _, answer = server.post("/predict", text, Content_Type="application/json")
    assert code == 200
    _, _, expected = server.post("/predict", hopper, Content_Type="image/jpeg")
    (face,), (other,) = json.loads(answer)["faces"], json.loads(expected)["faces"]
    assert face["box"] == other["box"]
    assert close(face, other)


def test_no_instances_are_no_error(server):
    assert predictions_of(server, []) == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"inputs": []}, "the request lacks instances"),
        ({"instances": [], "signature_name": "x"}, "signature_name, which is not served"),
        ({"instances": "x"}, "instances must be a list, got str"),
        ({"instances": [noise(1)[0].tolist(), [1, 2]]}, "instance 1, a face [48, 48], must be 2304 whole"),
        ({"instances": [[[0.5] * 48] * 48]}, "instance 0, a face [48, 48], must be 2304 whole"),
        ({"instances": [3]}, "instance 0 must be a text in base64, got int"),
        ({"instances": [{"b64": "bm8gaW1hZ2U="}]}, "instance 0 is no image of a known format"),
    ],
)
def test_requests_that_cannot_be_answered(server, request_, words):
    code, error = error_of(server, request_)
    assert code == 400
    assert words in error


def test_another_model(server):
    code, error = error_of(server, {"instances": []}, "/v1/models/another:predict")
    assert code == 404
    assert "there is no model 'another'" in error


def test_the_limits_hold_for_all_instances_together(strict):
    code, error = error_of(strict, {"instances": [noise(1)[0].tolist()] * 5})
    assert (code, "a request may have 4 faces and images" in error) == (413, True)
    image = base64.b64encode(image_of(500, 500)).decode()
    assert len(predictions_of(strict, [image])) == 1
    code, error = error_of(strict, {"instances": [image, image]})
    assert (code, "instance 1 has 250000 pixels, expected at most 50000" in error) == (413, True)
