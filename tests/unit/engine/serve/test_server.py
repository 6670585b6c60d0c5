"""What cannot be served, and where."""

from __future__ import annotations

import signal
import socket
import sys
from types import SimpleNamespace

import pytest

from fer_engine.artifact.spec import AFFECT, ModelSpec
from fer_engine.errors import ConfigError
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits
from fer_engine.serve.server import bind, serve


def test_a_regression_has_no_expressions_to_serve():
    engine = SimpleNamespace(spec=ModelSpec("affect", labels=AFFECT, task="regression"))
    with bind("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="affect is a regression model"):
        serve(engine, listener, BatchOptions(), Limits(), nothing)


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://Example.org", "null", ""])
def test_an_origin_that_no_browser_sends(origin):
    with bind("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="an origin is a scheme, a host"):
        serve(classifier(), listener, BatchOptions(), Limits(), nothing, cors_origins=[origin])


def test_a_second_port_without_grpc_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_engine.serve.grpc_server", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with (
        bind("127.0.0.1", 0) as listener,
        pytest.raises(ConfigError, match=r"pip install 'fer-engine\[grpc\]'"),
    ):
        serve(classifier(), listener, BatchOptions(), Limits(), nothing, grpc_port=0)


def test_a_port_is_bound_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*another --port"):
            bind("127.0.0.1", port)


def nothing(_: int | None) -> None:
    """Stand for what is called once the server is ready."""


def classifier() -> SimpleNamespace:
    return SimpleNamespace(spec=ModelSpec("tiny"), logits=None)


def test_a_port_that_another_process_listens_on_since_it_was_bound():
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", first.getsockname()[1]) as second:
        first.listen()
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*another --port"):
            serve(classifier(), second, BatchOptions(), Limits(), nothing)


def test_a_signal_that_comes_as_soon_as_it_is_ready_ends_it_in_order():
    def fail(*_: object) -> None:
        raise AssertionError("the server does not listen to signals yet")

    before = signal.signal(signal.SIGTERM, fail)
    try:
        with bind("127.0.0.1", 0) as listener:
            limits = Limits(drain_seconds=0)
            serve(
                classifier(), listener, BatchOptions(), limits, lambda _: signal.raise_signal(signal.SIGTERM)
            )
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port):
    with pytest.raises(ConfigError, match=f"port must be from 0 to 65535, got {port}"):
        bind("127.0.0.1", port)
