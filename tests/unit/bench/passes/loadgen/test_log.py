import json

import numpy as np
import pytest

from fer_bench.passes.loadgen import log
from fer_engine.errors import FerError

SINGLE_STREAM = {
    "result_validity": "VALID",
    "early_stopping_met": True,
    "early_stopping_latency_ss": 5_735_000,
    "early_stopping_latency_ms": 8_556_000,
    "result_query_count": 51_388,
    "effective_samples_per_query": 1,
    "effective_min_duration_ms": 300,
    **{
        f"result_{name}_percentile_latency_ns": 1_000_000 * place
        for place, name in enumerate(log.PERCENTILES, 1)
    },
    "power_end": "later",
}


def written(path, fields, errors=()):
    lines = ["a line of another kind"]
    for key, value in [*fields.items(), *errors]:
        metadata = {"is_error": (key, value) in errors}
        lines.append(log.MARK + json.dumps({"key": key, "value": value, "metadata": metadata}))
    path.write_text("\n".join(lines))
    return path


def test_a_detail_log_is_read_by_its_keys(tmp_path):
    found = log.read_detail(written(tmp_path / "detail.txt", SINGLE_STREAM))
    assert found == SINGLE_STREAM | {"errors": []}
    assert log.settings(found) == {"samples_per_query": 1, "min_duration_ms": 300}


def test_the_metric_is_the_estimate_and_the_percentiles_are_loadgen_s():
    result = log.performance_result("single-stream", SINGLE_STREAM | {"errors": []})
    assert result["valid"]
    assert result["metric"]["value"] == pytest.approx(5.735)
    assert result["metric"]["unit"] == "ms"
    assert result["latency_ms"]["p50.00"] == 1.0
    assert result["latency_ms"]["p90.00"] == 2.0
    assert (result["queries"], result["samples"]) == (51_388, 51_388)


def test_without_enough_queries_there_is_no_estimate():
    said = " * Only processed 40 queries.\n * Need to process at least 64 queries for early stopping."
    changes = {"result_validity": "INVALID", "early_stopping_met": False, "early_stopping_result": said}
    result = log.performance_result(
        "single-stream", SINGLE_STREAM | {"errors": [], "early_stopping_latency_ss": 0} | changes
    )
    assert result["metric"]["value"] is None
    assert result["invalid_because"] == [
        "early stopping: Only processed 40 queries. Need to process at least 64 queries for early stopping"
    ]


def test_errors_make_a_run_invalid(tmp_path):
    path = written(tmp_path / "detail.txt", SINGLE_STREAM, errors=[("error_runtime", "lost a query")])
    result = log.performance_result("single-stream", log.read_detail(path))
    assert not result["valid"]
    assert result["invalid_because"] == ["error_runtime: lost a query"]


@pytest.mark.parametrize("content", [None, "", ":::MLLOG {", ':::MLLOG {"key": "a"}'])
def test_an_unfinished_detail_log_is_refused(tmp_path, content):
    path = tmp_path / "detail.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FerError, match=r"LoadGen's log .*detail\.txt"):
        log.read_detail(path)


def answers(path, rows):
    path.write_text(
        json.dumps(
            [
                {"seq_id": place, "qsl_idx": index, "data": np.float32(row).tobytes().hex().upper()}
                for place, (index, row) in enumerate(rows)
            ]
        )
    )
    return path


def test_answers_come_back_in_the_order_of_the_faces(tmp_path):
    path = answers(tmp_path / "accuracy.json", [(2, [5, 6]), (0, [1, 2]), (1, [3, 4]), (0, [9, 9])])
    np.testing.assert_array_equal(log.read_answers(path, 3), [[1, 2], [3, 4], [5, 6]])


def test_a_lost_answer_is_an_error(tmp_path):
    path = answers(tmp_path / "accuracy.json", [(0, [1, 2]), (3, [3, 4])])
    with pytest.raises(FerError, match=r"2 of 4 faces have no answer in .*, the first is 1"):
        log.read_answers(path, 4)


@pytest.mark.parametrize("text", ['[{"qsl_idx": 0, "data": "zz"}]', '[{"data": ""}]', "7", "[7]", "{}"])
def test_a_damaged_accuracy_log_is_an_error(tmp_path, text):
    path = tmp_path / "accuracy.json"
    path.write_text(text)
    with pytest.raises(FerError, match="cannot read LoadGen's answers"):
        log.read_answers(path, 1)
