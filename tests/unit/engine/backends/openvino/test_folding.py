"""Folding depthwise into pointwise convolutions: the same answers from fewer layers."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

from openvino import opset13 as opset  # noqa: E402

from fer_engine.backends.openvino import folding  # noqa: E402
from fer_engine.backends.openvino.folding import WIDEST, fold_depthwise, suit_matrix_units  # noqa: E402

RNG = np.random.default_rng(0)
SIDE = 9
# Float32 sums in another order, of a few hundred products of size one.
TOLERANCE = 1e-4


def random(*shape, scale=1.0):
    return np.asarray(RNG.standard_normal(shape) * scale, np.float32)


def network(
    channels=8,
    *,
    between=None,
    pointwise_stride=1,
    second_use=False,
    kind=np.float32,
    biases=True,
    scale=1.0,
    bias_shape=None,
):
    """Depthwise 3x3 of stride 2, then 1x1 to 12 channels."""
    faces = opset.parameter([-1, channels, SIDE, SIDE], np.float32, name="faces")
    x = opset.convert(faces, kind) if kind is not np.float32 else faces
    kernels = opset.constant(random(channels, 1, 1, 3, 3, scale=scale).astype(kind))
    depthwise = opset.group_convolution(x, kernels, [2, 2], [1, 1], [1, 1], [1, 1], name="depthwise")
    shape = (1, channels, 1, 1) if bias_shape is None else bias_shape
    x = opset.add(depthwise, opset.constant(random(*shape).astype(kind))) if biases else depthwise
    x = opset.relu(x) if between == "relu" else x
    mixing = opset.constant(random(12, channels, 1, 1, scale=scale).astype(kind))
    stride = [pointwise_stride, pointwise_stride]
    pointwise = opset.convolution(x, mixing, stride, [0, 0], [0, 0], [1, 1], name="pointwise")
    out = opset.add(pointwise, opset.constant(random(1, 12, 1, 1).astype(kind)))
    results = [out, opset.relu(depthwise)] if second_use else [out]
    return openvino.Model(results, [faces])


def answers(graph, channels=8):
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    faces = np.random.default_rng(1).standard_normal((3, channels, SIDE, SIDE)).astype(np.float32)
    return compiled(faces)[0]


def layers(graph):
    return [node.get_type_name() for node in graph.get_ordered_ops() if "Convolution" in node.get_type_name()]


@pytest.mark.parametrize("channels", [1, 8, WIDEST])
@pytest.mark.parametrize("biases", [True, False])
def test_a_pair_becomes_one_dense_convolution_with_the_same_answers(channels, biases):
    graph = network(channels, biases=biases)
    folded = fold_depthwise(graph)
    assert layers(folded) == ["Convolution"]
    assert layers(graph) == ["GroupConvolution", "Convolution"]  # the original is left alone
    assert np.abs(answers(folded, channels) - answers(graph, channels)).max() < TOLERANCE


@pytest.mark.parametrize(
    "graph",
    [
        network(WIDEST + 1),
        network(between="relu"),
        network(pointwise_stride=2),
        network(second_use=True),
    ],
    ids=["too wide", "something between", "a strided pointwise", "read elsewhere too"],
)
def test_other_pairs_stay(graph):
    assert fold_depthwise(graph) is None


def test_weights_that_float16_cannot_hold_stay_apart():
    assert fold_depthwise(network(kind=np.float16, scale=3e3)) is None
    assert layers(fold_depthwise(network(kind=np.float16))) == ["Convolution"]


@pytest.mark.parametrize(
    ("precision", "matrix_unit", "expected"),
    [
        ("f16", True, ["Convolution"]),
        ("f16", False, ["GroupConvolution", "Convolution"]),
        ("f32", True, ["GroupConvolution", "Convolution"]),
    ],
)
def test_only_float16_on_matrix_units_is_folded(monkeypatch, precision, matrix_unit, expected):
    monkeypatch.setattr(folding, "_half_on_matrix_unit", lambda: matrix_unit)
    assert layers(suit_matrix_units(network(), precision)) == expected


def test_a_graph_without_such_a_pair_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(folding, "_half_on_matrix_unit", lambda: True)
    graph = network(between="relu")
    assert suit_matrix_units(graph, "f16") is graph


def test_the_kind_of_matrix_unit_is_found_without_a_graph():
    assert folding._half_on_matrix_unit() in (True, False)


@pytest.mark.parametrize("shape", [(), (1,), (5, 1, 1), (1, 1, 1, 1)])
def test_an_offset_for_each_channel_or_one_for_all_is_folded(shape):
    graph = network(5, bias_shape=shape)
    folded = fold_depthwise(graph)
    assert np.abs(answers(folded, 5) - answers(graph, 5)).max() < TOLERANCE


@pytest.mark.parametrize("shape", [(5,), (1, 1, 1, 5), (1, 1, 5, 5), (1, 5, 5, 5)])
def test_an_offset_for_each_position_stays(shape):
    assert fold_depthwise(network(5, bias_shape=shape)) is None
