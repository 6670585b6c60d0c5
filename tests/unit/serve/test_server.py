"""What cannot be served, and where."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from fer_engine.errors import ConfigError
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits
from fer_engine.serve.server import bind, serve
from fer_engine.spec import AFFECT, ModelSpec


def test_a_regression_has_no_expressions_to_serve():
    engine = SimpleNamespace(spec=ModelSpec("affect", labels=AFFECT, task="regression"))
    with bind("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="affect is a regression model"):
        serve(engine, listener, BatchOptions(), Limits(), lambda: None)


def test_a_port_is_bound_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*another --port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port):
    with pytest.raises(ConfigError, match=f"port must be from 0 to 65535, got {port}"):
        bind("127.0.0.1", port)
