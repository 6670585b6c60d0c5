"""The float graph, its layers, and what FP16 and INT8 make of it: on a random mini_xception."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from fer_engine.artifact.graph_check import SPEC_KEY
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ArtifactError, ConfigError, ExportError
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.calibrate import Calibration, calibrate
from fer_export.int8.qdq import quantize_weights, to_int8
from fer_export.verify import executed
from fer_export.verify.check import check_interface, verify_graph
from fer_export.verify.samples import Samples
from fer_train.loop import logits
from fer_train.models import find_model

pytestmark = pytest.mark.slow  # networks are exported

SPEC = ModelSpec("mini_xception")
FACES = np.random.default_rng(0).integers(0, 256, (40, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = find_model("mini_xception").build(SPEC)
    with torch.no_grad():  # statistics that are not those of a new layer, so that folding them matters
        network.train()
        for _ in range(3):
            network(torch.randn(8, 1, 48, 48) * 1.5 + 0.3)
    return network.eval()


@pytest.fixture(scope="module")
def graph(network):
    return to_onnx(network, SPEC)


@pytest.fixture(scope="module")
def calibration(graph):
    return calibrate(graph, FACES, source="noise", seed=0, spec=SPEC)


def run(model: onnx.ModelProto, faces: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": faces})[0]


def test_float_graph_takes_raw_faces_with_a_dynamic_batch_and_carries_its_spec(graph, network):
    check_interface(graph, SPEC)
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    assert SPEC_KEY == "fer_engine.spec"  # files of earlier releases have it
    assert ModelSpec.loads(properties[SPEC_KEY]) == SPEC
    expected = logits(network, SPEC, FACES)
    for size in (1, 3, 40):
        np.testing.assert_allclose(run(graph, FACES[:size]), expected[:size], atol=1e-4 * np.ptp(expected))


def test_float_graph_has_no_batch_norm_and_no_outside_data(graph):
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert all(entry.data_location == TensorProto.DEFAULT for entry in graph.graph.initializer)


def test_layers_are_named_after_the_module_and_count_the_published_multiply_adds(graph):
    layers = find_layers(graph)
    assert sum(layer.multiply_adds for layer in layers) == 5_520_448
    assert [layer.name for layer in layers if layer.raw] == ["stem.0"]
    assert layers[1].name == "stem.3"
    assert layers[-1].name == "head"
    assert layers[-1].multiply_adds == 3 * 3 * 9 * 128 * 7


def test_fp16_computes_every_layer_in_half_and_keeps_the_interface(graph, network):
    half = to_fp16(graph, SPEC)
    check_interface(half, SPEC)
    assert executed.declared_shares(half, find_layers(graph)) == {"fp16": 1.0}
    expected = logits(network, SPEC, FACES)
    assert np.abs(run(half, FACES) - expected).max() < 1e-2 * np.ptp(expected)


def test_fp16_refuses_a_weight_that_does_not_fit(graph):
    large = onnx.ModelProto()
    large.CopyFrom(graph)
    bias = next(entry for entry in large.graph.initializer if entry.name == "network.head.bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(7, 1e5, np.float32), bias.name))
    with pytest.raises(ExportError, match=r"network\.head\.bias holds 1e\+05, too large for float16"):
        to_fp16(large, SPEC)


def test_int8_has_one_pair_a_layer_on_its_input_and_int8_weights(graph, calibration):
    quantized = to_int8(graph, calibration.of("max"))
    check_interface(quantized, SPEC)
    counts = Counter(node.op_type for node in quantized.graph.node)
    assert counts["QuantizeLinear"] == 23
    assert counts["DequantizeLinear"] == 46
    assert executed.declared_shares(quantized, find_layers(graph)) == {"int8": 1.0}
    stored = {entry.name: entry for entry in quantized.graph.initializer}
    assert stored["head.weight.int8"].data_type == TensorProto.INT8
    assert stored["network.head.bias"].data_type == TensorProto.FLOAT
    assert "network.head.weight" not in stored


def test_int8_zero_points_are_zero_and_steps_are_the_calibrated_ones(graph, calibration):
    quantized = to_int8(graph, calibration.of("percentile"))
    stored = {entry.name: numpy_helper.to_array(entry) for entry in quantized.graph.initializer}
    for layer, reach in calibration.of("percentile").items():
        assert stored[f"{layer}.input.quantize.scale"] == pytest.approx(reach / 127)
        assert stored[f"{layer}.input.quantize.zero_point"] == 0
        assert not stored[f"{layer}.weight.quantize.zero_point"].any()


def test_raw_faces_quantize_without_loss(calibration):
    for method in calibration.ranges:
        step = calibration.of(method)["stem.0"] / 127
        levels = (np.arange(256) - 128) / 64 / step
        assert np.array_equal(levels, np.rint(levels))
        assert levels.min() >= -128
        assert levels.max() <= 127


def test_a_layer_that_the_ranges_do_not_name_stays_in_float(graph, calibration):
    ranges = {name: reach for name, reach in calibration.of("max").items() if name != "stem.3"}
    shares = executed.declared_shares(to_int8(graph, ranges), find_layers(graph))
    assert shares["fp32"] == pytest.approx(1_115_136 / 5_520_448)


def test_ranges_of_another_network_are_refused(graph):
    with pytest.raises(ExportError, match=r"layers that mini_xception does not have: fc1"):
        to_int8(graph, {"fc1": 1.0})


def test_executed_shares_come_from_the_runtime_and_cover_every_layer(graph, calibration):
    layers = find_layers(graph)
    assert executed.read_back_precisions(graph, layers).multiply_adds == {"fp32": 1.0}
    shares = executed.read_back_precisions(to_int8(graph, calibration.of("max")), layers).multiply_adds
    assert set(shares) <= {"fp32", "int8"}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_weights_round_to_the_nearest_of_127_steps_a_channel():
    weights = np.array([[1.0, -0.5], [0.0, 0.0], [0.254, 0.001]], np.float32)
    values, step = quantize_weights(weights, 0)
    assert values.tolist() == [[127, -64], [0, 0], [127, 0]]
    assert step == pytest.approx([1 / 127, 1.0, 0.002])
    assert quantize_weights(weights, 1)[1].shape == (2,)


def test_calibration_finds_the_true_maximum_whatever_the_batches(graph, calibration):
    probe = onnx.ModelProto()
    probe.CopyFrom(graph)
    head = find_layers(graph)[-1]
    probe.graph.output.append(onnx.ValueInfoProto(name=head.input))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    activations = session.run([head.input], {"faces": FACES})[0]
    assert calibration.of("max")["head"] == pytest.approx(np.abs(activations).max(), rel=1e-5)
    assert calibration.samples == len(FACES)


def test_calibration_round_trips_and_refuses_damage(calibration):
    assert Calibration.loads(calibration.dumps()) == calibration
    for text in ("{", "[]", '{"format_version": 1}', calibration.dumps().replace(": 1,", ": 99,", 1)):
        with pytest.raises(ArtifactError, match="measure it again"):
            Calibration.loads(text)


def test_calibration_needs_faces_and_a_known_method(graph, calibration):
    with pytest.raises(ConfigError, match="at least one face"):
        calibrate(graph, FACES[:0], source="", seed=0, spec=SPEC)
    with pytest.raises(ConfigError, match=r"unknown calibration method 'best'; known: max, percentile"):
        calibration.of("best")


def test_verify_measures_a_good_graph(graph, network):
    reference = logits(network, SPEC, FACES)
    result = verify_graph(
        graph, "fp32", SPEC, find_layers(graph), Samples(FACES, None, "noise"), reference, 5
    )
    assert result.batches == (1, 3, 5)
    assert result.parity.agreement == 1.0
    assert result.difference <= result.tolerance


def test_verify_refuses_other_weights(graph, network):
    broken = onnx.ModelProto()
    broken.CopyFrom(graph)
    bias = next(entry for entry in broken.graph.initializer if entry.name == "network.head.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.1), bias.name))
    reference = logits(network, SPEC, FACES)
    with pytest.raises(ExportError, match="fp32 graph of mini_xception differs from the reference"):
        verify_graph(broken, "fp32", SPEC, find_layers(graph), Samples(FACES, None, "noise"), reference, 4)


def test_verify_refuses_ranges_that_are_far_off(graph, network, calibration):
    ranges = {name: reach / 20 for name, reach in calibration.of("max").items()}
    reference = logits(network, SPEC, FACES)
    with pytest.raises(ExportError, match=r"int8 graph .* calibrate on real faces with --data"):
        verify_graph(
            to_int8(graph, ranges),
            "int8",
            SPEC,
            find_layers(graph),
            Samples(FACES, None, "noise"),
            reference,
            4,
        )


def test_a_fixed_batch_or_another_name_breaks_the_interface(graph):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(graph)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    with pytest.raises(ExportError, match=r"interface|checker"):
        check_interface(fixed, SPEC)
    with pytest.raises(ExportError, match="has the interface"):
        check_interface(graph, ModelSpec("mini_xception", output="affect"))


def test_a_network_that_cannot_be_exported_gives_one_line():
    class Branching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3)).expand(7) if float(x.sum()) > 0 else x.sum()

    with pytest.raises(ExportError, match="PyTorch cannot export mini_xception") as caught:
        to_onnx(Branching(), SPEC)
    assert "\n" not in str(caught.value)


def test_the_graph_carries_no_path_of_the_machine_that_made_it(graph):
    content = graph.SerializeToString()
    assert b".py" not in content
    assert b"site-packages" not in content
