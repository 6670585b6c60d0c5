"""The micro-batch is the one with which batches, not single calls, are through first."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fer_engine.backends.null import NullBackend
from fer_engine.runtime.sharder import Sharder

SECONDS = 0.004  # many times what a disturbance of the machine adds to the quickest of some rounds
FACES = np.zeros((32, 4, 4), np.uint8)


class Overlapping(NullBackend):
    """Takes its time for each micro-batch and each face of it in `infer_shards`, and none in `infer`."""

    overlaps = True

    def __init__(self, a_batch: float, a_face: float) -> None:
        self.workers = 2
        self.micro_batches = (2, 16)
        self.seen: list[int] = []
        self._costs = a_batch, a_face
        self._classes = 7

    def infer_shards(self, faces, shards, logits) -> None:
        self.seen.append(len(shards))
        a_batch, a_face = self._costs
        longest = max(shard.stop - shard.start for shard in shards)
        time.sleep(a_batch * len(shards) + a_face * longest)
        logits[:] = np.arange(len(faces))[:, None]


@pytest.mark.parametrize(("a_batch", "a_face", "expected"), [(SECONDS, 0.0, 16), (0.0, SECONDS, 2)])
def test_the_micro_batch_is_measured_as_batches_run(a_batch, a_face, expected):
    backend = Overlapping(a_batch, a_face)
    sharder = Sharder(backend, 7)
    assert sharder.infer(FACES)[:, 0].tolist() == list(range(32))
    assert (sharder.micro_batch, sharder.micro_batch_from) == (expected, "probe")
    assert set(backend.seen) == {2, 16}
    sharder.infer(FACES)
    assert backend.seen[-1] == 32 // expected


def test_a_small_batch_is_cut_by_the_default_and_measures_nothing():
    backend = Overlapping(0.0, 0.0)
    sharder = Sharder(backend, 7)
    sharder.infer(FACES[:8])
    assert (sharder.micro_batch_from, backend.seen) == ("default", [2])
