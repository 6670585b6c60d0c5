"""The Open Inference Protocol over gRPC, as Triton's client and one that knows the messages alone meet it."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fer_engine.serve.cli import main
from serving import CLOSE, MODEL, VERSION, noise, serving

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")
messages = triton.service_pb2


@pytest.fixture(scope="module")
def both(artifact):
    """Give a server with a second port."""
    with serving(artifact, "--grpc-port", 0, "--max-faces", 40, "--max-in-flight", 20) as running:
        yield running


@pytest.fixture(scope="module")
def client(both):
    with triton.InferenceServerClient(f"127.0.0.1:{both.grpc_port}") as made:
        yield made


@pytest.fixture(scope="module")
def stub(both):
    with grpc.insecure_channel(f"127.0.0.1:{both.grpc_port}") as channel:
        yield triton.service_pb2_grpc.GRPCInferenceServiceStub(channel)


def asked(faces: np.ndarray, kind: str = "UINT8") -> list:
    tensor = triton.InferInput("faces", list(faces.shape), kind)
    tensor.set_data_from_numpy(faces)
    return [tensor]


def with_contents(faces: np.ndarray, **more: object) -> object:
    """Give a request whose pixels are numbers instead of bytes."""
    tensor = messages.ModelInferRequest.InferInputTensor(
        name="faces",
        datatype="UINT8",
        shape=faces.shape,
        contents=messages.InferTensorContents(uint_contents=faces.ravel().tolist()),
    )
    return messages.ModelInferRequest(model_name=MODEL, inputs=[tensor], **more)


def test_health_and_metadata_are_those_of_http(both, client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, VERSION)
    metadata = client.get_server_metadata(as_json=True)
    assert metadata == json.loads(both.get("/v2")[2])
    metadata = client.get_model_metadata(MODEL)
    over_http = json.loads(both.get(f"/v2/models/{MODEL}")[2])
    assert (metadata.name, list(metadata.versions)) == (over_http["name"], over_http["versions"])
    for tensors, expected in (
        (metadata.inputs, over_http["inputs"]),
        (metadata.outputs, over_http["outputs"]),
    ):
        found = [{"name": x.name, "datatype": x.datatype, "shape": list(x.shape)} for x in tensors]
        assert found == expected
    config = client.get_model_config(MODEL).config
    assert (config.name, config.max_batch_size, list(config.input[0].dims)) == (MODEL, 40, [48, 48])
    assert (config.input[0].data_type, config.output[0].data_type) == (2, 11)  # TYPE_UINT8, TYPE_FP32
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    index = client.get_model_repository_index()
    assert [(model.name, model.state) for model in index.models] == [(MODEL, "READY")]


@pytest.mark.parametrize("count", [0, 1, 30])
def test_the_client_gets_the_engines_logits(client, engine, count):
    faces = noise(count)
    outputs = [triton.InferRequestedOutput("logits")]
    result = client.infer(MODEL, asked(faces), outputs=outputs, request_id="q7", compression_algorithm="gzip")
    assert result.get_response().id == "q7"
    assert result.as_numpy("logits").shape == (count, 7)
    if count:
        np.testing.assert_allclose(result.as_numpy("logits"), engine.logits(faces), atol=CLOSE)


def test_the_client_gets_classes(client, engine):
    faces = noise(3)
    outputs = [triton.InferRequestedOutput("logits", class_count=2)]
    classes = client.infer(MODEL, asked(faces), outputs=outputs).as_numpy("logits")
    assert classes.shape == (3, 2)
    assert [entry.decode().split(":")[2] for entry in classes[:, 0]] == engine.predict(faces).labels


@pytest.mark.parametrize("count", [1, 20])
def test_numbers_are_answered_with_numbers(stub, engine, count):
    faces = noise(count)
    response = stub.ModelInfer(with_contents(faces, model_version=VERSION, id="a"))
    assert (response.model_name, response.model_version, response.id) == (MODEL, VERSION, "a")
    assert not response.raw_output_contents
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("logits", "FP32", [count, 7])
    logits = np.reshape(output.contents.fp32_contents, (count, 7))
    np.testing.assert_allclose(logits, engine.logits(faces), atol=CLOSE)
    wanted = messages.ModelInferRequest.InferRequestedOutputTensor(name="logits")
    wanted.parameters["classification"].int64_param = 1
    response = stub.ModelInfer(with_contents(faces, outputs=[wanted]))
    best = [text.decode().split(":")[2] for text in response.outputs[0].contents.bytes_contents]
    assert best == engine.predict(faces).labels


def test_kserves_client_tells_the_size_of_its_bytes_too(stub, engine):
    faces = noise(2)
    tensor = messages.ModelInferRequest.InferInputTensor(name="faces", datatype="UINT8", shape=faces.shape)
    tensor.parameters["binary_data_size"].int64_param = faces.size
    request = messages.ModelInferRequest(
        model_name=MODEL, inputs=[tensor], raw_input_contents=[faces.tobytes()]
    )
    (raw,) = stub.ModelInfer(request).raw_output_contents
    logits = np.frombuffer(raw, "<f4").reshape(2, 7)
    np.testing.assert_allclose(logits, engine.logits(faces), atol=CLOSE)
    request.parameters["binary_data_output"].bool_param = False
    response = stub.ModelInfer(request)
    assert not response.raw_output_contents
    np.testing.assert_allclose(response.outputs[0].contents.fp32_contents, logits.ravel(), atol=CLOSE)


def test_requests_share_batches_with_http_and_are_not_mixed_up(both, engine):
    faces = noise(200)
    expected = engine.logits(faces)

    def ask(index: int) -> np.ndarray:
        with triton.InferenceServerClient(f"127.0.0.1:{both.grpc_port}") as own:
            return own.infer(MODEL, asked(faces[index : index + 2])).as_numpy("logits")

    with ThreadPoolExecutor(8) as pool:
        answers = np.concatenate(list(pool.map(ask, range(0, 200, 2))))
    np.testing.assert_allclose(answers, expected, atol=CLOSE)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda r: setattr(r, "model_name", "x"), "NOT_FOUND", "there is no model 'x' of version '1'"),
        (lambda r: setattr(r, "model_version", "2"), "NOT_FOUND", "of version '2'"),
        (lambda r: r.inputs.add(), "INVALID_ARGUMENT", "has the one input faces, got 2 inputs"),
        (lambda r: r.inputs.pop(), "INVALID_ARGUMENT", "has the one input faces, got 0 inputs"),
        (
            lambda r: setattr(r.inputs[0], "datatype", "FP32"),
            "INVALID_ARGUMENT",
            "got faces FP32 [1, 48, 48]",
        ),
        (lambda r: r.inputs[0].shape.pop(), "INVALID_ARGUMENT", "got faces UINT8 [1, 48]"),
        (
            lambda r: r.inputs[0].contents.uint_contents.pop(),
            "INVALID_ARGUMENT",
            "must be 2304 whole numbers",
        ),
        (lambda r: r.raw_input_contents.append(b"x"), "INVALID_ARGUMENT", "got 1 in 1 beside contents"),
        (lambda r: setattr(r.parameters["priority"], "uint64_param", 1), "INVALID_ARGUMENT", "has priority"),
        (lambda r: r.outputs.add(name="p"), "INVALID_ARGUMENT", "the model's output is 'logits', got 'p'"),
    ],
)
def test_requests_that_cannot_be_answered(stub, change, code, words):
    request = with_contents(noise(1))
    change(request)
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(request)
    assert error.value.code().name == code
    assert words in error.value.details()


def test_too_many_faces(client):
    with pytest.raises(triton.InferenceServerException, match="may have 40 faces, got 41") as error:
        client.infer(MODEL, asked(noise(41)))
    assert error.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_a_message_beyond_the_limit_of_a_body(artifact):
    with (
        serving(artifact, "--grpc-port", 0, "--max-body", 100_000) as server,
        triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client,
        pytest.raises(triton.InferenceServerException, match="larger than max"),
    ):
        client.infer(MODEL, asked(noise(100)))


def test_answers_are_counted_and_the_end_is_in_order(artifact):
    with serving(artifact, "--grpc-port", 0) as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            client.infer(MODEL, asked(noise(2)))
            with pytest.raises(triton.InferenceServerException):
                client.infer("another", asked(noise(1)))
            statistics = client.get_inference_statistics(MODEL).model_stats[0]
        assert statistics.inference_count == 2
        assert statistics.inference_stats.success.count == 1
        assert statistics.inference_stats.fail.count == 1
        assert statistics.inference_stats.compute_infer.ns > 0
        lines = server.get("/metrics")[2].decode().splitlines()
        assert 'fer_requests_total{code="OK",route="grpc/ModelInfer"} 1.0' in lines
        assert 'fer_requests_total{code="NOT_FOUND",route="grpc/ModelInfer"} 1.0' in lines
        assert 'fer_request_seconds_count{route="grpc/ModelInfer"} 2.0' in lines
        assert server.stop() == (0, "")


def test_the_second_port_is_not_there_unless_asked_for(server):
    assert server.grpc_port is None


@pytest.mark.parametrize("port", ["taken", "70000"])
def test_a_second_port_that_cannot_be(artifact, port, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1] if port == "taken" else int(port)
        words = ["--artifact", artifact, "--port", 0, "--grpc-port", number]
        assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    expected = "another --grpc-port" if port == "taken" else "port must be from 0 to 65535, got 70000"
    assert error.startswith("error: ")
    assert expected in error
    assert "\n" not in error
