"""What --profile measures: the machine's limits, the model's needs, and the time of each operator."""

import json
import sys
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fer_bench import report
from fer_bench.limits import machine, model, operators, probe, roofline, run
from fer_bench.limits import tables as limit_tables
from fer_bench.limits.attribution import Attribution
from fer_bench.peers.registry import PEERS
from fer_engine.errors import BackendError

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


def test_work_and_traffic_are_those_counted_by_hand(graph):
    needs = model.describe(graph)
    assert needs["layers"] == LAYERS
    assert needs["multiply_adds"] == STEM + BODY + SHORTCUT
    kernels, biases = 9 * 16 + 16 * 16 + 16 * 16, 3 * 16
    stem, body, pool = 64 + 576, 576 + 576, 576 + 144
    shortcut, residual, mean = 576 + 144, 144, 144 + 16
    values = stem + body + pool + shortcut + residual + mean
    for precision, width in (("fp32", 4), ("fp16", 2), ("bf16", 2), ("int8", 1)):
        assert needs["bytes"][precision] == {
            "weights": (kernels + biases) * width,
            "activations": values * width,
            "faces_and_answers": 64 + 16 * 4,
        }


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_runtime_tells_the_time_of_each_layer(file, graph, backend):
    pytest.importorskip(backend)
    counted = operators.profile(np.zeros((4, 8, 8), np.uint8), backend, file, "fp32", threads=1)
    assert counted["faces"] == 4
    assert operators.LEAST_RUNS <= counted["runs"] <= operators.RUNS
    found = run.attribute(counted, graph, LAYERS)["operators"]
    work = {entry["layer"]: entry["multiply_adds"] for entry in found if entry["layer"]}
    assert work == {name: 4 * count for name, count in LAYERS.items()}
    assert Counter(entry["layer"] for entry in found if entry["layer"]) == Counter(list(LAYERS))
    assert any("Pool" in entry["type"] for entry in found)
    assert all(entry["kernel"] for entry in found)
    assert sum(entry["ms"] for entry in found) > 0


def test_operators_that_are_no_layer_have_no_work(file, graph):
    counted = operators.profile(np.zeros((4, 8, 8), np.uint8), "onnxruntime", file, "fp32", threads=None)
    assert counted["threads"] is None
    found = run.attribute(counted, graph, LAYERS)["operators"]
    others = [entry for entry in found if not entry["layer"]]
    assert {"Cast", "ReduceMean"} <= {entry["type"] for entry in others}
    assert {entry["multiply_adds"] for entry in others} == {0}


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


def scripted(*instants):
    ticks = iter(instants)
    return lambda: next(ticks)


def test_the_shortest_call_counts_and_the_first_does_not():
    calls = []
    # The end lies at 100 + 1,000; calls take 700, 200 and 900 ns.
    clock = scripted(100, 100, 800, 800, 1_000, 1_000, 1_900)
    assert probe.fastest(lambda: calls.append(None), 1e-6, clock) == 200
    assert len(calls) == 4


def test_a_product_rate_is_the_sum_of_the_threads_own(monkeypatch):
    monkeypatch.setattr(probe, "fastest", lambda rows: {512: 1_000_000, 2048: 5_000_000}[rows])
    rate = probe.product_rate(lambda rows: rows, threads=3)
    assert rate == pytest.approx(3 * 512 * 512**2 / 1e-3)


def test_traffic_counts_what_the_arrays_hold(monkeypatch):
    def fastest(call):
        call()
        return 2_000_000

    monkeypatch.setattr(probe, "fastest", fastest)
    monkeypatch.setattr(probe, "array_bytes", lambda: 8_000)
    assert probe.memory_traffic(threads=2) == pytest.approx(3 * 8_000 / 2e-3)


@pytest.mark.parametrize(
    ("cache", "expected"),
    [(2**20, 4 * 2**20), (None, probe.MOST_BYTES // 3), (2**40, probe.MOST_BYTES // 3)],
)
def test_arrays_are_larger_than_the_last_cache_up_to_a_limit(cache, expected, monkeypatch):
    monkeypatch.setattr(probe, "last_cache_bytes", lambda: cache)
    assert probe.array_bytes() == expected


@pytest.mark.parametrize("product", probe.PRODUCTS)
def test_every_product_gives_a_rate_for_each_number_of_threads(product, monkeypatch, capsys):
    before = torch.get_num_threads()
    monkeypatch.setattr(probe, "ROWS", (8,))
    monkeypatch.setattr(sys, "argv", ["probe", product, "1", "2"])
    try:
        assert probe.main() == 0
    finally:
        torch.set_num_threads(before)
    rates = json.loads(capsys.readouterr().out)
    assert set(rates) == {"1", "2"}
    assert all(0 < rate < float("inf") for rate in rates.values())


def test_the_machine_is_measured_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(probe, "PRODUCTS", {})  # the test above has them
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    steps = []
    found = machine.measure(steps.append)
    assert steps == [1]
    assert set(found) == {"products", "memory", "theoretical"}
    assert set(found["memory"]["bytes_per_second"]) == {"1"}
    assert 0 < found["memory"]["bytes_per_second"]["1"] < float("inf")
    assert found["memory"]["array_bytes"] == probe.array_bytes()


def test_a_probe_that_fails_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(probe, "PRODUCTS", {"abacus/fp32": None})
    with pytest.raises(
        BackendError, match=r"probe abacus/fp32 .* failed: KeyError: 'abacus/fp32'; leave out"
    ):
        machine.measure()


@pytest.mark.parametrize(
    ("features", "cycle"),
    [({"avx512f": True, "avx2": True}, 32), ({"avx512f": False, "avx2": True}, 16)],
)
def test_the_theoretical_peak_is_clock_times_lanes_times_units(features, cycle):
    assert machine.theoretical(2e9, features)["multiply_adds_per_second"] == 2e9 * cycle


def test_no_theoretical_peak_is_made_up():
    assert machine.theoretical(None, {"avx512f": True, "avx2": True}) is None
    assert machine.theoretical(2e9, {"avx512f": None, "avx2": None}) is None


@pytest.mark.parametrize(
    ("moved", "bound", "images"),
    [
        (10, "memory", 2.0),  # 10 multiply-adds a byte x 20 bytes/s, for 100 an image
        (4, "memory", 5.0),
        (1, "compute", 10.0),  # 1,000 multiply-adds/s for 100 an image
    ],
)
def test_the_roof_is_the_lower_of_two(moved, bound, images):
    found = roofline.roof(100, moved, peak=1_000, bandwidth=20)
    assert (found.bound, found.images_per_second) == (bound, pytest.approx(images))
    assert found.intensity == 100 / moved


def test_a_narrow_type_is_never_slower_than_a_wider_one():
    rates = {"a/fp32": 50.0, "b/fp32": 70.0, "a/fp16": 5.0, "a/bf16": 6.0, "a/int8": 60.0}
    products = {name: {"1": rate} for name, rate in rates.items()}
    assert {roofline.peak_of(products, kind, 1) for kind in ("fp32", "fp16", "bf16", "int8")} == {70}


def test_threads_between_one_and_all_reach_what_both_allow():
    rates = {"1": 10.0, "8": 60.0}
    assert [roofline.rate(rates, threads) for threads in (1, 2, 4, 8)] == [10, 15, 30, 60]


@pytest.fixture
def profiled_record(record):
    """The made record on a machine whose figures are easy to divide by; its model does 2 M multiply-adds."""
    moved = {"weights": 64_000, "activations": 19_000, "faces_and_answers": 0}
    operator = {"kernel": "jit", "layer": None, "multiply_adds": 0}
    stem = {"name": "relu_nchwc", "type": "Conv", "ms": 7.5, "layer": "stem", "multiply_adds": 37_500_000}
    small = [{"name": f"node_{index}", "type": "Relu", "ms": 0.25} for index in range(20)]
    record["limits"] = {
        "machine": {
            "products": {
                "torch/fp32": {"1": 10e9, "2": 20e9},
                "onnxruntime/int8": {"1": 50e9, "2": 100e9},
            },
            "memory": {
                "bytes_per_second": {"1": 0.1e9, "2": 0.1e9},
                "array_bytes": 2**27,
                "last_cache_bytes": None,
            },
            "theoretical": None,
        },
        "model": {"multiply_adds": 2_000_000, "bytes": {"fp32": moved, "int8": moved}},
        "operators": {
            "engine/onnxruntime/int8": {
                "faces": 16,
                "threads": 1,
                "runs": 60,
                "run_ms": 16.0,
                "operators": [operator | entry for entry in (*small, stem)],
            }
        },
    }
    return record


def test_each_row_has_its_distance_to_the_limit(profiled_record):
    table = next(entry for entry in limit_tables.tables(profiled_record) if "batch 64" in entry.title)
    rows = {row[0]: row[1:] for row in table.rows}
    assert set(rows) == {"pytorch", "onnxruntime", "engine/onnxruntime/int8"}
    # 9,876 images/s x 2 M are 19.8 G of 20 or 100. A byte feeds 2,000 or 100 multiply-adds, and there are
    # 0.1 G bytes a second: 200 G, above the peaks, or 10 G, below them, which are 5,000 images.
    assert rows["pytorch"] == (
        *("9,876", "19.8", "98.8"),
        *("2,000.0", "compute", "98.8"),
        *("100.0", "memory", "197.5"),
    )
    assert rows["engine/onnxruntime/int8"][2:5] == ("19.8", "2,000.0", "compute")


def test_a_peer_has_the_limits_of_the_type_that_its_runtime_settled_on(full_record):
    template = next(entry for entry in full_record["speed"] if entry["contender"] == "onnxruntime")
    for name, info in (
        ("openvino/latency-f32", {"precision": "f32"}),
        ("openvino/latency", {"precision": "bf16"}),
        ("fer", {}),
    ):
        entry = {"name": name, "kind": name, "backend": None, "precision": PEERS[name].precision}
        full_record["contenders"].append(entry | {"bytes": 1, "info": {"threads": 2} | info})
        full_record["speed"].append(template | {"contender": name})
    limits = full_record["limits"]
    limits["machine"]["products"]["torch/bf16"] = {"1": 3e11, "2": 6e11}
    limits["model"]["bytes"]["bf16"] = limits["model"]["bytes"]["fp16"]
    places = {place.contender: place for place in roofline.places(full_record, template["batch"])}
    assert (places["openvino/latency-f32"].precision, places["openvino/latency-f32"].peak) == ("fp32", 2e11)
    assert (places["openvino/latency"].precision, places["openvino/latency"].peak) == ("bf16", 6e11)
    assert places["openvino/latency"].layered.intensity > places["openvino/latency-f32"].layered.intensity
    assert "fer" not in places  # its network is another


def test_the_top_ten_says_where_the_time_goes(profiled_record):
    table = list(limit_tables.tables(profiled_record))[-1]
    assert table.title == "Where the time goes: engine/onnxruntime/int8"
    assert table.rows[0] == ("stem", "Conv", "jit", "7.500", "60.0", "37.5", "10.0")  # 5 G of 50 G
    assert table.rows[1] == ("node_0", "Relu", "jit", "0.250", "2.0", "", "")
    assert table.rows[10:] == [("11 others", "", "", "2.750", "22.0", "", "")]
    assert "12.5 ms of the 16.0 ms" in table.note


def test_a_report_shows_the_limits_where_there_are_any(profiled_record, unlabelled_record):
    shown = report.render_table(profiled_record)
    assert "torch/fp32, G multiply-adds/s" in shown
    assert "no theoretical peak" in shown
    assert "Limits of this machine" not in report.render_table(unlabelled_record)
