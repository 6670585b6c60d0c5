import copy
import json
from pathlib import Path

import pytest

from fer_engine.artifact.schema import from_json
from fer_engine.errors import ConfigError
from fer_train.checkpoint import PRETRAINED
from studies import model_cards, models_page
from studies.models_record import NetworksRecord

ROOT = Path(__file__).parents[3]


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
        "bytes": {"fp32": 67_000},
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
    size, cost, claim, flip, precisions, speeds, training = rows(render(record))
    assert size == "| `simple_cnn` | 16,627 | 2.12 | 55.12 [54.12, 56.12] | not measured |"
    assert cost == (
        "| `simple_cnn` | not measured | not measured | 12,345 (onnxruntime/fp32) | not measured | 0.07 |"
        " not exported |"
    )
    assert claim == "| `simple_cnn` | 55.12 | 63.23 | not reached |"
    assert flip == "| `simple_cnn` | 55.12 | 56.34 | 60 | 16 | 4.2e-07 | 0.49 [0.49, 0.49] | not measured |"
    assert precisions == "| `simple_cnn` | 55.12 (100.00) | not measured | 55.01 (98.76) | not measured |"
    assert speeds == "| `simple_cnn` | 12,345 (2.50 [2.40, 2.60])" + " | not measured" * 4 + " |"
    assert training == "| `simple_cnn` | 3 | 40 | 80 | 39 | 55.12 | 55.00 | 2.0 |"
    assert "](results/training/simple_cnn/curves.png)" in render(record)


def test_the_head_tells_the_load_of_the_machine(record):
    assert "Load average: 2.79 before,\nnot available after." in render(record)


def test_only_what_a_measured_backend_lacks_was_refused(record):
    record["models"][0]["speed"]["openvino/int8"] = speed(20_000.0, 2.0)
    *_, flip, precisions, speeds, _ = rows(render(record))
    assert flip.endswith("| 0.49 [0.49, 0.49] | refused |")
    assert precisions == "| `simple_cnn` | 55.12 (100.00) | refused | 55.01 (98.76) | refused |"
    assert speeds.endswith("| refused | refused | 20,000 (2.00 [1.90, 2.10]) | refused |")


def test_a_claim_that_is_reached_is_called_passed(record):
    record["models"][0]["answers"]["pytorch"] = answers(0.6323)
    assert "| 63.23 | passed |" in rows(render(record))[2]


def test_a_network_without_a_log_or_a_yardstick_says_less(record):
    network = record["models"][0]
    other = copy.deepcopy(network) | {"model": "own", "training": None}
    other["speed"]["onnxruntime/fp32"]["ratio"] = None
    record["models"].append(other)
    text = render(record)
    assert text.count("| `own` |") == 5
    assert "| `own` | 12,345 | not measured |" in text


def test_a_network_that_was_not_measured_with_flips_is_not_in_their_table(record):
    del record["models"][0]["answers"]["onnxruntime/fp32/flip"]
    assert "| 55.12 | 56.34 |" not in render(record)
    assert len(rows(render(record))) == 6


def voted(accuracy):
    counts = [[3 if row == column else 1 for column in range(7)] for row in range(7)]
    changed = {"faces": 63, "split_faces": 20, "changed_clear": 2, "changed_split": 3, "confusion": counts}
    return answers(accuracy)["labelled"] | changed


@pytest.fixture
def with_votes(record):
    """The record as it is with votes, a temperature and INT8's speed."""
    network = record["models"][0]
    for name, answer in network["answers"].items():
        answer["voted"] = voted(0.75 if name == "pytorch" else 0.74)
        answer["labelled"]["confusion"] = voted(0)["confusion"]
    network["speed"]["openvino/int8"] = speed(20_000.0, 2.0)
    network["single"] = {"onnxruntime/fp32": speed(4_000.0, 1.0), "openvino/int8": speed(5_000.0, 1.0)}
    errors = {"labels_before": 0.08, "labels": 0.02, "votes_before": 0.09, "votes": 0.03}
    network["calibration"] = {"temperature": 0.75} | errors
    share = {"faces": 100, "accuracy": 0.5, "interval": [0.4, 0.6]}
    network["unseen"] = {"labels": share, "majority": share}
    parts = [{"property": "contrast", "part": "lowest quarter", "labels": share, "majority": None}]
    network["subgroups"] = {"fp32": parts}
    return record


def test_votes_stand_beside_the_labels(with_votes):
    size, cost, _, calibration, _, precisions, doubt, *_ = rows(render(with_votes))
    assert size.endswith("| 55.12 [54.12, 56.12] | 75.00 [74.00, 76.00] |")
    assert cost.startswith("| `simple_cnn` | 0.250 (onnxruntime/fp32) | 0.200 (openvino/int8) | 12,345 (onnx")
    assert calibration == "| `simple_cnn` | 0.750 | 0.0200 | 0.0800 | 0.0300 | 0.0900 |"
    assert "| 55.01 / 74.00 (98.76) |" in precisions
    assert doubt == "| `simple_cnn` | openvino/int8 | 63 | 3.17 | 20 | 15.00 |"
    assert "| contrast: lowest quarter | 50.0 / none |" in render(with_votes)


def test_a_card_has_both_measures_of_pytorch_and_int8(with_votes):
    read = from_json(NetworksRecord, with_votes)
    text = model_cards.card(read.models[0], read)
    assert "SHA-256 `abababababababab`" in text
    assert (
        "| top-1 against FER2013's labels | **55.12%** [54.12, 56.12] | **55.01%** [54.01, 56.01] |" in text
    )
    assert (
        "| top-1 against the FER+ majority | **75.00%** [74.00, 76.00], n=63 | **74.00%** [73.00, 75.00]"
        in text
    )
    assert "| ECE without the temperature 0.750 | labels 0.0800, votes 0.0900 |" in text
    assert "| angry | 9 | 33.3 | 9 | 33.3 |" in text
    assert "| contrast: lowest quarter | 50.00 [40.00, 60.00], n=100 | none |" in text
    assert "| same answer as PyTorch |  | 98.76% |" in text
    assert "On the 100 faces that Training does not hold too" in text


def test_figures_are_put_between_their_markers_and_nowhere_else(tmp_path):
    page = f"before\n{model_cards.BEGIN}\nold\n{model_cards.END}\nafter\n"
    assert model_cards.put(page, "new", tmp_path) == page.replace("old", "new")
    with pytest.raises(ConfigError, match="has no place for the figures"):
        model_cards.put("before\nafter\n", "new", tmp_path)


def test_the_committed_cards_and_readme_are_rendered_from_the_committed_record():
    record = json.loads((ROOT / "docs" / "results" / "models.json").read_text("utf-8"))
    read = from_json(NetworksRecord, record)
    shipped = {path.parent.name for path in PRETRAINED.glob("*/spec.json")}
    assert shipped <= {network.model for network in read.models}
    for network in read.models:
        if network.model in shipped:
            text = (PRETRAINED / network.model / "MODEL_CARD.md").read_text("utf-8")
            assert f"{model_cards.BEGIN}\n{model_cards.card(network, read)}\n{model_cards.END}" in text
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"{model_cards.BEGIN}\n{model_cards.family(read)}\n{model_cards.END}" in readme
