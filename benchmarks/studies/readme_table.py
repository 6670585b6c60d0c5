"""README's table of runtimes: `python benchmarks/studies/readme_table.py` writes it from the record."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from fer_bench.contenders.contender import BASELINE
from fer_bench.contenders.reference import PYTORCH
from fer_bench.record.record import Record, Speed
from fer_bench.record.record_file import load_record
from fer_bench.report.table import milliseconds, pipes
from fer_engine.artifact import files
from fer_engine.cli import exit_codes
from studies.model_cards import README, put

RECORD = README.parent / "docs" / "results" / "quiet.json"
BEGIN = "<!-- measured: begin. benchmarks/studies/readme_table.py writes this part -->"
BATCH = 64
COLUMNS = ("one network", "ratio [95 %]", f"ms, {BATCH} faces", "ms, 1 face", "top-1 %", "MB")


def render(record: Record) -> str:
    """Return the table and what it was measured on, for README."""
    machine, chosen = record.environment, _chosen(record)
    auto = record.contender(chosen["fer-engine, auto"]).info
    note = (
        f"`{record.artifact.model}`, {record.inputs.description}, {record.date[:10]}, {machine.cpu}, "
        f"{machine.usable_cores} cores. The ratio is\nthe throughput in batches of {BATCH} over that of a "
        "plain `onnxruntime.InferenceSession`, the median of\ninterleaved rounds; MB is the size of graph "
        "or weights. "
        f"OpenVINO is `{chosen['OpenVINO']}`, its fastest setting;\nINT8 is "
        f"`{chosen['fer-engine, INT8']}`; auto chose {auto.backend}/{auto.precision}."
    )
    return "\n".join(
        [*pipes(COLUMNS, [_row(title, name, record) for title, name in chosen.items()]), "", note]
    )


def _chosen(record: Record) -> dict[str, str]:
    """Return the contender that stands for each title: of several, the fastest at `BATCH`."""
    artifact = record.artifact
    int8 = [
        contender.name
        for contender in record.contenders
        if contender.kind == "engine"
        and contender.precision.startswith("int8")
        and contender.precision not in artifact.refused
        and (contender.backend, contender.precision) not in artifact.failing
    ]
    openvino = [contender.name for contender in record.contenders if contender.kind.startswith("openvino/")]
    return {
        "PyTorch": PYTORCH,
        "ONNX Runtime": BASELINE,
        "OpenVINO": _fastest(record, openvino),
        "fer-engine, default": "engine/onnxruntime/fp32",
        "fer-engine, auto": "engine/auto",
        "fer-engine, INT8": _fastest(record, int8),
    }


def _fastest(record: Record, names: Iterable[str]) -> str:
    return max(names, key=lambda name: _speed(record, name, BATCH).ratio_to_baseline.median)


def _speed(record: Record, name: str, batch: int) -> Speed:
    return next(entry for entry in record.speed_at(batch) if entry.contender == name)


def _row(title: str, name: str, record: Record) -> tuple[str, ...]:
    many, labelled = _speed(record, name, BATCH), record.parity[name].labelled
    return (
        title,
        str(many.ratio_to_baseline),
        milliseconds(many.latency_ms.p50),
        milliseconds(_speed(record, name, 1).latency_ms.p50),
        "not measured" if labelled is None else f"{100 * labelled.accuracy:.2f}",
        f"{record.contender(name).bytes / 1e6:.2f}",
    )


def write() -> int:
    """Write the table into README; return the exit code."""
    text = put(README.read_text("utf-8"), render(load_record(RECORD)), README, BEGIN)
    files.write_text(README, text)
    return 0


if __name__ == "__main__":
    sys.exit(exit_codes.run_command(write))
