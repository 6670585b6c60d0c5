import importlib
import sys
from pathlib import Path

import pytest

from fer_bench import cli
from fer_bench.passes.loadgen import rules
from fer_bench.passes.loadgen.scenario_options import ScenarioOptions
from fer_engine.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--scenario", "edge"],
            "unknown scenario 'edge', expected some of single-stream, multi-stream, server",
        ),
        (
            ["--scenario", "server", "--loadgen-mode", "fast"],
            "unknown mode 'fast', expected some of performance, accuracy",
        ),
        (["--scenario", "server,"], "--scenario must be a list without gaps"),
        (
            ["--scenario", "single-stream", "--target-qps", "9"],
            "no meaning without the scenario server or offline",
        ),
        (["--scenario", "offline", "--latency-bound", "9ms"], "no meaning without the scenario server"),
        (
            ["--scenario", "server", "--samples-per-query", "4"],
            "no meaning without the scenario multi-stream",
        ),
        (["--scenario", "server", "--target-qps", "0"], "target qps must be a number above 0, got 0.0"),
        (["--scenario", "server", "--target-qps", "nan"], "target qps must be a number above 0, got nan"),
        (
            ["--scenario", "server", "--latency-bound", "10"],
            "a number with us, ms or s, as in 10ms, got '10'",
        ),
        (
            ["--scenario", "server", "--latency-bound", "0ms"],
            "latency bound must be a number above 0, got 0.0",
        ),
        (["--scenario", "offline", "--scenario-seconds", "-1"], "seconds must be a number above 0, got -1.0"),
        (
            ["--scenario", "offline", "--min-queries", "0"],
            "min queries must be a whole number of at least 1, got 0",
        ),
        (
            ["--scenario-seconds", "3"],
            "--scenario-seconds given without a scenario; name one with --scenario",
        ),
        (["--loadgen-mode", "accuracy"], "--loadgen-mode given without a scenario; name one with --scenario"),
    ],
)
def test_bad_options_are_refused(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not list(tmp_path.iterdir())


def test_without_loadgen_the_error_names_the_package(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    assert cli.main(["--scenario", "offline"]) == 2
    assert "is not installed; install it with pip install 'fer-engine[loadgen]'" in capsys.readouterr().err


def test_loadgen_is_an_extra_of_its_own():
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    with_it = {name for name, needed in extras.items() if any("mlcommons" in entry for entry in needed)}
    assert with_it == {"loadgen"}
    assert "fer-engine[loadgen]" in extras["dev"]
    assert "fer-engine[loadgen]" not in extras["bench"]


def test_a_query_cannot_hold_more_samples_than_there_are_faces():
    options = ScenarioOptions(("multi-stream",), "logs", samples_per_query=100)
    options.check_faces(100)
    with pytest.raises(ConfigError, match="at most the number of faces, 99, got 100"):
        options.check_faces(99)


def test_what_is_asked_reaches_loadgen():
    options = ScenarioOptions(("server",), "logs", latency_bound_ms=2.5, seconds=600, min_queries=7)
    fields = options.fields("server")
    assert fields["server_target_latency_ns"] == 2_500_000
    assert fields["min_duration_ms"] == 600_000
    assert fields["min_query_count"] == 7


def test_a_short_run_says_how_it_departs_from_the_rules():
    kept = rules.SEEDS | {"min_duration_ms": 600_000, "min_query_count": 662, "samples_per_query": 8}
    whole = rules.conformance("multi-stream", "performance", kept)
    assert whole["departures"] == list(rules.ALWAYS_DIFFERENT)
    changes = {"min_duration_ms": 10_000, "samples_per_query": 4, "qsl_rng_seed": 1}
    short = rules.conformance("multi-stream", "performance", kept | changes)
    assert short["mlperf_result"] is False
    assert short["departures"][len(rules.ALWAYS_DIFFERENT) :] == [
        "the random seeds are not those of LoadGen 6.0's mlperf.conf",
        "least duration in seconds: 10, MLPerf's own is 600",
        "samples a query: 4, MLPerf's own is 8",
    ]
