import copy

import pytest

from fer_engine.artifact.schema import from_json
from studies import models_page
from studies.models_record import NetworksRecord


def render(record):
    return models_page.render(from_json(NetworksRecord, record))


def answers(accuracy, agreement=1.0):
    interval = [accuracy - 0.01, accuracy + 0.01]
    labelled = {"accuracy": accuracy, "interval": interval, "ece": 0.1, "recall": [], "recall_difference": []}
    reference = {"reference_accuracy": 0.5512, "reference_interval": [0.5, 0.6], "reference_ece": 0.1}
    counts = {"wrong_to_right": 60, "right_to_wrong": 16, "mcnemar_p": 4.2e-7}
    differences = {"max_abs_difference": 0.1, "mean_abs_difference": 0.01, "logit_range": 10.0}
    whole = {"faces": 3589, "changed": 76, "agreement": agreement} | differences
    return whole | {"labelled": labelled | reference | counts}


def speed(median, ratio):
    bounds = {"median": ratio, "low": ratio - 0.1, "high": ratio + 0.1, "rounds": [ratio]}
    return {"median": median, "images_per_second": [median] * 3, "ratio": ratio and bounds}


@pytest.fixture
def record():
    network = {
        "model": "simple_cnn",
        "source": "a tutorial",
        "face_shape": [48, 48],
        "checkpoint_sha256": "ab" * 32,
        "bytes": {},
        "parameters": 16_627,
        "multiply_adds": 2_115_340,
        "answers": {
            "pytorch": answers(0.5512),
            "onnxruntime/fp32": answers(0.5512),
            "onnxruntime/fp32/flip": answers(0.5634),
            "openvino/int8": answers(0.5501, 0.9876),
        },
        "speed": {
            "onnxruntime/fp32": speed(12_345.0, 2.5),
            "onnxruntime/fp32/flip": speed(6_049.0, 2.4),
        },
        "training": {
            "seed": 3,
            "epochs": 80,
            "finished": 40,
            "best_epoch": 39,
            "best": 0.5512,
            "last": 0.55,
            "seconds": 7_200,
            "pictures": ["curves.png"],
        },
    }
    return {
        "date": "2026-01-02T03:04:05+00:00",
        "command": "python models.py",
        "seconds": 0.25,
        "environment": {
            "cpu": "a CPU",
            "cores": 2,
            "usable_cores": 2,
            "cpu_flags": None,
            "governor": None,
            "gpu": "not measured",
            "os": "AnyOS 1",
            "python": "3.12.1",
            "packages": {},
            "load_average": {"before": 2.787, "after": None},
        },
        "faces": "FER2013 PublicTest, n=3589",
        "batch": 64,
        "rounds": 9,
        "models": [network],
    }


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| `simple_cnn`")]


def test_each_table_has_the_network_s_row(record):
    size, flip, precisions, speeds, training = rows(render(record))
    assert size == "| `simple_cnn` | 16,627 | 2.12 | 55.12 [54.12, 56.12] | 63.23 | not reached |"
    assert flip == "| `simple_cnn` | 55.12 | 56.34 | 60 | 16 | 4.2e-07 | 0.49 [0.49, 0.49] | not measured |"
    assert precisions == "| `simple_cnn` | 55.12 (100.00) | not measured | 55.01 (98.76) | not measured |"
    assert speeds == "| `simple_cnn` | 12,345 (2.50 [2.40, 2.60])" + " | not measured" * 4 + " |"
    assert training == "| `simple_cnn` | 3 | 40 | 80 | 39 | 55.12 | 55.00 | 2.0 |"
    assert "](results/training/simple_cnn/curves.png)" in render(record)


def test_the_head_tells_the_load_of_the_machine(record):
    assert "Load average: 2.79 before,\nnot available after." in render(record)


def test_only_what_a_measured_backend_lacks_was_refused(record):
    record["models"][0]["speed"]["openvino/int8"] = speed(20_000.0, 2.0)
    _, flip, precisions, speeds, _ = rows(render(record))
    assert flip.endswith("| 0.49 [0.49, 0.49] | refused |")
    assert precisions == "| `simple_cnn` | 55.12 (100.00) | refused | 55.01 (98.76) | refused |"
    assert speeds.endswith("| refused | refused | 20,000 (2.00 [1.90, 2.10]) | refused |")


def test_a_claim_that_is_reached_is_called_passed(record):
    record["models"][0]["answers"]["pytorch"] = answers(0.6323)
    assert "| 63.23 | passed |" in rows(render(record))[0]


def test_a_network_without_a_log_or_a_yardstick_says_less(record):
    network = record["models"][0]
    other = copy.deepcopy(network) | {"model": "own", "training": None}
    other["speed"]["onnxruntime/fp32"]["ratio"] = None
    record["models"].append(other)
    text = render(record)
    assert text.count("| `own` |") == 4
    assert "| `own` | 12,345 | not measured |" in text


def test_a_network_that_was_not_measured_with_flips_is_not_in_their_table(record):
    del record["models"][0]["answers"]["onnxruntime/fp32/flip"]
    assert "| 55.12 | 56.34 |" not in render(record)
    assert len(rows(render(record))) == 4
