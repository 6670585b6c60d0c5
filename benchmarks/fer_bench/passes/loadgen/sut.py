"""The system under test (SUT), as LoadGen calls it: it passes queries to a contender and answers back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import mlperf_loadgen
import numpy as np

from fer_bench.passes.loadgen.scenario_options import MAX_BATCH
from fer_engine.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fer_bench.contenders.runtime import Predict

    Faces = NDArray[np.uint8]


class Answerer:
    """Answers samples with logits in the thread that issues them, `MAX_BATCH` a call."""

    def __init__(self, predict: Predict, faces: Faces) -> None:
        self._predict = predict
        self._faces = faces

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Answer the samples `indices`, which LoadGen calls `ids`.

        Raises:
            BackendError: the contender did not give one row of logits a face.
        """
        for start in range(0, len(ids), MAX_BATCH):
            part = slice(start, start + MAX_BATCH)
            self._answer(ids[part], indices[part])

    def _answer(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        logits = np.ascontiguousarray(self._predict(self._faces[indices]), "<f4")
        if logits.ndim != 2 or len(logits) != len(ids):
            raise BackendError(
                f"{len(ids)} faces were answered with logits of shape {logits.shape}, expected one row a face"
            )
        address, size = logits.ctypes.data, logits.strides[0]
        # LoadGen has copied the logits when this returns.
        mlperf_loadgen.QuerySamplesComplete(
            [
                mlperf_loadgen.QuerySampleResponse(sample, address + row * size, size)
                for row, sample in enumerate(ids)
            ]
        )


class Batcher:
    """Collects single samples into batches: dynamic batching without a delay.

    One thread takes whatever has arrived while the batch before was computed, at most
    `MAX_BATCH`, so that batches grow with the load and a lone sample never waits.
    """

    def __init__(self, answerer: Answerer, failed: Callable[[BaseException], None]) -> None:
        self._answerer = answerer
        self._failed = failed
        self._arrived: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        for pair in zip(ids, indices, strict=True):
            self._arrived.put(pair)

    def close(self) -> None:
        """End the thread; all samples must have been answered."""
        self._arrived.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            while (first := self._arrived.get()) is not None:
                waiting = min(self._arrived.qsize(), MAX_BATCH - 1)
                # The end mark comes only after the last answer, so none is among those that wait.
                batch = [first, *(self._arrived.get() for _ in range(waiting))]
                ids, indices = zip(*batch, strict=True)
                self._answerer.issue(ids, list(indices))
        except BaseException as error:  # noqa: BLE001 - whatever it is, LoadGen must not wait for ever
            self._failed(error)
