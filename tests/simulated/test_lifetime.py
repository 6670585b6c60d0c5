"""From load to close: threads, processes, and an end that nobody called for."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fer_engine import BackendError, BackendOptions
from simulated.app import App
from simulated.rig import make_faces, true_logits

FACES = make_faces(21)


def test_use_after_close_and_a_second_close(rig):
    engine = rig.engine()
    engine.close()
    engine.close()
    with pytest.raises(BackendError, match=r"^the engine is closed; "):
        engine.logits(FACES)


def test_an_engine_may_be_dropped_without_close(rig):
    engine = rig.engine()
    engine.logits(FACES)
    del engine


@pytest.mark.parametrize("first", [0, 1])
def test_two_engines_are_closed_in_any_order(rig, first):
    engines = [rig.engine(), rig.engine()]
    engines.pop(first).close()
    np.testing.assert_array_equal(engines[0].logits(FACES), true_logits(FACES))
    engines[0].close()


EXIT = """
import atexit, sys
from pathlib import Path
from simulated.cudart import SimulatedCudart
from simulated.rig import BUCKETS, Rig, make_faces
from simulated.tensorrt import SimulatedTensorRt

device = SimulatedCudart()
rig = Rig(Path(sys.argv[1]), device, SimulatedTensorRt(device), BUCKETS)
atexit.register(lambda: print(device.leaks()))  # runs after all that is registered later
engine = rig.engine()
engine.logits(make_faces(21))
print(len(device.leaks()))
if len(sys.argv) > 2:
    raise SystemExit("an exception")
"""


@pytest.mark.parametrize("failing", [[], ["by an exception"]])
def test_a_process_may_end_without_close(tmp_path, failing):
    """At the end of the interpreter, also after an exception, all is given back."""
    command = [sys.executable, "-W", "error", "-c", EXIT, str(tmp_path), *failing]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (ran.stdout, ran.stderr) == ("5\n{}\n", "an exception\n" if failing else "")


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_many_threads(rig, lanes):
    engine = rig.engine(BackendOptions("cuda", threads=lanes))
    wrong = []

    def work(seed):
        for count in (1, 5, 33, 16, 2):
            faces = make_faces(count, seed)
            if not np.array_equal(engine.logits(faces), true_logits(faces)):
                wrong.append((seed, count))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert wrong == []


def test_close_during_use_waits_for_the_calls_under_way(rig):
    engine = rig.engine()
    results = []

    def work():
        with contextlib.suppress(BackendError):
            while True:
                results.append(np.array_equal(engine.logits(FACES), true_logits(FACES)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(results) < 5:
        pass
    engine.close()
    for thread in threads:
        thread.join()
    assert all(results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("call", ["infer", "infer_on_device"])
def test_a_forked_process_is_refused(rig, call):
    backend = rig.load()
    app = App(rig.device, "interface")
    results = [backend.infer_on_device(app.frames(FACES))]
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child():
        before, message = len(rig.device.calls), "no error"
        try:
            getattr(backend, call)(FACES)
        except BackendError as error:
            message = str(error)
        results.clear()
        backend.close()
        sender.send((message, rig.device.calls[before:]))

    process = context.Process(target=child)
    process.start()
    try:
        assert receiver.poll(15)
        message, calls = receiver.recv()
    finally:
        process.kill()
        process.join()
    assert message.startswith("the engine was loaded before this process was forked, ")
    assert calls == []
    np.testing.assert_array_equal(backend.infer(FACES), true_logits(FACES))
    np.testing.assert_array_equal(results[0].numpy(), true_logits(FACES))
    backend.close()
    app.close()
