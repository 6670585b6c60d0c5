"""The record of the INT8 remedies as tables, from its JSON alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fer_bench.report.table import pipes

REMEDY = (
    "",
    "calibration faces",
    "agreement %",
    "relative RMSE",
    "top-1 % [95 %]",
    "right to wrong",
    "wrong to right",
    "McNemar p",
    "ECE",
    "worst class recall change",
)
LAYER = (
    "layer",
    "multiply-adds %",
    "alone in INT8: agreement %",
    "relative RMSE",
    "alone in float: agreement %",
    "relative RMSE",
)

Row = dict[str, Any]


def render(record: dict[str, Any]) -> str:
    """Return Markdown made from the record alone."""
    lines = [
        "# INT8: what each remedy buys",
        "",
        f"Checkpoint `{record['checkpoint_sha256'][:16]}` on FER2013 PublicTest, {record['faces']:,} faces.",
        f"The reference is the float32 graph: top-1 {record['reference_accuracy']:.2%}, ECE",
        (
            f"{record['reference_ece']:.4f}. Symmetric int8 unless said. "
            "Made by `benchmarks/studies/int8_remedies.py`."
        ),
        "",
        "Relative RMSE: root mean square difference of the logits, as a share of their standard deviation.",
        "Several samples of calibration faces: mean and standard deviation over them.",
    ]
    for part in dict.fromkeys(row["part"] for row in record["rows"]):
        chosen = [row for row in record["rows"] if row["part"] == part]
        lines += ["", f"## {part[0].upper()}{part[1:]}", "", *pipes(REMEDY, _summaries(chosen))]
    everything = record["sensitivity"]["all_int8"]
    lines += [
        "",
        "## The cost of each layer",
        "",
        f"On {record['sensitivity']['faces']:,} Training faces, equalized, without bias correction.",
        f"All layers in INT8: agreement {everything['agreement']:.2%},",
        f"relative RMSE {everything['relative_rmse']:.4f}.",
        "",
        *pipes(LAYER, _costs(record["sensitivity"]["layers"])),
    ]
    return "\n".join(lines) + "\n"


def _summaries(rows: list[Row]) -> Iterator[list[str]]:
    """Give one line for rows that differ in the seed alone."""
    same: dict[tuple[str, Any], list[Row]] = {}
    for row in rows:
        same.setdefault((row["name"], row.get("samples")), []).append(row)
    for (name, size), group in same.items():
        labelled = [row["parity"]["labelled"] for row in group]
        low, high = (100 * bound for bound in labelled[0]["interval"])
        one = len(group) == 1
        yield [
            name,
            "" if size is None else f"{len(group)} x {size}",
            _mean([100 * row["parity"]["agreement"] for row in group], 2),
            _mean([row["relative_rmse"] for row in group], 4),
            _mean([100 * entry["accuracy"] for entry in labelled], 2) + f" [{low:.2f}, {high:.2f}]" * one,
            _mean([entry["right_to_wrong"] for entry in labelled], 0),
            _mean([entry["wrong_to_right"] for entry in labelled], 0),
            f"{labelled[0]['mcnemar_p']:.2g}" if one else "",
            _mean([entry["ece"] for entry in labelled], 4),
            _mean([100 * _worst(entry["recall_difference"]) for entry in labelled], 1),
        ]


def _mean(values: list[float], digits: int) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def _worst(changes: list[float | None]) -> float:
    return min(change for change in changes if change is not None)


def _costs(layers: list[dict[str, Any]]) -> Iterator[list[str]]:
    total = sum(layer["multiply_adds"] for layer in layers)
    for layer in layers:
        cells = [layer["name"], f"{100 * layer['multiply_adds'] / total:.1f}"]
        for closeness in (layer["alone"], layer["left_out"]):
            cells += [f"{100 * closeness['agreement']:.2f}", f"{closeness['relative_rmse']:.4f}"]
        yield cells
