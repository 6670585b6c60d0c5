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
    assert benchmark.stage_table(record) in document
    assert benchmark.following_table(record) in document


def test_the_record_has_what_the_document_says_of_it(benchmark, record):
    rows = {row["name"]: row for row in record["contenders"]}
    default, former = rows[benchmark.DEFAULT], rows[benchmark.FORMER]
    openvino, package = rows["finder on OpenVINO, INT8, every frame"], rows["the package fer, its loop"]
    assert round(default["ratio"]) == 3
    assert round(openvino["ratio"]) == 4
    assert round(default["frames_per_second"] / package["frames_per_second"]) == 10
    assert round(openvino["frames_per_second"] / package["frames_per_second"]) == 12
    assert openvino["frames_with_same_labels"] == openvino["faces_found"] == former["faces_found"] == 1.0
