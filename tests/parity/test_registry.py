"""Every network of the registry makes the whole trip; a new one is tested without a line here.

Random weights, a step or two of training, and faces of at most 48x48: nothing here tells how good a network
is, only that each precision of it keeps its answers and that TensorRT builds it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from fer_engine import ConfigError, Engine
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest
from fer_engine.artifact.spec import ModelSpec
from fer_engine.runtime.backend import BACKENDS, BackendOptions, Model, available_backends
from fer_engine.selection.speed_probe import open_runner
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.activation_ranges import measure_activation_ranges
from fer_export.int8.calibrate import Calibration, calibrate
from fer_export.int8.equalize import equalize, measure_equalization
from fer_export.int8.post_training import quantize
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.pipeline import ExportOptions, export_model
from fer_export.verify.check import TOLERANCES, check_interface
from fer_export.verify.executed import declared_precisions
from fer_export.verify.parity import SAME_VALUE, measure_parity
from fer_train import checkpoint
from fer_train.loop import Trainer, logits
from fer_train.models import find_model
from fer_train.recipe import Recipe
from registry import SMALL, faces, labels

TRAINING = 16
RECIPE = Recipe(epochs=1, batch_size=8, learning_rate=1e-3, warmup=0.0, ema_decay=0.0, mixup=0.2)
CALIBRATION = 8
FACES = 33  # not a multiple of any batch
CPU_BACKENDS = [name for name, entry in BACKENDS.items() if entry.install and "cpu" in entry.devices]
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
PLANS = ("fp32", "fp16", "int8")  # TensorRT takes no uint8 activations


@dataclass(frozen=True, slots=True, eq=False)
class Trip:
    """A network before and after its training step, and its graphs by precision."""

    spec: ModelSpec
    fresh: dict[str, torch.Tensor]
    network: nn.Module
    graphs: dict[str, onnx.ModelProto]


@pytest.fixture(scope="module", params=SMALL)
def trip(request: pytest.FixtureRequest) -> Trip:
    spec = SMALL[request.param]
    torch.manual_seed(0)
    network = find_model(spec.name).build(spec)
    fresh = {name: weight.clone() for name, weight in network.named_parameters()}
    trainer = Trainer(network, spec, RECIPE)
    data = faces(spec, TRAINING), labels(spec, TRAINING)
    trainer.run_epoch(data, data)
    graph = to_onnx(trainer.average, spec)
    calibration = _calibrate(graph, spec)
    graphs = {
        "fp32": graph,
        "fp16": to_fp16(graph, spec),
        "int8": quantize(graph, calibration, "mse"),
        "int8-cpu": to_int8_cpu(graph, calibration.cpu_ranges, spec),
    }
    return Trip(spec, fresh, trainer.average, graphs)


def _calibrate(graph: onnx.ModelProto, spec: ModelSpec) -> Calibration:
    """Measure what INT8 needs but the bias correction, which loads the graph again for every layer."""
    images = faces(spec, CALIBRATION)
    scales = measure_equalization(graph, images)
    measured = calibrate(equalize(graph, scales), images, source="random patches", seed=0, spec=spec)
    return dataclasses.replace(
        measured, scales=scales, cpu_ranges=measure_activation_ranges(graph, images, spec)
    )


def test_a_training_step_changes_every_weight(trip):
    weights = dict(trip.network.named_parameters())
    assert all(weight.isfinite().all() for weight in weights.values())
    assert [name for name, weight in weights.items() if torch.equal(weight, trip.fresh[name])] == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_graph_keeps_its_contract_and_computes_every_layer_as_its_name_says(trip, precision):
    check_interface(trip.graphs[precision], trip.spec)
    layers = find_layers(trip.graphs["fp32"])
    entry = find_model(trip.spec.name)
    if (trip.spec.face_shape, trip.spec.labels) == (entry.spec.face_shape, entry.spec.labels):
        assert sum(layer.multiply_adds for layer in layers) == entry.multiply_adds
    declared = declared_precisions(trip.graphs[precision])
    assert declared == {layer.name: precision.removesuffix("-cpu") for layer in layers}


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_answers_as_pytorch(trip, precision, backend, tmp_path):
    if backend not in available_backends():
        pytest.skip(f"the runtime of backend {backend} is not installed")
    images = faces(trip.spec, FACES, seed=9)
    expected = logits(trip.network, trip.spec, images)
    model = Model(
        Artifact(tmp_path, Manifest(trip.spec, {})), precision, trip.graphs[precision].SerializeToString()
    )
    with open_runner(model, backend, BackendOptions(threads=1)) as run:
        gap = run(images) - expected
    if precision.startswith("int8"):
        assert np.sqrt(np.mean(gap**2)) <= TOLERANCES[precision] * expected.std()
    else:
        assert np.abs(gap).max() <= TOLERANCES[precision] * np.ptp(expected)


@pytest.mark.parametrize("precision", PLANS)
def test_tensorrt_rtx_builds_a_plan_without_a_gpu(trip, precision):
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    from fer_export.tensorrt.builder import build_plan
    from fer_export.tensorrt.options import BuildOptions

    options = BuildOptions("tensorrt_rtx", targets=("8.9",))
    plan = build_plan(trt, trip.graphs[precision].SerializeToString(), trip.spec.face_shape, options)
    weights = sum(weight.numel() for weight in trip.network.parameters())
    assert len(plan) > weights // 2  # they are in it, a byte each in INT8


def test_a_regression_agrees_where_its_values_are_near():
    expected = np.array([[0.1, -0.4], [0.2, 0.3], [-0.9, 0.0]], np.float32)
    moved = expected + np.array([[0.02, -0.01], [0.0, 0.03], [0.0, 0.0]], np.float32)
    assert measure_parity(expected, moved, task="regression").agreement == pytest.approx(2 / 3)
    assert measure_parity(expected, moved).agreement == 1.0  # as classes nothing has changed


def test_the_engine_gives_the_values_of_a_regression_and_the_gate_compares_them(tmp_path):
    spec = SMALL["cnn3, affect"]
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "best", find_model(spec.name).build(spec), spec)
    given = ExportOptions(
        spec.name, tmp_path / "artifact", checkpoint=tmp_path / "best", fp16=True, force=True
    )
    exported = export_model(given)
    network, _ = checkpoint.load(tmp_path / "best")
    images = faces(spec, FACES)
    with Engine.load(exported, precision="fp16") as engine:
        values = engine.estimate(images)
        with pytest.raises(ConfigError, match=r"without probabilities; use estimate\(faces\)"):
            engine.predict(images)
    assert list(values) == ["valence", "arousal"]
    gap = np.stack(list(values.values()), 1) - logits(network, spec, images)
    assert np.abs(gap).max() < SAME_VALUE
    verified = exported.manifest.verification["fp16"]["parity"]
    assert verified["agreement"] == 1
    assert verified["max_abs_difference"] < SAME_VALUE


def test_values_are_refused_where_there_are_classes(artifact):
    with (
        Engine.load(artifact) as engine,
        pytest.raises(ConfigError, match=r"classification model, which has no values; use predict\(faces\)"),
    ):
        engine.estimate(np.zeros((1, 48, 48), np.uint8))
