"""The measurements that an artifact caches, one for each CPU and setting that they belong to."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.artifact import files, schema
from fer_engine.artifact.schema import SchemaError
from fer_engine.selection.speed_probe import Candidate, Measured

FORMAT_VERSION = 1

Conditions = Mapping[str, Any]  # JSON; all that a measurement depends on
# The conditions that tell what was measured; where the others change, it is out of date.
SUBJECT = ("cpu", "options", "candidates")


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement; the candidates are named as `str` does it."""

    conditions: dict[str, Any]
    faces_per_second: dict[str, float]
    failures: dict[str, str]

    def __post_init__(self) -> None:
        speeds = self.faces_per_second
        if not speeds or not all(0 < speed < math.inf for speed in speeds.values()):
            raise SchemaError("faces_per_second", "speeds above 0", repr(speeds))


def read_measurement(path: Path, conditions: Conditions, candidates: Sequence[Candidate]) -> Measured | None:
    """Return what the file at `path` has for exactly these conditions and candidates, if it is sound."""
    names = {str(candidate): candidate for candidate in candidates}
    for entry in _read(path):
        if entry.conditions == conditions and sorted(names) == sorted(
            [*entry.faces_per_second, *entry.failures]
        ):
            return Measured(
                {names[name]: speed for name, speed in entry.faces_per_second.items()},
                {names[name]: reason for name, reason in entry.failures.items()},
            )
    return None


def write_measurement(path: Path, conditions: Conditions, measured: Measured) -> None:
    """Write a measurement beside those of other CPUs and settings, in the place of an older one.

    Raises:
        FerError: the file cannot be written.
    """
    others = [
        entry for entry in _read(path) if any(entry.conditions.get(key) != conditions[key] for key in SUBJECT)
    ]
    entry = Entry(
        dict(conditions),
        {str(candidate): speed for candidate, speed in measured.speeds.items()},
        {str(candidate): reason for candidate, reason in measured.failures.items()},
    )
    data = {"format_version": FORMAT_VERSION, "probes": [schema.to_json(kept) for kept in (*others, entry)]}
    files.write_text(path, json.dumps(data, indent=2) + "\n")


def _read(path: Path) -> list[Entry]:
    """Return the sound entries of the file; none where it is missing, damaged or of another version."""
    entries: list[Entry] = []
    with contextlib.suppress(OSError, SchemaError):
        probes = schema.parse(path.read_bytes(), FORMAT_VERSION).get("probes")
        for entry in probes if isinstance(probes, list) else []:
            with contextlib.suppress(SchemaError):
                entries.append(schema.from_json(Entry, entry))
    return entries
