"""Equalization, bias correction and sensitivity: on a small residual network with uneven channels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, ExportError
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import observe_tensors, run_graph
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.bias_correction import correct_biases, measure_bias_correction
from fer_export.int8.calibrate import Calibration, calibrate
from fer_export.int8.equalize import equalize, find_groups, measure_equalization
from fer_export.int8.post_training import calibrate_int8, leave_in_float, quantize, quantize_in_steps
from fer_export.int8.qdq import to_int8
from fer_export.int8.sensitivity import choose_float_layers, measure_sensitivity
from fer_export.verify import executed
from fer_export.verify.parity import measure_parity, relative_rmse
from fer_train import checkpoint, synthetic
from fer_train.loop import logits
from fer_train.sampling import stratified

SPEC = ModelSpec("mini_xception")
FACES = synthetic.faces(48, seed=3)


class Network(nn.Module):
    """A stem, a depthwise-pointwise chain beside a shortcut, a grouped convolution and a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 5, stride=4)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.shortcut = nn.Conv2d(8, 8, 1)
        self.grouped = nn.Conv2d(8, 12, 3, stride=4, groups=4)
        self.hidden = nn.Linear(12 * 9, 10)
        self.head = nn.Linear(10, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        x = self.pointwise(self.depthwise(x)).relu() + self.shortcut(x)
        x = self.grouped(x).sigmoid()
        return self.head(self.hidden(x.flatten(1)).relu())


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    torch.manual_seed(0)
    network = Network()
    with torch.no_grad():  # channels that reach from 1 to 300, so that one step for all is too coarse
        uneven = torch.logspace(0, 2.5, 8)
        network.depthwise.weight.mul_(uneven.view(-1, 1, 1, 1))
        network.depthwise.bias.mul_(uneven)
        network.pointwise.weight.div_(uneven.view(1, -1, 1, 1))
        answers = torch.from_numpy(logits(network.eval(), SPEC, FACES))
        network.head.bias.sub_(answers.mean(0))  # so that no class wins on every face
    return to_onnx(network, SPEC)


@pytest.fixture(scope="module")
def plain(graph) -> Calibration:
    return calibrate(graph, FACES, source="synthetic", seed=3, spec=SPEC)


@pytest.fixture(scope="module")
def calibration(graph) -> Calibration:
    return calibrate_int8(graph, FACES, method="mse", source="synthetic", seed=3, spec=SPEC)


def bias_of(model: onnx.ModelProto, layer: str) -> np.ndarray:
    entry = next(entry for entry in model.graph.initializer if entry.name == f"network.{layer}.bias")
    return numpy_helper.to_array(entry)


def means(model: onnx.ModelProto, name: str) -> np.ndarray:
    node = next(node for node in model.graph.node if node.name == name)
    batches = [batch[node.output[0]] for batch in observe_tensors(model, [node.output[0]], FACES)]
    values = np.concatenate(batches)
    return values.mean(axis=(0, *range(2, values.ndim)))


def test_groups_are_chains_and_residual_sums_up_to_what_is_not_homogeneous(graph):
    found = [
        ([layer.name for layer in group.writers], [layer.name for layer in group.readers])
        for group in find_groups(graph)
    ]
    assert found == [
        (["stem"], ["depthwise", "shortcut"]),
        (["depthwise"], ["pointwise"]),
        (["pointwise", "shortcut"], ["grouped"]),
        (["hidden"], ["head"]),
    ]


def test_equalization_computes_the_same_function(graph):
    scales = {
        group.name: np.geomspace(0.1, 10, layer.weights.shape[layer.axis]).tolist()
        for group in find_groups(graph)
        for layer in group.writers[:1]
    }
    equalized = equalize(graph, scales)
    reference = run_graph(graph, FACES)
    np.testing.assert_allclose(run_graph(equalized, FACES), reference, atol=1e-5 * np.ptp(reference))
    before = {layer.name: layer.weights for layer in find_layers(graph)}
    assert all(np.abs(layer.weights - before[layer.name]).max() > 0 for layer in find_layers(equalized))


def test_equalized_channels_reach_alike(graph):
    equalized = equalize(graph, measure_equalization(graph, FACES))
    tensor = next(layer.input for layer in find_layers(equalized) if layer.name == "pointwise")
    reaches = [np.abs(batch[tensor]).max((0, 2, 3)) for batch in observe_tensors(equalized, [tensor], FACES)]
    reach = np.mean(reaches, axis=0)
    assert reach.max() / reach.min() == pytest.approx(1, abs=0.01)


def test_equalization_rounds_uneven_channels_finer(graph, plain, calibration):
    equalized = equalize(graph, calibration.scales)
    reference = run_graph(graph, FACES)
    coarse = relative_rmse(reference, run_graph(to_int8(graph, plain.of("mse")), FACES))
    fine = relative_rmse(reference, run_graph(to_int8(equalized, calibration.of("mse")), FACES))
    assert fine < 0.7 * coarse


def test_a_dead_channel_is_not_blown_up(graph):
    dead = onnx.ModelProto()
    dead.CopyFrom(graph)
    for entry in dead.graph.initializer:
        if entry.name in ("network.stem.weight", "network.stem.bias"):
            values = numpy_helper.to_array(entry).copy()
            values[0] = 0
            entry.CopyFrom(numpy_helper.from_array(values, entry.name))
    scale = measure_equalization(dead, FACES)["depthwise"]
    assert max(scale) / min(scale) == pytest.approx(1000, rel=0.01)


def test_scales_of_another_network_are_refused(graph):
    for scales in ({"fc1": [1.0]}, {"pointwise": [1.0, 2.0]}):
        with pytest.raises(ExportError, match=r"equalization does not fit .* measure it again with --data"):
            equalize(graph, scales)


def test_bias_correction_takes_the_measured_shift_away(graph, plain):
    ranges = plain.of("mse")
    shifts = measure_bias_correction(graph, ranges, FACES)
    assert list(shifts) == [layer.name for layer in find_layers(graph)]
    corrected = to_int8(correct_biases(graph, shifts), ranges)
    for name in shifts:
        before = np.abs(means(to_int8(graph, ranges), name) - means(graph, name)).max()
        after = np.abs(means(corrected, name) - means(graph, name)).max()
        assert after < 0.02 * before


def test_shifts_are_subtracted_and_those_of_another_network_refused(graph):
    shift = [0.5, 0, 0, 0, 0, 0, -1.0]
    assert bias_of(correct_biases(graph, {"head": shift}), "head") == pytest.approx(
        bias_of(graph, "head") - shift
    )
    for shifts in ({"fc1": [1.0]}, {"head": [1.0]}):
        with pytest.raises(
            ExportError, match=r"bias correction does not fit .* measure it again with --data"
        ):
            correct_biases(graph, shifts)


def test_all_that_int8_needs_round_trips_through_the_calibration(graph, calibration):
    again = Calibration.loads(calibration.dumps())
    assert again == calibration
    assert set(again.scales) == {"depthwise", "pointwise", "grouped", "head"}
    first, second = quantize(graph, calibration, "mse"), quantize(graph, again, "mse")
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_a_calibration_without_remedies_quantizes_the_graph_as_it_is(graph, plain):
    expected = to_int8(graph, plain.of("max"))
    made = quantize(graph, plain, "max")
    assert made.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


def test_shifts_of_another_method_are_not_used(graph, calibration):
    with pytest.raises(ConfigError, match=r"corrects biases for the method mse, not for 'max'"):
        quantize(graph, calibration, "max")


def test_calibration_needs_faces(graph):
    with pytest.raises(ConfigError, match="at least one face"):
        calibrate_int8(graph, FACES[:0], method="mse", source="", seed=0, spec=SPEC)


def test_a_layer_left_in_float_has_float_weights_and_no_shift_of_its_own(graph, calibration):
    partly = leave_in_float(graph, calibration, "mse", FACES, ["stem"])
    model = quantize(graph, partly, "mse")
    layers = find_layers(graph)
    share = layers[0].multiply_adds / sum(layer.multiply_adds for layer in layers)
    assert executed.declared_shares(model, layers)["fp32"] == pytest.approx(share)
    assert "stem" not in partly.shifts["mse"]


def test_steps_are_measured_one_on_top_of_the_other(graph, calibration):
    partly = leave_in_float(graph, calibration, "mse", FACES, ["stem"])
    steps = quantize_in_steps(graph, partly, "mse", FACES, SPEC)
    assert list(steps) == [
        "ranges by max",
        "ranges by mse",
        "equalization",
        "in float: stem",
        "bias correction",
    ]
    reference = run_graph(graph, FACES)
    _, rounded, equalized, *_ = (relative_rmse(reference, run_graph(step, FACES)) for step in steps.values())
    assert equalized < rounded
    assert steps["bias correction"] == quantize(graph, partly, "mse")


def test_sensitivity_finds_the_layer_whose_range_is_wrong(graph, calibration):
    equalized = equalize(graph, calibration.scales)
    ranges = {**calibration.of("mse"), "grouped": calibration.of("mse")["grouped"] / 8}
    sensitivity = measure_sensitivity(equalized, ranges, FACES, SPEC)
    costs = {cost.name: cost for cost in sensitivity.layers}
    assert list(costs) == [layer.name for layer in find_layers(graph)]
    assert max(costs, key=lambda name: costs[name].alone.relative_rmse) == "grouped"
    assert min(costs, key=lambda name: costs[name].left_out.relative_rmse) == "grouped"
    assert to_json(sensitivity)["layers"][0]["name"] == "stem"
    chosen = choose_float_layers(equalized, ranges, FACES, SPEC, sensitivity, 0.9)
    assert chosen.names == ("grouped",)
    assert chosen.agreement >= 0.9 > sensitivity.all_int8.agreement
    assert chosen.share == pytest.approx(
        costs["grouped"].multiply_adds / sum(cost.multiply_adds for cost in costs.values())
    )


def test_a_target_that_int8_reaches_costs_no_layer_and_one_beyond_it_ends_in_float(graph, calibration):
    equalized, ranges = equalize(graph, calibration.scales), calibration.of("mse")
    sensitivity = measure_sensitivity(equalized, ranges, FACES, SPEC)
    reached = sensitivity.all_int8.agreement
    assert choose_float_layers(equalized, ranges, FACES, SPEC, sensitivity, reached).names == ()
    assert choose_float_layers(equalized, ranges, FACES, SPEC, sensitivity, 1.0).agreement == 1.0


@pytest.mark.parametrize("target", [0.0, 1.01, float("nan")])
def test_a_target_that_is_no_share_is_refused(graph, calibration, target):
    sensitivity = measure_sensitivity(graph, {}, FACES, SPEC)
    with pytest.raises(ConfigError, match=r"target agreement must be in \(0, 1\]"):
        choose_float_layers(graph, calibration.of("mse"), FACES, SPEC, sensitivity, target)


def test_sensitivity_needs_faces(graph, calibration):
    with pytest.raises(ConfigError, match="at least one face"):
        measure_sensitivity(graph, calibration.of("mse"), FACES[:0], SPEC)


@pytest.mark.real
def test_remedies_bring_the_shipped_network_closer_to_its_float_answers(fer2013):
    network, spec = checkpoint.load(checkpoint.pretrained("mini_xception"))
    model = to_onnx(network, spec)
    training, labels = fer2013.split("Training")
    faces = training[stratified(labels, 256, 0)]
    calibration = calibrate_int8(model, faces, method="mse", source="", seed=0, spec=spec)
    steps = quantize_in_steps(model, calibration, "mse", faces, spec)
    others, _ = fer2013.split("PublicTest")
    reference = run_graph(model, others)
    plain, best = (
        measure_parity(reference, run_graph(steps[name], others))
        for name in ("ranges by mse", "bias correction")
    )
    assert best.agreement >= 0.97
    assert best.mean_abs_difference < 0.9 * plain.mean_abs_difference


class Single(nn.Module):
    """One convolution without a bias: no layers to balance, no bias to correct."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(1, 7, 5, stride=4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.only(x).mean((2, 3))


def test_a_network_with_nothing_to_equalize_or_correct_is_quantized():
    torch.manual_seed(0)
    model = to_onnx(Single().eval(), SPEC)
    calibration = calibrate_int8(model, FACES[:8], method="mse", source="synthetic", seed=0, spec=SPEC)
    assert (calibration.scales, calibration.shifts) == ({}, {"mse": {}})
    assert executed.declared_shares(quantize(model, calibration, "mse"), find_layers(model)) == {"int8": 1.0}
