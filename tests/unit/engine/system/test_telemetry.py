"""Nothing is written, nothing is sent: a process of its own, in an empty home."""

import os
import subprocess
import sys

import pytest

from fer_engine.runtime.backend import available_backends
from fer_engine.system.telemetry import ONNXRUNTIME_VARIABLE, OPENVINO_MODULE, without_telemetry

USE = """
import os, sys
import numpy as np

reached = []
watched = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen")
sys.addaudithook(lambda event, _: reached.append(event) if event in watched else None)
before = dict(os.environ)

from fer_engine import Engine

with Engine.load(sys.argv[1], backend=sys.argv[2]) as engine:
    assert len(engine.predict(np.zeros((3, *engine.spec.face_shape), np.uint8)).labels) == 3
assert dict(os.environ) == before
assert sys.argv[3] not in sys.modules
assert not reached, reached
"""


@pytest.mark.parametrize("backend", available_backends())
def test_load_and_predict_leave_nothing_behind(artifact, tmp_path, backend):
    home = tmp_path / "home"
    home.mkdir()
    kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    # Both libraries are quiet by themselves where they think that they run in CI: here they must not.
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", USE, str(artifact.folder), backend, OPENVINO_MODULE],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("value", [None, "0", "1"])
def test_what_the_user_has_set_counts(monkeypatch, value):
    monkeypatch.delenv(ONNXRUNTIME_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(ONNXRUNTIME_VARIABLE, value)
    with without_telemetry():
        assert os.environ[ONNXRUNTIME_VARIABLE] == (value or "1")
    assert os.environ.get(ONNXRUNTIME_VARIABLE) == value


def test_a_failed_import_leaves_all_as_it_was(monkeypatch):
    monkeypatch.delenv(ONNXRUNTIME_VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, OPENVINO_MODULE, raising=False)
    with pytest.raises(ImportError), without_telemetry():
        import openvino_telemetry  # noqa: F401
    assert ONNXRUNTIME_VARIABLE not in os.environ
    assert OPENVINO_MODULE not in sys.modules
