"""Networks that are built in other ways than ours: every precision keeps their answers all the same."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import ExportError
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.activations import find_activations
from fer_export.int8.calibrate import calibrate
from fer_export.int8.post_training import calibrate_int8, quantize
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.verify.check import check_interface
from fer_train.fake_quant import exact_amax
from fer_train.loop import logits

LABELS = ("calm", "glad", "tense")


class Odd(nn.Module):
    """Batch norm before its convolution, a layer used twice, a resize, a sum with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.stem(self.norm(x)))
        x = x + self.twice(self.twice(x).relu())
        x = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        return self.head(x.mean((2, 3)))


class Normalizing(nn.Module):
    """Normalizes what it gets once more."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2)
        self.head = nn.Linear(8, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem((x - 0.5) / 0.25).relu().mean((2, 3)))


class Standardizing(nn.Module):
    """Gives each face a mean of 0 and a standard deviation of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2)
        self.head = nn.Linear(8, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean((1, 2, 3), keepdim=True)
        x = x / (torch.sqrt((x * x).mean((1, 2, 3), keepdim=True)) + 0.01)
        return self.head(self.stem(x).relu().mean((2, 3)))


class Pooling(nn.Module):
    """Multiplies no matrix."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).expand(-1, len(LABELS))


@dataclasses.dataclass(frozen=True)
class Exported:
    network: nn.Module
    spec: ModelSpec
    graph: onnx.ModelProto


@pytest.fixture(scope="module")
def exported():
    """Give a network with weights and statistics of its own and its graph; tests must not change them."""

    @functools.cache
    def make(kind: type[nn.Module]) -> Exported:
        spec = ModelSpec("own", LABELS, height=16, width=12)
        torch.manual_seed(0)
        network = kind()
        with torch.no_grad():  # batch norm sees data
            network.train()(torch.randn(8, 1, 16, 12) + 0.5)
        return Exported(network.eval(), spec, to_onnx(network, spec))

    return make


def faces(spec: ModelSpec) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, *spec.face_shape), dtype=np.uint8)


def run(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": batch})[0]


@pytest.mark.parametrize("kind", [Odd, Normalizing, Standardizing])
def test_every_precision_keeps_its_answers(exported, kind):
    network, spec, graph = (getattr(exported(kind), name) for name in ("network", "spec", "graph"))
    expected = logits(network, spec, faces(spec))
    calibration = calibrate_int8(graph, faces(spec), method="mse", source="noise", seed=0, spec=spec)
    graphs = {
        1e-4: graph,
        0.01: to_fp16(graph, spec),
        0.05: quantize(graph, calibration, "mse"),
        0.1: to_int8_cpu(graph, calibration.cpu_ranges, spec),
    }
    for tolerance, model in graphs.items():
        check_interface(model, spec)
        np.testing.assert_allclose(run(model, faces(spec)), expected, atol=tolerance * np.ptp(expected))


def test_what_a_network_measures_of_a_face_stays_in_float32(exported):
    network, spec, graph = (getattr(exported(Standardizing), n) for n in ("network", "spec", "graph"))
    flat = faces(spec) % 3 + 250  # of a variance that float16 has few digits for
    expected = logits(network, spec, flat)
    assert np.ptp(expected, axis=0).max() > 0
    calibration = calibrate_int8(graph, faces(spec), method="mse", source="noise", seed=0, spec=spec)
    assert find_activations(graph, spec).faces is None  # they vary with the face
    for model in (to_fp16(graph, spec), to_int8_cpu(graph, calibration.cpu_ranges, spec)):
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.value_info
        types = {value.name: value.type.tensor_type.elem_type for value in inferred}
        operators = [node.op_type for node in model.graph.node]
        before = list(model.graph.node)[operators.index("ReduceMean") : operators.index("Sqrt") + 1]
        assert {types[node.output[0]] for node in before} == {onnx.TensorProto.FLOAT}
        np.testing.assert_allclose(run(model, flat), expected, atol=0.1 * np.ptp(expected))


def test_a_layer_that_is_used_twice_becomes_two(exported):
    layers = find_layers(exported(Odd).graph)
    assert [layer.name for layer in layers] == ["stem", "twice", "twice@2", "head"]
    assert len({name for layer in layers for name in layer.node.input[1:]}) == 8


def test_the_gray_levels_own_steps_are_for_gray_levels_alone(exported):
    spec, graph = exported(Normalizing).spec, exported(Normalizing).graph
    assert find_activations(graph, spec).faces is None
    reach = calibrate(graph, faces(spec), source="noise", seed=0, spec=spec).of("max")["stem"]
    assert reach == pytest.approx(abs((-128 / 64 - 0.5) / 0.25))
    assert exact_amax(spec) == pytest.approx(127 / 64)


def test_a_network_without_layers_has_nothing_to_quantize(exported):
    spec, graph = exported(Pooling).spec, exported(Pooling).graph
    with pytest.raises(ExportError, match="there is nothing to quantize; export without --int8"):
        calibrate(graph, faces(spec), source="noise", seed=0, spec=spec)


def test_a_product_with_a_stack_or_a_vector_of_weights_stays_in_float():
    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 8, 3, stride=2)
            self.stack = nn.Parameter(torch.randn(1, 8, 3))
            self.vector = nn.Parameter(torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x).relu().mean((2, 3))
            x = (x[:, None, None] @ self.stack)[:, 0, 0]
            return x * (x @ self.vector)[:, None]

    graph = to_onnx(Products().eval(), ModelSpec("products", labels=LABELS))
    assert [layer.name for layer in find_layers(graph)] == ["stem"]
