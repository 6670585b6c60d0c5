"""The tables of the document are those of the committed record, and the record holds what is promised."""

import json
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def benchmark():
    pytest.importorskip("skimage")
    return import_module("studies.video_pipeline")


@pytest.fixture(scope="module")
def record():
    return json.loads((ROOT / "docs" / "results" / "video_pipeline.json").read_text("utf-8"))


def test_the_tables_are_of_the_record(benchmark, record):
    document = (ROOT / "docs" / "vision.md").read_text("utf-8")
    assert benchmark.table(record) in document
    assert benchmark.following_table(record) in document


def test_the_record_has_the_same_labels_where_every_frame_is_detected(record):
    every_frame = [row for row in record["contenders"] if row["every"] == 1]
    assert len(every_frame) >= 2
    assert {row["frames_with_same_labels"] for row in every_frame} == {1.0}
