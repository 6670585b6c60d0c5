"""What goes wrong on a GPU, made to go wrong: an error that says what to do, and nothing left behind."""

import contextlib
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from fer_engine import ArtifactError, BackendError, BackendOptions
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import CudaError
from fer_engine.plan import ENGINES
from simulated.cudart import SimulatedCudart, cudaError_t
from simulated.rig import graph_bytes, make_faces, true_logits
from simulated.tensorrt import make_plan

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


def test_an_altered_or_truncated_plan_never_reaches_tensorrt(rig):
    rig.load().close()
    (path,) = rig.folder.glob("engines/*.plan")
    whole = path.read_bytes()
    for content in (whole[:-7], whole[:40] + b"?" + whole[41:], b""):
        rig.trt.seen.clear()
        model = rig.make()
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match="is not the plan that its sidecar vouches for"):
            rig.load_made(model)
        assert rig.trt.seen == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compute_capabilities": ("8.6",)}, r"built for compute capability 8\.6, this GPU has 8\.9"),
        ({"version": "11.3.0.9"}, r"built by tensorrt 11\.3\.0\.9, 11\.4\.0\.1 is installed"),
        ({"source_sha256": "0" * 64}, r"was built from model\.onnx with SHA-256 000000000000\.\.\."),
        ({"flavour": "tensorrt_rtx"}, r"holds no 'fp32' plan for tensorrt"),
    ],
)
def test_a_plan_for_something_else_never_reaches_tensorrt(rig, changes, message):
    with pytest.raises((ArtifactError, BackendError), match=f"{message}.* fer-export "):
        rig.load(sidecar=changes)
    assert rig.trt.seen == []


def test_a_plan_that_tensorrt_cannot_read(rig):
    with pytest.raises(BackendError) as caught:
        rig.load(content=b"no plan at all")
    assert str(caught.value) == (
        "TensorRT's deserialize_cuda_engine failed: [deserialize_cuda_engine] magic tag does not match; "
        f"build the plan again: fer-export --artifact {rig.folder} --tensorrt"
    )


def test_a_version_compatible_plan_alone_may_bring_its_own_runtime(rig):
    rig.load().close()
    rig.load(sidecar={"options": {"version_compatible": True}}).close()
    assert rig.trt.host_code_allowed == [False, True]


def test_a_plan_of_another_model(rig):
    plan = make_plan(graph_bytes(output="affect"), rig.profiles)
    with pytest.raises(ArtifactError, match=r"does not fit its spec: .*got faces uint8 .*, affect float32"):
        rig.load(content=plan)


def test_a_plan_built_earlier_for_this_gpu_is_found_in_the_cache(rig, tmp_path):
    rig.make()
    graph = hashlib.sha256(graph_bytes()).hexdigest()
    cache = tmp_path / "cache"
    shutil.move(rig.folder / ENGINES, cache / graph[:16] / rig.trt.__version__)
    model = rig.make(sidecar={"compute_capabilities": ("8.6",)})
    with pytest.raises(BackendError, match=r"built for compute capability 8\.6, this GPU has 8\.9"):
        rig.load_made(model, BackendOptions("cuda", cache=cache))
    rig.load_made(model, BackendOptions("cuda", cache=cache, rebuild="auto")).close()


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
    assert (ran.stdout, ran.stderr) == ("4\n{}\n", "an exception\n" if failing else "")


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
def test_a_forked_process_is_refused(rig):
    backend = rig.load()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child():
        before, message = len(rig.device.calls), "no error"
        try:
            backend.infer(FACES)
        except BackendError as error:
            message = str(error)
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
    backend.close()


def test_unknown_status_still_names_itself():
    device = SimulatedCudart()
    device.fault = cudaError_t.cudaErrorInvalidValue
    device.fail_all = {"cudaMalloc"}
    with pytest.raises(CudaError, match=r"^cudaMalloc failed with cudaErrorInvalidValue: some error$"):
        CudaBindings(device).allocate(1)
