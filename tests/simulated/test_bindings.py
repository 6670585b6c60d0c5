"""The runtime's and the simulation's idea of NVIDIA's bindings, held against the real ones.

What is used is read from the code: the classes of `api.py` for TensorRT, to which the type checker holds
the rest of the runtime, and the attributes of the runtime module in `bindings.py` for CUDA.
"""

import ast
import importlib.util
import inspect
import json
import re
import subprocess
import sys

import pytest

from fer_engine.backends.cuda import bindings
from fer_engine.backends.cuda.bindings import CudaBindings
from fer_engine.backends.cuda.protocol import CudaError
from fer_engine.backends.tensorrt import api, context_settings
from simulated import tensorrt as simulated_tensorrt
from simulated.cudart import SimulatedCudart

FLAVOURS = ("tensorrt", "tensorrt_rtx", "tensorrt_lean")
# In a process of its own: two flavours in one process have never been promised to get along.
DESCRIBE = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
described = {"": {name: "" for name in dir(module)}}
for name, kind in vars(module).items():
    if isinstance(kind, type):
        described[name] = {member: getattr(kind, member).__doc__ or "" for member in dir(kind)}
print(json.dumps(described))
"""


def used_of_tensorrt(*modules):
    """Yield class, member and named parameters, None for what is no function; the module is the class ""."""
    for module in modules:
        for name, kind in vars(module).items():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            members = {k: v for k, v in vars(kind).items() if not k.startswith("_")} | kind.__annotations__
            for member, value in members.items():
                yield "" if kind is module.TensorRt else name, member, _named(value)


def _named(value):
    """Return the parameters that a call may name."""
    if not inspect.isfunction(value):
        return None
    parameters = list(inspect.signature(value).parameters.values())[1:]
    return [entry.name for entry in parameters if entry.kind is not entry.POSITIONAL_ONLY]


def used_of_cuda():
    """Yield the dotted names that `bindings.py` takes from the module `cuda.bindings.runtime`."""
    for node in ast.walk(ast.parse(inspect.getsource(bindings))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            for prefix in ("self._runtime.", "runtime."):
                if name.startswith(prefix):
                    yield name.removeprefix(prefix)


USED_OF_TENSORRT = list(used_of_tensorrt(api))
USED_OF_RTX = list(used_of_tensorrt(api, context_settings))
SIMULATED = {
    "IExecutionContext": simulated_tensorrt.Context,
    "ICudaEngine": simulated_tensorrt.Engine,
    "IRuntimeConfig": simulated_tensorrt.RuntimeConfig,
    "Runtime": simulated_tensorrt.Runtime,
}
USED_OF_CUDA = sorted(set(used_of_cuda()))
FUNCTIONS_OF_CUDA = [name for name in USED_OF_CUDA if inspect.isfunction(vars(SimulatedCudart).get(name))]


@pytest.fixture(scope="module", params=FLAVOURS)
def real(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    command = [sys.executable, "-c", DESCRIBE, request.param]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return request.param, json.loads(ran.stdout)


@pytest.fixture(scope="module")
def cudart():
    return pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")


def test_something_is_used():
    assert ("IExecutionContext", "execute_async_v3", ["stream_handle"]) in USED_OF_TENSORRT
    assert ("", "Runtime", None) in USED_OF_TENSORRT
    assert {"cudaGraphLaunch", "cudaMemcpyKind.cudaMemcpyHostToDevice"} <= set(USED_OF_CUDA)


UNREADABLE = """
import importlib, sys
from pathlib import Path
from fer_engine import BackendError, ModelSpec
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest
from fer_engine.runtime.backend import Model
from fer_engine.backends.tensorrt.loaded_plan import LoadedPlan

try:
    model = Model(Artifact(Path("folder"), Manifest(ModelSpec("tiny"), {})), "fp32", b"")
    LoadedPlan(importlib.import_module(sys.argv[1]), b"no plan at all" * 100, model, host_code=False)
except BackendError as error:
    print(error)
"""


def test_the_real_tensorrt_says_why_it_cannot_read_a_plan():
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt_rtx is not installed")
    command = [sys.executable, "-c", UNREADABLE, "tensorrt_rtx"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.stdout.startswith("TensorRT's deserialize_cuda_engine failed: "), ran.stderr
    assert "gave no reason" not in ran.stdout
    assert ran.stdout.endswith("; build the plan again: fer-export --artifact folder --tensorrt-rtx\n")


def test_tensorrt_has_what_is_used(real):
    flavour, described = real
    for owner, member, parameters in USED_OF_RTX if flavour == "tensorrt_rtx" else USED_OF_TENSORRT:
        assert member in described[owner], owner
        if parameters:
            taken = r"\(self: [^,]*, " + r": .*, ".join(parameters) + ": "
            assert re.search(taken, described[owner][member]), (owner, member)


@pytest.mark.parametrize("name", USED_OF_CUDA)
def test_cuda_has_what_is_used(cudart, name):
    found = cudart
    for part in name.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("name", FUNCTIONS_OF_CUDA)
def test_the_simulated_cuda_takes_what_the_real_one_takes(cudart, name):
    function = inspect.unwrap(getattr(SimulatedCudart, name))
    signature = getattr(cudart, name).__doc__.strip().splitlines()[0]
    real = [entry.split(":")[0].split()[-1] for entry in _arguments(signature)]
    assert list(inspect.signature(function).parameters)[1:] == real


def test_the_simulated_cuda_has_all_that_is_used():
    device = SimulatedCudart()
    for name in USED_OF_CUDA:
        found = device
        for part in name.split("."):
            found = getattr(found, part)


def test_the_simulated_tensorrt_takes_what_the_runtime_gives():
    for owner, member, parameters in USED_OF_RTX:
        kind = SIMULATED.get(owner)
        if kind is not None and parameters:
            assert list(inspect.signature(getattr(kind, member)).parameters)[1:] == parameters


CALLS = [
    lambda cuda: cuda.device(),
    lambda cuda: cuda.allocate(16),
    lambda cuda: cuda.free(16),
    lambda cuda: cuda.allocate_pinned(16),
    lambda cuda: cuda.free_pinned(16),
    lambda cuda: cuda.create_stream(),
    lambda cuda: cuda.destroy_stream(16),
    lambda cuda: cuda.upload(16, 32, 8, 64),
    lambda cuda: cuda.download(16, 32, 8, 64),
    lambda cuda: cuda.copy(16, 32, 8, 64),
    lambda cuda: cuda.owns(16),
    lambda cuda: cuda.synchronize(16),
    lambda cuda: cuda.create_event(),
    lambda cuda: cuda.destroy_event(16),
    lambda cuda: cuda.record_event(16, 1),
    lambda cuda: cuda.wait_event(1, 16),
    lambda cuda: cuda.synchronize_event(16),
    lambda cuda: cuda.capture(16, lambda: None),
    lambda cuda: cuda.launch(16, 32),
    lambda cuda: cuda.destroy_graph(16),
]


@pytest.mark.parametrize("call", CALLS)
def test_the_real_cuda_takes_our_arguments_and_its_errors_keep_their_text(cudart, call):
    """Without a driver each call gets as far as CUDA's own answer, past the conversion of its arguments."""
    if cudart.cudaGetDeviceCount()[0] == cudart.cudaError_t.cudaSuccess:
        pytest.skip("there is a GPU, which would take these numbers for real")
    cuda = object.__new__(CudaBindings)
    cuda._runtime, cuda.index = cudart, 0
    with pytest.raises(
        CudaError, match=r"^cuda\w+ failed with cudaError(InsufficientDriver|NoDevice): .* driver|CUDA"
    ):
        call(cuda)


def test_without_a_driver_there_is_no_device(cudart):
    if cudart.cudaGetDeviceCount()[0] == cudart.cudaError_t.cudaSuccess:
        pytest.skip("there is a GPU")
    with pytest.raises(CudaError, match=r"^cudaGetDevice failed with cudaError"):
        CudaBindings(cudart)


def _arguments(signature):
    inside = signature[signature.index("(") + 1 : -1]
    return inside.split(", ") if inside else []
