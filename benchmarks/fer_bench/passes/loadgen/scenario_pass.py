"""The scenario pass: runs LoadGen on each contender in turn, in the process that holds it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fer_bench.contenders.contender import OVERHEAD, REFERENCE, Contender
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.worker_client import SupportsAsk
from fer_bench.passes.loadgen import log, rules, search
from fer_bench.passes.loadgen.scenario_options import MAX_BATCH, MODES, ScenarioOptions
from fer_bench.record.scenario_runs import AccuracyRun, PerformanceRun
from fer_engine.artifact import files
from fer_engine.artifact.schema import from_json, to_json
from fer_export.verify import parity

KINDS = ("onnxruntime", "engine")  # the baseline and the engine
PROBE_SECONDS = 0.5  # of the probe of a contender's speed, which is its warm-up too
HEADROOM = 1.25  # above the probed rate: with too few queries prepared, a run ends early
TRIAL_SECONDS = 2.0  # of the search
ACCURACY_LOAD = 0.5  # of a contender's highest rate, for accuracy in the server scenario


def taking_part(contenders: Sequence[Contender]) -> list[str]:
    """Return the names of those that run the scenarios: the baseline and every engine."""
    return [entry.name for entry in contenders if entry.kind in KINDS and entry.name != OVERHEAD]


@dataclass(frozen=True)
class Runs:
    """All runs of `options` on the workers `names`; their answers are compared with those of `reference`."""

    workers: Mapping[str, SupportsAsk]
    names: Sequence[str]
    inputs: Inputs
    options: ScenarioOptions
    reference: str = REFERENCE

    def __len__(self) -> int:
        return len(self.options.scenarios) * len(self.options.modes) * len(self.names)

    def measure(self, advance: Callable[[int], None] = lambda _: None) -> list[PerformanceRun | AccuracyRun]:
        """Return each run for the record; calls `advance(1)` after each.

        Raises:
            FerError: a contender failed, or a face was not answered.
        """
        found: list[PerformanceRun | AccuracyRun] = []
        for scenario in self.options.scenarios:
            for mode in self.options.modes:
                for name in self.names:
                    entry = {"scenario": scenario, "mode": mode, "contender": name}
                    if mode == "performance":
                        found.append(from_json(PerformanceRun, entry | self._performance(scenario, name)))
                    else:
                        found.append(from_json(AccuracyRun, entry | self._accuracy(scenario, name)))
                    advance(1)
        return found

    def _performance(self, scenario: str, name: str) -> dict[str, Any]:
        if scenario == "server" and self.options.target_qps is None:
            result, runs = search.highest_valid_rate(
                self._capacity(name) * HEADROOM,
                trial=lambda qps: self._trial(name, qps),
                confirm=lambda qps: self._run_in_full(scenario, name, {"server_target_qps": qps}),
            )
            return result | {"search": runs}
        return self._run_in_full(scenario, name, self._expectation(scenario, name)) | {"search": None}

    def _run_in_full(self, scenario: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Run once at full length; keep LoadGen's logs."""
        with files.folder(self._folder(scenario, "performance", name)) as folder:
            entry, detail = self._run(scenario, "performance", name, fields, folder)
        return log.performance_result(scenario, detail) | entry

    def _trial(self, name: str, qps: float) -> dict[str, Any]:
        seconds = min(self.options.seconds, TRIAL_SECONDS)
        fields = {"server_target_qps": qps, "min_duration_ms": round(seconds * 1000)}
        with tempfile.TemporaryDirectory(prefix="fer-bench.") as folder:
            _, detail = self._run("server", "performance", name, fields, Path(folder))
        return log.performance_result("server", detail)

    def _accuracy(self, scenario: str, name: str) -> dict[str, Any]:
        """Run every face once; the accuracy is that of the answers in LoadGen's log."""
        fields = self._expectation(scenario, name)
        if scenario == "server" and self.options.target_qps is None:
            fields = {"server_target_qps": self._capacity(name) * ACCURACY_LOAD}
        with files.folder(self._folder(scenario, "accuracy", name)) as folder:
            entry, _ = self._run(scenario, "accuracy", name, fields, folder)
            answers = log.read_answers(folder / log.ACCURACY, len(self.inputs.faces))
        measured = parity.measure_parity(self._reference, answers, self.inputs.labels)
        return entry | {"accuracy": to_json(measured)}

    def _run(
        self, scenario: str, mode: str, name: str, fields: dict[str, Any], folder: Path
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the record's account of a run that is common to both modes, and LoadGen's detail log."""
        reply = self.workers[name].ask(
            "loadgen",
            scenario=rules.SCENARIOS[scenario].loadgen,
            mode=MODES[mode],
            fields=self.options.fields(scenario) | rules.SEEDS | rules.PERCENTILES | fields,
            folder=str(folder),
        )
        detail = log.read_detail(folder / log.DETAIL)
        settings = log.settings(detail)
        logs = self._folder(scenario, mode, name).relative_to(Path(self.options.logs).parent)
        return {
            "seconds": reply["seconds"],
            "batching": reply["batching"],
            "loadgen_version": detail["loadgen_version"],
            "settings": settings,
            "conformance": rules.conformance(scenario, mode, settings),
            "logs": logs.as_posix(),
        }, detail

    def _folder(self, scenario: str, mode: str, name: str) -> Path:
        return Path(self.options.logs) / name / scenario / mode

    def _expectation(self, scenario: str, name: str) -> dict[str, Any]:
        """Return the rate or latency to expect, from which LoadGen decides how many queries to prepare."""
        if scenario == "server":
            return {"server_target_qps": self.options.target_qps}
        if scenario == "offline":
            return {"offline_expected_qps": self.options.target_qps or self._capacity(name) * HEADROOM}
        # No headroom: of these scenarios LoadGen prepares twice as many queries by itself.
        seconds = self._fastest(name, self.options.samples_in(scenario))
        return {f"{scenario.replace('-', '_')}_expected_latency_ns": seconds * 1e9}

    def _capacity(self, name: str) -> float:
        """Return the images a second of a contender's fastest full batch."""
        return MAX_BATCH / self._fastest(name, MAX_BATCH)

    def _fastest(self, name: str, batch: int) -> float:
        """Return the seconds of a contender's fastest call in a short turn."""
        turn = self.workers[name].ask("turn", batch=batch, seconds=PROBE_SECONDS, calls=2_000, warmup_calls=3)
        fastest: int = min(turn["samples_ns"])
        return fastest / 1e9

    @cached_property
    def _reference(self) -> parity.Logits:
        with tempfile.TemporaryDirectory(prefix="fer-bench.") as folder:
            path = Path(folder) / "reference.npy"
            self.workers[self.reference].ask("logits", path=str(path))
            return np.load(path)
