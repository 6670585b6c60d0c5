"""YuNet's file, fetched from a server of this machine."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fer_engine.errors import ConfigError, FerError
from fer_engine.system import progress
from fer_engine.vision import yunet_file as module
from fer_engine.vision.yunet_file import FILE, yunet_file

CONTENT = bytes(range(256)) * 200


class Server(HTTPServer):
    """Answers each path with the bytes and the promised length that it was told, else 404."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, tuple[bytes, int]] = {}
        self.asked: list[str] = []

    def address(self, content=None, promised=None, name="file"):
        if content is not None:
            self.files[f"/{name}"] = content, len(content) if promised is None else promised
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404)
            return
        content, promised = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give the cache folder; the file expected is CONTENT, and no proxy of this machine counts."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FER_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SIZE", len(CONTENT))
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "cache"


def test_it_is_fetched_once(server, cache, capsys):
    address = server.address(CONTENT)
    path = yunet_file([address])
    assert path == cache / "detectors" / FILE
    assert path.read_bytes() == CONTENT
    assert "fetching YuNet's file (51,200 bytes, once) from 127.0.0.1" in capsys.readouterr().err
    assert yunet_file([address]) == path
    assert server.asked == ["/file"]
    assert list(path.parent.iterdir()) == [path]  # no temporary file is left


def test_a_damaged_file_is_fetched_again(server, cache, caplog):
    path = cache / "detectors" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    with progress.hidden():
        assert yunet_file([server.address(CONTENT)]).read_bytes() == CONTENT
    assert "51,199 bytes, expected 51,200" in caplog.text


@pytest.mark.parametrize(
    ("content", "promised", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", None, "got 43 bytes, expected 51,200"),
        (CONTENT[::-1], None, "its SHA-256 is .*, expected "),
        (CONTENT * 3, None, "got more than 51,200 bytes"),
        (CONTENT[:700], len(CONTENT), "got 700 bytes|IncompleteRead"),
        (None, None, "HTTP Error 404"),
    ],
    ids=["pointer", "other", "longer", "broken off", "missing"],
)
def test_what_is_not_the_file_is_an_error_with_the_manual_way(server, cache, content, promised, reason):
    address = server.address(content, promised)
    with pytest.raises(ConfigError, match=f"cannot be fetched .127.0.0.1: .*{reason}") as raised:
        yunet_file([address])
    assert f"download {address}" in str(raised.value)
    assert f"copy it to {cache / 'detectors' / FILE}" in str(raised.value)
    assert not cache.exists()


def test_the_next_address_is_tried(server):
    assert yunet_file([server.address(name="gone"), server.address(CONTENT)]).read_bytes() == CONTENT
    assert server.asked == ["/gone", "/file"]


def test_without_a_connection_each_address_is_named(server):
    closed = HTTPServer(("127.0.0.1", 0), Answer)
    closed.server_close()
    with pytest.raises(ConfigError, match=r"127.0.0.1: .*refused.*; 127.0.0.1: HTTP Error 404"):
        yunet_file([f"http://127.0.0.1:{closed.server_port}/file", server.address()])


def test_the_proxy_of_the_environment_counts(server, monkeypatch):
    zoo = "http://zoo.invalid/file"
    server.files[zoo] = CONTENT, len(CONTENT)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "")
    assert yunet_file([zoo]).read_bytes() == CONTENT
    assert server.asked == [zoo]


def test_a_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(FerError, match=r"cannot .*FER_ENGINE_CACHE"):
        yunet_file([server.address(CONTENT)])
