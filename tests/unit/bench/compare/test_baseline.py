import copy

import numpy as np
import pytest

from bench_record import add_contender, add_votes, drop_contender
from fer_bench import cli
from fer_bench.compare.baseline import Bars, Baseline, table
from fer_bench.record.record_file import parse_record, write_record
from fer_bench.record.statistics import compare_rounds
from fer_engine.artifact.schema import to_json
from fer_engine.errors import ConfigError, FerError

ENGINE = "engine/onnxruntime/int8"
BARS = Bars(slowdown=0.1, accuracy_drop=0.3)


@pytest.fixture
def old(record):
    record["contenders"] = [
        entry
        | {
            "kind": "engine" if entry["name"] in (ENGINE, "null") else entry["name"],
            "backend": "onnxruntime",
            "precision": "int8",
            "threads": None,
            "micro_batch": None,
            "info": entry["info"] | {"precision": "int8"},
        }
        for entry in record["contenders"]
    ]
    record["inputs"]["sha256"] = "cd" * 32
    record["options"]["rounds"] = 9
    return record


@pytest.fixture
def new(old):
    return copy.deepcopy(old)


def ratio(record, **values):
    """Set the engine's ratio at batch 64, which is 1.625 [1.5, 1.75] before."""
    next(entry for entry in record["speed"] if entry["contender"] == ENGINE)["ratio"].update(values)


def labelled(record, **values):
    record["parity"] = copy.deepcopy(record["parity"])  # the names share one entry
    record["parity"][ENGINE]["labelled"].update(values)


def found(old, new, bars=BARS):
    baseline, new = read(old, bars), parse_record(new)
    baseline.check(new)
    return [(entry.contender, entry.measure) for entry in baseline.regressions(new)]


def read(old, bars=BARS):
    return Baseline("old.json", parse_record(old), bars)


def test_a_record_is_no_worse_than_itself(old, new):
    assert found(old, new) == []


@pytest.mark.parametrize(
    ("median", "high", "slower"),
    [
        (1.40, 1.46, True),  # the bar is 0.9 x 1.625 = 1.4625
        (1.40, 1.463, False),  # the interval reaches over the bar
        (1.20, 1.70, False),  # a slower median that the noise explains
        (2.00, 2.10, False),
    ],
)
def test_a_slowdown_counts_where_the_whole_interval_lies_below_the_bar(old, new, median, high, slower):
    ratio(new, median=median, low=median - 0.1, high=high)
    assert found(old, new) == [(ENGINE, "speed, batch 64")] * slower


@pytest.mark.parametrize(("true_ratio", "alarms"), [(1.6, range(2)), (0.8, range(99, 101))])
def test_noise_raises_no_alarm_and_half_the_speed_does(old, new, true_ratio, alarms):
    draw = np.random.default_rng(0)
    raised = 0
    for _ in range(100):
        for record, expected in ((old, 1.6), (new, true_ratio)):
            rounds = (expected * draw.lognormal(0, 0.15, 15)).tolist()
            ratio(record, **to_json(compare_rounds(rounds, [1.0] * 15)))
        raised += bool(found(old, new))
    assert raised in alarms


def test_a_slower_machine_is_no_regression(old, new):
    for entry in new["speed"]:
        entry["images_per_second"] = [rate / 10 for rate in entry["images_per_second"]]
    assert found(old, new) == []


@pytest.mark.parametrize(("accuracy", "lost"), [(0.6582, []), (0.6581, [(ENGINE, "accuracy")]), (0.7, [])])
def test_accuracy_may_drop_to_the_bar_and_no_further(old, new, accuracy, lost):
    labelled(new, accuracy=accuracy)  # 66.12 % before
    assert found(old, new) == lost


@pytest.mark.parametrize(
    ("accuracy", "lost"), [(0.8093, []), (0.8092, [(ENGINE, "accuracy against the FER+ majority")])]
)
def test_accuracy_against_the_votes_has_the_same_bar(old, new, accuracy, lost):
    add_votes(old)
    add_votes(new)
    new["parity"][ENGINE]["voted"]["accuracy"] = accuracy  # 81.23 % before
    assert found(old, new) == lost
    assert "n=1024, FER+'s votes among them of" in read(old).compared(parse_record(new))


def test_votes_that_one_record_lacks_are_not_compared(old, new):
    add_votes(new)
    new["parity"][ENGINE]["voted"]["accuracy"] = 0.1
    assert found(old, new) == found(new, old) == []
    assert "votes" not in read(old).compared(parse_record(new))


def test_other_votes_cannot_be_compared(old, new):
    add_votes(old)
    add_votes(new)
    new["inputs"]["votes_sha256"] = "ab" * 32
    with pytest.raises(
        ConfigError, match=r"the same votes of FER\+: those of the baseline have SHA-256 efef"
    ):
        found(old, new)
    assert found(old, new, Bars(slowdown=0.1)) == []


def test_without_labels_agreement_decides(old, new):
    for record in (old, new):
        record["inputs"]["labelled"] = False
        record["parity"] = {
            name: entry | {"labelled": None} for name, entry in copy.deepcopy(record["parity"]).items()
        }
    new["parity"][ENGINE]["agreement"] -= 0.004
    assert found(old, new) == [(ENGINE, "agreement with PyTorch")]


def test_a_bar_that_is_not_given_is_not_checked(old, new):
    ratio(new, median=0.5, low=0.5, high=0.5)
    labelled(new, accuracy=0.1)
    assert found(old, new, Bars(accuracy_drop=0.3)) == [(ENGINE, "accuracy")]
    assert found(old, new, Bars(slowdown=0.1)) == [(ENGINE, "speed, batch 64")]


def test_answers_of_another_precision_that_the_engine_chose_are_not_compared_but_told(old, new):
    name = "engine/auto"
    for record, precision in ((old, "fp32"), (new, "int8")):
        info = {"threads": 2, "precision": precision}
        add_contender(record, name, ENGINE, backend="auto", precision="auto", info=info)
    new["parity"][name]["agreement"] -= 0.1
    assert found(old, new) == []
    told = read(old).compared(parse_record(new))
    assert f"not the answers of {name}, which chose fp32 before and int8 now" in told


def test_answers_that_are_held_against_something_else_cannot_be_compared(old, new):
    new["reference"] = "onnxruntime"
    with pytest.raises(ConfigError, match=r"reference is PyTorch, this record's ONNX Runtime in float32"):
        read(old).check(parse_record(new))


def test_one_name_on_two_devices_cannot_be_compared(old, new):
    next(entry for entry in new["contenders"] if entry["name"] == ENGINE)["device"] = "cuda"
    with pytest.raises(ConfigError, match=r"ran with device cpu in the baseline and cuda in this record"):
        read(old).check(parse_record(new))


def test_an_engine_that_was_asked_for_and_is_missing_counts(old, new):
    drop_contender(new, ENGINE)
    assert found(old, new) == [(ENGINE, "runs")]


@pytest.mark.parametrize("name", [ENGINE, "engine/onnxruntime"])
def test_the_reason_why_it_is_missing_is_told(old, new, name):
    drop_contender(new, ENGINE)
    new["skipped"] = [{"name": name, "reason": "its wheel broke"}]
    (entry,) = read(old).regressions(parse_record(new))
    assert entry.now == "no: its wheel broke"


@pytest.mark.parametrize("asked", [{"backends": ["openvino"]}, {"precisions": ["fp32"]}])
def test_an_engine_that_was_not_asked_for_may_be_missing(old, new, asked):
    for record in (old, new):
        add_contender(record, "engine/openvino/fp32", ENGINE, backend="openvino", precision="fp32")
    drop_contender(new, ENGINE)
    new["options"]["sweep"].update(asked)
    assert found(old, new) == []


def at_batch_8(record):
    record["options"].update(batches=[8])
    for entry in record["speed"]:
        entry.update(batch=8)


def test_peers_and_the_reference_are_not_watched(old, new):
    for entry in new["speed"]:
        if entry["contender"] == "pytorch":
            entry["ratio"].update(median=0.1, low=0.1, high=0.1)
    assert found(old, new) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda new: new["artifact"].update(model="other"), "of the model 'tiny', this record of 'other'"),
        (lambda new: new["inputs"].update(sha256="ef" * 32), "--max-accuracy-drop needs the same faces"),
        (
            lambda new: (
                new["options"].update(batches=[8]),
                [entry.update(batch=8) for entry in new["speed"]],
            ),
            r"a batch size in common: .* has 64, .* 8;",
        ),
        (lambda new: new["options"].update(busy=0), "ran beside 1 busy processes, this record beside 0"),
        (lambda new: new["options"].update(rounds=5), "at least 6 rounds, this record has 5"),
        (
            lambda new: next(entry for entry in new["contenders"] if entry["name"] == ENGINE).update(
                threads=1
            ),
            "threads of its own choice in the baseline and 1 in this record; give the same --threads",
        ),
        (
            lambda new: new["options"]["sweep"].update(backends=["auto"]),
            "none of the engines .* it has engine/",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(old, new, change, message):
    change(new)
    with pytest.raises(ConfigError, match=message):
        found(old, new)


def test_other_faces_forbid_only_the_accuracy_bar(old, new):
    new["inputs"]["sha256"] = "ef" * 32
    assert found(old, new, Bars(slowdown=0.1)) == []


def test_a_damaged_baseline_is_refused(old, new):
    del old["speed"]
    with pytest.raises(FerError, match="damaged"):
        found(old, new)


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ({}, "needs a bar"),
        ({"slowdown": 1.0}, "between 0% and 100%, got 100%"),
        ({"slowdown": float("nan")}, "between 0% and 100%"),
        ({"accuracy_drop": -0.1}, "at least 0 points, got -0.1"),
        ({"accuracy_drop": float("inf")}, "at least 0 points"),
    ],
)
def test_bars_that_bar_nothing_are_refused(bars, message):
    with pytest.raises(ConfigError, match=message):
        Bars(**bars)


def test_the_table_names_what_was_lost(old, new):
    ratio(new, median=1.4, low=1.3, high=1.46)
    (row,) = table(read(old).regressions(parse_record(new))).rows
    assert row == (ENGINE, "speed, batch 64", "1.62x", "1.40x [1.30, 1.46]", "1.46x")


def test_another_machine_is_told(old, new):
    baseline = read(old)
    assert baseline.other_machine(parse_record(new)) is None
    new["environment"]["cpu_flags"] = ["avx2", "avx_vnni"]
    assert "Imaginary 9000 (avx2 avx_vnni), 2 cores" in baseline.other_machine(parse_record(new))


class TestCommand:
    @pytest.fixture
    def paths(self, old, new, tmp_path):
        """Two records, of which the second is slower."""
        ratio(new, median=1.2, low=1.1, high=1.3)
        write_record(tmp_path / "old.json", parse_record(old))
        write_record(tmp_path / "new.json", parse_record(new))
        return tmp_path / "old.json", tmp_path / "new.json"

    def test_two_files_are_compared_without_measuring(self, paths, capsys):
        old, new = map(str, paths)
        assert cli.main(["--render", new, "--baseline", old, "--max-slowdown", "10%"]) == 3
        output = capsys.readouterr().out
        assert "Worse than the baseline" in output
        assert "1.20x [1.10, 1.30]" in output

    def test_compare_takes_the_old_record_first_and_shows_no_report(self, paths, capsys):
        old, new = map(str, paths)
        assert cli.main(["compare", old, new, "--max-slowdown", "10%"]) == 3
        output = capsys.readouterr().out
        assert "Worse than the baseline" in output
        assert "Imaginary 9000" not in output
        assert cli.main(["compare", new, old, "--max-slowdown", "10%"]) == 0
        assert f"no regression against {new}: speed at batch 64 of {ENGINE}" in capsys.readouterr().out
        assert cli.main(["compare", old, new]) == 2
        assert "a comparison needs a bar" in capsys.readouterr().err

    def test_what_is_no_worse_passes_and_says_what_was_compared(self, paths, capsys):
        old, new = map(str, paths)
        assert cli.main(["--render", new, "--baseline", old, "--max-slowdown", "25%"]) == 0
        assert f"no regression against {old}: speed at batch 64 of {ENGINE}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--max-slowdown", "10%"], "--max-slowdown needs a record to compare with: --baseline"),
            (["--max-accuracy-drop", "0"], "--max-accuracy-drop needs a record to compare with"),
            (
                ["--baseline", "old.json"],
                "a comparison needs a bar: give --max-slowdown, --max-accuracy-drop, or both",
            ),
            (
                ["--baseline", "old.json", "--max-slowdown", "0.1"],
                "must be a percentage, as in 10%, got '0.1'",
            ),
            (["--baseline", "old.json", "--max-slowdown", "x%"], "must be a percentage"),
            (["--baseline", "none.json", "--max-slowdown", "10%"], "cannot read none.json"),
        ],
    )
    def test_bad_arguments_end_with_code_2(self, paths, monkeypatch, capsys, arguments, message):
        monkeypatch.chdir(paths[0].parent)
        assert cli.main(["--render", "new.json", *arguments]) == 2
        assert message in capsys.readouterr().err
