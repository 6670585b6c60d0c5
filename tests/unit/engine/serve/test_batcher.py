"""Dynamic batching: whose rows are whose, what is grouped, what is refused, and what fails alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from fer_engine.errors import BackendError, ConfigError
from fer_engine.serve.batcher import Batch, Batcher, BatchOptions
from fer_engine.serve.limits import Limits, RefusedError

PATIENT = 60.0  # seconds: longer than any test takes


def faces_of(first: int, count: int) -> np.ndarray:
    """Give faces that hold their number as 4 bytes, uint8 [count, 2, 2]."""
    return np.arange(first, first + count, dtype="<u4").view(np.uint8).reshape(count, 2, 2)


def numbers(faces: np.ndarray) -> np.ndarray:
    """Give the numbers of faces, float32 [n, 1]: a network that tells every face from all others."""
    return np.ascontiguousarray(faces).reshape(len(faces), 4).view("<u4").astype(np.float32)


async def logits(batcher: Batcher, faces: np.ndarray, seconds: float = PATIENT) -> np.ndarray:
    return await batcher.logits(faces, asyncio.get_running_loop().time() + seconds)


def run(
    scenario: Callable, infer: Callable = numbers, limits: Limits | None = None, **options
) -> list[Batch]:
    """Run `scenario(batcher)` in an event loop; return the batches."""
    batches: list[Batch] = []

    async def body() -> None:
        batcher = Batcher(infer, 1, BatchOptions(**options), limits or Limits(), batches.append)
        try:
            await asyncio.wait_for(scenario(batcher), PATIENT)
        finally:
            batcher.stop()
        await asyncio.sleep(0)

    asyncio.run(body())
    return batches


class Held:
    """A network whose first batch waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.begun.set()
        assert self.release.wait(PATIENT)
        return numbers(faces)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENT)


@pytest.mark.parametrize("runners", [1, 3])
def test_every_request_gets_the_rows_of_its_own_faces(runners):
    sizes = np.random.default_rng(0).integers(1, 12, 2000)
    starts = np.cumsum(sizes) - sizes

    async def scenario(batcher):
        faces = [faces_of(start, size) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
        answers = await asyncio.gather(*(logits(batcher, each) for each in faces))
        for answer, given in zip(answers, faces, strict=True):
            assert np.array_equal(answer, numbers(given))

    batches = run(scenario, max_batch=8, runners=runners, limits=Limits(queue=100_000))
    assert sum(batch.faces for batch in batches) == sizes.sum()
    assert max(batch.faces for batch in batches) == 8
    assert sum(len(batch.arrivals) for batch in batches) == len(sizes)


def test_a_request_larger_than_a_batch_is_split():
    async def scenario(batcher):
        assert np.array_equal(await logits(batcher, faces_of(7, 100)), numbers(faces_of(7, 100)))

    batches = run(scenario, max_batch=16)
    assert [batch.faces for batch in batches] == [16] * 6 + [4]
    assert [len(batch.arrivals) for batch in batches] == [1] + [0] * 6


async def ask(batcher: Batcher, first: int, count: int) -> None:
    """Send single faces at once."""
    await asyncio.gather(*(logits(batcher, faces_of(first + i, 1)) for i in range(count)))


def test_requests_that_wait_are_grouped():
    infer = Held()

    async def scenario(batcher):
        first = asyncio.ensure_future(logits(batcher, faces_of(0, 1)))
        await infer.reached()
        others = asyncio.ensure_future(ask(batcher, 1, 31))
        while batcher.waiting < 31:
            await asyncio.sleep(0)
        infer.release.set()
        await first
        await asyncio.gather(others, ask(batcher, 32, 1))  # they waited for the first to come again
        await ask(batcher, 33, 32)  # as many as before: they wait for no more

    batches = run(scenario, infer, max_batch=64, max_delay=2 * PATIENT)
    assert [batch.faces for batch in batches] == [1, 32, 32]


def test_who_is_alone_does_not_wait():
    async def scenario(batcher):
        for index in range(3):
            await logits(batcher, faces_of(index, 1))

    assert len(run(scenario, max_delay=2 * PATIENT)) == 3


def test_a_batch_that_stays_smaller_than_the_last_goes_after_the_longest_delay():
    async def scenario(batcher):
        await logits(batcher, faces_of(0, 8))
        await logits(batcher, faces_of(8, 1))

    _, waited = run(scenario, max_delay=0.2)
    assert waited.begun - waited.arrivals[0] >= 0.2


def test_a_largest_batch_of_one_runs_each_face_alone():
    async def scenario(batcher):
        await asyncio.gather(*(logits(batcher, faces_of(i, 2)) for i in range(5)))

    assert [batch.faces for batch in run(scenario, max_batch=1)] == [1] * 10


def test_runners_have_batches_under_way_at_once():
    together = threading.Barrier(2)

    def infer(faces):
        together.wait(PATIENT)  # breaks where there is one batch at a time
        return numbers(faces)

    async def scenario(batcher):
        await asyncio.gather(logits(batcher, faces_of(0, 1)), logits(batcher, faces_of(1, 1)))

    assert len(run(scenario, infer, max_batch=1, runners=2)) == 2


def test_no_faces_need_no_engine():
    async def scenario(batcher):
        assert (await logits(batcher, faces_of(0, 0))).shape == (0, 1)

    assert run(scenario) == []


def test_a_full_queue_refuses_and_keeps_what_it_has():
    infer = Held()

    async def scenario(batcher):
        first = asyncio.ensure_future(logits(batcher, faces_of(0, 1)))
        await infer.reached()
        kept = asyncio.ensure_future(logits(batcher, faces_of(1, 4)))
        await asyncio.sleep(0)
        assert batcher.waiting == 4
        with pytest.raises(RefusedError, match="4 faces wait, at most 4 may") as refused:
            await logits(batcher, faces_of(5, 1))
        assert (refused.value.status, refused.value.retry) == (503, True)
        infer.release.set()
        assert np.array_equal(await first, numbers(faces_of(0, 1)))
        assert np.array_equal(await kept, numbers(faces_of(1, 4)))

    run(scenario, infer, Limits(faces=4, queue=4), max_batch=1, max_delay=0.0)


def test_a_request_that_waited_too_long_is_refused_and_not_run():
    infer = Held()

    async def scenario(batcher):
        first, late = (asyncio.ensure_future(logits(batcher, faces_of(i, 1), 0.05)) for i in range(2))
        await infer.reached()
        for task in (first, late):
            with pytest.raises(RefusedError, match=r"not served within 0\.05 s") as refused:
                await task
            assert (refused.value.status, refused.value.retry) == (503, True)
        infer.release.set()
        assert np.array_equal(await logits(batcher, faces_of(2, 1)), numbers(faces_of(2, 1)))
        assert batcher.waiting == 0

    batches = run(scenario, infer, Limits(request_seconds=0.05), max_batch=1, max_delay=0.0)
    assert len(batches) == 2  # the first and the third


def test_a_batch_that_fails_takes_no_other_with_it():
    def infer(faces):
        if 3 in numbers(faces):
            raise BackendError("no more memory")
        return numbers(faces)

    async def scenario(batcher):
        tasks = [logits(batcher, faces_of(i, 1)) for i in range(6)]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) is BackendError for answer in answers] == [i == 3 for i in range(6)]

    assert [batch.failed for batch in run(scenario, infer, max_batch=1)] == [i == 3 for i in range(6)]


def test_a_request_whose_caller_left_is_not_run():
    infer = Held()

    async def scenario(batcher):
        first = asyncio.ensure_future(logits(batcher, faces_of(0, 1)))
        await infer.reached()
        gone = asyncio.ensure_future(logits(batcher, faces_of(1, 5)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        infer.release.set()
        await first

    assert [batch.faces for batch in run(scenario, infer, max_batch=1, max_delay=0.0)] == [1]


def test_stopping_finishes_what_is_under_way_and_refuses_what_waits():
    infer = Held()

    async def scenario(batcher):
        first = asyncio.ensure_future(logits(batcher, faces_of(0, 1)))
        await infer.reached()
        waits = asyncio.ensure_future(logits(batcher, faces_of(1, 3)))
        await asyncio.sleep(0)
        threading.Timer(0.1, infer.release.set).start()
        batcher.stop()
        with pytest.raises(RefusedError, match="the server is about to end") as refused:
            await waits
        assert refused.value.status == 503
        assert np.array_equal(await first, numbers(faces_of(0, 1)))

    assert [batch.faces for batch in run(scenario, infer, max_batch=1)] == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch": 0}, "largest batch must be at least 1 face, got 0"),
        ({"max_delay": -0.1}, r"in \[0, 3600\] seconds, got -0.1"),
        ({"max_delay": float("nan")}, r"in \[0, 3600\] seconds, got nan"),
        ({"runners": 0}, "runners must be at least 1, got 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        BatchOptions(**options)
