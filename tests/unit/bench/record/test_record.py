import json

import pytest

from fer_bench.record import record_file
from fer_engine.errors import FerError


def test_a_record_comes_back_as_it_was(tmp_path, record):
    read = record_file.parse_record(record)
    record_file.write_record(tmp_path / "reports" / "bench.json", read)
    assert record_file.load_record(tmp_path / "reports" / "bench.json") == read
    written = json.loads((tmp_path / "reports" / "bench.json").read_text())
    for part in ("format_version", "inputs", "speed", "parity", "startup", "environment", "energy"):
        assert written[part] == record[part]
    assert "limits" not in written  # what was not measured


def test_samples_take_one_line_a_round():
    text = record_file.dump_json({"samples_ns": [[1, 2, 3], [4, 5]], "name": "a [ 1 ]", "none": []})
    assert "[ 1, 2, 3 ]" in text
    assert json.loads(text) == {"samples_ns": [[1, 2, 3], [4, 5]], "name": "a [ 1 ]", "none": []}


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        record_file.dump_json({"p50": float("nan")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no benchmark record"),
        ('{"kind": "other"}', "kind 'other', expected 'fer-bench'"),
        ('{"kind": "fer-bench", "format_version": 99}', "format version 99, this release reads 2"),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(FerError, match=message):
        record_file.load_record(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FerError, match=r"cannot read .*none\.json: No such file"):
        record_file.load_record(tmp_path / "none.json")


def test_a_path_that_cannot_be_written_is_found_early(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FerError, match="cannot write"):
        record_file.check_writable(tmp_path / "file" / "bench.json")
    with pytest.raises(FerError, match="it is a folder"):
        record_file.check_writable(tmp_path)


def test_the_check_of_a_path_leaves_what_is_there(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text("old")
    record_file.check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
