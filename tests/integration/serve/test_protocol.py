"""The Open Inference Protocol, as its own client meets it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

from serving import CLOSE, MODEL, VERSION, asked, noise, serving


def test_the_protocols_client_reads_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, VERSION)
    assert not client.is_model_ready("another")
    assert client.get_server_metadata()["name"] == "fer-engine"
    assert client.get_model_metadata(MODEL) == {
        "name": MODEL,
        "versions": ["1"],
        "platform": "onnx_fer-engine",
        "inputs": [{"name": "faces", "datatype": "UINT8", "shape": [-1, 48, 48]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 7]}],
    }


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("count", [1, 30])
def test_the_protocols_client_gets_the_engines_logits(
    client, engine, binary_input, binary_output, compression, count
):
    faces = noise(count)
    outputs = None
    if binary_output is not None:
        outputs = [triton.InferRequestedOutput("logits", binary_data=binary_output)]
    result = client.infer(
        MODEL,
        asked(faces, binary_input),
        outputs=outputs,
        request_id="q7",
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert result.get_response()["id"] == "q7"
    np.testing.assert_allclose(result.as_numpy("logits"), engine.logits(faces), atol=CLOSE)


@pytest.mark.parametrize("binary", [True, False])
def test_the_protocols_client_gets_classes(client, engine, binary):
    faces = noise(3)
    outputs = [triton.InferRequestedOutput("logits", binary_data=binary, class_count=2)]
    classes = client.infer(MODEL, asked(faces), VERSION, outputs).as_numpy("logits")
    assert classes.shape == (3, 2)
    best = [entry.decode() if binary else entry for entry in classes[:, 0]]
    assert [entry.split(":")[2] for entry in best] == engine.predict(faces).labels


def test_the_protocols_asyncio_client(server, engine):
    faces = noise(5)

    async def run() -> np.ndarray:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_ready()
            result = await client.infer(
                MODEL,
                asked(faces),
                request_compression_algorithm="gzip",
                response_compression_algorithm="gzip",
            )
            return result.as_numpy("logits")

    np.testing.assert_allclose(asyncio.run(run()), engine.logits(faces), atol=CLOSE)


def test_the_protocols_client_gets_the_statistics_of_all_models(client):
    client.infer(MODEL, asked(noise(1)))
    everything = client.get_inference_statistics()
    assert [model["name"] for model in everything["model_stats"]] == [MODEL]
    assert everything == client.get_inference_statistics(MODEL, VERSION)


def test_the_protocols_client_reads_configuration_and_index(client):
    config = client.get_model_config(MODEL)
    assert config == client.get_model_config(MODEL, VERSION)
    assert config["input"] == [{"name": "faces", "data_type": "TYPE_UINT8", "dims": [48, 48]}]
    index = client.get_model_repository_index()
    assert [(entry["name"], entry["state"]) for entry in index] == [(MODEL, "READY")]
    with pytest.raises(triton.InferenceServerException, match="there is no model 'another'"):
        client.get_model_config("another")


def test_kserves_client_reads_health_from_the_bodies(server):
    for path, expected in (
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        (f"/v2/models/{MODEL}/ready", {"name": MODEL, "ready": True}),
    ):
        code, headers, text = server.get(path)
        assert (code, headers["content-type"], json.loads(text)) == (200, "application/json", expected)


@pytest.mark.parametrize("binary", [True, False])
def test_kserves_client_names_the_model_again(server, engine, binary):
    faces = noise(2)
    tensor = {"name": "faces", "shape": [2, 48, 48], "datatype": "UINT8"}
    tensor |= {"parameters": {"binary_data_size": faces.size}} if binary else {"data": faces.tolist()}
    text = json.dumps({"id": "a1", "model_name": MODEL, "inputs": [tensor]}).encode()
    tail = faces.tobytes() if binary else b""
    lengths = {"Inference_Header_Content_Length": str(len(text))} if binary else {}
    code, _, answer = server.post(f"/v2/models/{MODEL}/infer", text + tail, **lengths)
    assert code == 200
    (output,) = json.loads(answer)["outputs"]
    np.testing.assert_allclose(output["data"], engine.logits(faces).ravel(), atol=CLOSE)


def test_pictures_count_in_the_statistics(artifact, hopper):
    with serving(artifact) as server, triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        assert server.post("/predict", hopper, Content_Type="image/jpeg")[0] == 200
        assert server.post("/predict", b"no image", Content_Type="image/jpeg")[0] == 400
        (statistics,) = client.get_inference_statistics(MODEL)["model_stats"]
    assert statistics["inference_count"] == 1
    assert statistics["last_inference"] > 0
    spent = statistics["inference_stats"]
    counts = {name: part["count"] for name, part in spent.items()}
    parts = {"queue": 1, "compute_input": 1, "compute_infer": 1, "compute_output": 1}
    assert counts == {"success": 1, "fail": 1, **parts}
    assert sum(spent[name]["ns"] for name in parts) <= spent["success"]["ns"]


def test_errors_reach_the_protocols_client(client):
    with pytest.raises(triton.InferenceServerException, match="there is no model 'another'") as error:
        client.infer("another", asked(noise(1)))
    assert error.value.status() == "404"
    with pytest.raises(triton.InferenceServerException, match=r"takes faces UINT8 \[-1, 48, 48\]"):
        client.infer(MODEL, asked(noise(1)[:, :40]))
    with pytest.raises(triton.InferenceServerException, match="priority, which is not served"):
        client.infer(MODEL, asked(noise(1)), priority=1)


def test_concurrent_requests_are_neither_lost_nor_mixed_up(artifact, engine):
    """Requests of one to five faces over 16 connections; the benchmark does the same with 20,000."""
    count = 800
    faces = noise(3 * count)
    cuts = [slice(3 * i, 3 * i + 1 + i % 3) for i in range(count)]
    expected = engine.logits(faces)
    with serving(artifact, "--max-batch", 16, "--max-delay", 2) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=16)

        def ask(index: int) -> tuple[str, np.ndarray]:
            with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as own:
                result = own.infer(MODEL, asked(faces[cuts[index]]), request_id=str(index))
            return result.get_response()["id"], result.as_numpy("logits")

        with client, ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(count)))
            statistics = client.get_inference_statistics(MODEL)["model_stats"][0]
    assert [identity for identity, _ in answers] == [str(index) for index in range(count)]
    for cut, (_, logits) in zip(cuts, answers, strict=True):
        # nearer to its own answer than to any other face's
        nearest = np.abs(logits[:, None] - expected[None]).sum(2).argmin(1)
        assert nearest.tolist() == list(range(cut.start, cut.stop))
    assert statistics["inference_count"] == sum(cut.stop - cut.start for cut in cuts)
    assert statistics["inference_stats"]["success"]["count"] == count
    assert statistics["execution_count"] < count  # some requests shared a batch
