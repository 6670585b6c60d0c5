import numpy as np
import pytest

from fer_bench.contenders import worker_client
from fer_bench.contenders.contender import Contender
from fer_engine.errors import BackendError


def null(artifact, **changes):
    settings = {"backend": "null", "threads": 1} | changes
    return Contender("null", "engine", str(artifact), str(artifact / "model.onnx"), **settings)


def test_a_worker_measures_in_its_own_process(artifact, faces_path, tmp_path):
    with worker_client.running_workers([null(artifact)], faces_path) as workers:
        worker = workers["null"]
        assert worker.loaded["import_ns"] > 0
        assert worker.loaded["load_ns"] > 0
        samples = worker.ask("turn", batch=4, seconds=5.0, calls=20, warmup_calls=1)["samples_ns"]
        assert len(samples) == 20
        assert min(samples) > 0
        worker.ask("logits", path=str(tmp_path / "logits.npy"))
        assert worker.ask("info")["backend"] == "null"
    assert np.load(tmp_path / "logits.npy").shape == (10, 7)


def test_workers_end_with_the_block(artifact, faces_path):
    with worker_client.running_workers([null(artifact)], faces_path) as workers:
        running = workers["null"]._process
        assert running.poll() is None
    assert running.returncode == 0


def test_workers_end_when_the_block_fails(artifact, faces_path):
    block = worker_client.running_workers([null(artifact)], faces_path)
    running = block.__enter__()["null"]._process
    assert not block.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert running.returncode is not None


def test_a_contender_that_cannot_be_loaded_says_why(artifact):
    with pytest.raises(BackendError, match=r"null failed: .*holds no 'fp16' graph"):
        worker_client.Worker(null(artifact, precision="fp16"))


def test_a_worker_that_dies_leaves_its_last_words(artifact):
    worker = worker_client.Worker(null(artifact))
    worker._process.kill()
    with pytest.raises(BackendError, match="null ended in the middle of a measurement: exit code"):
        worker.ask("info")
    worker.kill()
