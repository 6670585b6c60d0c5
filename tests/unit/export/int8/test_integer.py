"""The integer reference against plain loops, ONNX's own reference and a float runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import integer_reference
from fer_engine.errors import ExportError

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (4, 48, 48), dtype=np.uint8)

# Of the logits' range. Both compute the same, ONNX's in float32: where a float sum falls on the
# other side of a boundary between two integers, a logit moves by a part of a step.
SAME_SUMS = 0.02
# ONNX's reference has QuantizeLinear from this opset on; in what the files use, nothing changed.
REFERENCE_OPSET = 21


@pytest.fixture(scope="module")
def files(artifact, shipped_graph) -> dict[str, onnx.ModelProto]:
    return {
        "fp32": shipped_graph,
        "int8": onnx.load(artifact / "model.int8.onnx"),
        "int8-cpu": onnx.load(artifact / "model.int8-cpu.onnx"),
    }


def test_rounds_half_to_even_and_saturates():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1000.0, -1000.0])
    assert integer_reference.quantize(x, np.float32(1), np.int8(0)).tolist() == [0, 2, 2, 0, -2, 127, -128]
    assert integer_reference.quantize(x, np.float32(1), np.uint8(10)).tolist() == [10, 12, 12, 10, 8, 255, 0]


@pytest.mark.parametrize(("group", "stride", "pad"), [(1, 1, 0), (1, 2, 1), (4, 1, 1), (2, 2, 0)])
def test_convolution_sums_integers_exactly(group, stride, pad):
    x = RNG.integers(0, 256, (2, 4, 7, 6), dtype=np.uint8)
    weights = RNG.integers(-127, 128, (8, 4 // group, 3, 3), dtype=np.int8)
    steps = RNG.uniform(0.01, 0.1, 8).astype(np.float32)
    zero = np.uint8(100)
    got = integer_reference.convolve(
        {"group": group, "strides": [stride] * 2, "pads": [pad] * 4},
        integer_reference.dequantize({}, x, np.float32(0.25), zero),
        integer_reference.dequantize({"axis": 0}, weights, steps, np.zeros(8, np.int8)),
    )
    padded = np.pad(x.astype(int) - int(zero), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    members = 4 // group
    for n, m, i, j in np.ndindex(got.shape):
        first = m // (8 // group) * members
        patch = padded[n, first : first + members, i * stride : i * stride + 3, j * stride : j * stride + 3]
        assert got[n, m, i, j] == int((patch * weights[m].astype(int)).sum()) * (0.25 * float(steps[m]))


def test_matrix_product_sums_integers_exactly():
    x, weights = (
        RNG.integers(-127, 128, (3, 50), dtype=np.int8),
        RNG.integers(-127, 128, (7, 50), dtype=np.int8),
    )
    steps, bias = RNG.uniform(0.01, 0.1, 7).astype(np.float32), np.arange(7, dtype=np.float32)
    left = integer_reference.dequantize({}, x, np.float32(0.5), np.int8(0))
    right = integer_reference.dequantize({"axis": 0}, weights, steps, np.zeros(7, np.int8))
    expected = (x.astype(int) @ weights.T.astype(int)) * (0.5 * steps.astype(np.float64)) + bias
    np.testing.assert_array_equal(integer_reference.multiply({"transB": 1}, left, right, bias), expected)


def test_max_pool_ignores_its_padding():
    x = -np.ones((1, 1, 4, 4))
    pooled = integer_reference.max_pool({"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, x)
    assert pooled.tolist() == [[[[-1, -1], [-1, -1]]]]


def test_float_graphs_give_the_runtime_s_logits(files):
    session = onnxruntime.InferenceSession(
        files["fp32"].SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {"faces": FACES})[0]
    np.testing.assert_allclose(
        integer_reference.run(files["fp32"], FACES), expected, atol=1e-4 * np.ptp(expected)
    )


@pytest.mark.parametrize("precision", ["int8", "int8-cpu"])
def test_agrees_with_the_reference_of_onnx(files, precision):
    newer = onnx.ModelProto()
    newer.CopyFrom(files[precision])
    newer.opset_import[0].version = REFERENCE_OPSET
    expected = ReferenceEvaluator(newer).run(None, {"faces": FACES})[0]
    got = integer_reference.run(files[precision], FACES)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=SAME_SUMS * np.ptp(expected))


def test_what_it_does_not_know_is_refused(files):
    other = onnx.ModelProto()
    other.CopyFrom(files["fp32"])
    next(node for node in other.graph.node if node.op_type == "Relu").op_type = "Elu"
    with pytest.raises(ExportError, match=r"no operator Elu \(node node_relu\); it knows Add, Cast"):
        integer_reference.run(other, FACES)
    with pytest.raises(ExportError, match="without ceil_mode"):
        integer_reference.max_pool({"kernel_shape": [2, 2], "ceil_mode": 1}, np.zeros((1, 1, 4, 4)))
    with pytest.raises(ExportError, match="no dilations"):
        integer_reference.convolve({"dilations": [2, 2]}, np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 2, 2)))
