"""The time and memory of reading a csv, on one of three faces."""

from __future__ import annotations

import json
import sys

from studies import data_loading


def test_a_csv_is_read_in_a_process_of_its_own(tmp_path, monkeypatch, capsys):
    pixels = " ".join(str(level % 256) for level in range(48 * 48))
    rows = [f"{label},{pixels},Training" for label in range(3)]
    csv, record = tmp_path / "fer2013.csv", tmp_path / "record.json"
    csv.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n", "utf-8")
    monkeypatch.setattr(sys, "argv", ["data_loading.py", str(csv), "--json", str(record)])
    assert data_loading.main() == 0
    measured = json.loads(record.read_text("utf-8"))
    assert (measured["images"], measured["csv_bytes"]) == (3, csv.stat().st_size)
    assert measured["peak_rss_bytes"] > 0
    assert capsys.readouterr().out.startswith("3 images, ")


def test_what_cannot_be_read_is_told_in_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["data_loading.py", str(tmp_path / "absent.csv")])
    assert data_loading.main() == 2
    errors = capfd.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
