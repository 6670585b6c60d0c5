"""The parity pass: compares every contender's answers with those of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fer_bench.contenders.contender import OVERHEAD, REFERENCE
from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.worker_client import SupportsAsk
from fer_bench.record.record import AnswerParity
from fer_engine.artifact.schema import from_json, to_json
from fer_export.verify import parity
from fer_export.verify.votes import measure_votes
from fer_train.measures import confusion_counts

LISTED_FLIPS = 200  # of one contender, the first ones; `changed` counts them all


def measure_parity(
    workers: Mapping[str, SupportsAsk],
    inputs: Inputs,
    folder: Path,
    advance: Callable[[int], None] = lambda _: None,
    *,
    reference: str = REFERENCE,
) -> dict[str, AnswerParity]:
    """Return each contender's parity with that called `reference`; calls `advance(1)` after a contender.

    The workers hold the faces of `inputs` and leave their logits in `folder`.

    Raises:
        ConfigError: a contender gave logits that cannot be compared.
    """
    found: dict[str, AnswerParity] = {}
    path = folder / "logits.npy"

    def logits(name: str) -> parity.Logits:
        workers[name].ask("logits", path=str(path))
        advance(1)
        return np.load(path)

    expected = logits(reference)
    for name in workers:
        if name != OVERHEAD:
            candidate = expected if name == reference else logits(name)
            found[name] = _compare(expected, candidate, inputs)
    return found


def _compare(reference: parity.Logits, candidate: parity.Logits, inputs: Inputs) -> AnswerParity:
    """Return the parity with the faces that changed, and what labels and votes add."""
    labels = inputs.labels
    found = to_json(parity.measure_parity(reference, candidate, labels))
    was, now = reference.argmax(1), candidate.argmax(1)
    changed = np.flatnonzero(was != now)[:LISTED_FLIPS]
    found["flips"] = np.stack((changed, was[changed], now[changed]), axis=1).tolist()
    if labels is not None:
        found["labelled"]["confusion"] = confusion_counts(labels, now, reference.shape[1]).tolist()
    if inputs.votes is not None:
        found["voted"] = to_json(measure_votes(reference, candidate, inputs.votes, inputs.names))
    return from_json(AnswerParity, found)
