"""The temperature of a spec, in every precision and on two runtimes: the logits divided by it."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch

from fer_engine.artifact.spec import ModelSpec
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.layers import find_layers
from fer_export.graph.temperature import is_temperature
from fer_export.int8.post_training import calibrate_int8, quantize
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.verify.executed import read_back_precisions
from fer_train.loop import logits
from fer_train.models import find_model

pytestmark = pytest.mark.slow  # networks are exported

PLAIN = ModelSpec("simple_cnn")
WARM = dataclasses.replace(PLAIN, temperature=1.7)
FACES = np.random.default_rng(0).integers(0, 256, (16, 48, 48), dtype=np.uint8)
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def precisions(spec, graph):
    calibration = calibrate_int8(graph, FACES, method="max", source="noise", seed=0, spec=spec)
    return {
        "fp32": graph,
        "fp16": to_fp16(graph, spec),
        "int8": quantize(graph, calibration, "max"),
        "int8-cpu": to_int8_cpu(graph, calibration.cpu_ranges, spec),
    }


@pytest.fixture(scope="module")
def graphs(random_graph):
    return {spec.temperature: precisions(spec, random_graph(spec)) for spec in (PLAIN, WARM)}


def on_onnxruntime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"faces": FACES})[0]


def on_openvino(model):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString(), b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return compiled(FACES)[0]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
def test_openvino_s_last_layer_is_found_with_the_division_in_its_weights(graphs, precision):
    pytest.importorskip("openvino")
    layers = find_layers(graphs[1.7]["fp32"])
    assert "not found" not in read_back_precisions(graphs[1.7][precision], layers, "openvino").layers


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
@pytest.mark.parametrize("run", [on_onnxruntime, on_openvino])
def test_every_runtime_gives_the_logits_divided_by_the_temperature(graphs, run, precision):
    plain, warm = run(graphs[1.0][precision]), run(graphs[1.7][precision])
    assert np.ptp(plain) > 0
    np.testing.assert_allclose(warm * 1.7, plain, **CLOSE)


def test_the_last_node_of_every_precision_is_the_division_in_float32(graphs):
    for model in graphs[1.7].values():
        assert is_temperature(model.graph.node[-1])
        constants = {entry.name: entry.data_type for entry in model.graph.initializer}
        assert constants[model.graph.node[-1].input[1]] == 1  # FLOAT


def test_without_a_temperature_nothing_of_it_is_in_the_graph(graphs):
    for model in graphs[1.0].values():
        assert b"temperature" not in model.SerializeToString()
        assert b"uncalibrated" not in model.SerializeToString()


def test_the_reference_in_pytorch_has_it_too():
    torch.manual_seed(0)
    network = find_model("simple_cnn").build(PLAIN)
    np.testing.assert_allclose(
        logits(network, WARM, FACES) * np.float32(1.7), logits(network, PLAIN, FACES), rtol=1e-5, atol=1e-6
    )
