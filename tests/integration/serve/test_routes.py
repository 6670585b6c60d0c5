"""The page's files, the metrics, and what is not served."""

from __future__ import annotations

import json
import re

import pytest
import tritonclient.http as triton

from serving import MODEL, asked, image_of, noise, serving


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_pages_allow_nothing_from_elsewhere(server, path):
    code, headers, text = server.get(path)
    assert code == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert headers["permissions-policy"].startswith("camera=(self)")
    files = re.findall(r'(?:src|href)="/?page/([^"]+)"', text.decode())
    assert files
    for name in files:
        code, headers, text = server.get(f"/page/{name}")
        assert (code, len(text) > 0, headers["x-content-type-options"]) == (200, True, "nosniff")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../cli.py",
        "/page/..%2fcli.py",
        "/page/%2e%2e/cli.py",
        "/page/",
        "/page//etc/passwd",
        "/x",
        "/v2/x",
    ],
)
def test_nothing_else_is_served(server, path):
    code, _, text = server.get(path)
    assert code == 404
    assert json.loads(text)["error"]


def test_a_wrong_method_is_told(server):
    code, headers, text = server.get("/predict")
    assert (code, headers["allow"]) == (405, "POST")
    assert json.loads(text)["error"]


def test_answers_have_what_the_openapi_document_says(server, hopper):
    code, headers, text = server.get("/openapi.json")
    assert (code, headers["content-type"]) == (200, "application/json")
    schemas = json.loads(text)["components"]["schemas"]
    answer = json.loads(server.post("/predict", hopper, Content_Type="image/jpeg")[2])
    assert set(answer) == set(schemas["ImageAnswer"]["properties"])
    assert set(schemas["Face"]["required"]) <= set(answer["faces"][0]) <= set(schemas["Face"]["properties"])
    for path, name in (
        ("/v2/health/live", "Live"),
        ("/v2", "ServerMetadata"),
        (f"/v2/models/{MODEL}", "ModelMetadata"),
        (f"/v2/models/{MODEL}/config", "ModelConfig"),
        (f"/v2/models/{MODEL}/stats", "Statistics"),
        (f"/v1/models/{MODEL}", "ModelReady"),
        ("/v1/models", "Models"),
    ):
        assert set(json.loads(server.get(path)[2])) == set(schemas[name]["properties"]), path
    tensor = {"name": "faces", "datatype": "UINT8", "shape": [1, 48, 48], "data": noise(1).tolist()}
    asking = json.dumps({"inputs": [tensor]}).encode()
    answer = json.loads(server.post(f"/v2/models/{MODEL}/infer", asking)[2])
    assert set(schemas["InferAnswer"]["required"]) <= set(answer) <= set(schemas["InferAnswer"]["properties"])


PREFLIGHT = (
    "OPTIONS /predict HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n"
    "Access-Control-Request-Method: POST\r\n"
    "Access-Control-Request-Headers: content-type\r\n\r\n"
)
ALLOWED = "access-control-allow-origin"


def test_pages_of_allowed_origins_read_answers_and_others_do_not(artifact):
    image = image_of(60, 60)
    allowed = ["--cors-origin", "https://a.example", "--cors-origin", "http://localhost:3000"]
    with serving(artifact, *allowed) as server:
        for origin in ("https://a.example", "http://localhost:3000"):
            code, headers, _ = server.exchange(PREFLIGHT.format(origin=origin).encode())
            assert (code, headers[ALLOWED]) == (200, origin)
            assert "content-type" in headers["access-control-allow-headers"]
            code, headers, _ = server.post("/predict", image, Content_Type="image/png", Origin=origin)
            assert (code, headers[ALLOWED]) == (200, origin)
            code, headers, _ = server.post("/predict", b"none", Content_Type="image/png", Origin=origin)
            assert (code, headers[ALLOWED]) == (400, origin)  # errors are read too
        code, headers, _ = server.exchange(PREFLIGHT.format(origin="https://b.example").encode())
        assert (code, ALLOWED in headers) == (400, False)
        _, headers, _ = server.post("/predict", image, Content_Type="image/png", Origin="https://b.example")
        assert ALLOWED not in headers


def test_no_other_origin_is_allowed_without_the_option(server):
    image, origin = image_of(60, 60), "https://a.example"
    _, headers, _ = server.post("/predict", image, Content_Type="image/png", Origin=origin)
    assert ALLOWED not in headers


def test_metrics_count_requests_and_faces(artifact):
    with serving(artifact) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        with client:
            client.infer(MODEL, asked(noise(3)))
            with pytest.raises(triton.InferenceServerException):
                client.infer("another", asked(noise(1)))
        _, headers, text = server.get("/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = text.decode().splitlines()
    for line in (
        'fer_requests_total{code="200",route="/v2/models/{name}/infer"} 1.0',
        'fer_request_seconds_count{route="/v2/models/{name}/infer"} 2.0',
        'fer_requests_total{code="404",route="/v2/models/{name}/infer"} 1.0',
        "fer_faces_total 3.0",
        "fer_batch_faces_sum 3.0",
        "fer_queue_seconds_count 1.0",
        "fer_inference_seconds_count 1.0",
        "fer_requests_in_flight 0.0",
    ):
        assert line in lines


def test_the_time_of_an_image_s_request_includes_its_steps(artifact, hopper):
    with serving(artifact) as server:
        code, _, text = server.post("/predict", hopper, Content_Type="image/jpeg")
        metrics = server.get("/metrics")[2].decode()
    assert code == 200
    steps = json.loads(text)["milliseconds"]
    (seconds,) = re.findall(r'^fer_request_seconds_sum{route="/predict"} (\S+)$', metrics, re.MULTILINE)
    assert float(seconds) * 1000 >= steps["decode"] + steps["detect"] + steps["classify"]
