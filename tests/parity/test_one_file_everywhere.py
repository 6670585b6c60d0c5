"""The same INT8 file on every runtime that takes it, held against the integer reference."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import integer_reference
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import INPUT_NAME
from fer_train import synthetic

FACES = synthetic.faces(64, seed=1)

# Root mean square differences, as shares of the spread of the float network's logits; quantization
# itself makes 0.07 on these faces.
#
# The runtime computes the same sums in float32: a value within its rounding error of a boundary
# between two integers falls on the other side, and the layers behind it carry that on. Single logits
# may then move by several steps, so that the largest difference says little.
SAME_NUMBERS = 0.04
# The runtime changes numbers when it loads the file: ONNX Runtime rounds float biases to int32 in
# the steps of the sums. Half such a step is 0.02 % of a range, but it puts about one value in a
# thousand across a boundary in each layer; after twenty layers most of the rounding noise is drawn
# anew. It must not grow: the runtime has to be as near to the float network as the reference is.
OTHER_NUMBERS = 0.08
SAME_NOISE = 1.15  # distance from the float network, against the reference's

SAME_ANSWERS = 0.9  # synthetic faces lie near the borders between the classes

TENSORRT_RTX = "1.7.1.116"  # the text inside its plans is not documented: held to this version
TARGET = "SM89"  # Ada; a plan for a named target is built without a GPU


def onnxruntime_logits(model: bytes, **settings: list[str]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"], **settings)
    return session.run(None, {INPUT_NAME: FACES})[0]


def same_biases_logits(model: bytes) -> np.ndarray:
    return onnxruntime_logits(model, disabled_optimizers=["WeightBiasQuantization"])


def openvino_logits(model: bytes) -> np.ndarray:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([FACES])[0]


RUNTIMES: dict[str, Callable[[bytes], np.ndarray]] = {
    "onnxruntime": onnxruntime_logits,
    "onnxruntime, biases as they are": same_biases_logits,
    "openvino": openvino_logits,
}
# ONNX Runtime keeps every number of the CPU file, whose biases are int32 already. OpenVINO keeps the
# symmetric file's, and rescales one addend of each sum in the CPU file: by one, for a sum has the step
# of its addends there.
DIFFERENCE = {
    ("int8", "onnxruntime"): OTHER_NUMBERS,
    ("int8", "onnxruntime, biases as they are"): SAME_NUMBERS,
    ("int8", "openvino"): SAME_NUMBERS,
    ("int8-cpu", "onnxruntime"): SAME_NUMBERS,
    ("int8-cpu", "openvino"): SAME_NUMBERS,
}


@pytest.fixture(scope="module")
def files(artifact: Path) -> dict[str, bytes]:
    return {name: Artifact.open(artifact).read_graph(name) for name in ("fp32", "int8", "int8-cpu")}


@pytest.fixture(scope="module")
def references(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {
        name: integer_reference.run(onnx.load_from_string(content), FACES) for name, content in files.items()
    }


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(a - b))))


@pytest.mark.parametrize(("precision", "runtime"), DIFFERENCE)
def test_logits_are_those_of_the_integer_reference(files, references, precision, runtime):
    got = RUNTIMES[runtime](files[precision])
    expected, exact = references[precision], references["fp32"]
    assert rms(got, expected) <= DIFFERENCE[precision, runtime] * exact.std()
    assert rms(got, exact) <= SAME_NOISE * rms(expected, exact)
    assert (got.argmax(1) == expected.argmax(1)).mean() >= SAME_ANSWERS


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="limits x86 instruction sets")
def test_the_cpu_file_keeps_its_logits_without_vnni(files, references, tmp_path):
    """Kernels for AVX2 add pairs of products in sixteen bits: its weights cannot overflow them."""
    pytest.importorskip("openvino")
    (tmp_path / "model.onnx").write_bytes(files["int8-cpu"])
    np.save(tmp_path / "faces.npy", FACES)
    script = (
        "import sys, numpy, openvino; core = openvino.Core(); folder = sys.argv[1]\n"
        "model = core.compile_model(f'{folder}/model.onnx', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})\n"
        "numpy.save(f'{folder}/logits.npy', model([numpy.load(f'{folder}/faces.npy')])[0])\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=True, timeout=300)
    got, expected = np.load(tmp_path / "logits.npy"), references["int8-cpu"]
    assert rms(got, expected) <= SAME_NUMBERS * references["fp32"].std()


BUILD = """
import sys
import tensorrt_rtx as trt

source, target, plan = sys.argv[1:]
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parser = trt.OnnxParser(network, logger)
if not parser.parse_from_file(source):
    sys.exit("; ".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
config = builder.create_builder_config()
config.num_compute_capabilities = 1
config.set_compute_capability(getattr(trt.ComputeCapability, target), 0)
faces = network.get_input(0)
profile = builder.create_optimization_profile()
profile.set_shape(faces.name, *((size, *faces.shape[1:]) for size in (1, 32, 256)))
config.add_optimization_profile(profile)
open(plan, "wb").write(builder.build_serialized_network(network, config))
"""


def convolution_types(plan: bytes) -> Counter[str]:
    """Count a plan's convolutions by the types of their operands, from the text that it carries."""
    text = plan.decode("latin1")
    types = dict(re.findall(r'tensor=\{[^}]*?dims=\{[^}]*\}[^{}]*?name="([^"]+)"[^\n]*? type=(\w+)', text))
    counts: Counter[str] = Counter()
    for operands in re.findall(r'corrltn=\{ name="[^"]+" output=\{[^}]*\} input=\{([^}]*)\}', text):
        counts["/".join(sorted({types[name] for name in re.findall(r'"([^"]+)"', operands)[:2]}))] += 1
    return counts


@pytest.mark.parametrize(("precision", "type_"), [("fp32", "float"), ("int8", "int8")])
def test_tensorrt_rtx_builds_every_convolution_as_declared(files, tmp_path, precision, type_):
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip(f"tensorrt-rtx is not installed (pip install tensorrt-rtx=={TENSORRT_RTX}, 260 MB)")
    version = importlib.metadata.version("tensorrt-rtx")
    if version != TENSORRT_RTX:
        pytest.skip(f"plans of tensorrt-rtx {version} may hold another text than those of {TENSORRT_RTX}")
    source, plan = tmp_path / "model.onnx", tmp_path / "model.plan"
    source.write_bytes(files[precision])
    command = [sys.executable, "-c", BUILD, str(source), TARGET, str(plan)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    assert convolution_types(plan.read_bytes()) == {type_: 23}
