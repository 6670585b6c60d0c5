"""A detector's heads and boxes: what stays in float, in FP16 and in both forms of INT8."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from fer_engine.artifact.spec import ModelSpec
from fer_export.graph.fp16 import to_fp16
from fer_export.graph.heads import find_decoding, find_heads
from fer_export.graph.layers import find_layers
from fer_export.graph.observe import run_graph
from fer_export.graph.to_onnx import to_onnx
from fer_export.int8.activations import find_activations
from fer_export.int8.post_training import calibrate_int8, quantize, quantize_in_steps
from fer_export.int8.qdq_cpu import to_int8_cpu
from fer_export.verify import executed
from fer_export.verify.check import check_interface
from fer_export.verify.detections import measure_detections
from fer_train.loop import logits
from fer_train.models.face_detector import FaceDetector
from tiny_detector import SPEC, pictures, tiny_detector

pytestmark = pytest.mark.slow  # a network is exported

HEADS = {f"heads.{index}" for index in range(3)}
CALIBRATED, OTHERS = pictures(24, seed=9), pictures(24, seed=99)


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return to_onnx(tiny_detector(), SPEC)


@pytest.fixture(scope="module")
def calibration(graph):
    return calibrate_int8(graph, CALIBRATED, method="mse", source="noise", seed=0, spec=SPEC)


@pytest.fixture(scope="module")
def graphs(graph, calibration) -> Mapping[str, onnx.ModelProto]:
    return {
        "fp16": to_fp16(graph, SPEC),
        "int8": quantize(graph, calibration, "mse"),
        "int8-cpu": to_int8_cpu(graph, calibration.cpu_ranges, SPEC),
    }


def test_heads_are_the_layers_behind_which_no_other_stands(graph):
    assert find_heads(graph, SPEC).keys() == HEADS
    assert SPEC.output in find_decoding(graph, SPEC)


def test_the_finders_own_detector_has_three():
    network = FaceDetector(SPEC, (4, 4, 8, 8, 8)).eval()
    graph = to_onnx(network, SPEC)
    check_interface(graph, SPEC)
    assert find_heads(graph, SPEC).keys() == HEADS
    reference = logits(network, SPEC, OTHERS[:4])
    half = run_graph(to_fp16(graph, SPEC), OTHERS[:4])
    assert np.abs(half - reference).max() < 0.5  # of boxes of up to 130 pixels


def test_other_tasks_have_no_heads(graph):
    affect = ModelSpec("net", labels=("arousal",), task="regression")
    assert find_heads(graph, affect) == {}
    assert find_decoding(graph, affect) == set()


def test_the_float_graph_gives_the_networks_own_boxes(graph):
    check_interface(graph, SPEC)
    expected = logits(tiny_detector(), SPEC, OTHERS)
    np.testing.assert_allclose(run_graph(graph, OTHERS), expected, atol=1e-4 * np.ptp(expected))


def test_fp16_computes_boxes_in_float32(graph, graphs):
    half = graphs["fp16"]
    check_interface(half, SPEC)
    assert executed.declared_shares(half, find_layers(graph)) == {"fp16": 1.0}
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(
            half, strict_mode=True, data_prop=True
        ).graph.value_info
    }
    decoded = find_decoding(graph, SPEC)
    kinds = {types[name] for name in decoded & types.keys()}
    assert TensorProto.FLOAT in kinds
    assert TensorProto.FLOAT16 not in kinds
    found = measure_detections(run_graph(graph, OTHERS), run_graph(half, OTHERS))
    assert found.agreement == 1.0
    assert found.max_box_error < 0.1  # float16 has steps of 0.06 pixels up to 128


@pytest.mark.parametrize("precision", ["int8", "int8-cpu"])
def test_int8_leaves_the_heads_in_float_and_keeps_the_boxes(graph, graphs, precision):
    model = graphs[precision]
    check_interface(model, SPEC)
    declared = executed.declared_precisions(model)
    assert {name for name, kind in declared.items() if kind == "fp32"} == HEADS
    assert set(declared.values()) == {"fp32", "int8"}
    found = measure_detections(run_graph(graph, OTHERS), run_graph(model, OTHERS))
    assert found.reference_found > 100
    assert found.agreement > 0.95


def test_heads_in_int8_would_cost_accuracy_of_the_boxes(graph, calibration):
    whole = quantize(graph, dataclasses.replace(calibration, shifts={}, float_layers=[]), "mse")
    without = quantize(graph, dataclasses.replace(calibration, shifts={}), "mse")
    reference = run_graph(graph, OTHERS)
    errors = [
        measure_detections(reference, run_graph(model, OTHERS)).mean_box_error for model in (whole, without)
    ]
    assert errors[0] > errors[1]


def test_a_report_of_int8_has_the_heads_as_a_step(graph, calibration):
    steps = quantize_in_steps(graph, calibration, "mse", CALIBRATED, SPEC)
    (step,) = (name for name in steps if name.startswith("in float"))
    assert all(head in step for head in HEADS)


def test_repeated_values_stay_integers_on_cpus(graph, graphs):
    (resize,) = (node for node in graph.graph.node if node.op_type == "Resize")
    keys = find_activations(graph, SPEC).keys
    assert keys[resize.output[0]] == keys[resize.input[0]]
    layers = find_layers(graph)
    shares = executed.read_back_precisions(graphs["int8-cpu"], layers, "onnxruntime")
    assert shares.deviating == {}
