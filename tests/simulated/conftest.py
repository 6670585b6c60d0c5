import gc

import pytest

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
