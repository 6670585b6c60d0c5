import hashlib

import numpy as np
import pytest

from fer_engine.manifest import Manifest, ModelFile
from fer_engine.spec import ModelSpec


@pytest.fixture
def artifact(tmp_path):
    """An artifact that the null backend can load: its graphs are bytes that nobody parses."""
    folder = tmp_path / "artifact"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "model.safetensors").write_bytes(b"weights")
    files = {}
    for precision, name in (("fp32", "model.onnx"), ("int8", "model.int8.onnx")):
        content = precision.encode() * 10
        (folder / name).write_bytes(content)
        files[precision] = ModelFile(name, hashlib.sha256(content).hexdigest(), len(content))
    (folder / "manifest.json").write_text(Manifest(ModelSpec("tiny"), files).dumps())
    return folder


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
    }
    parity = {
        "faces": 3589,
        "agreement": 0.9534,
        "changed": 167,
        "max_abs_difference": 0.125,
        "mean_abs_difference": 0.0625,
        "logit_range": 17.25,
        "labelled": accuracy if labelled else None,
    }
    latency = {"samples": 18, "mean": 7.0, "p50": 6.5, "p90": 11.25, "p99": 123.4, "max": 200.0}
    names = ("pytorch", "onnxruntime", "engine/onnxruntime/int8", "null")
    return {
        "kind": "fer-bench",
        "format_version": 1,
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
        },
        "inputs": {"description": "synthetic faces, seed 0, n=1024", "faces": 1024, "labelled": labelled},
        "options": {"batches": [64], "rounds": 3, "cold_starts": 1, "busy": 1},
        "contenders": [{"name": name, "bytes": 321_000, "info": {"threads": 2}} for name in names],
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
                "memory": {"faces": 10_000, "faces_a_call": 10_000, "peak_bytes": None},
            }
            for name in names
        },
        "parity": dict.fromkeys(names[:-1], parity),
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
