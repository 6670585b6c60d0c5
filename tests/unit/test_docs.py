"""Every figure in the documents comes from a committed record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fer_bench.record.record_file import load_record
from fer_bench.report.render import render_markdown
from fer_engine.artifact.schema import from_json
from studies import readme_table
from studies.model_cards import END
from studies.models_page import render as render_models
from studies.models_record import NetworksRecord

ROOT = Path(__file__).parents[2]
RESULTS = {"quiet": "results.md", "busy": "results-busy.md"}


@pytest.mark.parametrize(("record", "document"), sorted(RESULTS.items()))
def test_results_are_rendered_from_the_committed_record(record, document):
    read = load_record(ROOT / "docs" / "results" / f"{record}.json")
    assert (ROOT / "docs" / document).read_text("utf-8") == render_markdown(read)


def test_the_record_is_of_the_checkpoint_that_ships():
    spec = ROOT / "train" / "fer_train" / "pretrained" / "mini_xception" / "spec.json"
    shipped = json.loads(spec.read_text("utf-8"))["checkpoint_sha256"]
    for record in RESULTS:
        data = json.loads((ROOT / "docs" / "results" / f"{record}.json").read_text("utf-8"))
        assert data["artifact"]["checkpoint_sha256"] == shipped
    assert (
        json.loads((ROOT / "docs" / "results" / "int8.json").read_text("utf-8"))["checkpoint_sha256"]
        == shipped
    )


def test_the_readme_s_runtimes_are_rendered_from_the_committed_record():
    text = readme_table.render(load_record(readme_table.RECORD))
    assert f"{readme_table.BEGIN}\n{text}\n{END}" in (ROOT / "README.md").read_text("utf-8")
    assert text.count("\n| ") == 1 + 6  # and the columns


@pytest.mark.parametrize(
    "document", [str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]
)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text("utf-8")
    targets = [part.partition(")")[0] for part in text.split("](")[1:]]
    local = [target.partition("#")[0] for target in targets if not target.startswith("http")]
    assert [target for target in local if not (ROOT / document).parent.joinpath(target).exists()] == []


def test_the_networks_are_rendered_from_the_committed_record():
    record = json.loads((ROOT / "docs" / "results" / "models.json").read_text("utf-8"))
    assert (ROOT / "docs" / "models.md").read_text("utf-8") == render_models(
        from_json(NetworksRecord, record)
    )
    shipped = {
        path.parent.name: json.loads(path.read_text("utf-8"))["checkpoint_sha256"]
        for path in (ROOT / "train" / "fer_train" / "pretrained").glob("*/spec.json")
    }
    measured = {network["model"]: network["checkpoint_sha256"] for network in record["models"]}
    assert measured.items() >= shipped.items()
