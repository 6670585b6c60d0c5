"""The same runtime in an app's own PyCUDA context: call by call, without graphs."""

import numpy as np
import pytest

from fer_engine import BackendError, BackendOptions, InputError
from fer_engine.backends.cuda.protocol import CudaError
from fer_engine.backends.cuda.pycuda import PyCuda
from simulated.app import App
from simulated.cudart import LEGACY
from simulated.pycuda import SimulatedPycuda
from simulated.rig import make_faces, true_logits


@pytest.fixture
def driver(rig):
    driver = SimulatedPycuda(rig.device)
    rig.connect = lambda: PyCuda(driver, "2026.1")
    return driver


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("count", [1, 5, 16, 100])
def test_right_answers_without_graphs(rig, count):
    backend = rig.load(BackendOptions("pycuda"))
    assert backend.providers == ("Simulated GPU (8.9)", "PyCUDA 2026.1", "no CUDA graphs")
    faces = make_faces(count)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    assert "cudaGraphLaunch" not in rig.device.calls
    backend.close()


def test_without_a_context(rig, driver):
    driver.current = None
    with pytest.raises(BackendError, match=r"^device 'pycuda' needs a current PyCUDA context; make one"):
        rig.load()


def test_another_context_is_refused_and_none_is_pushed(rig, driver):
    backend = rig.load()
    own, driver.current = driver.current, object()
    with pytest.raises(
        BackendError, match=r"^the PyCUDA context that the engine was loaded in is not current"
    ):
        backend.infer(make_faces(3))
    driver.current = own
    faces = make_faces(3)
    np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()


@pytest.mark.usefixtures("driver")
def test_errors_keep_their_text(rig):
    rig.device.fail_all = {"cudaMalloc"}
    with pytest.raises(CudaError, match=r"^PyCUDA failed with Error: cudaMalloc failed: out of memory$"):
        rig.load()


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_faces_and_results_on_the_device(rig, app, count):
    faces = make_faces(count)
    with rig.engine(BackendOptions("pycuda")) as engine:
        logits = engine.logits_on_device(app.frames(faces))
        np.testing.assert_array_equal(logits.numpy(), true_logits(faces))
        np.testing.assert_array_equal(app.take(logits), true_logits(faces))
        assert logits.__dlpack_device__() == (2, 0)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("address", [64, None])
def test_memory_is_told_from_other_addresses(rig, address):
    app = App(rig.device, "interface", LEGACY)
    frames = app.frames(make_faces(2))
    with rig.engine(BackendOptions("pycuda")) as engine:
        if address is None:  # as PyCUDA's own arrays say it
            frames.changes = {"stream": None, "strides": (16, 4, 1)}
            np.testing.assert_array_equal(engine.logits_on_device(frames).numpy(), true_logits(make_faces(2)))
        else:
            frames.changes = {"data": (address, False)}
            with pytest.raises(InputError, match=r"^faces must lie in the memory of cuda:0"):
                engine.logits_on_device(frames)
    app.close()


def test_results_cannot_be_read_in_another_context(rig, driver, app):
    engine = rig.engine(BackendOptions("pycuda"))
    logits = engine.logits_on_device(app.frames(make_faces(2)))
    own, driver.current = driver.current, object()
    with pytest.raises(BackendError, match="is not current in this thread"):
        logits.numpy()
    driver.current = own
    engine.close()
