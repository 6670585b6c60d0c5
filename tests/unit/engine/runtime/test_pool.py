import threading

import pytest

from fer_engine.runtime.pool import WorkerPool


@pytest.fixture
def pool():
    pool = WorkerPool(2)
    yield pool
    pool.stop()


def shards(count):
    return [slice(i, i + 1) for i in range(count)]


def test_does_every_shard_once(pool):
    for count in (1, 2, 100):
        seen = []
        pool.run(lambda shard: seen.append(shard.start), shards(count))  # noqa: B023 - run returns first
        assert sorted(seen) == list(range(count))


def test_all_threads_work_on_one_batch(pool):
    # Three shards that wait for one another end only where three threads have one each.
    together = threading.Barrier(3, timeout=30)
    pool.run(lambda _: together.wait(), shards(3))


def test_a_free_thread_takes_what_a_stuck_one_cannot(pool):
    rest = threading.Semaphore(0)

    def task(shard):
        if shard.start == 0:
            for _ in range(9):  # stuck until the others have done all the rest
                assert rest.acquire(timeout=30)
        else:
            rest.release()

    pool.run(task, shards(10))


@pytest.mark.parametrize("bad", [0, 5, 9])
def test_an_error_reaches_the_caller_and_the_pool_lives_on(pool, bad):
    def task(shard):
        if shard.start == bad:
            raise ValueError("bad shard")

    with pytest.raises(ValueError, match="bad shard"):
        pool.run(task, shards(10))
    test_all_threads_work_on_one_batch(pool)


def test_stop_ends_the_threads():
    before = threading.active_count()
    pool = WorkerPool(3)
    assert threading.active_count() == before + 3
    pool.stop()
    assert threading.active_count() == before


def test_without_helpers_the_caller_works_alone():
    seen = []
    WorkerPool(0).run(lambda shard: seen.append(shard.start), shards(4))
    assert seen == [0, 1, 2, 3]
