"""What the model asks for by layer, and the time that a runtime spends in each."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_bench.passes.limits import model, operators, profile_pass
from fer_bench.passes.limits.profile_pass import Attribution
from fer_bench.record.machine_limits import Profile, Traffic
from fer_engine import BackendOptions, ModelSpec
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Manifest
from fer_engine.artifact.schema import from_json
from fer_engine.runtime.backend import Model, find_backend

# Of the graph below, by hand: positions x weights.
STEM, BODY, SHORTCUT = 36 * 9 * 16, 36 * 16 * 16, 9 * 16 * 16
LAYERS = {"stem": STEM, "body": BODY, "shortcut": SHORTCUT}


def weights(name, *shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return [
        numpy_helper.from_array(values, f"{name}.weight"),
        numpy_helper.from_array(np.ones(shape[0], np.float32), f"{name}.bias"),
    ]


def conv(name, taken, given, **attributes):
    return helper.make_node("Conv", [taken, f"{name}.weight", f"{name}.bias"], [given], name, **attributes)


@pytest.fixture(scope="module")
def graph():
    """A residual network for faces of 8x8; 16 channels are what ONNX Runtime's blocked layouts want."""
    nodes = [
        helper.make_node("Cast", ["faces"], ["floats"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "axis"], ["image"], "unsqueeze"),
        conv("stem", "image", "stem_out"),
        helper.make_node("Relu", ["stem_out"], ["active"], "relu"),
        conv("body", "active", "body_out"),
        helper.make_node("MaxPool", ["body_out"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        conv("shortcut", "active", "shortcut_out", strides=[2, 2]),
        helper.make_node("Add", ["pooled", "shortcut_out"], ["sum"], "add"),
        helper.make_node("ReduceMean", ["sum", "axes"], ["logits"], "mean", keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(np.array([2, 3]), "axes"),
        *weights("stem", 16, 1, 3, 3),
        *weights("body", 16, 16, 1, 1),
        *weights("shortcut", 16, 16, 1, 1),
    ]
    taken = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["batch", 8, 8])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 16])
    body = helper.make_graph(nodes, "tiny", [taken], [given], constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture(scope="module")
def file(graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(graph, path)
    return str(path)


def model_of(file, precision, folder):
    spec = ModelSpec("tiny", labels=tuple(map(str, range(16))), height=8, width=8)
    return Model(Artifact(folder, Manifest(spec, {})), precision, Path(file).read_bytes())


def test_work_and_traffic_are_those_counted_by_hand(graph):
    needs = model.count_work(graph)
    assert needs.layers == LAYERS
    assert needs.multiply_adds == STEM + BODY + SHORTCUT
    kernels, biases = 9 * 16 + 16 * 16 + 16 * 16, 3 * 16
    stem, body, pool = 64 + 576, 576 + 576, 576 + 144
    shortcut, residual, mean = 576 + 144, 144, 144 + 16
    values = stem + body + pool + shortcut + residual + mean
    for precision, width in (("fp32", 4), ("fp16", 2), ("bf16", 2), ("int8", 1)):
        assert needs.bytes[precision] == Traffic(
            weights=(kernels + biases) * width,
            activations=values * width,
            faces_and_answers=64 + 16 * 4,
        )


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_runtime_tells_the_time_of_each_layer(file, graph, backend):
    pytest.importorskip(backend)
    counted = operators.profile_operators(np.zeros((4, 8, 8), np.uint8), backend, file, "fp32", threads=1)
    assert counted["faces"] == 4
    assert operators.LEAST_RUNS <= counted["runs"] <= operators.RUNS
    found = profile_pass.attribute(from_json(Profile, counted), graph, LAYERS).operators
    work = {entry.layer: entry.multiply_adds for entry in found if entry.layer}
    assert work == {name: 4 * count for name, count in LAYERS.items()}
    assert Counter(entry.layer for entry in found if entry.layer) == Counter(list(LAYERS))
    assert any("Pool" in entry.type for entry in found)
    assert all(entry.kernel for entry in found)
    assert sum(entry.ms for entry in found) > 0


def test_openvino_is_counted_with_the_settings_of_the_engine(file, tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    from openvino import properties

    seen = []

    class Core(openvino.Core):
        def compile_model(self, model, device, settings):
            seen.append(dict(settings))
            return super().compile_model(model, device, settings)

    monkeypatch.setattr(openvino, "Core", Core)
    operators.profile_operators(np.zeros((4, 8, 8), np.uint8), "openvino", file, "fp32", threads=1)
    find_backend("openvino").load(model_of(file, "fp32", tmp_path), BackendOptions(threads=1))
    counted, _, engine = seen  # the engine's model of single faces comes before that of batches
    assert counted == engine | {properties.enable_profiling: True}


def test_onnx_runtime_is_counted_with_the_settings_of_the_engine(file, tmp_path, monkeypatch):
    seen = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model, options, *arguments, **named):
            names = ("intra_op_num_threads", "inter_op_num_threads", "execution_mode")
            seen.append([getattr(options, name) for name in (*names, "graph_optimization_level")])
            super().__init__(model, options, *arguments, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    operators.profile_operators(np.zeros((4, 8, 8), np.uint8), "onnxruntime", file, "fp32", threads=1)
    find_backend("onnxruntime").load(model_of(file, "fp32", tmp_path), BackendOptions(threads=1))
    assert seen[0] == seen[1]


def test_operators_that_are_no_layer_have_no_work(file, graph):
    counted = operators.profile_operators(
        np.zeros((4, 8, 8), np.uint8), "onnxruntime", file, "fp32", threads=None
    )
    assert counted["threads"] is None
    found = profile_pass.attribute(from_json(Profile, counted), graph, LAYERS).operators
    others = [entry for entry in found if not entry.layer]
    assert {"Cast", "ReduceMean"} <= {entry.type for entry in others}
    assert {entry.multiply_adds for entry in others} == {0}


def test_the_trace_of_the_last_runs_is_read():
    def event(name, duration, category="Node", **more):
        arguments = {"op_name": "Conv", "output_type_shape": [{"float": [2, 16, 3, 3]}], **more}
        return {"cat": category, "name": name, "dur": duration, "args": arguments}

    trace = [
        event("model_run", 9_000, "Session"),
        event("stem_kernel_time", 7_000),
        event("stem_fence_before", 50),
        event("stem_kernel_time", 1_500),
        event("stem_kernel_time", 500),
        event("mean_kernel_time", 250, op_name="ReduceMean", output_type_shape=[]),
    ]
    assert operators.read_trace(trace, 2) == {
        operators.Operator("stem", "Conv", "float 2x16x3x3"): [1.5, 0.5],
        operators.Operator("mean", "ReduceMean", ""): [0.25],
    }


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("stem", "Conv", "stem"),
        ("active_nchwc", "Conv", "stem"),  # its Relu was fused, its channels reordered
        ("InsertedPrecisionFreeCast_body_out_nchwc", "Conv", "body"),
        ("shortcut_token_7", "QLinearConv", "shortcut"),
        ("stem/WithoutBiases", "Convolution", "stem"),
        ("active_nchwc", "MaxPool", None),
        ("sum_nchwc", "Conv", None),  # two layers stand behind it: neither is guessed
        ("ReorderOutput_token_54", "ReorderOutput", None),
        ("faces", "Conv", None),
    ],
)
def test_layers_are_found_behind_the_names_that_runtimes_give(graph, name, kind, layer):
    assert Attribution(graph, LAYERS).layer(name, kind) == layer
