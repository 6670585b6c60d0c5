import copy

import pytest

from fer_bench.record.record_file import parse_record
from fer_bench.report.render import render_markdown, render_text
from fer_engine.errors import FerError


def table(record):
    return render_text(parse_record(record))


def markdown(record):
    return render_markdown(parse_record(record))


RENDERERS = pytest.mark.parametrize("render", [table, markdown])


@RENDERERS
def test_the_report_holds_the_figures_of_the_record(render, record):
    text = render(record)
    for figure in (
        "9,876",  # the median of the rounds, not their mean
        "6.500",
        "11.2",
        "123.4",
        "1.62x [1.50, 1.75]",
        "171.5",
        "321",
        "10,000 by 10,000",
        "95.34",
        "167",
        "17.2",
        "66.12 [64.56, 67.65]",
        "81",
        "49",
        "0.0063",
        "0.0417",
        "-1.2",
        "+3.1",
        "Imaginary 9000",
        "avx2",
        "GPU not measured",
        "0.25 before, not available after",
        "on purpose: 1",
        "synthetic faces, seed 0, n=1024",
        "fer-bench --batch 64",
        "12.3",
        "RAPL, 1 CPU package(s)",
        "torch 700, sympy 71",
        "it has no beads",
        "77",
        "6500.0 us a call",
    ):
        assert figure in text, figure


@RENDERERS
def test_without_labels_there_is_no_accuracy(render, unlabelled_record):
    text = render(unlabelled_record)
    assert "95.34" in text
    assert "Accuracy" not in text
    assert "top-1" not in text


@RENDERERS
def test_what_the_gate_refused_is_said(render, record):
    assert "refused by the export's gate: fp16: 0.74x the speed of FP32" in render(record)


@RENDERERS
def test_what_was_not_measured_is_said(render, record):
    record["environment"]["cpu"] = None
    assert "CPU: not available" in render(record)


def test_the_reference_is_not_compared_with_itself(record):
    lines = markdown(record).splitlines()
    rows = [line for line in lines if line.startswith("| pytorch")]
    assert not [row for row in rows if "95.34" in row]
    accuracy = next(row for row in rows if "66.12" in row)
    assert accuracy.split("|")[3:6] == ["  ", "  ", "  "]


def test_markdown_rows_have_as_many_cells_as_their_table(record):
    width = None
    for line in markdown(record).splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = line.count("|")
        assert width in (None, cells)
        width = cells


def test_rendering_leaves_the_record_alone(record):
    before = copy.deepcopy(record)
    markdown(record)
    table(record)
    assert record == before


@RENDERERS
@pytest.mark.parametrize("missing", ["environment", "speed", "parity", "startup", "contenders", "inputs"])
def test_a_damaged_record_is_refused(render, record, missing):
    record[missing] = None
    with pytest.raises(FerError, match="damaged"):
        render(record)


@RENDERERS
def test_a_record_without_the_harness_s_own_cost_is_refused(render, record):
    record["speed"] = [entry for entry in record["speed"] if entry["contender"] != "null"]
    with pytest.raises(FerError, match=r"damaged: speed at batch 64 must be of .*null"):
        render(record)


@RENDERERS
def test_a_cell_of_another_kind_is_refused(render, record):
    record["skipped"] = [{"name": ["odd"], "reason": 7}]
    with pytest.raises(FerError, match=r"damaged: skipped\[0\].name must be a text, got \['odd'\]"):
        render(record)


@RENDERERS
def test_a_foreign_record_is_refused(render):
    with pytest.raises(FerError, match="no benchmark record"):
        render({"something": "else"})


@RENDERERS
def test_without_pytorch_the_reference_is_called_by_its_name(render, record):
    record["reference"] = "onnxruntime"
    text = render(record)
    assert "PyTorch" not in " ".join(text.split()).replace("without a PyTorch network", "")
    assert "Parity with ONNX Runtime in float32" in text
    assert "reference: ONNX Runtime in float32, on the artifact's own graph" in text


def test_where_the_engine_ran_on_a_gpu_its_energy_stands_beside(record):
    assert "device of the engine" not in markdown(record)
    record["options"]["device"] = "cuda"
    record["gpu_energy_source"] = "NVML, Imaginary GPU"
    record["gpu_energy"] = {"engine/onnxruntime/int8": 0.00456, "engine/onnxruntime/fp32": None}
    text = markdown(record)
    assert "- device of the engine: cuda; " in text
    assert "- energy of cuda: NVML, Imaginary GPU" in text
    assert "## Energy of the GPU" in text
    assert "| engine/onnxruntime/int8 | 4.56 |" in text
    assert "| engine/onnxruntime/fp32 |" not in text.partition("## Energy of the GPU")[2].partition("##")[0]


@RENDERERS
def test_labels_and_votes_stand_side_by_side(render, record, voted_record):
    plain, text = render(record), render(voted_record)
    for title in ("labels and votes", "Changed answers by votes", "Recall by class of the FER+ majority"):
        assert title in text
        assert title not in plain
    for line in ("1,024 faces", "900 faces have", "80 others"):
        assert line in " ".join(text.split())
    rows = [line for line in text.splitlines() if "engine/onnxruntime/int8" in line]
    both = next(row for row in rows if "81.23" in row)
    for figure in ("66.12 [64.56, 67.65]", "81.23 [79.81, 82.57]", "0.0417", "0.0713"):
        assert figure in both
    changed = next(row for row in rows if "63 of 900" in row)
    for figure in ("41", "17", "0.0022", "63 of 900 (7.00 %)", "22 of 80 (27.50 %)"):
        assert figure in changed
    assert any("-3.7" in row and "+1.2" in row for row in rows)


def test_the_reference_changes_no_answer_by_votes(voted_record):
    part = markdown(voted_record).partition("## Changed answers by votes")[2].partition("##")[0]
    assert "| onnxruntime |" in part
    assert "| pytorch |" not in part


def test_votes_add_tables_and_leave_the_others_alone(record, voted_record):
    kept = markdown(voted_record)
    before, _, rest = kept.partition("\n## Accuracy against labels and votes")
    _, _, after = rest.partition("\n## Recall by class of the FER+ majority")
    assert markdown(record) == before + "\n## " + after.partition("\n## ")[2]


def test_without_split_faces_there_is_no_share_of_them(voted_record):
    for found in voted_record["parity"].values():
        found["voted"].update(split_faces=0, changed_split=0)
    assert "| 0 of 0 |" in markdown(voted_record)
