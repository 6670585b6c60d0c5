import copy

import numpy as np
import pytest

from bench_record import add_votes
from tiny_artifact import write_tiny_artifact


@pytest.fixture
def artifact(tmp_path):
    return write_tiny_artifact(tmp_path / "artifact")


@pytest.fixture
def faces_path(tmp_path):
    path = tmp_path / "faces.npy"
    np.save(path, np.zeros((10, 48, 48), np.uint8))
    return str(path)


def made_record(labelled=True):
    """A record with figures that are easy to find again in a report."""
    accuracy = {
        "accuracy": 0.6612,
        "interval": [0.6456, 0.6765],
        "reference_accuracy": 0.6701,
        "reference_interval": [0.6545, 0.6853],
        "right_to_wrong": 81,
        "wrong_to_right": 49,
        "mcnemar_p": 0.00625,
        "recall": [0.5, None, 0.25],
        "recall_difference": [-0.0125, None, 0.031],
        "ece": 0.0417,
        "reference_ece": 0.04,
        "confusion": [[411, 12, 3], [0, 500, 0], [7, 8, 9]],
    }
    parity = {
        "faces": 3589,
        "agreement": 0.9534,
        "changed": 167,
        "max_abs_difference": 0.125,
        "mean_abs_difference": 0.0625,
        "logit_range": 17.25,
        "flips": [[3, 0, 1], [5, 2, 1], [8, 0, 1]],
        "labelled": accuracy if labelled else None,
    }
    latency = {"samples": 18, "mean": 7.0, "p50": 6.5, "p90": 11.25, "p99": 123.4, "max": 200.0}
    names = {
        "pytorch": ("pytorch", None, "fp32"),
        "onnxruntime": ("onnxruntime", None, "fp32"),
        "engine/onnxruntime/int8": ("engine", "onnxruntime", "int8"),
        "null": ("engine", "null", "fp32"),
    }
    return {
        "kind": "fer-bench",
        "format_version": 2,
        "date": "2026-01-02T03:04:05+00:00",
        "command": "fer-bench --batch 64",
        "seconds": 42.0,
        "environment": {
            "cpu": "Imaginary 9000",
            "cores": 4,
            "usable_cores": 2,
            "cpu_flags": ["avx2"],
            "governor": None,
            "gpu": "not measured",
            "os": "AnyOS 1",
            "python": "3.12.1",
            "packages": {"numpy": "2.0.0"},
            "load_average": {"before": 0.25, "after": None},
        },
        "artifact": {
            "path": "artifacts/tiny",
            "model": "tiny",
            "labels": ["angry", "happy", "sad"],
            "checkpoint_sha256": "ab" * 32,
            "files": {},
            "refused": {"fp16": "0.74x the speed of FP32"},
            "failing": [],
        },
        "inputs": {
            "description": "synthetic faces, seed 0, n=1024",
            "faces": 1024,
            "labelled": labelled,
            "sha256": "cd" * 32,
        },
        "options": {
            "batches": [64],
            "sweep": {"backends": [], "precisions": [], "threads": [], "micro_batches": []},
            "rounds": 3,
            "cold_starts": 1,
            "busy": 1,
            "seed": 0,
        },
        "contenders": [
            {
                "name": name,
                "kind": kind,
                "artifact": "artifacts/tiny",
                "file": "artifacts/tiny/model.onnx",
                "backend": backend,
                "precision": precision,
                "bytes": 321_000,
                "info": {"threads": 2},
            }
            for name, (kind, backend, precision) in names.items()
        ],
        "startup": {
            name: {
                "cold_starts": [
                    {
                        "import_ns": 150_000_000,
                        "load_ns": 20_000_000,
                        "first_call_ns": 1_500_000,
                        "total_ns": 171_500_000,
                    }
                ],
                "memory": {
                    "faces": 10_000,
                    "faces_a_call": 10_000,
                    "peak_bytes": None,
                    "steady_bytes": 77 * 2**20,
                },
            }
            for name in names
        },
        "skipped": [{"name": "engine/abacus", "reason": "it has no beads"}],
        "runtime_sizes": {
            "pytorch": {"packages": {"torch": 700 * 2**20, "sympy": 71 * 2**20}, "bytes": 771 * 2**20},
            "elsewhere": None,
        },
        "energy": dict.fromkeys(names, 0.0123),
        "energy_source": "RAPL, 1 CPU package(s)",
        "parity": dict.fromkeys(list(names)[:-1], parity),
        "speed": [
            {
                "batch": 64,
                "contender": name,
                "images_per_second": [9_000.0, 9_876.0, 20_000.0],
                "latency_ms": latency,
                "ratio": None
                if name == "null"
                else {"rounds": [1.5, 1.625, 1.75], "median": 1.625, "low": 1.5, "high": 1.75},
                "samples_ns": [[6_500_000]] * 3,
            }
            for name in names
        ],
    }


@pytest.fixture
def record():
    return made_record()


@pytest.fixture
def unlabelled_record():
    return made_record(labelled=False)


@pytest.fixture
def voted_record():
    record = made_record()
    add_votes(record)
    return record


@pytest.fixture(scope="session")
def made_full_record():
    """A record from which every figure can be drawn; do not change it."""
    record = made_record()
    record["options"]["batches"] = [1, 64]
    labelled = record["parity"]["pytorch"]["labelled"]  # the names share one entry
    labelled["recall_difference"] = [-0.125, None, 0.031]  # beyond noise, and within
    slow = [[3_000_000 + 1_000 * step for step in range(40)] + [90_000_000]] * 3
    record["speed"] += [entry | {"batch": 1, "samples_ns": slow} for entry in record["speed"]]
    record["scenarios"] = [
        {
            "scenario": scenario,
            "mode": "performance",
            "contender": name,
            "valid": valid,
            "invalid_because": [] if valid else ["too short"],
            "metric": {"name": "figure of merit", "unit": unit, "value": value},
            "latency_ms": {"p50.00": 1.5, "p90.00": 2.5, "p99.00": 3.5},
            "queries": 1_000,
            "samples": 1_000,
            "seconds": 10.0,
            "loadgen_version": "6.0",
            "settings": {"min_duration_ms": 10_000, "target_latency_ns": 10_000_000},
            "search": None,
            "batching": {"max_batch": 64, "delay_ms": 0.0, "dynamic": scenario == "server"},
            "late_queries": 0 if scenario == "server" else None,
            "conformance": {"mlperf_result": False, "kept": [], "departures": []},
            "logs": f"bench-loadgen/{name}/{scenario}/performance",
        }
        for name, valid in (("onnxruntime", True), ("engine/onnxruntime/int8", False))
        for scenario, unit, value in (("single-stream", "ms", 0.375), ("server", "queries/s", 4_321.0))
    ]
    record["limits"] = {
        "machine": {
            "products": {"torch/fp32": {"1": 1e11, "2": 2e11}, "onnxruntime/int8": {"1": 4e11, "2": 8e11}},
            "memory": {
                "bytes_per_second": {"1": 1e10, "2": 2e10},
                "array_bytes": 2**28,
                "last_cache_bytes": None,
            },
            "theoretical": None,
        },
        "model": {
            "multiply_adds": 5_000_000,
            "layers": {},
            "bytes": {
                precision: {
                    "weights": 60_000 * width,
                    "activations": 900_000 * width,
                    "faces_and_answers": 2_332,
                }
                for precision, width in (("fp32", 4), ("fp16", 2), ("int8", 1))
            },
        },
        "operators": {},
    }
    return record


@pytest.fixture
def full_record(made_full_record):
    return copy.deepcopy(made_full_record)
