import json

import pytest

from fer_bench.record import record as records
from fer_engine.errors import FerError


def test_a_record_comes_back_as_it_was(tmp_path, record):
    records.write(tmp_path / "reports" / "bench.json", record)
    assert records.load(tmp_path / "reports" / "bench.json") == record


def test_samples_take_one_line_a_round():
    text = records.dumps({"samples_ns": [[1, 2, 3], [4, 5]], "name": "a [ 1 ]", "none": []})
    assert "[ 1, 2, 3 ]" in text
    assert json.loads(text) == {"samples_ns": [[1, 2, 3], [4, 5]], "name": "a [ 1 ]", "none": []}


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.dumps({"p50": float("nan")})


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
        records.load(path)


@pytest.mark.parametrize("read", [next, lambda none: [*(next(none) for _ in "1")]])
def test_an_empty_part_is_named_as_damage(read):
    damage = r"the benchmark record is damaged \((StopIteration|RuntimeError): "
    with pytest.raises(FerError, match=damage), records.reading():
        read(iter(()))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FerError, match=r"cannot read .*none\.json: No such file"):
        records.load(tmp_path / "none.json")


def test_a_path_that_cannot_be_written_is_found_early(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FerError, match="cannot write"):
        records.check_writable(tmp_path / "file" / "bench.json")
    with pytest.raises(FerError, match="it is a folder"):
        records.check_writable(tmp_path)


def test_the_check_of_a_path_leaves_what_is_there(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text("old")
    records.check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
