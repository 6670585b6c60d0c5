"""The measurements that an artifact keeps, one for each CPU and setting they belong to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_engine.artifact import files
from fer_engine.selection.speed_probe import Candidate, Measured

FORMAT_VERSION = 1

Conditions = Mapping[str, Any]  # JSON; all that a measurement depends on
# The conditions that tell what was measured; where the others change, it is out of date.
SUBJECT = ("cpu", "options", "candidates")


def find(path: Path, conditions: Conditions, candidates: Sequence[Candidate]) -> Measured | None:
    """Return what was kept for exactly these conditions and candidates, if it is whole."""
    for entry in _read(path):
        if entry["conditions"] == conditions:
            return _measured(entry, candidates)
    return None


def keep(path: Path, conditions: Conditions, measured: Measured) -> None:
    """Write a measurement beside those of other CPUs and settings, in the place of an older one.

    Raises:
        FerError: the file cannot be written.
    """
    others = [
        entry
        for entry in _read(path)
        if any(entry["conditions"].get(key) != conditions[key] for key in SUBJECT)
    ]
    entry = {
        "conditions": conditions,
        "faces_per_second": {str(candidate): speed for candidate, speed in measured.speeds.items()},
        "failures": {str(candidate): reason for candidate, reason in measured.failures.items()},
    }
    data = {"format_version": FORMAT_VERSION, "probes": [*others, entry]}
    files.write_text(path, json.dumps(data, indent=2) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the entries of the file; none where it is missing, damaged or of another version."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format_version"] != FORMAT_VERSION:
            return []
        return [entry for entry in data["probes"] if isinstance(entry["conditions"], dict)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _measured(entry: dict[str, Any], candidates: Sequence[Candidate]) -> Measured | None:
    """Return the entry's figures, or None unless there is a sound one, or a failure, for every candidate."""
    speeds, failures = entry.get("faces_per_second"), entry.get("failures")
    if not isinstance(speeds, dict) or not isinstance(failures, dict) or not speeds:
        return None
    if sorted([*speeds, *failures]) != sorted(map(str, candidates)):
        return None
    if not all(isinstance(speed, float) and 0 < speed < math.inf for speed in speeds.values()):
        return None
    return Measured(
        {candidate: speeds[str(candidate)] for candidate in candidates if str(candidate) in speeds},
        {candidate: str(failures[str(candidate)]) for candidate in candidates if str(candidate) in failures},
    )
