"""Faces that lie on the device, and results that stay there."""

import gc
import threading

import numpy as np
import pytest

from fer_engine import BackendError, BackendOptions, InputError
from fer_engine.backends.cuda import dlpack
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import CudaError
from simulated.app import App
from simulated.cudart import LEGACY, PER_THREAD
from simulated.rig import make_faces, true_logits

COUNTS = [1, 2, 3, 4, 5, 15, 16, 17, 33, 100]


@pytest.mark.parametrize("count", COUNTS)
def test_any_number_of_faces(engine, app, count):
    faces = make_faces(count)
    logits = engine.logits_on_device(app.frames(faces))
    assert (logits.shape, logits.dtype) == ((count, 3), np.float32)
    np.testing.assert_array_equal(logits.numpy(), engine.logits(faces))


def test_no_faces(engine, app):
    faces = make_faces(0)
    logits = engine.logits_on_device(app.frames(faces))
    np.testing.assert_array_equal(logits.numpy(), engine.logits(faces))
    assert app.take(logits).shape == (0, 3)
    assert logits.__cuda_array_interface__["data"] == (0, False)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_results_are_taken_without_a_wait(engine, app, count):
    faces = make_faces(count)
    np.testing.assert_array_equal(app.take(engine.logits_on_device(app.frames(faces))), true_logits(faces))


def test_as_many_runs_as_there_are_lanes_are_under_way_at_once(rig, engine, app):
    waits = {"cudaStreamSynchronize", "cudaEventSynchronize"}
    kept, waited = [], []
    for seed in range(4):
        frames = app.frames(make_faces(4, seed))
        before = len(rig.device.calls)
        kept.append(engine.logits_on_device(frames))
        calls = rig.device.calls[before:]
        waited.append(bool(waits & set(calls)))
        assert calls.count("cudaGraphLaunch") == 1
        assert calls.count("execute_async_v3") == (seed < 2)  # the first on each lane is captured
    assert waited == [False, False, True, True]
    for seed, logits in enumerate(kept):
        np.testing.assert_array_equal(logits.numpy(), true_logits(make_faces(4, seed)))


def test_many_runs_in_turn_with_runs_from_the_host(engine, app):
    kept = []
    for seed, count in enumerate([16, 1, 5, 40, 2, 16, 33, 3]):
        faces = make_faces(count, seed)
        kept.append((faces, engine.logits_on_device(app.frames(faces))))
        np.testing.assert_array_equal(engine.logits(faces[::-1]), true_logits(faces[::-1]))
    for faces, logits in kept:
        np.testing.assert_array_equal(logits.numpy(), true_logits(faces))


def test_results_outlive_their_engine(rig, app):
    engine = rig.engine()
    faces = make_faces(21)
    logits = [engine.logits_on_device(app.frames(faces)) for _ in range(3)]
    engine.close()
    for result in logits:
        np.testing.assert_array_equal(app.take(result), true_logits(faces))


def test_results_may_be_dropped_unread(rig, app):
    engine = rig.engine()
    for _ in range(3):
        engine.logits_on_device(app.frames(make_faces(21)))
    engine.close()
    assert set(rig.device.device_memory.live) == set(app.allocations)


def test_a_capsule_keeps_the_memory_until_it_is_dropped(rig, engine, app):
    logits = engine.logits_on_device(app.frames(make_faces(2)))
    address = logits.address
    capsules = [logits.__dlpack__(stream=-1), logits.__dlpack__()]
    del logits
    assert address in rig.device.device_memory.live
    capsules.clear()
    assert address not in rig.device.device_memory.live


@pytest.mark.parametrize("stream", [None, LEGACY, PER_THREAD])
def test_a_default_stream_waits_too(rig, engine, app, stream):
    faces = make_faces(5)
    logits = engine.logits_on_device(app.frames(faces))
    lent = dlpack.read(capsule := logits.__dlpack__(stream=stream))
    taken = []

    def work():
        taken.append(rig.device.device_memory.at(lent.address, 60).view(np.float32).reshape(5, 3).copy())

    rig.device.enqueue(stream or LEGACY, work)
    rig.device.cudaStreamSynchronize(stream or LEGACY)
    np.testing.assert_array_equal(taken[0], true_logits(faces))
    del capsule


def test_dlpack_lends_only_what_there_is(engine, app):
    logits = engine.logits_on_device(app.frames(make_faces(1)))
    assert logits.__dlpack_device__() == (2, 0)
    assert dlpack.read(logits.__dlpack__(max_version=(1, 0), dl_device=(2, 0), copy=False)).shape == (1, 3)
    for asked in ({"copy": True}, {"dl_device": (1, 0)}, {"stream": 0}):
        with pytest.raises(BufferError, match=r"use numpy\(\)|the legacy default stream is 1"):
            logits.__dlpack__(**asked)


def test_another_gpu_than_the_first(rig, app):
    rig.device.devices = 2
    rig.connect = lambda: CudaBindings(rig.device, 1)
    with rig.engine() as engine:
        with pytest.raises(InputError, match=r"must lie in the memory of cuda:1, .* got "):
            engine.logits_on_device(app.frames(make_faces(2)))
        rig.device.cudaSetDevice(1)
        there = App(rig.device, "interface")
        faces = make_faces(7)
        frames = there.frames(faces)
        rig.device.cudaSetDevice(0)
        logits = engine.logits_on_device(frames)
        assert logits.__dlpack_device__() == (2, 1)
        np.testing.assert_array_equal(there.take(logits), true_logits(faces))
        del logits, frames
        there.close()
    assert rig.device.cudaGetDevice()[1] == 0


def test_each_single_call_may_fail(rig):
    """Whichever call fails, it is told, nothing is left of it, and the next run is right."""
    app = App(rig.device, "interface")
    engine = rig.engine(BackendOptions("cuda", threads=1))
    faces = make_faces(21)
    frames = app.frames(faces)

    def use():
        logits = engine.logits_on_device(frames)
        np.testing.assert_array_equal(logits.numpy(), true_logits(faces))
        assert logits.__cuda_array_interface__["shape"] == (21, 3)

    use()
    start, held = len(rig.device.calls), rig.device.leaks()
    use()
    names, told = rig.device.calls[start:], set()
    for number, name in enumerate(names):
        rig.device.fail_at = {len(rig.device.calls) + number}
        try:
            use()
        except CudaError as error:
            assert f"{name} failed" in str(error)  # noqa: PT017 - not all are told
            told.add(name)
        rig.device.fail_at = set()
        use()
        if rig.device.leaks() != held:
            gc.collect()  # the traceback of the error may still hold the results
        assert rig.device.leaks() == held, name
    # Where a result is dropped, nobody is there to be told.
    assert set(names) - told == {"cudaFree", "cudaEventDestroy"}
    engine.close()
    app.close()


CAPTURE = ["cudaStreamBeginCapture", "execute_async_v3", "cudaStreamEndCapture", "cudaGraphInstantiate"]


def test_a_graph_that_cannot_be_captured_at_first(rig, engine, app):
    faces = make_faces(4)
    for name in (*CAPTURE, "cudaGraphDestroy", "cudaGraphLaunch"):
        rig.device.fail_all = {name}
        with pytest.raises(BackendError, match=f"{name} failed"):
            engine.logits_on_device(app.frames(faces))
        rig.device.fail_all = set()
    np.testing.assert_array_equal(engine.logits_on_device(app.frames(faces)).numpy(), true_logits(faces))


def test_work_that_fails_is_told_where_its_results_are_read(rig, engine, app):
    faces = make_faces(5)
    rig.trt.break_work = True
    logits = engine.logits_on_device(app.frames(faces))
    with pytest.raises(CudaError, match="cudaErrorLaunchFailure: unspecified launch failure"):
        logits.numpy()
    np.testing.assert_array_equal(engine.logits(faces), true_logits(faces))


def test_many_threads(rig, app):
    engine = rig.engine(BackendOptions("cuda", threads=3))
    wrong = []

    def work(seed):
        for count in (1, 5, 33, 16, 2):
            faces = make_faces(count, seed)
            logits = engine.logits_on_device(app.frames(faces))
            if not np.array_equal(logits.numpy(), true_logits(faces)):
                wrong.append((seed, count))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert wrong == []


def test_after_close(rig, app):
    engine = rig.engine()
    frames = app.frames(make_faces(2))
    engine.close()
    with pytest.raises(BackendError, match=r"^the engine is closed; "):
        engine.logits_on_device(frames)
