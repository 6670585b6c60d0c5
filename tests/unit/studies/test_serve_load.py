"""What docs/serving.md says of the load is what the committed record has."""

from __future__ import annotations

import json
from pathlib import Path

from studies import serve_load

ROOT = Path(__file__).parents[3]


def test_the_table_is_rendered_from_the_committed_record():
    record = json.loads((ROOT / "docs" / "results" / "serve_load.json").read_text("utf-8"))
    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    assert serve_load.table(record) in text
    answers = record["answers"]
    assert (answers["requests"], answers["lost"], answers["mixed_up"]) == (20_000, 0, 0)
