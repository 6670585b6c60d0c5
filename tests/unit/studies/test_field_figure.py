"""The figure and the table of the field, held to their records."""

import dataclasses
import json
from xml.etree import ElementTree as ET

import pytest

from fer_bench.contenders.contender import Skipped
from fer_bench.record.environment import LoadAverage, describe_machine
from fer_bench.record.record import ColdStart, MeasuredFaces, Memory, OwnAccuracy, RuntimeInfo, Startup
from fer_bench.record.statistics import Ratio
from fer_engine.artifact.schema import to_json
from fer_engine.errors import ConfigError, FerError
from studies import field_figure
from studies.models_record import NetworkSpeed
from studies.other_networks.page import MODELS_RECORD, Point, Row, read_rows, render
from studies.other_networks.record import COMMAND, MajorityAccuracy, MeasuredPeerNetwork, OtherNetworksRecord

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def record():
    if not field_figure.RECORD.exists():
        pytest.skip(f"no record is committed; measure one with {COMMAND}")
    return field_figure.load()


def row(name, group, labels, rate, majority=None):
    points = [
        None if share is None else Point(share, (share - 0.01, share + 0.02)) for share in (labels, majority)
    ]
    return Row(name, group, *points, {"1": NetworkSpeed((rate,) * 6, rate, None)}, 1.0)


def network(name, kind, milliseconds, accuracy=None, majority=None):
    rate = 1000 / milliseconds
    ratio = 2 / milliseconds
    speed = NetworkSpeed((rate,) * 6, rate, Ratio((ratio,) * 6, ratio, ratio, ratio))
    info = RuntimeInfo(1, version="9.9", settings="as it is", source="https://example.org/ghost")
    startup = Startup((ColdStart(1, 2, 3, 6),), Memory(1, 1, 1, None))
    return MeasuredPeerNetwork(name, kind, 9, info, startup, {"1": speed}, None, accuracy, majority)


@pytest.fixture
def made():
    """A record of the baseline, two of this project's networks and a package."""
    accuracy = OwnAccuracy(0.5, (0.4, 0.6), (0.5,) * 7, 0.1)
    majority = MajorityAccuracy(0.75, (0.7, 0.8), (0.75,) * 7, 0.1, faces=2854)
    return OtherNetworksRecord(
        date="2026-01-02",
        command="",
        environment=dataclasses.replace(describe_machine(), load_average=LoadAverage(1.5, 2.0)),
        faces=MeasuredFaces("PublicTest", 3589, True, "ab", "cd"),
        batches=(1,),
        rounds=6,
        seconds=0.4,
        networks=(
            network("ghost", "package", 8.0, accuracy, majority),
            network("onnxruntime", "baseline", 2.0),
            network("vgg16_48", "untrained", 16.0),
            network("mini_xception", "shipped", 1.0),
        ),
        skipped=(Skipped("absent", "no --environment"),),
        energy_source="none",
    )


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


def test_every_network_has_its_row_with_the_accuracy_of_its_own_record(made):
    rows = {row.name: row for row in read_rows(made)}
    assert list(rows) == ["mini_xception", "vgg16_48", "ghost"]  # the baseline is the ratios' alone
    committed = json.loads(MODELS_RECORD.read_text("utf-8"))["models"]
    answers = next(network for network in committed if network["model"] == "mini_xception")["answers"][
        "pytorch"
    ]
    ours, tutorial, package = rows.values()
    assert ours.labels.accuracy == answers["labelled"]["accuracy"]
    assert ours.majority.accuracy == answers["voted"]["accuracy"]
    assert tutorial.labels.accuracy == pytest.approx(0.4639, abs=1e-4)
    assert (tutorial.majority, package.labels.accuracy, package.majority.accuracy) == (None, 0.5, 0.75)


def test_the_table_says_what_was_measured_and_what_was_not(made):
    text = render(made, read_rows(made))
    assert (
        "| ghost (packages) | 50.00 [40.00, 60.00] | 75.00 [70.00, 80.00] | 8.000 | 0.250 [0.250, 0.250] |"
        in text
    )
    assert "| vgg16_48 (tutorials) | 46.39 [44.76, 48.03] | not measured | 16.0 |" in text
    assert "- vgg16_48: the best of 6 epochs, by the log of its training; timed with weights drawn" in text
    assert "- [ghost](https://example.org/ghost) 9.9: as it is; threads: 1." in text
    assert "- absent: not measured (no --environment)." in text
    assert "load average 1.50 before and 2.00 after; 6 rounds" in text


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


def test_a_record_that_cannot_be_drawn_is_told_what_is_missing(made, tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(FerError, match=r"cannot read .*studies.other_networks"):
        field_figure.load(path)
    path.write_text(json.dumps(to_json(made)), "utf-8")
    assert field_figure.load(path) == made
    path.write_text(json.dumps(to_json(made) | {"networks": []}), "utf-8")
    with pytest.raises(
        FerError, match="damaged: networks must be of different names, onnxruntime among them"
    ):
        field_figure.load(path)
    path.write_text(json.dumps(to_json(made) | {"batches": [1, 16]}), "utf-8")
    with pytest.raises(FerError, match="damaged: speed of ghost must be at batch 1, 16, got 1"):
        field_figure.load(path)
    networks = [to_json(each) | {"speed": {"64": to_json(each.speed["1"])}} for each in made.networks]
    path.write_text(json.dumps(to_json(made) | {"batches": [64], "networks": networks}), "utf-8")
    with pytest.raises(ConfigError, match="no speed at batch 1; measure again"):
        field_figure.load(path)
