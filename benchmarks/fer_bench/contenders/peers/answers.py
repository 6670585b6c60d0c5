"""The answers of peers with another network: an accuracy of their own, and no parity with ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fer_bench.contenders.inputs import Inputs
from fer_bench.contenders.peers.registry import PEERS
from fer_bench.contenders.worker_client import SupportsAsk
from fer_export.verify import parity

OWN = ("accuracy", "interval", "recall", "ece")  # what a network's answers say without another's

AnyAsked = TypeVar("AnyAsked", bound=SupportsAsk)


def apart(workers: Mapping[str, AnyAsked]) -> tuple[dict[str, AnyAsked], dict[str, AnyAsked]]:
    """Return the workers that run the artifact's network, and those that run another."""
    others = {name for name in workers if name in PEERS and PEERS[name].other_network}
    ours = {name: worker for name, worker in workers.items() if name not in others}
    return ours, {name: workers[name] for name in workers if name in others}


def measure(
    workers: Mapping[str, SupportsAsk], inputs: Inputs, folder: Path
) -> dict[str, dict[str, Any] | None]:
    """Return each network's accuracy measures, as `fer_export.verify.parity` names them; None without labels.

    The workers hold the faces of `inputs` and leave their logits in `folder`.

    Raises:
        ConfigError: a contender gave logits that do not fit the labels.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name, worker in workers.items():
        found[name] = None
        if inputs.labels is not None:
            path = folder / "logits.npy"
            worker.ask("logits", path=str(path))
            logits = np.load(path)
            labelled = parity.measure(logits, logits, inputs.labels).to_json()["labelled"]
            found[name] = {key: labelled[key] for key in OWN}
    return found
