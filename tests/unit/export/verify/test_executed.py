"""What runtimes really compute, read back from their own graphs and held against the declared."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest

from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import BackendError, ConfigError
from fer_export.graph.layers import find_layers
from fer_export.int8.activation_ranges import measure_activation_ranges
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.verify.executed import read_back_precisions

FACES = np.random.default_rng(0).integers(0, 256, (8, 48, 48), dtype=np.uint8)
INTEGER_SHARE = 0.95  # of the multiply-adds, the least that a file called int8 may have


@pytest.fixture(scope="module")
def files(artifact, shipped_graph) -> dict[str, onnx.ModelProto]:
    return {
        "fp32": shipped_graph,
        "fp16": onnx.load(artifact / "model.fp16.onnx"),
        "int8": onnx.load(artifact / "model.int8.onnx"),
        "int8-cpu": onnx.load(artifact / "model.int8-cpu.onnx"),
    }


@pytest.fixture(scope="module")
def layers(files):
    return find_layers(files["fp32"])


def test_onnxruntime_computes_the_whole_cpu_file_in_integers(files, layers):
    result = read_back_precisions(files["int8-cpu"], layers, "onnxruntime")
    assert result.multiply_adds["int8"] >= INTEGER_SHARE
    assert result.layers == {"int8": 1.0}
    assert result.deviating == {}


def test_a_float_layer_in_an_int8_file_is_found_and_named(files, layers):
    """Without its pair behind it, a convolution gets no integer kernel, though it is declared int8."""
    broken = onnx.ModelProto()
    broken.CopyFrom(files["int8-cpu"])
    stem = next(node for node in broken.graph.node if node.name == "stem.3")
    relu = next(node for node in broken.graph.node if stem.output[0] in node.input)
    rounded = next(node for node in broken.graph.node if relu.output[0] in node.input)
    dequantized = next(node for node in broken.graph.node if rounded.output[0] in node.input).output[0]
    for node in broken.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = relu.output[0] if name == dequantized else name
    result = read_back_precisions(broken, layers, "onnxruntime")
    assert result.multiply_adds["int8"] < INTEGER_SHARE
    assert result.deviating["stem.3"] == "fp32"


def test_onnxruntime_computes_of_the_symmetric_file_what_a_pair_follows_at_once(files, layers):
    """Of each depthwise convolution the next layer's pair follows: these eight alone fuse to integers."""
    result = read_back_precisions(files["int8"], layers, "onnxruntime")
    depthwise = {layer.name for layer in layers if layer.weights.shape[1] == 1 and not layer.raw}
    assert set(result.deviating) == {layer.name for layer in layers} - depthwise
    assert set(result.deviating.values()) == {"fp32"}
    assert result.layers["int8"] == pytest.approx(8 / 23)


@pytest.mark.parametrize("precision", ["int8", "int8-cpu"])
def test_openvino_computes_both_files_in_integers(files, layers, precision):
    """Its convolutions give float or requantize as the next operator needs: no pair has to follow."""
    pytest.importorskip("openvino")
    result = read_back_precisions(files[precision], layers, "openvino")
    assert result.multiply_adds == {"int8": 1.0}
    assert result.deviating == {}


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_floats_are_told_from_halves(files, layers, runtime):
    pytest.importorskip(runtime)
    assert read_back_precisions(files["fp32"], layers, runtime).multiply_adds == {"fp32": 1.0}
    half = read_back_precisions(files["fp16"], layers, runtime)
    # ONNX Runtime computes the halves in float on every CPU, OpenVINO where the CPU has none.
    assert half.multiply_adds in [{"fp32": 1.0}, {"fp16": 1.0}][: 1 if runtime == "onnxruntime" else 2]
    assert set(half.deviating) == ({layer.name for layer in layers} if "fp32" in half.layers else set())


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_matrix_product_that_gives_the_logits_is_found(random_graph, runtime):
    pytest.importorskip(runtime)
    spec = ModelSpec("fer_teacher")
    graph = random_graph(spec)
    quantized = to_int8_cpu(graph, measure_activation_ranges(graph, FACES, spec), spec)
    assert read_back_precisions(quantized, find_layers(graph), runtime).deviating == {}


def test_the_result_is_json(files, layers):
    result = read_back_precisions(files["int8-cpu"], layers)
    assert json.loads(json.dumps(to_json(result)))["runtime"] == "onnxruntime"


def test_a_runtime_that_is_unknown_or_missing_is_refused(files, layers, monkeypatch):
    with pytest.raises(ConfigError, match=r"from runtime 'ncnn'; known: onnxruntime, openvino"):
        read_back_precisions(files["fp32"], layers, "ncnn")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install 'fer-engine\[openvino\]'"):
        read_back_precisions(files["fp32"], layers, "openvino")
