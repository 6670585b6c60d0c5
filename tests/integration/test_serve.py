"""The service as clients meet it: the protocol's own client, pictures, bad clients, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

from fer_engine import Engine
from fer_engine.serve.cli import main
from fer_engine.spec import EXPRESSIONS

COMMAND = "import sys; from fer_engine.serve.cli import main; sys.exit(main())"
START_SECONDS = 60  # on a busy machine
MODEL, VERSION = "mini_xception", "1"
CLOSE = 1e-3  # between logits of the same face in batches of different sizes


class Serving:
    """A server in a process of its own."""

    def __init__(self, artifact: Path, *options: object) -> None:
        words = ["--artifact", artifact, "--port", 0, "--drain-delay", 0, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        self.line = self.process.stdout.readline() if readable else ""
        ready = re.search(r"http://127\.0\.0\.1:(\d+) is ready", self.line)
        assert ready, self.process.communicate(timeout=1)
        self.port = int(ready[1])

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and what stood on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=START_SECONDS)
        return self.process.returncode, errors

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)

    def exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a new connection; return the answer to them."""
        with self.connect() as connection:
            connection.sendall(request)
            return answer_of(connection)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return self.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
        return self.exchange("\r\n".join(head).encode() + body)


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer; return its code, headers by names in small letters, and body."""
    with connection.makefile("rb") as stream:
        code = int(stream.readline().split()[1])
        pairs = iter(lambda: stream.readline().decode().strip().partition(": "), ("", "", ""))
        headers = {name.lower(): value for name, _, value in pairs}
        return code, headers, stream.read(int(headers["content-length"]))


@contextlib.contextmanager
def serving(artifact: Path, *options: object) -> Iterator[Serving]:
    server = Serving(artifact, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def server(artifact):
    with serving(artifact) as running:
        yield running


@pytest.fixture(scope="module")
def strict(artifact):
    """Give a server with tight limits."""
    limits = {
        "body": 100_000,
        "faces": 4,
        "pixels": 300_000,
        "in-flight": 2,
        "connections": 6,
    }
    words = [word for name, value in limits.items() for word in (f"--max-{name}", value)]
    with serving(artifact, *words, "--receive-timeout", 0.5) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=16) as made:
        yield made


@pytest.fixture(scope="module")
def engine(artifact):
    with Engine.load(artifact, threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def hopper() -> bytes:
    """Give a photograph of one person, as a JPEG."""
    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).read_bytes()


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def asked(faces: np.ndarray, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("faces", list(faces.shape), "UINT8")
    tensor.set_data_from_numpy(faces, binary_data=binary)
    return [tensor]


def request_of(faces: np.ndarray) -> bytes:
    """Give the bytes of an inference request."""
    text, length = triton.InferenceServerClient.generate_request_body(asked(faces))
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Inference-Header-Content-Length: {length}\r\n\r\n".encode() + text


# The protocol


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


# Pictures


def form_of(picture: bytes, name: str = "file") -> tuple[bytes, str]:
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n\r\n'
    return head.encode() + picture + b"\r\n--cut--\r\n", "multipart/form-data; boundary=cut"


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
    assert set(face) == {"box", "label", "probabilities"}
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
    assert set(answer["milliseconds"]) == {"decode", "detect", "classify", "total"}
    model = {"name": MODEL, "precision": "fp32", "backend": "onnxruntime", "device": "cpu"}
    assert answer["model"] == model


def test_a_picture_without_a_face_is_no_error(server):
    blank = cv2.imencode(".png", np.full((90, 120, 3), 200, np.uint8))[1].tobytes()
    code, _, text = server.post("/predict", blank, Content_Type="image/png")
    answer = json.loads(text)
    assert (code, answer["faces"], answer["width"], answer["height"]) == (200, [], 120, 90)


def test_bodies_that_are_no_picture(server, hopper):
    for body, words in (
        (b"", "is empty"),
        (b"no picture at all", "no picture of a known format"),
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


def test_pictures_and_tensors_share_the_engine(server, engine, hopper):
    def predict(_: int) -> tuple[int, bytes]:
        code, _, text = server.post("/predict", hopper, Content_Type="image/jpeg")
        return code, json.dumps(json.loads(text)["faces"]).encode()

    def infer(index: int) -> bool:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as own:
            logits = own.infer(MODEL, asked(noise(2, index))).as_numpy("logits")
        return np.allclose(logits, engine.logits(noise(2, index)), atol=CLOSE)

    with ThreadPoolExecutor(8) as pool:
        pictures, tensors = pool.map(predict, range(12)), pool.map(infer, range(40))
        labels = {(code, json.loads(text)[0]["label"]) for code, text in pictures}
        assert len(labels) == 1
        assert all(tensors)


# The page and what is around it


def test_the_page_allows_nothing_from_elsewhere(server):
    code, headers, text = server.get("/")
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
        'fer_requests_total{code="404",route="/v2/models/{name}/infer"} 1.0',
        "fer_faces_total 3.0",
        "fer_batch_faces_sum 3.0",
        "fer_queue_seconds_count 1.0",
        "fer_inference_seconds_count 1.0",
        "fer_requests_in_flight 0.0",
    ):
        assert line in lines


# Limits


def test_too_large_requests_are_refused(strict):
    for code, words, (path, body, headers) in (
        (413, "larger than 100000 bytes", ("/predict", bytes(100_001), {})),
        (413, "larger than 100000 bytes", (f"/v2/models/{MODEL}/infer", bytes(10**6), {})),
        (400, "at most 300000", ("/predict", picture_of(600, 600), {})),
    ):
        got, _, text = strict.post(path, body, **headers)
        assert (got, words in json.loads(text)["error"]) == (code, True)
    got, _, text = strict.exchange(request_of(noise(5)))
    assert (got, "may have 4 faces, got 5" in json.loads(text)["error"]) == (413, True)


def picture_of(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def test_a_body_without_a_length_is_cut_off_at_the_limit(strict):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    code, _, text = strict.exchange(
        head + b"8000\r\n" + bytes(0x8000) + b"\r\n" + b"18000\r\n" + bytes(0x18000)
    )
    assert (code, "larger than" in json.loads(text)["error"]) == (413, True)


def test_requests_beyond_those_under_way_are_told_to_come_again(strict):
    request = request_of(noise(1))
    with strict.connect() as first, strict.connect() as second:
        for stalled in (first, second):
            stalled.sendall(request[:-1])
        wait_for(strict, "fer_requests_in_flight 2.0")
        code, headers, text = strict.exchange(request)
        assert (code, headers["retry-after"]) == (429, "1")
        assert json.loads(text)["error"] == "2 requests are being served; try again"
        assert strict.get("/v2/health/ready")[0] == 200  # not counted
        for stalled in (first, second):
            stalled.sendall(request[-1:])
            assert answer_of(stalled)[0] == 200


def wait_for(server: Serving, line: str) -> None:
    for _ in range(200):
        if line in server.get("/metrics")[2].decode():
            return
        time.sleep(0.01)
    pytest.fail(f"the server never told {line!r}")


def test_connections_beyond_the_limit_are_told_to_come_again(strict):
    with contextlib.ExitStack() as held:
        for _ in range(6):
            held.enter_context(strict.connect())
        code, headers, text = strict.get("/v2/health/live")
        assert (code, headers["retry-after"]) == (503, "1")
        assert "too many connections" in json.loads(text)["error"]
    assert strict.get("/v2/health/live")[0] == 200


# Clients that stall or send garbage


@pytest.mark.parametrize("part", [10, -1], ids=["in the headers", "in the body"])
def test_a_client_that_stalls_is_cut_off_and_hurts_no_other(strict, part):
    request = request_of(noise(1))
    with strict.connect() as stalled:
        stalled.sendall(request[:part])
        assert strict.exchange(request)[0] == 200
        code, headers, text = answer_of(stalled)
        assert (code, headers["connection"]) == (408, "close")
        assert "did not come in within 0.5 s" in json.loads(text)["error"]
        assert stalled.recv(1) == b""


def test_a_client_that_trickles_is_cut_off(strict):
    with strict.connect() as slow:
        code = None
        for byte in b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 1000:
            with contextlib.suppress(ConnectionError):
                slow.sendall(bytes([byte]))
            if select.select([slow], [], [], 0.05)[0]:
                code = answer_of(slow)[0]
                break
        assert code == 408


def test_a_client_that_says_nothing_is_let_go(strict):
    with strict.connect() as silent:
        assert silent.recv(1) == b""


def test_a_client_that_floods_is_cut_off(strict):
    with strict.connect() as flooding:
        with contextlib.suppress(ConnectionError):
            for _ in range(10_000):  # no answer is waited for
                flooding.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        with pytest.raises(ConnectionError):
            flooding.sendall(b"GET")


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno length", 400),
        (b"\r\n\r\n" + bytes(range(128, 256)), 400),
        (b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 400_000, 431),
    ],
)
def test_garbage_is_answered_and_hurts_no_other(strict, garbage, code):
    got, headers, text = strict.exchange(garbage)
    assert (got, headers["connection"]) == (code, "close")
    assert json.loads(text)["error"]
    assert strict.exchange(request_of(noise(1)))[0] == 200


def test_random_bytes_never_end_the_server(strict):
    random = np.random.default_rng(0)
    request = request_of(noise(1))
    for _ in range(60):
        damaged = bytearray(request)
        for place in random.integers(0, 250, 4):
            damaged[place] = random.integers(0, 256)
        with strict.connect() as connection:
            connection.sendall(damaged)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100)[:9] in (b"HTTP/1.1 ", b"")
    assert strict.exchange(request)[0] == 200


def test_a_client_that_leaves_hurts_no_other(strict):
    request = request_of(noise(1))
    for part in (10, -1, len(request)):
        with strict.connect() as leaving:
            leaving.sendall(request[:part])
    assert strict.exchange(request)[0] == 200
    wait_for(strict, "fer_requests_in_flight 0.0")


# Beginning and end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_is_under_way_and_exits_with_0(artifact, number):
    request = request_of(noise(1))
    with serving(artifact, "--drain-delay", 30) as server, server.connect() as slow:
        idle = server.connect()
        slow.sendall(request[:-1])
        wait_for(server, "fer_requests_in_flight 1.0")
        server.process.send_signal(number)
        for _ in range(200):
            code, headers, _ = server.get("/v2/health/ready")
            if code == 503:
                break
            time.sleep(0.01)
        assert (code, headers["connection"]) == (503, "close")
        assert server.get("/v2/health/live")[0] == 200
        assert server.exchange(request)[0] == 200  # a balancer may not have seen it yet
        slow.sendall(request[-1:])
        assert answer_of(slow)[0] == 200
        code, errors = server.stop(number)  # the second ends the delay
        idle.close()
    assert (code, errors) == (0, "")


def test_a_request_that_is_still_coming_in_is_finished_after_the_signal(artifact):
    request = request_of(noise(1))
    with serving(artifact) as server, server.connect() as slow:
        slow.sendall(request[:-1])
        wait_for(server, "fer_requests_in_flight 1.0")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionError):
            server.get("/v2/health/live")
        slow.sendall(request[-1:])
        code, headers, _ = answer_of(slow)
        assert (code, headers["connection"]) == (200, "close")
        assert server.process.wait(START_SECONDS) == 0


def test_it_says_in_one_line_what_runs(server):
    assert re.fullmatch(
        r"fer-serve: http://127\.0\.0\.1:\d+ is ready \(mini_xception fp32 on onnxruntime, cpu\)\n",
        server.line,
    )


def error_of(capsys, *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    return error


def test_a_port_in_use_is_an_error(server, artifact, capsys):
    error = error_of(capsys, "--artifact", artifact, "--port", server.port)
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use; give another --port" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
        (["--port", 70000], "port must be from 0 to 65535, got 70000"),
        (["--max-batch", 0], "the largest batch must be at least 1 face, got 0"),
        (["--max-delay", -1], "the longest delay must be at least 0 seconds"),
        (["--max-body", 0], "the limit of body must be above 0, got 0"),
        (["--drain-delay", -1], "the limit of drain seconds must be above 0, got -1"),
        (["--artifact", "no/such/folder", "--port", 0], "no/such/folder"),
        (["--artifact", "x", "--model", "mini_xception", "--port", 0], "give --model or --artifact"),
    ],
)
def test_options_that_cannot_be(words, message, capsys):
    assert message in error_of(capsys, *words)
