"""The simulated device itself: it tells of each misuse that it is there to tell of."""

import numpy as np
import pytest

from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import CudaError
from fer_engine.backends.tensorrt.loaded_plan import LoadedPlan
from fer_engine.runtime.backend import Model
from simulated.cudart import SimulatedCudart
from simulated.memory import FRESH, MisuseError
from simulated.rig import SPEC, graph_bytes, make_faces, true_logits
from simulated.tensorrt import SCRATCH, SimulatedTensorRt, make_plan


@pytest.fixture
def late():
    return SimulatedCudart()


@pytest.fixture
def cuda(late):
    return CudaBindings(late)


@pytest.fixture
def stream(cuda):
    return cuda.create_stream()


@pytest.fixture
def context(late, cuda, stream, tmp_path):
    """Give a context that is ready to run one face, and its input and output on the device."""
    trt = SimulatedTensorRt(late)
    model = Model(Artifact(tmp_path, Manifest(SPEC, {})), "fp32", b"")
    context = LoadedPlan(trt, make_plan(graph_bytes(), [(1, 1, 1)]), model, host_code=False).context()
    context.set_device_memory(cuda.allocate(SCRATCH), SCRATCH)
    assert context.set_optimization_profile_async(0, stream)
    assert context.set_input_shape("faces", (1, 4, 4))
    assert context.set_tensor_address("faces", cuda.allocate(16))
    assert context.set_tensor_address("logits", cuda.allocate(12))
    return context


def test_new_memory_is_poisoned_and_copies_wait_for_the_stream(late, cuda, stream):
    host, device = cuda.allocate_pinned(4), cuda.allocate(4)
    late.pinned.at(host, 4)[:] = 7
    cuda.upload(device, host, 4, stream)
    assert (late.device_memory.at(device, 4) == FRESH).all()
    late.pinned.at(host, 4)[:] = 8  # what is copied is what lies there when the stream gets to it
    cuda.synchronize(stream)
    assert (late.device_memory.at(device, 4) == 8).all()


def test_copies_beyond_the_end(cuda, stream):
    with pytest.raises(MisuseError, match="is used beyond its end"):
        cuda.upload(cuda.allocate(4), cuda.allocate_pinned(8), 8, stream)


def test_use_after_free(cuda, stream):
    host, device = cuda.allocate_pinned(4), cuda.allocate(4)
    cuda.upload(device, host, 4, stream)
    cuda.free(device)
    with pytest.raises(MisuseError, match=r"device memory .* is used after it was freed"):
        cuda.synchronize(stream)


def test_memory_freed_twice(cuda):
    device = cuda.allocate(4)
    cuda.free(device)
    with pytest.raises(MisuseError, match="is freed twice"):
        cuda.free(device)


def test_writing_into_freed_pinned_memory(late, cuda):
    host = cuda.allocate_pinned(4)
    array = late.pinned.at(host, 4)
    cuda.free_pinned(host)
    late.pinned.check()
    array[0] = 1
    with pytest.raises(MisuseError, match="was written after it was freed"):
        late.pinned.check()


@pytest.mark.parametrize("captured", [False, True])
def test_copies_of_memory_that_is_not_pinned(cuda, stream, captured):
    device, unpinned = cuda.allocate(4), np.zeros(4, np.uint8)

    def copy():
        cuda.upload(device, unpinned.ctypes.data, 4, stream)

    with pytest.raises(MisuseError, match="is no pinned memory"):
        cuda.capture(stream, copy) if captured else copy()


def test_allocation_under_capture(cuda, stream):
    with pytest.raises(CudaError, match=r"^cudaMalloc failed with cudaErrorStreamCaptureUnsupported: "):
        cuda.capture(stream, lambda: cuda.allocate(4))
    cuda.free(cuda.allocate(4))  # the capture was ended


def test_a_stream_destroyed_under_work(cuda, stream):
    cuda.upload(cuda.allocate(4), cuda.allocate_pinned(4), 4, stream)
    with pytest.raises(MisuseError, match="while its work is under way"):
        cuda.destroy_stream(stream)


def test_true_logits_when_the_work_is_done(late, cuda, stream, context):
    faces = make_faces(1)
    late.device_memory.at(context.addresses["faces"], 16)[:] = faces.reshape(-1)
    assert context.execute_async_v3(stream)
    logits = late.device_memory.at(context.addresses["logits"], 12)
    assert (logits == FRESH).all()
    cuda.synchronize(stream)
    np.testing.assert_array_equal(logits.view(np.float32)[None], true_logits(faces))


def test_capture_before_the_first_run(cuda, stream, context):
    with pytest.raises(MisuseError, match="captured before the first run"):
        cuda.capture(stream, lambda: context.execute_async_v3(stream))


def test_a_changed_address_under_a_graph(cuda, stream, context):
    context.execute_async_v3(stream)
    cuda.synchronize(stream)
    graph = cuda.capture(stream, lambda: context.execute_async_v3(stream))
    cuda.launch(graph, stream)
    cuda.synchronize(stream)
    context.set_tensor_address("logits", cuda.allocate(12))
    cuda.launch(graph, stream)
    with pytest.raises(MisuseError, match="shape or addresses of its context changed"):
        cuda.synchronize(stream)


def test_what_waits_for_an_event_comes_after_it(late, cuda, stream):
    other, event, device = cuda.create_stream(), cuda.create_event(), cuda.allocate(4)
    memory = late.device_memory.at(device, 4)
    late.enqueue(stream, lambda: memory.fill(1))
    cuda.record_event(event, stream)
    late.enqueue(stream, lambda: memory.fill(2))
    cuda.wait_event(other, event)
    assert (memory == FRESH).all()
    cuda.synchronize(other)
    assert (memory == 1).all()
    cuda.synchronize_event(event)
    assert (memory == 1).all()
    cuda.synchronize(stream)
    assert (memory == 2).all()


def test_an_event_of_another_device(late, cuda, stream):
    late.devices = 2
    with CudaBindings(late, 1).active():
        event = cuda.create_event()
    with pytest.raises(CudaError, match=r"^cudaEventRecord failed with cudaErrorInvalidResourceHandle"):
        cuda.record_event(event, stream)


def test_memory_knows_its_device(late, cuda):
    late.devices = 2
    second = CudaBindings(late, 1)
    with second.active():
        device = second.allocate(4)
    assert [cuda.owns(device + 3), second.owns(device + 3), second.owns(device + 4)] == [False, True, False]
    assert not cuda.owns(cuda.allocate_pinned(4))


def test_leaks_are_counted(late, cuda, stream):
    cuda.allocate(4)
    cuda.allocate_pinned(4)
    cuda.capture(stream, lambda: None)
    assert {kind: len(held) for kind, held in late.leaks().items()} == {
        "device memory": 1,
        "pinned memory": 1,
        "streams": 1,
        "executable graphs": 1,
    }
