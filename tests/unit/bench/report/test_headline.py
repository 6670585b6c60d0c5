import copy
import dataclasses

import numpy as np
import pytest

from bench_record import add_contender
from fer_bench import bench
from fer_bench.contenders.inputs import Inputs
from fer_bench.passes.options import BenchOptions
from fer_bench.record.record_file import parse_record
from fer_bench.report.headline import headlines
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.manifest import Gate, Trial, Verdict


def entry(name, median, rates, batch=64):
    ratio = {"rounds": [median] * 3, "median": median, "low": median - 0.1, "high": median + 0.1}
    latency = {"samples": 3, "mean": 1.0, "p50": 1.0, "p90": 1.0, "p99": 1.0, "max": 1.0}
    return {
        "batch": batch,
        "contender": name,
        "images_per_second": rates,
        "latency_ms": latency,
        "ratio": ratio,
        "samples_ns": [[1_000_000]] * 3,
    }


@pytest.fixture
def raced(record):
    """A record in which OpenVINO's FP16 is the fastest engine, but refused."""
    raced = copy.deepcopy(record)
    for precision in ("fp32", "fp16"):
        name = f"engine/openvino/{precision}"
        add_contender(raced, name, "engine/onnxruntime/int8", backend="openvino", precision=precision)
    raced["speed"] = [
        entry("pytorch", 0.5, [100.0, 300.0, 200.0]),
        entry("onnxruntime", 1.0, [400.0, 400.0, 400.0]),
        entry("engine/onnxruntime/int8", 1.5, [500.0, 600.0, 700.0]),
        entry("engine/openvino/fp32", 2.0, [800.0, 900.0, 700.0]),
        entry("engine/openvino/fp16", 3.0, [1200.0] * 3),
        entry("null", 9.0, [9e6] * 3) | {"ratio": None},
    ]
    return raced


def test_the_fastest_engine_that_was_not_refused_makes_the_headline(raced):
    (found,) = headlines(parse_record(raced))
    assert (found.batch, found.contender) == (64, "engine/openvino/fp32")
    assert found.images_per_second == 800.0
    assert (found.against_onnxruntime.median, found.against_onnxruntime.low) == (2.0, 1.9)
    assert found.against_reference.rounds == (8.0, 3.0, 3.5)
    assert found.against_reference.median == 3.5


def test_there_is_one_headline_a_batch_from_the_smallest(raced):
    raced["options"]["batches"] = [64, 1]
    raced["speed"] += [
        entry("pytorch", 0.5, [10.0] * 3, batch=1),
        entry("onnxruntime", 1.0, [45.0] * 3, batch=1),
        entry("engine/onnxruntime/int8", 1.1, [50.0] * 3, batch=1),
        entry("engine/openvino/fp32", 0.9, [40.0] * 3, batch=1),
        entry("engine/openvino/fp16", 0.8, [35.0] * 3, batch=1),
        entry("null", 9.0, [9e4] * 3, batch=1) | {"ratio": None},
    ]
    assert [(found.batch, found.contender) for found in headlines(parse_record(raced))] == [
        (1, "engine/onnxruntime/int8"),
        (64, "engine/openvino/fp32"),
    ]


def test_a_backend_whose_answers_failed_makes_no_headline(raced):
    raced["artifact"] |= {"refused": {}, "failing": [["openvino", "fp16"]]}
    assert [found.contender for found in headlines(parse_record(raced))] == ["engine/openvino/fp32"]


def test_the_record_names_the_pairs_whose_answers_failed(artifact):
    trials = {"openvino": Trial(0.9, 9.0), "onnxruntime": Trial(1.0, 9.0)}
    gate = Gate(verdicts={"int8": Verdict(True, "fast", trials, passing=("onnxruntime",))})
    manifest = dataclasses.replace(Artifact.open(artifact).manifest, gate=gate)
    Artifact(artifact, manifest).write_manifest()
    faces = Inputs("faces", np.zeros((1, 48, 48), np.uint8), None)
    found = bench.subject(Artifact.open(artifact), [], faces, BenchOptions()).artifact
    assert (found.refused, found.failing) == ({}, (("openvino", "int8"),))


def test_without_an_accepted_engine_there_is_no_headline(raced):
    raced["artifact"]["refused"] = dict.fromkeys(("fp32", "fp16", "int8"), "slow")
    assert headlines(parse_record(raced)) == []
