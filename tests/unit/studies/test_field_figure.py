"""The figure and the table of the field, held to their records."""

import dataclasses
import json
from xml.etree import ElementTree as ET

import pytest

from fer_engine.artifact.schema import to_json
from fer_engine.errors import ConfigError, FerError
from studies import field_figure
from studies.models_record import NetworkSpeed
from studies.other_networks.page import Point, Row, read_rows, render

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def record():
    return field_figure.load()


def row(name, group, labels, rate, majority=None):
    points = [
        None if share is None else Point(share, (share - 0.01, share + 0.02)) for share in (labels, majority)
    ]
    return Row(name, group, *points, {"1": NetworkSpeed((rate,) * 6, rate, None)}, 1.0)


ROWS = [
    row("ours", "this project", 0.67, 10_000.0, 0.81),
    row("lesson", "tutorials", 0.5, 4_000.0),
    row("theirs", "packages", 0.67, 9_900.0, 0.8),
]


def test_the_committed_figure_and_table_are_those_of_the_committed_records(record):
    rows = read_rows(record)
    root = ET.fromstring(field_figure.FIGURE.read_text("utf-8"))  # noqa: S314 - ours
    description = root.find(f"{NAMESPACE}desc").text
    text = field_figure.PAGE.read_text("utf-8")
    how = "run benchmarks/studies/field_figure.py"
    assert description == field_figure.describe(rows), how
    assert field_figure.page(text, record, rows) == text, how


def test_every_network_of_the_record_has_its_row(record):
    rows = read_rows(record)
    assert rows[0].group == "this project"
    table = [line for line in render(record, rows).splitlines() if line.startswith("| ")]
    assert len(table) == 2 + len(record.networks) - 1  # the baseline has a ratio of 1 and no row
    assert {row.name for row in rows if row.majority is None} <= {row.name for row in rows if row.note}


def test_the_figure_says_in_text_what_it_draws():
    root = ET.fromstring(field_figure.to_svg(ROWS))  # noqa: S314 - ours
    assert root.find(f"{NAMESPACE}title").text == field_figure.TITLE
    lines = root.find(f"{NAMESPACE}desc").text.splitlines()
    assert lines[1:] == [
        "ours: 0.100 ms, FER+ 81.00 [80.00, 83.00] %, labels 67.00 [66.00, 69.00] %",
        "lesson: 0.250 ms, FER+ not measured %, labels 50.00 [49.00, 52.00] %",
        "theirs: 0.101 ms, FER+ 80.00 [79.00, 82.00] %, labels 67.00 [66.00, 69.00] %",
    ]


def test_points_stand_where_the_record_has_them_and_names_do_not_cover_each_other():
    majority, labels = field_figure.draw(ROWS).axes
    assert [text.get_text() for text in majority.texts] == ["ours", "theirs"]
    assert [text.xy for text in labels.texts] == [
        (pytest.approx(0.1), 0.67),
        (pytest.approx(0.25), 0.5),
        (pytest.approx(1000 / 9_900), 0.67),
    ]
    boxes = [text.get_window_extent() for text in labels.texts]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_the_same_rows_give_the_same_file():
    assert field_figure.to_svg(ROWS) == field_figure.to_svg(ROWS)


def test_a_record_that_cannot_be_drawn_is_told_what_is_missing(record, tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(FerError, match=r"cannot read .*studies.other_networks"):
        field_figure.load(path)
    path.write_text(json.dumps(to_json(record) | {"networks": []}), "utf-8")
    with pytest.raises(
        FerError, match="damaged: networks must be of different names, onnxruntime among them"
    ):
        field_figure.load(path)
    late = {"64": record.networks[0].speed["64"]}
    networks = tuple(dataclasses.replace(network, speed=late) for network in record.networks)
    path.write_text(
        json.dumps(to_json(dataclasses.replace(record, batches=(64,), networks=networks))), "utf-8"
    )
    with pytest.raises(ConfigError, match="no speed at batch 1; measure again"):
        field_figure.load(path)
