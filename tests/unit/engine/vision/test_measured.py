"""The defaults of detector and crop, and their tables in the documents, come from the committed records."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from fer_engine.vision import MARGIN, HaarDetector
from fer_engine.vision.haar import DETECTING

ROOT = Path(__file__).parents[4]
DOCUMENT = (ROOT / "docs" / "vision.md").read_text("utf-8")


def record(name: str) -> dict:
    return json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text("utf-8"))


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without those of the heads."""
    section = DOCUMENT.partition(f"### {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[-1][0].isdigit()]


def test_the_margin_is_the_one_that_measured_best():
    margins = record("crop_margin")["margins"]
    assert max(margins, key=lambda row: row["agreement"])["margin"] == MARGIN
    assert min(margins, key=lambda row: row["mean_pixel_difference"])["margin"] == MARGIN


def test_the_detectors_defaults_halve_the_false_faces_and_the_time_of_opencvs():
    settings = {tuple(row.values())[:5]: row for row in record("face_detector")["settings"]}
    options = {name: value.default for name, value in inspect.signature(HaarDetector).parameters.items()}
    cascade = DETECTING.removeprefix("haarcascade_frontalface_").removesuffix(".xml")
    chosen = settings[
        cascade, options["longest_side"], options["scale_factor"], False, options["min_neighbors"]
    ]
    usual = settings["default", 640, 1.1, False, 3]
    assert chosen["cpu_ms"] < usual["cpu_ms"] / 2
    assert chosen["false_faces"] < usual["false_faces"] / 2
    assert chosen["found"] > usual["found"] - 0.1


def second_look() -> list[dict]:
    return record("face_detector")["second_look"]["rows"]


def test_the_second_look_leaves_out_half_the_false_faces_and_hardly_a_true_one():
    plain, looked = (row for row in second_look() if row["min_neighbors"] == 2)
    assert (plain["second_look"], looked["second_look"]) == (False, True)
    assert looked["false_faces"] <= plain["false_faces"] / 2
    assert looked["found"] > plain["found"] - 0.02


def test_the_tables_are_those_of_the_records():
    looks = [
        [
            str(row["min_neighbors"]),
            "yes" if row["second_look"] else "no",
            f"{row['found']:.1%}",
            str(row["false_faces"]),
            f"{row['cpu_ms']:.0f}",
        ]
        for row in second_look()
    ]
    assert [row for row in rows("Detectors") if len(row) == 5] == looks
    settings = [
        [
            row["cascade"],
            str(row["longest_side"]),
            str(row["scale_factor"]),
            "yes" if row["equalize"] else "no",
            str(row["min_neighbors"]),
            f"{row['found']:.1%}",
            str(row["false_faces"]),
            f"{row['cpu_ms']:.0f}",
        ]
        for row in record("face_detector")["settings"]
    ]
    shown = [row for row in rows("Detectors") if len(row) == 8]
    assert len(shown) > 5
    assert [row for row in shown if row not in settings] == []
    margins = [
        [
            str(row["margin"]),
            f"{row['agreement']:.1%}",
            f"{row['accuracy']:.1%}",
            f"{row['mean_pixel_difference']:.1f}",
        ]
        for row in record("crop_margin")["margins"]
    ]
    assert rows("Margin") == margins


def test_the_finders_table_is_that_of_its_record_and_meets_what_is_promised():
    measured = record("face_finder")
    counts: dict[str, dict[str, dict]] = {}
    for one in measured["counts"]:
        counts.setdefault(one["detector"], {})[one["group"]] = one
    table = [
        [
            detector,
            *(
                f"{own[group]['found']}/{own[group]['faces']}"
                for group in ("one or two", "groups", "composites")
            ),
            str(sum(own[group]["false_faces"] for group in ("one or two", "groups", "no face"))),
            str(measured["milliseconds"][detector]),
        ]
        for detector, own in counts.items()
    ]
    assert rows("The face finder") == table
    photographs = [counts["finder"][group] for group in ("one or two", "groups")]
    found = sum(own["found"] for own in photographs) / sum(own["faces"] for own in photographs)
    assert found >= 0.92
    assert sum(own["false_faces"] for own in [*photographs, counts["finder"]["no face"]]) <= 4
