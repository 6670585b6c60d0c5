import dataclasses
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import onnxruntime
import pytest

from fer_engine import BackendError, Choice, ConfigError, Engine, InputError, __version__
from fer_engine.backends.null import NullBackend
from fer_engine.runtime.backend import available_backends

LABELS = ("angry", "happy", "neutral")


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request, artifact):
    with Engine.load(artifact.folder, backend=request.param, threads=2, micro_batch=4) as engine:
        yield engine


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 64, 1000, 100_000])
def test_any_number_of_faces_in_order(artifact, engine, count):
    faces = artifact.faces(count)
    logits = engine.logits(faces)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, artifact.logits(faces))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("micro_batch", [None, 1, 3, 1000])
def test_any_threads_and_micro_batch(artifact, threads, micro_batch):
    with Engine.load(artifact.folder, threads=threads, micro_batch=micro_batch) as engine:
        for count in (1, 10, 101):
            faces = artifact.faces(count)
            np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))


def test_faces_need_not_be_contiguous(artifact, engine):
    faces = artifact.faces(40)
    for view in (faces[::2], faces[::-1], faces.transpose(0, 2, 1), faces[:1].transpose(0, 2, 1)):
        np.testing.assert_array_equal(engine.logits(view), artifact.logits(np.ascontiguousarray(view)))
    read_only = np.asfortranarray(faces)
    read_only.setflags(write=False)
    np.testing.assert_array_equal(engine.logits(read_only), artifact.logits(faces))


def test_predict_gives_labels_and_probabilities(artifact, engine):
    faces = artifact.faces(50)
    prediction = engine.predict(faces)
    logits = artifact.logits(faces).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    expected = powers / powers.sum(1, keepdims=True)
    # Float32 holds 1e-30 and not 1e-300; its exponential of -200 is right to 200 half-ulps.
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-5, atol=1e-30)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.labels == [LABELS[i] for i in logits.argmax(1)]


def test_predict_is_stable_for_huge_logits(artifact, engine):
    faces = np.full((2, 4, 4), 255, np.uint8)
    assert np.abs(artifact.logits(faces)).max() > 100  # exp of that overflows float32
    assert np.isfinite(engine.predict(faces).probabilities).all()


def test_predict_nothing(engine):
    prediction = engine.predict(np.empty((0, 4, 4), np.uint8))
    assert prediction.labels == []
    assert prediction.probabilities.shape == (0, 3)
    assert prediction.probabilities.dtype == np.float32


@pytest.mark.parametrize("method", ["logits", "predict"])
def test_bad_faces_are_refused(engine, method):
    with pytest.raises(InputError, match=r"give one face as faces\[None\]"):
        getattr(engine, method)(np.zeros((4, 4), np.uint8))


def test_a_regression_has_values_and_no_classes(artifact):
    artifact.spec = dataclasses.replace(artifact.spec, task="regression")
    artifact.write_model((artifact.folder / "model.onnx").read_bytes())
    with Engine.load(artifact.folder) as engine:
        assert engine.logits(artifact.faces(2)).shape == (2, 3)
        with pytest.raises(ConfigError, match=r"tiny is a regression model .*; use estimate\(faces\)"):
            engine.predict(artifact.faces(2))
        values = engine.estimate(artifact.faces(2))
        assert list(values) == list(artifact.spec.labels)
        assert [len(value) for value in values.values()] == [2, 2, 2]


def test_info_tells_what_runs(artifact):
    with Engine.load(artifact.folder, threads=3, micro_batch=4) as engine:
        info = engine.info
        assert engine.spec == artifact.spec
    assert (info.model, info.precision, info.backend, info.device) == ("tiny", "fp32", "onnxruntime", "cpu")
    assert (info.providers, info.executed) == (("CPUExecutionProvider",), None)
    assert (info.mode, info.threads, info.micro_batch, info.micro_batch_from) == ("throughput", 3, 4, "given")
    assert info.versions["onnxruntime"] == onnxruntime.__version__
    assert info.versions["fer-engine"] == __version__
    assert info.choice == Choice("given")
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.threads = 1


def test_the_first_large_batch_measures_the_micro_batch(artifact):
    with Engine.load(artifact.folder, threads=1) as engine:
        engine.logits(artifact.faces(5))
        assert engine.info.micro_batch_from == "default"
        faces = artifact.faces(100)
        np.testing.assert_array_equal(engine.logits(faces), artifact.logits(faces))
        assert engine.info.micro_batch_from == "probe"
        assert engine.info.micro_batch in engine._backend.micro_batches


def test_eight_threads_get_their_own_answers(artifact, engine):
    wrong = []

    def hammer(seed):
        for turn, count in enumerate([1, 50, 3, 200] * 10):
            faces = artifact.faces(count, seed * 1000 + turn)
            if not np.array_equal(engine.logits(faces), artifact.logits(faces)):
                wrong.append((seed, turn))

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closed_engine_says_so(artifact):
    engine = Engine.load(artifact.folder)
    engine.close()
    engine.close()
    for method in (engine.logits, engine.predict):
        with pytest.raises(BackendError, match=r"^the engine is closed; make a new one with Engine.load$"):
            method(artifact.faces(1))
    assert engine.info.model == "tiny"


class Slow(NullBackend):
    """Waits within `infer` until it is let go."""

    name = "slow"
    entered = threading.Event()
    leave = threading.Event()
    closed = threading.Event()

    def infer(self, faces):
        if faces.any():  # not the run at load
            self.entered.set()
            assert not self.closed.is_set()
            assert self.leave.wait(30)
        return super().infer(faces)

    def close(self):
        self.closed.set()


def wait_until_closed(engine, faces):
    for _ in range(3000):
        try:
            engine.logits(faces)
        except BackendError:
            return True
        time.sleep(0.01)
    return False


def test_close_waits_for_the_calls_under_way(artifact, monkeypatch):
    monkeypatch.setattr("fer_engine.engine.find_backend", lambda _: Slow)
    engine = Engine.load(artifact.folder, backend="slow", threads=2)
    results = []
    caller = threading.Thread(target=lambda: results.append(engine.logits(artifact.faces(100))))
    caller.start()
    assert Slow.entered.wait(30)
    closer = threading.Thread(target=engine.close)
    closer.start()
    assert wait_until_closed(engine, artifact.faces(0))
    assert not Slow.closed.is_set()
    Slow.leave.set()
    for thread in (caller, closer):
        thread.join(30)
    assert Slow.closed.is_set()
    assert results[0].shape == (100, 3)


def test_an_error_of_the_runtime_reaches_the_caller(artifact, monkeypatch):
    def infer(_, faces):
        if faces.any():
            raise BackendError("out of memory")
        return np.zeros((len(faces), 3), np.float32)

    monkeypatch.setattr(NullBackend, "infer", infer)
    with Engine.load(artifact.folder, backend="null", threads=2) as engine:
        for count in (1, 100):
            with pytest.raises(BackendError, match=r"out of memory"):
                engine.logits(artifact.faces(count))


def test_a_dropped_engine_ends_its_threads(artifact):
    before = threading.active_count()
    engine = Engine.load(artifact.folder, threads=3)
    engine.logits(artifact.faces(100))
    assert threading.active_count() == before + 2
    gone = weakref.ref(engine)
    del engine
    assert gone() is None
    assert threading.active_count() == before


FORKED = """
import os, sys, threading
import numpy as np
from fer_engine import BackendError, Engine

engine = Engine.load(sys.argv[1], backend=sys.argv[2], threads=2, micro_batch=4)
faces = np.zeros((64, *engine.spec.face_shape), np.uint8)
engine.logits(faces)
stop = threading.Event()

def work():
    while not stop.is_set():
        engine.logits(faces)

threading.Thread(target=work).start()
child = os.fork()
if child == 0:
    try:
        engine.logits(faces)
    except BackendError as error:
        print(error, flush=True)
    engine.close()
    os._exit(0)  # as multiprocessing does
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
stop.set()
engine.logits(faces)
sys.exit(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("backend", available_backends("cpu"))
def test_a_process_that_was_forked_off_is_told_and_ends(artifact, backend):
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(artifact.folder), backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the engine was loaded before this process was forked off")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_detection_gives_the_values_of_all_anchors(detection_artifact, backend):
    with Engine.load(detection_artifact.folder, backend=backend, threads=2, micro_batch=2) as engine:
        for count in (0, 1, 7):
            pictures = detection_artifact.faces(count)
            boxes = engine.logits(pictures)
            assert boxes.shape == (count, 5 * 42)
            np.testing.assert_array_equal(boxes, detection_artifact.logits(pictures))
        for refused in (engine.predict, engine.estimate):
            with pytest.raises(ConfigError, match=r"boxes is a detection model.*use logits\(faces\)"):
                refused(pictures)


def test_a_detection_cannot_be_averaged_with_its_mirror_image(detection_artifact):
    with pytest.raises(ConfigError, match="use tta='none'"):
        Engine.load(detection_artifact.folder, tta="flip")
