"""Every peer whose packages are here: its answers are those of the PyTorch reference."""

import json

import numpy as np
import pytest

from fer_bench import cli
from fer_bench.contenders.peers.line_up import line_up_peers
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.contenders.worker_client import running_workers
from fer_engine.artifact.artifact import Artifact
from fer_train import checkpoint, loop, synthetic

COUNT = 70  # more than a call of the worker's, and not a multiple of any part
# Of the logits' range. float32 differs by the order of its sums, bfloat16 keeps 8 bits of each value.
TOLERANCES = {"fp32": 1e-5, "default": 3e-2}
# It compiles C++ for every batch size: a minute where nothing is cached.
SLOW = {"pytorch/compile"}
SAME_NETWORK = [name for name in PEERS if name not in SLOW]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One for all tests, so that no conversion is made twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def faces():
    return synthetic.faces(COUNT, seed=5)


@pytest.fixture(scope="module")
def reference(artifact, faces):
    network, spec = checkpoint.load(artifact / "checkpoint")
    return loop.logits(network, spec, faces)


@pytest.mark.parametrize("name", SAME_NETWORK)
def test_a_peer_gives_the_answers_of_pytorch(name, artifact, faces, reference, tmp_path):
    if PEERS[name].missing():
        pytest.skip(f"pip install {PEERS[name].packages}")
    np.save(tmp_path / "faces.npy", faces)
    (contender,), skipped = line_up_peers(Artifact.open(artifact), (name,), threads=2)
    assert not skipped
    with running_workers([contender], str(tmp_path / "faces.npy")) as workers:
        workers[name].ask("logits", path=str(tmp_path / "logits.npy"))
        info = workers[name].ask("info")
    logits = np.load(tmp_path / "logits.npy")
    assert logits.dtype == np.float32
    assert np.abs(logits - reference).max() <= TOLERANCES[contender.precision] * np.ptp(reference)
    assert info["settings"] == PEERS[name].settings
    assert info["threads"] in (1, 2)


def test_peers_are_measured_beside_the_engine(artifact, tmp_path, capsys):
    path = tmp_path / "bench.json"
    arguments = ["--artifact", str(artifact), "--backend", "onnxruntime", "--precision", "fp32"]
    quick = ["--batch", "1", "--rounds", "1", "--seconds", "0.02", "--cold-starts", "1"]
    assert cli.main([*arguments, *quick, "--peers", "onnxruntime", "--json", str(path)]) == 0
    found = json.loads(path.read_text("utf-8"))
    names = {"onnxruntime/1-thread", "onnxruntime/throughput"}
    assert names <= {entry["name"] for entry in found["contenders"]}
    assert names <= {entry["contender"] for entry in found["speed"]}
    assert names <= set(found["parity"])
    assert "one session of one thread" in " ".join(capsys.readouterr().out.split())
