"""An NVIDIA GPU and plans built on it; without one these tests are skipped, or fail with FER_REQUIRE_GPU."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.exporter import plan_arguments

# The module of each flavour, and the backend that uses it.
BACKENDS = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}
PRECISIONS = ("fp32", "fp16", "int8")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)


def missing(what: str) -> NoReturn:
    if os.environ.get("FER_REQUIRE_GPU"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def cudart():
    """Give cuda-bindings' runtime module on a machine with a GPU."""
    if importlib.util.find_spec("cuda") is None:
        missing("cuda-bindings is not installed: pip install cuda-bindings")
    from cuda.bindings import runtime

    status, count = runtime.cudaGetDeviceCount()
    if status != runtime.cudaError_t.cudaSuccess or count == 0:
        missing(f"no NVIDIA GPU can be used: {status.name}")
    return runtime


@pytest.fixture(scope="session")
def device(cudart):
    return CudaBindings(cudart).device()


@pytest.fixture(scope="session", params=list(BACKENDS))
def flavour(request, cudart):  # noqa: ARG001 - a missing GPU is to be told first
    """Give each installed flavour of TensorRT."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not installed:
        missing("no TensorRT is installed: pip install 'fer-engine[tensorrt]' or 'fer-engine[tensorrt-rtx]'")
    if request.param not in installed:
        pytest.skip(f"{request.param} is not installed, {', '.join(installed)} is tested")
    return request.param


@pytest.fixture(scope="session")
def built(flavour, device, artifact, tmp_path_factory):
    """Give an artifact with a plan of every precision, built on this GPU."""
    from fer_export.cli import main

    folder = tmp_path_factory.mktemp(flavour) / "artifact"
    shutil.copytree(artifact, folder)
    for precision in PRECISIONS:
        assert main(plan_arguments(folder, flavour, precision, device.compute_capability)) == 0
    return folder
