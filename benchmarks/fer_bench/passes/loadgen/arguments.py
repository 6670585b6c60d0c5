"""The scenarios' part of the command line."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fer_engine.errors import ConfigError

if TYPE_CHECKING:
    from fer_bench.passes.loadgen.options import ScenarioOptions

MODULE = "mlperf_loadgen"
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def add(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("scenarios of MLPerf LoadGen, after the quick rounds")
    group.add_argument("--scenario", help="as in single-stream,multi-stream,server,offline (default: none)")
    group.add_argument("--mode", help="performance, accuracy or both, as in performance,accuracy")
    group.add_argument(
        "--target-qps",
        type=float,
        help="arrival rate of server (default: searched), expected rate of offline (default: estimated)",
    )
    group.add_argument("--latency-bound", help="of server, as in 10ms (default: 10ms)")
    group.add_argument("--scenario-seconds", type=float, help="least length of a run (default: 10)")
    group.add_argument("--min-queries", type=int, help="of a run; of offline, samples (default: by scenario)")
    group.add_argument("--samples-per-query", type=int, help="of multi-stream (default: 8)")


def parse(options: Namespace) -> ScenarioOptions | None:
    """Return what is asked of LoadGen, or None where no scenario is.

    Raises:
        ConfigError: an option is wrong or has no scenario, or LoadGen is not installed.
    """
    from fer_bench.arguments import names
    from fer_bench.passes.loadgen.options import ScenarioOptions

    given = {
        "target_qps": options.target_qps,
        "latency_bound_ms": None if options.latency_bound is None else _milliseconds(options.latency_bound),
        "seconds": options.scenario_seconds,
        "min_queries": options.min_queries,
        "samples_per_query": options.samples_per_query,
        "modes": names("--mode", options.mode) or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.scenario is None:
        if given:
            raise ConfigError(
                f"{', '.join(given).replace('_', ' ')} given without a scenario; name one with --scenario"
            )
        return None
    logs = options.json.with_name(f"{options.json.stem}-loadgen")
    asked = ScenarioOptions(names("--scenario", options.scenario), str(logs), **given)
    if find_spec(MODULE) is None:
        raise ConfigError(
            "--scenario needs MLPerf LoadGen, which is not installed; install it with "
            "pip install mlcommons-loadgen"
        )
    return asked


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s)", text.strip())
    if found is None:
        raise ConfigError(f"--latency-bound must be a number with us, ms or s, as in 10ms, got {text!r}")
    return float(found[1]) * MILLISECONDS[found[2]]
