"""Whether two records can be compared, and which of their engines."""

from __future__ import annotations

from fer_bench.contenders.contender import OVERHEAD, Contender
from fer_bench.passes.options import BenchOptions
from fer_bench.record.record import Record, Subject
from fer_engine.errors import ConfigError
from fer_engine.selection.select import AUTO

# A median of fewer rounds has no 95 % interval: all of n lie on one side of it with a chance of 2 / 2**n.
LEAST_ROUNDS = 6


def engines(record: Subject) -> set[str]:
    """Return the engines that are compared, without the one that computes nothing."""
    return {entry.name for entry in record.contenders if entry.kind == "engine" and entry.name != OVERHEAD}


def expected(old: Record, new: Subject) -> set[str]:
    """Return the baseline's engines that were asked for in the new record too."""
    sweep, there = new.options.sweep, engines(old)
    entries = [entry for entry in old.contenders if entry.name in there]
    backends = {str(entry.backend) for entry in entries} - {AUTO}
    precisions = {entry.precision for entry in entries} - {AUTO}
    return there & {sweep.name(setting) for setting in sweep.settings(backends, precisions)}


def common(old: Record, new: Subject) -> set[str]:
    """Return the engines that both have and that were asked for."""
    return engines(new) & expected(old, new)


def check(old: Record, new: Subject) -> None:
    """Make sure that the records are of the same model and have engines in common, set up alike.

    Raises:
        ConfigError: they are not.
    """
    if old.artifact.model != new.artifact.model:
        raise ConfigError(
            f"the baseline is of the model {old.artifact.model!r}, this record of {new.artifact.model!r}; "
            "give a --baseline of the same model"
        )
    if old.reference != new.reference:
        raise ConfigError(
            f"the baseline's reference is {old.reference_title}, this record's {new.reference_title}; "
            "give a --baseline with the same reference"
        )
    if not expected(old, new):
        raise ConfigError(
            "the baseline has none of the engines that were asked for here; it has "
            f"{', '.join(sorted(engines(old)))}"
        )
    before = {entry.name: entry for entry in old.contenders}
    for entry in new.contenders:
        if entry.name in engines(old):
            _check_settings(before[entry.name], entry)


def check_faces(old: Subject, new: Subject) -> None:
    """Make sure that answers are about the same faces, and where both have votes about the same votes.

    Raises:
        ConfigError: they are not.
    """
    if old.inputs.sha256 != new.inputs.sha256:
        raise ConfigError(
            f"--max-accuracy-drop needs the same faces: the baseline has {old.inputs.description!r}, this "
            f"record {new.inputs.description!r}; give that --data and --split, or leave the bar out"
        )
    if both_have_votes(old, new) and old.inputs.votes_sha256 != new.inputs.votes_sha256:
        raise ConfigError(
            "--max-accuracy-drop needs the same votes of FER+: those of the baseline have SHA-256 "
            f"{str(old.inputs.votes_sha256)[:16]}, those of this record {str(new.inputs.votes_sha256)[:16]}; "
            "give that --votes, or leave the bar out"
        )


def both_have_votes(old: Subject, new: Subject) -> bool:
    """Tell whether the faces of both records have votes of FER+."""
    return None not in (old.inputs.votes_sha256, new.inputs.votes_sha256)


def check_speeds(old: BenchOptions, new: BenchOptions) -> None:
    """Make sure that there are speeds of the same batch, measured under the same conditions.

    Raises:
        ConfigError: there are none.
    """
    if not set(old.batches) & set(new.batches):
        before, now = (", ".join(map(str, options.batches)) for options in (old, new))
        raise ConfigError(
            f"--max-slowdown needs a batch size in common: the baseline has {before}, this record {now}; "
            "give one of the baseline's with --batch"
        )
    if old.busy != new.busy:
        raise ConfigError(
            f"the baseline ran beside {old.busy} busy processes, this record beside {new.busy}; give "
            "the same --busy"
        )
    for name, options in (("the baseline", old), ("this record", new)):
        if options.rounds < LEAST_ROUNDS:
            raise ConfigError(
                f"--max-slowdown needs ratios of at least {LEAST_ROUNDS} rounds, {name} has "
                f"{options.rounds}; measure it with more --rounds"
            )


def _check_settings(old: Contender, new: Contender) -> None:
    for key in ("threads", "micro_batch", "device"):
        before, now = (getattr(entry, key) or "of its own choice" for entry in (old, new))
        if before != now:
            raise ConfigError(
                f"{new.name} ran with {key} {before} in the baseline and {now} in this record; give the "
                f"same --{key.replace('_', '-')}"
            )
