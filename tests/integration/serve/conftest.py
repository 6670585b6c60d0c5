"""Servers, clients and a photograph that the tests of fer-serve share."""

from __future__ import annotations

from pathlib import Path

import matplotlib.cbook
import pytest
import tritonclient.http as triton

from fer_engine import Engine
from serving import serving


@pytest.fixture(scope="session")
def server(artifact):
    with serving(artifact) as running:
        yield running


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=16) as made:
        yield made


@pytest.fixture(scope="session")
def engine(artifact):
    with Engine.load(artifact, threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def hopper() -> bytes:
    """Give a photograph of one person, as a JPEG."""
    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).read_bytes()
