"""Whether two records can be compared, and which of their engines."""

from __future__ import annotations

from typing import Any

from fer_bench.contenders import reference
from fer_bench.contenders.contender import CPU, OVERHEAD
from fer_bench.contenders.sweep import Sweep
from fer_engine.errors import ConfigError
from fer_engine.selection.select import AUTO

Record = dict[str, Any]

# A median of fewer rounds has no 95 % interval: all of n lie on one side of it with a chance of 2 / 2**n.
LEAST_ROUNDS = 6
# What an entry that does not say it ran with.
UNSAID = {"threads": "of its own choice", "micro_batch": "of its own choice", "device": CPU}


def engines(record: Record) -> set[str]:
    """Return what the gate watches: not the reference, the peers, or what computes nothing."""
    return {
        entry["name"]
        for entry in record["contenders"]
        if entry["kind"] == "engine" and entry["name"] != OVERHEAD
    }


def expected(old: Record, new: Record) -> set[str]:
    """Return the baseline's engines that were asked for in the new record too."""
    sweep = Sweep(**{name: tuple(values) for name, values in new["options"]["sweep"].items()})
    there = engines(old)
    backends, precisions = (
        {entry[key] for entry in old["contenders"] if entry["name"] in there} - {AUTO}
        for key in ("backend", "precision")
    )
    return there & {sweep.name(setting) for setting in sweep.settings(backends, precisions)}


def common(old: Record, new: Record) -> set[str]:
    """Return the engines that both have and that were asked for."""
    return engines(new) & expected(old, new)


def check(old: Record, new: Record) -> None:
    """Make sure that the records are of the same model and have engines in common, set up alike.

    Raises:
        ConfigError: they are not.
    """
    models = [record["artifact"]["model"] for record in (old, new)]
    if models[0] != models[1]:
        raise ConfigError(
            f"the baseline is of the model {models[0]!r}, this record of {models[1]!r}; give a --baseline of "
            "the same model"
        )
    references = [reference.title(record) for record in (old, new)]
    if references[0] != references[1]:
        raise ConfigError(
            f"the baseline's reference is {references[0]}, this record's {references[1]}; "
            "give a --baseline with the same reference"
        )
    if not expected(old, new):
        raise ConfigError(
            "the baseline has none of the engines that were asked for here; it has "
            f"{', '.join(sorted(engines(old)))}"
        )
    before = {entry["name"]: entry for entry in old["contenders"]}
    for entry in new["contenders"]:
        if entry["name"] in engines(old):
            _check_settings(before[entry["name"]], entry)


def check_faces(old: Record, new: Record) -> None:
    """Make sure that answers are about the same faces.

    Raises:
        ConfigError: they are not.
    """
    if old["sha256"] != new["sha256"]:
        raise ConfigError(
            f"--max-accuracy-drop needs the same faces: the baseline has {old['description']!r}, this record "
            f"{new['description']!r}; give that --data and --split, or leave the bar out"
        )


def check_speeds(old: Record, new: Record) -> None:
    """Make sure that there are speeds of the same batch, measured under the same conditions.

    Raises:
        ConfigError: there are none.
    """
    if not set(old["batches"]) & set(new["batches"]):
        before, now = (", ".join(map(str, options["batches"])) for options in (old, new))
        raise ConfigError(
            f"--max-slowdown needs a batch size in common: the baseline has {before}, this record {now}; "
            "give one of the baseline's with --batch"
        )
    if old["busy"] != new["busy"]:
        raise ConfigError(
            f"the baseline ran beside {old['busy']} busy processes, this record beside {new['busy']}; give "
            "the same --busy"
        )
    for name, options in (("the baseline", old), ("this record", new)):
        if options["rounds"] < LEAST_ROUNDS:
            raise ConfigError(
                f"--max-slowdown needs ratios of at least {LEAST_ROUNDS} rounds, {name} has "
                f"{options['rounds']}; measure it with more --rounds"
            )


def _check_settings(old: Record, new: Record) -> None:
    for key in ("threads", "micro_batch", "device"):
        # Earlier records name no device, and are of the CPU.
        before, now = (entry.get(key) or UNSAID[key] for entry in (old, new))
        if before != now:
            raise ConfigError(
                f"{new['name']} ran with {key} {before} in the baseline and {now} in this record; give the "
                f"same --{key.replace('_', '-')}"
            )
