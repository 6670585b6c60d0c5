"""What goes wrong on a GPU, made to go wrong: an error that says what to do, and nothing left behind."""

import numpy as np
import pytest

from fer_engine import BackendError
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import CudaError
from simulated.cudart import SimulatedCudart, cudaError_t
from simulated.rig import make_faces, true_logits

FACES = make_faces(21)
RELEASES = ("cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaGraphExecDestroy", "cudaStreamSynchronize")


def use(rig):
    """Load, run and close once."""
    backend = rig.load()
    try:
        np.testing.assert_array_equal(backend.infer(FACES), true_logits(FACES))
    finally:
        backend.close()


@pytest.mark.parametrize(("index", "flavour"), [(0, "tensorrt"), (1, "tensorrt_rtx")])
def test_each_single_call_may_fail(rig, index, flavour):
    """Whichever call fails, it is told and the rest is given back; afterwards all works again."""
    rig.trt.__name__ = flavour
    rig.profiles = [(4, 4, 4), (1, 1, 1)]
    rig.device.devices = 2
    rig.connect = lambda: CudaBindings(rig.device, index)
    use(rig)
    calls = list(rig.device.calls)
    assert len(calls) > 100
    for number, name in enumerate(calls):
        rig.device.calls.clear()
        rig.device.fail_at = {number}
        with pytest.raises(BackendError, match=f"{name} failed") as caught:
            use(rig)
        kind = CudaError if name.startswith("cuda") else BackendError
        assert type(caught.value) is kind
        del caught
        rig.device.fail_at = set()
        rig.device.cudaSetDevice(0)  # where the call that failed should have set it back
        rig.check_released()
    use(rig)


def test_a_failed_run_does_not_spoil_the_next(rig):
    backend = rig.load()
    start = len(rig.device.calls)
    backend.infer(FACES)
    calls = len(rig.device.calls) - start
    for number in range(calls):
        rig.device.fail_at = {len(rig.device.calls) + number}
        with pytest.raises(CudaError):
            backend.infer(FACES)
        rig.device.fail_at = set()
        for count in (21, 3):
            faces = make_faces(count, seed=number)
            np.testing.assert_array_equal(backend.infer(faces), true_logits(faces))
    backend.close()


def test_work_that_fails_on_the_device_is_told(rig):
    backend = rig.load()
    rig.trt.break_work = True
    text = "cudaStreamSynchronize failed with cudaErrorLaunchFailure: unspecified launch failure"
    with pytest.raises(CudaError, match=f"^{text}$"):
        backend.infer(FACES)
    np.testing.assert_array_equal(backend.infer(FACES), true_logits(FACES))
    backend.close()


def test_each_release_is_tried_though_another_fails(rig):
    for name in RELEASES:
        backend = rig.load()
        rig.device.fail_all = {name}
        with pytest.raises(CudaError, match=f"^{name} failed"):
            backend.close()
        rig.device.fail_all = set()
        if name != "cudaStreamSynchronize":
            assert rig.device.leaks() == {}


def test_out_of_device_memory(rig):
    rig.device.fail_all = {"cudaMalloc"}
    with pytest.raises(CudaError) as caught:
        rig.load()
    assert str(caught.value) == (
        "cudaMalloc failed with cudaErrorMemoryAllocation: out of memory; free device memory, or ask for "
        "less of it with a smaller micro_batch or fewer threads"
    )


def test_no_driver():
    with pytest.raises(CudaError) as caught:
        CudaBindings(SimulatedCudart(driver=False))
    assert str(caught.value) == (
        "cudaGetDevice failed with cudaErrorInsufficientDriver: CUDA driver version is insufficient for "
        "CUDA runtime version; install an NVIDIA driver that supports this CUDA version (see nvidia-smi), "
        "or use device='cpu'"
    )


def test_no_such_gpu():
    with pytest.raises(CudaError, match=r"^cudaSetDevice failed with cudaErrorInvalidDevice: .*nvidia-smi"):
        CudaBindings(SimulatedCudart(devices=2), 2)


def test_what_tensorrt_says_is_in_the_error(rig):
    rig.device.fail_all = {"set_input_shape"}
    with pytest.raises(BackendError) as caught:
        rig.load()
    assert str(caught.value) == "TensorRT's set_input_shape failed: [set_input_shape] simulated failure"


def test_unknown_status_still_names_itself():
    device = SimulatedCudart()
    device.fault = cudaError_t.cudaErrorInvalidValue
    device.fail_all = {"cudaMalloc"}
    with pytest.raises(CudaError, match=r"^cudaMalloc failed with cudaErrorInvalidValue: some error$"):
        CudaBindings(device).allocate(1)
