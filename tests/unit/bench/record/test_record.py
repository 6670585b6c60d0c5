import contextlib
import copy
import itertools
import json
import random

import pytest

from bench_record import add_contender, add_votes
from fer_bench.compare.baseline import Bars, Baseline
from fer_bench.record import record_file
from fer_bench.report.render import render_markdown
from fer_engine.errors import FerError


def test_a_record_comes_back_as_it_was(tmp_path, record):
    record["inputs"]["votes_sha256"] = None
    record["parity"] = {name: found | {"voted": None} for name, found in record["parity"].items()}
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


def test_a_bug_of_ours_is_no_damage(record, monkeypatch):
    """The reader catches what it found wrong itself, and nothing else."""

    def broken(_record, _path, _found):
        raise AttributeError("'dict' object has no attribute 'flips'")

    monkeypatch.setattr(record_file.Record, "_check_answers", broken)
    with pytest.raises(AttributeError, match="flips"):
        record_file.parse_record(record)


def test_an_unknown_key_is_refused_but_in_what_a_runtime_tells(record):
    record["contenders"][0]["info"]["streams"] = 4
    assert record_file.parse_record(record).contenders[0].info.extra == {"streams": 4}
    record["speed"][0]["streams"] = 4
    with pytest.raises(FerError, match=r"damaged: speed\[0\] must be an object with the keys .*'streams'"):
        record_file.parse_record(record)


def test_earlier_records_lack_what_came_later(record):
    for name in ("tta", "device", "optional", "threads", "micro_batch"):
        assert name not in record["contenders"][0]
    record["other_networks"] = {"fer": None}
    add_contender(record, "fer", "onnxruntime", precision="its own")
    del record["parity"]["fer"]
    read = record_file.parse_record(record)
    assert (read.reference, read.artifact.spec, read.limits, read.scenarios) == ("pytorch", None, None, None)
    assert (read.contenders[0].tta, read.contenders[0].device) == ("none", "cpu")
    assert read.inputs.votes_sha256 is read.parity["pytorch"].voted is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda record: record["speed"].pop(0), "speed at batch 64 must be of .*pytorch.*, got "),
        (lambda record: record["speed"][0].update(ratio=None), r"speed\[0\].ratio must be there for all but"),
        (
            lambda record: record["speed"][0].update(images_per_second=[1.0, 0.0, 1.0]),
            "must be rates above 0",
        ),
        (lambda record: record["speed"][0].update(samples_ns=[[1], [], [1]]), "durations of each round"),
        (lambda record: record["startup"].pop("null"), "startup must be of engine.*null"),
        (lambda record: record["startup"]["null"].update(cold_starts=[]), "startup.null.cold_starts must be"),
        (lambda record: record["parity"].pop("pytorch"), "parity and other_networks must be of"),
        (lambda record: record["inputs"].update(labelled=False), "labelled must be null where"),
        (lambda record: record["artifact"]["labels"].pop(), "parity.pytorch.flips must be a face and"),
        (lambda record: record["artifact"]["labels"].append("glad"), "labelled must be of 4 classes"),
        (lambda record: record["contenders"][0]["info"].update(threads=0), "info.threads must be at least 1"),
        (lambda record: record["options"].update(rounds=0), "rounds must be a whole number of at least 1"),
        (lambda record: record["limits"]["model"]["bytes"].pop("int8"), "precision of limits must be of"),
        (lambda record: record["limits"]["machine"]["products"].clear(), "limits.machine.products must be"),
        (lambda record: record["scenarios"][0]["latency_ms"].pop("p99.00"), "latency_ms must be of p50.00"),
        (lambda record: record["scenarios"][0].update(contender="null"), "scenarios must be of"),
    ],
)
def test_parts_that_contradict_each_other_are_named(made_full_record, damage, message):
    record = copy.deepcopy(made_full_record)
    record["options"]["batches"] = [64]
    damage(record)
    with pytest.raises(FerError, match=rf"damaged: .*{message}"):
        record_file.parse_record(record)


def test_votes_come_back_as_they_were(voted_record):
    read = record_file.parse_record(voted_record)
    assert record_file.parse_record(json.loads(record_file.dump_record(read))) == read
    assert read.inputs.votes_sha256 == "ef" * 32
    assert read.parity["onnxruntime"].voted.changed_split == 22


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("inputs votes_sha256", None, "voted must be null where"),
        ("parity pytorch voted", None, "voted must be null where"),
        ("inputs labelled", False, "votes_sha256 must be null where"),
        ("parity pytorch voted recall", [0.5], "pytorch.voted must be of 3 classes"),
        ("parity pytorch voted confusion", [], "pytorch.voted must be of 3 classes"),
        ("parity pytorch voted confusion", [[899, 0, 0]] + [[0] * 3] * 2, "counts of 900 faces"),
        ("parity pytorch voted confusion", [[901, -1, 0]] + [[0] * 3] * 2, "counts of 900 faces"),
        ("parity pytorch voted split_faces", 125, "faces must be with split_faces at most 1024"),
        ("parity pytorch voted changed_clear", 901, "changed_clear must be 0 to 900"),
        ("parity pytorch voted changed_split", -1, "changed_split must be 0 to 80"),
    ],
)
def test_measures_against_votes_that_contradict_each_other_are_named(voted_record, place, value, message):
    *path, last = place.split()
    part = voted_record
    for key in path:
        part = part[key]
    part[last] = value
    with pytest.raises(FerError, match=rf"damaged: .*{message}"):
        record_file.parse_record(voted_record)


def places(value, *keys):
    """The keys that lead to every value of parsed JSON; of a list's entries, to the first two."""
    if keys:
        yield keys
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for key, entry in entries:
        yield from places(entry, *keys, key)


def test_whatever_a_record_holds_it_is_shown_or_refused(made_full_record):
    draw = random.Random(0)  # noqa: S311 - no secret
    whole = copy.deepcopy(made_full_record)
    add_votes(whole)
    damages = [*itertools.product(places(whole), (None, -1, 0, "", [], {}, 10**30))]
    sound, shown = record_file.parse_record(copy.deepcopy(whole)), 0
    for (*path, last), value in draw.sample(damages, 400):
        record = copy.deepcopy(whole)
        part = record
        for key in path:
            part = part[key]
        part[last] = value
        with contextlib.suppress(FerError):
            read = record_file.parse_record(record)
            render_markdown(read)
            Baseline("sound", sound, Bars(0.1, 0.3)).regressions(read)
            shown += 1
    assert shown > 10
