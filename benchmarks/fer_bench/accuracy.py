"""The parity pass: every contender's answers against those of the PyTorch reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_bench.contender import OVERHEAD, REFERENCE
from fer_bench.inputs import Inputs
from fer_bench.process import Asked
from fer_export import parity


def measure(
    workers: Mapping[str, Asked],
    inputs: Inputs,
    folder: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Return each contender's parity with the reference; calls `advance(1)` after a contender.

    The workers hold the faces of `inputs` and leave their logits in `folder`.

    Raises:
        ConfigError: a contender gave logits that cannot be compared.
    """
    found: dict[str, dict[str, Any]] = {}
    path = folder / "logits.npy"

    def logits(name: str) -> parity.Logits:
        workers[name].ask("logits", path=str(path))
        advance(1)
        return np.load(path)

    reference = logits(REFERENCE)
    for name in workers:
        if name != OVERHEAD:
            candidate = reference if name == REFERENCE else logits(name)
            found[name] = parity.measure(reference, candidate, inputs.labels).to_json()
    return found
