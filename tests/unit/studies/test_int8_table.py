"""The tables of the INT8 remedies, from a small record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fer_engine.artifact.schema import to_json
from fer_export.verify.parity import measure_parity
from studies.int8_table import render

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = np.eye(3)[[0, 1, 2, 0]]
LABELS = np.array([0, 1, 2, 1])


def row(name: str, wrong: int, **settings: int) -> dict:
    candidate = REFERENCE.copy()
    candidate[wrong] = [0, 0, 0]
    candidate[wrong, (REFERENCE[wrong].argmax() + 1) % 3] = 1
    parity = to_json(measure_parity(REFERENCE, candidate, LABELS))
    return {"part": "remedies", "name": name, "relative_rmse": 0.5, "parity": parity, **settings}


def record(rows: list[dict]) -> dict:
    closeness = {"agreement": 0.9, "relative_rmse": 0.04}
    layer = {"name": "head", "multiply_adds": 30, "alone": closeness, "left_out": closeness}
    return {
        "checkpoint_sha256": "ab" * 32,
        "faces": 4,
        "reference_accuracy": 0.75,
        "reference_ece": 0.1,
        "rows": rows,
        "sensitivity": {
            "faces": 8,
            "all_int8": closeness,
            "layers": [layer, {**layer, "name": "stem", "multiply_adds": 10}],
        },
    }


def test_one_sample_has_an_interval_and_a_paired_test():
    text = render(record([row("plain", 1)]))
    (line,) = (line for line in text.splitlines() if line.startswith("| plain"))
    assert line.startswith("| plain |  | 75.00 | 0.5000 | 50.00 [15.00, 85.00] | 1 | 0 | 1 |")
    assert line.endswith("| -50.0 |")  # one of the two faces of the class


def test_several_samples_share_a_line_of_means_and_deviations():
    rows = [row("plain", wrong, samples=512, seed=seed) for seed, wrong in enumerate([1, 3])]
    text = render(record([*rows, row("plain", 0, samples=128, seed=0)]))
    lines = [line for line in text.splitlines() if line.startswith("| plain")]
    assert len(lines) == 2
    assert lines[0].startswith("| plain | 2 x 512 | 75.00 ± 0.00 |")
    assert "| 75.00 ± 35.36 |" in lines[0]  # 2 and 4 of 4 right
    assert lines[1].startswith("| plain | 1 x 128 |")


def test_layers_have_their_share_of_the_work():
    text = render(record([row("plain", 1)]))
    assert "| head | 75.0 | 90.00 | 0.0400 | 90.00 | 0.0400 |" in text
    assert "| stem | 25.0 |" in text


def test_the_document_is_rendered_from_the_committed_record():
    committed = json.loads((DOCS / "results" / "int8.json").read_text("utf-8"))
    assert (DOCS / "int8-results.md").read_text("utf-8") == render(committed)
