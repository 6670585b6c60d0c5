"""Weights trained elsewhere, on other labels, to start from: all but the head."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from fer_engine.errors import CheckpointError
from fer_train.checkpoint import read_state_dict, unwrapped

COUNTER = ".num_batches_tracked"


def load_backbone(path: Path, network: nn.Module) -> str:
    """Load a bare state dict into `network` where its last layer may have other outputs; say what was loaded.

    torchvision's ImageNet weights fit resnet34 and vgg16 so. What the network has and the file has not,
    or in another shape, keeps its fresh weights: one layer, the head.

    Raises:
        CheckpointError: the file is no state dict, or more than one layer differs.
    """
    given = unwrapped(read_state_dict(path), network)
    # Older files lack the batch norms' counters, which nothing here reads.
    own = {name: weight for name, weight in network.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: weight for name, weight in given.items() if not name.endswith(COUNTER)}
    fresh = [name for name, weight in own.items() if name not in given or given[name].shape != weight.shape]
    unknown = [name for name in given if name not in own]
    layers = sorted({name.rpartition(".")[0] for name in fresh})
    if unknown or len(layers) > 1:
        odd = ", ".join([*fresh, *unknown][:6])
        raise CheckpointError(
            f"{path} was made for another network: {len(layers)} layers missing or of another shape, "
            f"{len(unknown)} tensors unknown, expected all but the head to fit; these differ: {odd}"
        )
    network.load_state_dict({name: given[name] for name in own if name not in fresh}, strict=False)
    return f"{path}: {len(own) - len(fresh)} tensors loaded; fresh: {', '.join(layers) or 'none'}"
