"""Images in the bodies of requests: base64 in JSON, in all its usual forms."""

from __future__ import annotations

import base64
import json

import pytest

from fer_engine.errors import InputError
from fer_engine.serve import image_body
from fer_engine.serve.limits import RefusedError

IMAGE = bytes(range(256))
TEXT = base64.b64encode(IMAGE).decode()
JSON = {b"content-type": b"application/json; charset=utf-8"}


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        {"b64": TEXT},
        f"data:image/jpeg;base64,{TEXT}",
        {"b64": f"data:image/jpeg;base64,{TEXT}"},
        base64.encodebytes(IMAGE).decode(),
    ],
    ids=["plain", "TensorFlow Serving", "data URL", "both", "lines"],
)
def test_base64(value):
    image_body.check_media_type(JSON)
    assert image_body.encoded_image(json.dumps({"image": value}).encode(), JSON, 10_000) == IMAGE


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], "the request must be an object, got list"),
        ({}, "the request lacks image"),
        ({"image": TEXT, "size": 3}, "the request has size, which is not served; known: image"),
        ({"image": 7}, "the image must be a text in base64, got int"),
        ({"image": {"data": TEXT}}, "the image lacks b64"),
        ({"image": "no base64!"}, "the image is not base64"),
        ({"image": "ÿÿÿÿ"}, "the image is not base64"),
        ({"image": f"a,{TEXT}"}, "the image is not base64"),
        ({"image": TEXT[:-1]}, "the image is not base64"),
        ({"image": "data:image/svg+xml,x"}, "must be a data URL in base64, got 'data:image/svg\\+xml'"),
    ],
)
def test_json_without_an_image(request_, message):
    with pytest.raises(InputError, match=message):
        image_body.encoded_image(json.dumps(request_).encode(), JSON, 10_000)


def test_another_type_is_refused():
    with pytest.raises(RefusedError, match="application/json, got 'text/html'"):
        image_body.check_media_type({b"content-type": b"text/html"})
