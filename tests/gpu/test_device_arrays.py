"""Faces on a real GPU and results that stay there, from and to the libraries that are installed."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from fer_engine import Engine, InputError
from fer_engine.backends.cuda import dlpack
from fer_engine.backends.cuda.array import pinned_array
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_train import synthetic

FACES = 555  # several buckets, and a last one that is padded
BACKENDS = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}
ROUNDS = 20  # so that memory is used again


@pytest.fixture(scope="module")
def faces():
    return synthetic.faces(FACES, seed=1)


@pytest.fixture
def engine(built, flavour):
    with Engine.load(built, precision="fp32", backend=BACKENDS[flavour], device="cuda") as engine:
        yield engine


class Uploaded:
    """Faces that a stream of their own still uploads, through CUDA alone."""

    def __init__(self, cuda, faces, owned):
        host = pinned_array(cuda, faces.shape, np.uint8, owned)
        host[...] = faces
        self.address, self.stream = cuda.allocate(faces.nbytes), cuda.create_stream()
        owned.callback(cuda.free, self.address)
        owned.callback(cuda.destroy_stream, self.stream)
        owned.callback(cuda.synchronize, self.stream)
        cuda.upload(self.address, host.ctypes.data, faces.nbytes, self.stream)
        self.__cuda_array_interface__ = {
            "shape": faces.shape,
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
            "stream": self.stream,
        }


def test_the_same_answers_as_from_the_host(engine, cudart, faces):
    cuda = CudaBindings(cudart)
    for count in (1, 7, 64, FACES):
        with contextlib.ExitStack() as owned:
            logits = engine.logits_on_device(Uploaded(cuda, faces[:count], owned))
            np.testing.assert_array_equal(logits.numpy(), engine.logits(faces[:count]))
            assert dlpack.read(logits.__dlpack__()).shape == logits.shape
            assert cuda.owns(logits.__cuda_array_interface__["data"][0])


def test_an_address_of_the_host(engine, cudart, faces):
    with contextlib.ExitStack() as owned:
        uploaded = Uploaded(CudaBindings(cudart), faces, owned)
        uploaded.__cuda_array_interface__["data"] = (faces.ctypes.data, False)
        with pytest.raises(InputError, match="must lie in the memory of cuda:0"):
            engine.logits_on_device(uploaded)


def test_pytorch(engine, faces):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch without CUDA is installed")
    expected = torch.from_numpy(engine.logits(faces))
    for stream in (torch.cuda.default_stream(), torch.cuda.Stream()):
        with torch.cuda.stream(stream):
            for _ in range(ROUNDS):
                # Work that is under way: the faces are computed from others, and then let go.
                frames = torch.from_numpy(faces).cuda() + torch.zeros(FACES, 1, 1, dtype=torch.uint8).cuda()
                logits = engine.logits_on_device(frames)
                del frames
                taken = torch.from_dlpack(logits)
                assert taken.data_ptr() == logits.address
                del logits
                assert torch.equal(taken.clone().cpu(), expected)


def test_cupy(engine, faces):
    cupy = pytest.importorskip("cupy")
    with cupy.cuda.Stream(non_blocking=True):
        for _ in range(ROUNDS):
            logits = engine.logits_on_device(cupy.asarray(faces) + cupy.uint8(0))
            np.testing.assert_array_equal(cupy.asnumpy(cupy.from_dlpack(logits)), engine.logits(faces))
