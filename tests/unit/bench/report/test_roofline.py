"""How near a row is to its roof, and how a report says so."""

import pytest

from bench_record import add_contender
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.record.record_file import parse_record
from fer_bench.report import limits_tables as limit_tables
from fer_bench.report import roofline
from fer_bench.report.render import render_text


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


def places(record):
    read = parse_record(record)
    return roofline.places(read, read.limits, 64)


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
        "model": {"multiply_adds": 2_000_000, "layers": {}, "bytes": {"fp32": moved, "int8": moved}},
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
    tables = limit_tables.tables(parse_record(profiled_record))
    table = next(entry for entry in tables if "batch 64" in entry.title)
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
    for name, precision, info in (
        ("openvino/latency-f32", PEERS["openvino/latency-f32"].precision, {"precision": "f32"}),
        ("openvino/latency", PEERS["openvino/latency"].precision, {"precision": "bf16"}),
        ("fer", "its own", {}),
    ):
        entry = {"kind": name, "precision": precision, "info": {"threads": 2} | info}
        add_contender(full_record, name, "onnxruntime", **entry)
    limits = full_record["limits"]
    limits["machine"]["products"]["torch/bf16"] = {"1": 3e11, "2": 6e11}
    limits["model"]["bytes"]["bf16"] = limits["model"]["bytes"]["fp16"]
    found = {place.contender: place for place in places(full_record)}
    assert (found["openvino/latency-f32"].precision, found["openvino/latency-f32"].peak) == ("fp32", 2e11)
    assert (found["openvino/latency"].precision, found["openvino/latency"].peak) == ("bf16", 6e11)
    assert found["openvino/latency"].layered.intensity > found["openvino/latency-f32"].layered.intensity
    assert "fer" not in found  # its network is another


def test_a_row_of_a_gpu_has_no_place_under_the_roof_of_the_cpu(full_record):
    engine = next(entry for entry in full_record["contenders"] if entry["kind"] == "engine")
    assert engine["name"] in {place.contender for place in places(full_record)}
    engine["device"] = "cuda"
    assert engine["name"] not in {place.contender for place in places(full_record)}


def test_the_top_ten_says_where_the_time_goes(profiled_record):
    table = list(limit_tables.tables(parse_record(profiled_record)))[-1]
    assert table.title == "Where the time goes: engine/onnxruntime/int8"
    assert table.rows[0] == ("stem", "Conv", "jit", "7.500", "60.0", "37.5", "10.0")  # 5 G of 50 G
    assert table.rows[1] == ("node_0", "Relu", "jit", "0.250", "2.0", "", "")
    assert table.rows[10:] == [("11 others", "", "", "2.750", "22.0", "", "")]
    assert "12.5 ms of the 16.0 ms" in table.note


def test_a_report_shows_the_limits_where_there_are_any(profiled_record, unlabelled_record):
    shown = render_text(parse_record(profiled_record))
    assert "torch/fp32, G multiply-adds/s" in shown
    assert "no theoretical peak" in shown
    assert "Limits of this machine" not in render_text(parse_record(unlabelled_record))
