import gc

import pytest

from simulated.app import App
from simulated.cudart import SimulatedCudart
from simulated.rig import BUCKETS, Rig
from simulated.tensorrt import SimulatedTensorRt


@pytest.fixture(params=["late", "eager"])
def device(request):
    return SimulatedCudart(eager=request.param == "eager")


@pytest.fixture
def rig(device, tmp_path):
    """Give the rig of a plan with the buckets 1, 4 and 16; nothing may be left at the end."""
    rig = Rig(tmp_path, device, SimulatedTensorRt(device), BUCKETS)
    yield rig
    if rig.trt.alive:
        gc.collect()  # the traceback of an expected error may still hold some
    rig.check_released()


@pytest.fixture(params=["dlpack", "interface"])
def app(request, rig):
    """Give an app; at its end it has given back what is its own."""
    app = App(rig.device, request.param)
    yield app
    app.close()


@pytest.fixture
def engine(rig, app):  # noqa: ARG001 - the app's memory outlives the engine
    with rig.engine() as engine:
        yield engine
