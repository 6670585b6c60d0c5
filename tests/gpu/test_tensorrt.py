"""TensorRT on a real GPU: the same answers as PyTorch and ONNX Runtime, nothing left behind, and how fast."""

from __future__ import annotations

import importlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fer_bench.record.statistics import summarize_latency, throughput
from fer_engine import BackendOptions, Engine
from fer_engine.artifact import files
from fer_engine.artifact.artifact import Artifact
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.tensorrt.backend import TensorRtBackend
from fer_engine.runtime.backend import Model
from fer_export.verify.parity import measure_parity
from fer_train import checkpoint, synthetic
from fer_train.loop import logits

FACES = 555  # several buckets, and a last one that is padded
BACKENDS = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}
PRECISIONS = ("fp32", "fp16", "int8")
# Largest logit difference as a share of the range of the reference's logits, and smallest share of the
# same top answers; see tests/parity. Float32 sums are taken in another order; TF32 is switched off.
DIFFERENCE = {"fp32": 1e-3, "fp16": 1e-2, "int8": 0.25}
AGREEMENT = {"fp32": 0.995, "fp16": 0.995, "int8": 0.93}
LOADS = 8
LEAK_BYTES = LOADS << 20  # the buffers alone of one load take more than the mebibyte that this allows it
BATCHES = (1, 8, 64, 256, 1024)
ROUNDS, SECONDS = 5, 0.3
METHOD = "From NumPy to NumPy, calls from one thread, rounds with and without CUDA graphs in turn."


class WithoutGraphs(CudaBindings):
    """The same device, every call made by itself."""

    graphs = None


def load(folder, flavour, precision, cuda):
    trt = importlib.import_module(flavour)
    model = Model(Artifact.open(folder), precision, b"")

    class Backend(TensorRtBackend):
        name = BACKENDS[flavour]
        versions = {flavour: trt.__version__}  # noqa: RUF012

        @classmethod
        def load(cls, model, options):
            return cls.open(trt, cuda, model, options)

    return Backend.load(model, BackendOptions("cuda"))


@pytest.fixture(scope="module")
def faces():
    return synthetic.faces(FACES, seed=1)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_answers_are_those_of_pytorch_and_onnxruntime(built, flavour, precision, faces):
    network, spec = checkpoint.load(built / "checkpoint")
    with Engine.load(built, precision=precision) as engine:
        on_cpu = engine.logits(faces)
    with Engine.load(built, precision=precision, backend=BACKENDS[flavour], device="cuda") as engine:
        for size in (1, 7, 64, FACES):
            parts = [engine.logits(faces[start : start + size]) for start in range(0, FACES, size)]
            for expected in (logits(network, spec, faces), on_cpu):
                result = measure_parity(expected, np.concatenate(parts))
                assert result.agreement >= AGREEMENT[precision], size
                assert result.max_abs_difference <= DIFFERENCE[precision] * result.logit_range, size


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_graph_computes_what_its_calls_compute(built, flavour, precision, cudart, faces):
    answers = []
    for kind in (CudaBindings, WithoutGraphs):
        backend = load(built, flavour, precision, kind(cudart))
        answers.append([backend.infer(faces[:count]) for count in backend.buckets])
        backend.close()
    for with_graph, without in zip(*answers, strict=True):
        np.testing.assert_array_equal(with_graph, without)


def test_nothing_is_left_on_the_device(built, flavour, cudart, faces):
    def free():
        status, free, _ = cudart.cudaMemGetInfo()
        assert status == cudart.cudaError_t.cudaSuccess
        return free

    def use():
        with Engine.load(built, precision="fp16", backend=BACKENDS[flavour], device="cuda") as engine:
            engine.logits(faces)

    use()  # what the libraries keep for the whole process
    before = free()
    for _ in range(LOADS):
        use()
    assert before - free() <= LEAK_BYTES


def test_many_threads_get_their_own_answers(built, flavour, faces):
    with Engine.load(built, precision="fp32", backend=BACKENDS[flavour], device="cuda") as engine:
        expected = engine.logits(faces)
        spread = float(np.ptp(expected))
        worst = []

        def work(seed):
            order = np.random.default_rng(seed).permutation(FACES)
            worst.append(np.abs(engine.logits(faces[order]) - expected[order]).max())

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(worst) == len(threads)
    assert max(worst) <= DIFFERENCE["fp32"] * spread


def test_throughput_is_reported(built, flavour, device, cudart):
    """Writes the table; how fast a GPU is, no test decides."""
    rows = []
    for precision in PRECISIONS:
        backends = [load(built, flavour, precision, kind(cudart)) for kind in (CudaBindings, WithoutGraphs)]
        for batch in BATCHES:
            faces = synthetic.faces(batch, seed=2)
            samples = [[], []]
            for _ in range(ROUNDS):
                for backend, taken in zip(backends, samples, strict=True):
                    taken.extend(timed(backend, faces))
            (with_graphs, without) = (throughput(taken, batch) for taken in samples)
            latency = summarize_latency(samples[0])
            rows.append(
                f"| {precision} | {batch} | {with_graphs:,.0f} | {latency.p50:.3f} | {latency.p99:.3f} "
                f"| {without:,.0f} | {with_graphs / without:.2f}x |"
            )
        for backend in backends:
            backend.close()
    version = importlib.import_module(flavour).__version__
    head = [
        f"# {flavour} {version} on {device.name}",
        "",
        f"Compute capability {device.compute_capability}, driver for CUDA {device.driver}. {METHOD}",
        "",
        "| precision | batch | images/s | p50 ms | p99 ms | images/s without graphs | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    path = Path("reports") / f"gpu-{BACKENDS[flavour]}.md"
    files.write_text(path, "\n".join([*head, *rows]) + "\n")
    assert path.read_text("utf-8").count(" | ") >= len(PRECISIONS) * len(BATCHES)


def timed(backend, faces):
    """Return the nanoseconds of each call for a while, after one call untimed."""
    backend.infer(faces)
    samples = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begin = time.perf_counter_ns()
        backend.infer(faces)
        samples.append(time.perf_counter_ns() - begin)
    return samples
