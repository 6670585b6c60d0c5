"""The INT8 file for CPUs: where its pairs stand, what they share, and that no kernel can overflow."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError
from fer_export.graph.layers import find_layers
from fer_export.int8.activation_ranges import measure_activation_ranges
from fer_export.int8.activations import find_activations
from fer_export.int8.qdq_cpu import quantize_weights, to_int8_cpu
from fer_export.verify import executed
from fer_export.verify.check import check_interface

GRAY = ModelSpec("mini_xception")
COLOUR = ModelSpec("mini_xception", channels=3, mean=(120.0, 110.0, 100.0), scale=(60.0, 60.0, 60.0))
TEACHER = ModelSpec("fer_teacher")
SPECS = {"gray": GRAY, "colour": COLOUR, "matrix product": TEACHER}
# Root mean square difference as a share of the logits' spread. Random networks are harder than
# trained ones, which have about 0.05; a wrong scale or zero point gives more than 1.
DIFFERENCE = 0.2


def faces(spec: ModelSpec) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, *spec.face_shape), dtype=np.uint8)


@pytest.fixture(scope="module")
def graphs(random_graph) -> dict[str, onnx.ModelProto]:
    return {name: random_graph(spec) for name, spec in SPECS.items()}


@pytest.fixture(scope="module")
def quantized(graphs) -> dict[str, onnx.ModelProto]:
    return {
        name: to_int8_cpu(
            graph, measure_activation_ranges(graph, faces(SPECS[name]), SPECS[name]), SPECS[name]
        )
        for name, graph in graphs.items()
    }


def run(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": batch})[0]


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}


@pytest.mark.parametrize("name", SPECS)
def test_all_layers_are_int8_and_the_logits_stay_close(graphs, quantized, name):
    spec, model = SPECS[name], quantized[name]
    check_interface(model, spec)
    assert executed.declared_shares(model, find_layers(graphs[name])) == {"int8": 1.0}
    expected = run(graphs[name], faces(spec))
    difference = np.sqrt(np.mean(np.square(run(model, faces(spec)) - expected)))
    assert difference < DIFFERENCE * expected.std()


def test_activations_are_uint8_weights_int8_and_biases_int32(quantized):
    types = {entry.name: entry.data_type for entry in quantized["gray"].graph.initializer}
    assert types["stem.3.weight.int8"] == TensorProto.INT8
    assert types["stem.3.bias.int32"] == TensorProto.INT32
    assert types["stem.3.quantize.zero_point"] == TensorProto.UINT8
    assert "network.stem.3.weight" not in types


def test_gray_faces_enter_as_they_are(quantized):
    operators = [node.op_type for node in quantized["gray"].graph.node]
    assert not {"Cast", "Sub", "Div"} & set(operators)
    stored = constants(quantized["gray"])
    levels = (np.arange(256) - stored["faces.quantize.zero_point"].astype(np.float32)) * stored[
        "faces.quantize.scale"
    ]
    np.testing.assert_array_equal(levels, (np.arange(256, dtype=np.float32) - 128) / 64)


def test_faces_with_a_mean_for_each_channel_are_quantized_behind_their_normalization(graphs, quantized):
    found = find_activations(graphs["colour"], COLOUR)
    assert found.faces is None
    assert found.keys["div"] == "stem.0.input"
    assert "Div" in {node.op_type for node in quantized["colour"].graph.node}


def test_colour_faces_with_one_mean_enter_as_they_are(random_graph):
    spec = ModelSpec("mini_xception", channels=3, mean=(128.0,) * 3, scale=(64.0,) * 3)
    graph = random_graph(spec)
    model = to_int8_cpu(graph, measure_activation_ranges(graph, faces(spec), spec), spec)
    check_interface(model, spec)
    assert [node.op_type for node in model.graph.node[:2]] == ["Transpose", "DequantizeLinear"]


def test_a_relu_shares_the_range_of_its_convolution_and_its_zero_point_is_the_floor(quantized):
    stored = constants(quantized["gray"])
    assert stored["stem.0.quantize.zero_point"] == 0
    sources = {name: node.op_type for node in quantized["gray"].graph.node for name in node.output}
    rounded = [node.input[0] for node in quantized["gray"].graph.node if node.op_type == "QuantizeLinear"]
    assert [sources[name] for name in rounded].count("Relu") == 6


def test_a_pool_shares_the_range_of_what_it_reads_which_is_measured_behind_it(graphs):
    found = find_activations(graphs["gray"], GRAY)
    pools = [node for node in graphs["gray"].graph.node if node.op_type == "MaxPool"]
    for pool in pools:
        key = found.keys[pool.input[0]]
        assert found.keys[pool.output[0]] == key
        assert pool.output[0] in found.measured[key]
        assert pool.input[0] not in found.measured[key]


def test_a_sum_shares_the_range_of_its_addends(graphs):
    found = find_activations(graphs["gray"], GRAY)
    sums = [node for node in graphs["gray"].graph.node if node.op_type == "Add"]
    assert len(sums) == 4
    for node in sums:
        assert len({found.keys[name] for name in (*node.input, *node.output)}) == 1
    assert "trunk.0.body.3.1+trunk.0.shortcut.0" in found.measured


def test_keys_are_made_of_layer_names_alone(graphs):
    for name, spec in SPECS.items():
        layers = {layer.name for layer in find_layers(graphs[name])}
        for key in find_activations(graphs[name], spec).measured:
            assert {part.removesuffix(".input") for part in key.split("+")} <= layers


@pytest.mark.parametrize("name", ["gray", "matrix product"])
def test_no_two_weights_of_a_channel_saturate_sixteen_bits(graphs, quantized, name):
    stored = constants(quantized[name])
    for layer in find_layers(graphs[name]):
        weights = stored[f"{layer.name}.weight.int8"].astype(int)
        channels = np.sort(np.moveaxis(weights, layer.axis, 0).reshape(weights.shape[layer.axis], -1), 1)
        if weights.shape[1] == 1 and layer.name != "stem.0":  # depthwise: every product by itself
            assert np.abs(channels).max() == 127
        else:
            assert 255 * np.maximum(channels[:, -2:], 0).sum(1).max() <= 32767
            assert 255 * np.minimum(channels[:, :2], 0).sum(1).min() >= -32768


def test_biases_are_stored_in_the_steps_of_the_sums(graphs, quantized):
    stored, floats = constants(quantized["gray"]), constants(graphs["gray"])
    for layer in ("stem.0", "trunk.2.body.3.1", "head"):
        step = stored[f"{layer}.bias.quantize.scale"]
        rounded = stored[f"{layer}.bias.int32"] * step.astype(np.float64)
        assert np.abs(rounded - floats[f"network.{layer}.bias"]).max() <= step.max() * 0.51


def test_a_channel_without_weights_keeps_its_bias(graphs):
    head = find_layers(graphs["gray"])[-1]
    layer = dataclasses.replace(head, weights=head.weights * (np.arange(7) > 0).reshape(7, 1, 1, 1))
    weights, step = quantize_weights(layer, np.full(7, 1e-6, np.float32))
    assert not weights[0].any()
    assert step[0] == np.float32(1e-6)  # a step of one would round the bias to nothing


def test_ranges_of_another_network_are_refused(graphs):
    ranges = measure_activation_ranges(graphs["gray"], faces(GRAY), GRAY)
    with pytest.raises(ExportError, match=r"differ in their activations: fc1; .* measure it again"):
        to_int8_cpu(graphs["gray"], {**ranges, "fc1": [0.0, 1.0]}, GRAY)
    del ranges["head"]
    with pytest.raises(ExportError, match="differ in their activations: head"):
        to_int8_cpu(graphs["gray"], ranges, GRAY)
