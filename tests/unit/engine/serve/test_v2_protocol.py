"""The protocol's JSON and its binary extension: what is understood, and what is refused with which words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import InputError
from fer_engine.serve import v2_protocol
from fer_engine.serve.limits import RefusedError

SPEC = ModelSpec("tiny", labels=("calm", "tense", "glad"), height=2, width=2)
FACES = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
TENSOR = {"name": "faces", "datatype": "UINT8", "shape": [2, 2, 2]}
LOGITS = np.array([[1.5, -2, 0.25], [0, 4, 3]], np.float32)


def parse(request: object, tail: bytes = b"", max_faces: int = 10) -> v2_protocol.InferRequest:
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    return v2_protocol.parse_request(memoryview(text), memoryview(tail), SPEC, max_faces)


def asking(tensor: dict | None = None, **more: object) -> dict:
    return {"inputs": [{**TENSOR, "data": FACES.ravel().tolist(), **(tensor or {})}], **more}


@pytest.mark.parametrize(
    "data",
    [FACES.ravel().tolist(), FACES.tolist(), FACES.reshape(4, 2).tolist(), FACES.astype(float).tolist()],
)
def test_json_data_may_be_nested(data):
    assert np.array_equal(parse(asking({"data": data})).faces, FACES)


def test_binary_data_stands_behind_the_json():
    tensor = {**TENSOR, "parameters": {"binary_data_size": 8}}
    body = json.dumps({"inputs": [tensor]}).encode()
    text, tail = v2_protocol.split_body(body + FACES.tobytes(), str(len(body)).encode())
    assert np.array_equal(v2_protocol.parse_request(text, tail, SPEC, 10).faces, FACES)


def test_the_model_may_be_named_again():
    assert np.array_equal(parse(asking(model_name="tiny")).faces, FACES)


@pytest.mark.parametrize("form", ["json", "binary"])
def test_no_faces_are_a_request_too(form):
    given = {"data": []} if form == "json" else {"parameters": {"binary_data_size": 0}}
    request = parse({"inputs": [{**TENSOR, "shape": [0, 2, 2], **given}]})
    assert request.faces.shape == (0, 2, 2)
    assert request.faces.dtype == np.uint8


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, v2_protocol.OutputFormat()),
        ({"outputs": []}, v2_protocol.OutputFormat()),
        ({"outputs": [{"name": "logits"}]}, v2_protocol.OutputFormat()),
        ({"parameters": {"binary_data_output": True}}, v2_protocol.OutputFormat(binary=True)),
        (
            {"outputs": [{"name": "logits", "parameters": {"binary_data": True}}]},
            v2_protocol.OutputFormat(binary=True),
        ),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "logits", "parameters": {"binary_data": False, "classification": 2}}],
            },
            v2_protocol.OutputFormat(classes=2),
        ),
        (
            {"outputs": [{"name": "logits", "parameters": {"classification": 9}}]},
            v2_protocol.OutputFormat(classes=3),
        ),
    ],
)
def test_outputs(more, wanted):
    assert parse(asking(**more)).output == wanted


def test_values_as_json_and_as_bytes():
    text, length = v2_protocol.render_response(
        SPEC, v2_protocol.InferRequest(FACES, v2_protocol.OutputFormat(), "q7"), LOGITS
    )
    assert length is None
    assert json.loads(text) == {
        "model_name": "tiny",
        "model_version": "1",
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [2, 3], "data": [1.5, -2, 0.25, 0, 4, 3]}
        ],
        "id": "q7",
    }
    body, length = v2_protocol.render_response(
        SPEC, v2_protocol.InferRequest(FACES, v2_protocol.OutputFormat(binary=True)), LOGITS
    )
    answer = json.loads(body[:length])
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 24}
    assert "id" not in answer
    assert np.array_equal(np.frombuffer(body[length:], "<f4").reshape(2, 3), LOGITS)


def test_classification_gives_the_best_classes_first():
    text, _ = v2_protocol.render_response(
        SPEC, v2_protocol.InferRequest(FACES, v2_protocol.OutputFormat(classes=2)), LOGITS
    )
    (output,) = json.loads(text)["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    assert output["data"] == ["1.500000:0:calm", "0.250000:2:glad", "4.000000:1:tense", "3.000000:2:glad"]
    body, length = v2_protocol.render_response(
        SPEC, v2_protocol.InferRequest(FACES, v2_protocol.OutputFormat(binary=True, classes=1)), LOGITS
    )
    assert body[length:] == b"\x0f\0\0\x001.500000:0:calm" + b"\x10\0\0\x004.000000:1:tense"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"{", "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[" * 100_000, "the request is not JSON"),
        (b'{"inputs": [NaN]}', "NaN is not a JSON number"),
        (b"9" * 5000, "the request is not JSON|must be an object"),
        ([], "the request must be an object, got list"),
        ({}, "the request lacks inputs"),
        (asking(model_name="other"), "model_name must be 'tiny', as in the path, got 'other'"),
        (asking(id=7), "id must be a text, got 7"),
        (asking(sequence=1), "the request has sequence, which is not served; known: id, inputs"),
        (asking(parameters={"priority": 2}), "parameters has priority, which is not served"),
        (asking(parameters=[]), "parameters must be an object, got list"),
        (asking(parameters={"binary_data_output": 1}), "binary_data_output must be true or false, got 1"),
        ({"inputs": {}}, "inputs must be a list with the one input 'faces', got dict"),
        ({"inputs": [TENSOR, TENSOR]}, "one input 'faces', got 2 inputs"),
        ({"inputs": ["faces"]}, "the input must be an object, got str"),
        ({"inputs": [{"name": "faces"}]}, "the input lacks datatype, shape"),
        ({"inputs": [TENSOR]}, "either data or the parameter binary_data_size"),
        (asking({"name": "x"}), r"takes faces UINT8 \[-1, 2, 2\], got x UINT8"),
        (asking({"datatype": "FP32"}), "got faces FP32"),
        (asking({"shape": [2, 2, 3]}), r"got faces UINT8 \[2, 2, 3\]"),
        (asking({"shape": [-1, 2, 2]}), r"got faces UINT8 \[-1, 2, 2\]"),
        (asking({"shape": [True, 2, 2]}), "got faces UINT8"),
        (asking({"shape": 8}), "got faces UINT8 8"),
        (asking({"shape": []}), r"got faces UINT8 \[\]"),
        (asking({"parameters": {"shared_memory_region": "x"}}), "shared_memory_region, which is not served"),
        (asking({"data": [1, 2]}), "data must be 8 whole numbers from 0 to 255"),
        (asking({"data": [[1, 2], [3]]}), "data must be 8 whole numbers"),
        (asking({"data": [[1, 2, 3], [4, 5, 6, 7, 8]]}), "data must be 8 whole numbers"),
        (asking({"data": [[1] * 4, 1, 2, 3, 4]}), "data must be 8 whole numbers"),
        (asking({"data": [[]] * 10**6}), "data must be 8 whole numbers"),  # NumPy takes minutes for these
        (asking({"data": [[[]] * 8] * 8}), "data must be 8 whole numbers"),
        (asking({"data": [256] * 8}), "data must be 8 whole numbers"),
        (asking({"data": [-1] * 8}), "data must be 8 whole numbers"),
        (asking({"data": [0.5] * 8}), "data must be 8 whole numbers"),
        (asking({"data": [1, 2, 3, 4, 5, 6, 7, 255.5]}), "data must be 8 whole numbers"),
        (asking({"data": [256.0] * 8}), "data must be 8 whole numbers"),
        (
            b'{"inputs":[{"name":"faces","datatype":"UINT8","shape":[1,2,2],"data":[1e999,1,1,1]}]}',
            "data must be 4 whole numbers",
        ),
        (asking({"data": [True] * 8}), "data must be 8 whole numbers"),
        (asking({"data": ["a"] * 8}), "data must be 8 whole numbers"),
        (asking({"data": [10**30] * 8}), "data must be 8 whole numbers"),
        (asking({"data": None}), "data must be 8 whole numbers"),
        (asking({"data": {}}), "data must be 8 whole numbers"),
        (asking(outputs={}), "outputs must be a list with the one output 'logits', got dict"),
        (asking(outputs=[{"name": "logits"}] * 2), "got 2 outputs"),
        (asking(outputs=[{"name": "p"}]), "the model's output is 'logits', got 'p'"),
        (
            asking(outputs=[{"name": "logits", "parameters": {"classification": -1}}]),
            "classification must be a whole number of classes, got -1",
        ),
    ],
)
def test_requests_that_cannot_be_answered(request_, message):
    with pytest.raises(InputError, match=message):
        parse(request_)


@pytest.mark.parametrize(("declared", "sent"), [(8, 7), (7, 8), (8, 9), ("8", 8), (None, 8)])
def test_binary_data_of_another_size(declared, sent):
    tensor = {**TENSOR, "parameters": {"binary_data_size": declared}}
    with pytest.raises(InputError, match=f"has 8 bytes, but binary_data_size is {declared} and {sent} bytes"):
        parse({"inputs": [tensor]}, b"x" * sent)


def test_bytes_that_no_input_claims():
    with pytest.raises(InputError, match="3 bytes follow the JSON"):
        parse(asking(), b"abc")


@pytest.mark.parametrize("count", [11, 10**15])
def test_too_many_faces(count):
    with pytest.raises(RefusedError, match=f"may have 10 faces, got {count}") as refused:
        parse(asking({"shape": [count, 2, 2]}))
    assert refused.value.status == 413


@pytest.mark.parametrize("header", [b"-1", b"x", b"", b"1" * 5000, "\u0665".encode()])
def test_a_header_that_is_no_length(header):
    with pytest.raises(InputError, match="Inference-Header-Content-Length must be a number of bytes"):
        v2_protocol.split_body(b"abc", header)


def test_a_header_longer_than_the_body():
    with pytest.raises(InputError, match="is 4, more than the 3 bytes"):
        v2_protocol.split_body(b"abc", b"4")


def test_colour_faces():
    spec = ModelSpec("rgb", height=2, width=1, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
    text = json.dumps({"inputs": [{**TENSOR, "shape": [1, 2, 1, 3], "data": list(range(6))}]}).encode()
    parsed = v2_protocol.parse_request(memoryview(text), memoryview(b""), spec, 10)
    assert np.array_equal(parsed.faces, np.arange(6).reshape(1, 2, 1, 3))
