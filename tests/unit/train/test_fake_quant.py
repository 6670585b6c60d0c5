"""The fake-quantized network against the INT8 file that fer_export writes of it."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.qdq import to_int8
from fer_train.fake_quant import (
    RANGE_PACE,
    FakeQuantized,
    Quantizer,
    exact_amax,
    round_values,
    round_weights,
)
from fer_train.loop import logits, normalize
from fer_train.models import find_model
from fer_train.qat import measure_input_ranges
from registry import SMALL, faces

pytestmark = pytest.mark.slow  # every small network is exported

# Float32 sums in another order. Where they push a value over the edge of a step, the whole face
# differs by far more, so the tolerance holds for most faces; any other scheme moves nearly all.
LOGIT_TOLERANCE = 1e-5


def trained(name: str) -> tuple[nn.Module, FakeQuantized]:
    """Give a network with batch norm that does something, and its fake-quantized copy."""
    torch.manual_seed(0)
    spec = SMALL[name]
    network = find_model(spec.name).build(spec).train()
    for seed in range(3):
        network(normalize(torch.from_numpy(faces(spec, 32, seed)), spec))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    network.eval()
    return network, FakeQuantized(network, spec, measure_input_ranges(network, spec, faces(spec, 32)))


@pytest.mark.parametrize("name", SMALL)
def test_the_export_has_the_same_weights_steps_and_logits(name):
    network, quantized = trained(name)
    spec = SMALL[name]
    with torch.no_grad():
        for module in quantized.modules():
            if isinstance(module, Quantizer) and module.growth.requires_grad:
                module.growth.fill_(0.003)  # ranges as learning leaves them
    network.load_state_dict(quantized.float_state())
    ranges = quantized.ranges()
    exported = to_int8(to_onnx(network, spec), ranges)
    tensors = {entry.name: numpy_helper.to_array(entry) for entry in exported.graph.initializer}
    for layer in ranges:
        weight, step = round_weights(quantized.body.get_submodule(layer).folded()[0])
        weight, step = weight.detach().numpy(), step.detach().numpy().reshape(-1)
        there = tensors[f"{layer}.weight.int8"]
        np.testing.assert_array_equal(there if there.shape == weight.shape else there.T, weight)
        np.testing.assert_array_equal(tensors[f"{layer}.weight.quantize.scale"], step)
        assert tensors[f"{layer}.input.quantize.scale"] == np.float32(ranges[layer]) / np.float32(127)
    images = faces(spec, 64, seed=9)
    # ONNX Runtime would round the biases to int32, which the file does not say.
    session = onnxruntime.InferenceSession(
        exported.SerializeToString(),
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["WeightBiasQuantization"],
    )
    there = session.run(None, {"faces": images})[0]
    here = logits(quantized, spec, images)
    assert np.median(np.abs(here - there).max(1)) < LOGIT_TOLERANCE
    assert np.median(np.abs(here - logits(network, spec, images)).max(1)) > 10 * LOGIT_TOLERANCE


def test_the_float_state_is_that_of_the_network():
    network, quantized = trained("mini_xception")
    state = copy.deepcopy(quantized).float_state()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def test_the_raw_faces_keep_every_gray_level_and_their_range():
    _, quantized = trained("mini_xception")
    spec = find_model("mini_xception").spec
    assert quantized.ranges()["stem.0"] == exact_amax(spec) == 127 / 64
    levels = (torch.arange(256) - 128) / 64
    assert torch.equal(round_values(levels, torch.tensor(127 / 64)), levels)
    learned = [p for name, p in quantized.named_parameters() if name.endswith("growth") and p.requires_grad]
    assert len(learned) == len({*quantized.ranges().values()}) - 1


def test_layers_that_read_one_tensor_share_its_range():
    _, quantized = trained("mini_xception")
    ranges = quantized.ranges()
    assert ranges["trunk.1.body.0.0"] == ranges["trunk.1.shortcut.0"]


def test_training_moves_weights_and_ranges_but_no_statistics():
    network, quantized = trained("mini_xception")
    before = quantized.ranges()
    optimizer = torch.optim.SGD(quantized.parameters(), lr=0.01)
    quantized.train()
    quantized(torch.randn(8, 1, 48, 48)).square().sum().backward()
    optimizer.step()
    state, old = quantized.float_state(), network.state_dict()
    for name in old:
        frozen = "running" in name or "num_batches" in name
        assert torch.equal(state[name], old[name]) == frozen, name
    moved = [name for name, amax in quantized.ranges().items() if amax != before[name]]
    assert sorted(moved) == sorted(set(before) - {"stem.0"})


def test_rounding_is_to_even_symmetric_and_clipped():
    values = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 200.0, -200.0])
    expected = torch.tensor([0.0, 2, 2, 0, -2, 127, -128])
    assert torch.equal(round_values(values, torch.tensor(127.0)), expected)
    whole, step = round_weights(torch.tensor([[127.0, 0.5, 1.5], [0, 0, 0]]))
    assert whole.tolist() == [[127, 0, 2], [0, 0, 0]]
    assert step.view(-1).tolist() == [1, 1]


def test_gradients_are_those_of_learned_step_size_quantization():
    """Against Esser et al. (2020), equation 3, written out for each value."""
    quantizer = Quantizer(2.0, fixed=False)
    values = torch.tensor([0.3, -1.1, 1.99, 2.7, -5.0], requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    (quantizer(values) * weights).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3, 0, 0]
    step = 2.0 / 127
    scaled = values.detach() / step
    clipped = scaled.clamp(-128, 127)  # and the slope by the step:
    slope = torch.where(clipped == scaled, scaled.round() - scaled, clipped)
    expected = float((slope * weights).sum()) * step * RANGE_PACE
    assert quantizer.growth.grad is not None
    assert float(quantizer.growth.grad) == pytest.approx(expected, rel=1e-5)
