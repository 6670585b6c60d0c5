"""Ranges of uint8 activations: streamed over the faces, the least squared error of 256 levels."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ConfigError, ExportError
from fer_export.graph.observe import BATCH
from fer_export.int8.activation_ranges import best_range, measure_activation_ranges

SPEC = ModelSpec("tiny", height=4, width=4)
FACES = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 4, 4), dtype=np.uint8)
TINY = """
<ir_version: 10, opset_import: ["": 18]>
tiny (uint8[batch, 4, 4] faces) => (float[batch, 2, 2, 2] logits)
<int64[1] one = {1}, float[1] mean = {128.0}, float[1] scale = {64.0},
 float[2, 1, 3, 3] "network.conv.weight" = {-1,0,1, -1,0,1, -1,0,1, 1,1,1, 0,0,0, -1,-1,-1},
 float[2] "network.conv.bias" = {%s}>
{
    cast = Cast<to: int = 1>(faces)
    image = Unsqueeze(cast, one)
    shifted = Sub(image, mean)
    normalized = Div(shifted, scale)
    convolved = Conv<kernel_shape: ints = [3, 3]>(normalized, "network.conv.weight", "network.conv.bias")
    logits = Relu(convolved)
}
"""


def tiny(bias: str = "0.5, -0.5") -> onnx.ModelProto:
    model = onnx.parser.parse_model(TINY % bias)
    onnx.checker.check_model(model, full_check=True)
    return model


def test_the_range_holds_what_all_batches_reach():
    session = onnxruntime.InferenceSession(tiny().SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"faces": FACES})[0]
    done = []
    low, high = measure_activation_ranges(tiny(), FACES, SPEC, done.append)["conv"]
    assert low == 0
    assert 0.8 * outputs.max() < high <= outputs.max() * (1 + 1e-6)
    assert done == [BATCH, 3, BATCH, 3]


def test_faces_are_needed_and_an_activation_that_is_always_zero_is_refused():
    with pytest.raises(ConfigError, match="at least one face"):
        measure_activation_ranges(tiny(), FACES[:0], SPEC)
    with pytest.raises(ExportError, match=r"activation conv goes from 0\.0 to 0\.0"):
        measure_activation_ranges(tiny("-1000.0, -1000.0"), FACES, SPEC)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_on_a_single_face_is_refused(value):
    model = tiny()
    bias = next(entry for entry in model.graph.initializer if entry.name == "network.conv.bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([value, 0.5], np.float32), bias.name))
    with pytest.raises(ExportError, match=r"activation conv goes from .* (nan|inf), expected a finite range"):
        measure_activation_ranges(model, FACES, SPEC)


def test_even_values_keep_their_whole_range():
    low, high = best_range(np.full(2048, 100), -1.0, 3.0)
    assert (low, high) == pytest.approx((-1.0, 3.0), abs=0.02)


def test_a_few_far_values_are_clipped_on_their_side_alone():
    counts = np.zeros(2048, np.int64)
    counts[:1024] = 1_000_000
    counts[-1] = 1
    low, high = best_range(counts, -1.0, 3.0)
    assert low == pytest.approx(-1.0, abs=0.02)
    assert 1.0 <= high < 2.0


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 2.0), (-2.0, 0.0)])
def test_a_range_on_one_side_ends_at_zero(lowest, highest):
    low, high = best_range(np.full(2048, 10), lowest, highest)
    assert low <= 0 <= high
    assert 0 in (low, high)
