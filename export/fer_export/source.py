"""What an export starts from: a float network, and weights of it that were trained for INT8."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fer_engine.errors import ConfigError
from fer_engine.spec import ModelSpec
from fer_train import checkpoint
from fer_train.models import find


@dataclass(frozen=True, slots=True)
class Tuned:
    """Weights that were trained for INT8 from a float checkpoint, and the ranges of their layers' inputs."""

    network: nn.Module
    spec: ModelSpec
    ranges: dict[str, float]


def load_float(
    model: str, path: Path | None, mean: float | None, scale: float | None
) -> tuple[nn.Module, ModelSpec]:
    """Load a checkpoint folder, a bare state dict, or with no path the checkpoint that ships.

    `mean` and `scale` go with a bare state dict alone.

    Raises:
        ConfigError: it is a checkpoint of another model, or normalization is given twice or not at all.
        CheckpointError: it cannot be read.
    """
    if path is None or path.is_dir():
        if mean is not None or scale is not None:
            raise ConfigError("--mean and --scale go with a bare state dict; a checkpoint folder has its own")
        network, spec = checkpoint.load(path or checkpoint.pretrained(model))
        if spec.name != model:
            raise ConfigError(f"{path} is a checkpoint of {spec.name}, not of {model}")
        return network, spec
    if mean is None or scale is None:
        raise ConfigError(
            f"{path} is a bare file and does not say how pixels were normalized in training; "
            "add --mean and --scale, as in (pixel - mean) / scale: 0 and 255 for pixels from 0 to 1"
        )
    spec = find(model).spec
    channels = spec.channels
    spec = dataclasses.replace(spec, mean=(mean,) * channels, scale=(scale,) * channels)
    return checkpoint.load_state_dict(path, spec)


def load_tuned(folder: Path, spec: ModelSpec) -> Tuned:
    """Load the weights that `fer-train --qat` trained for INT8 from the float checkpoint of `spec`.

    Raises:
        ConfigError: they were trained from another checkpoint, or not for INT8.
        CheckpointError: they cannot be read.
    """
    network, tuned = checkpoint.load(folder)
    quantization = checkpoint.load_quantization(folder)
    if quantization is None:
        raise ConfigError(
            f"{folder} is a float checkpoint, expected one of 'fer-train --qat'; "
            "give a float one with --checkpoint"
        )
    if quantization.float_sha256 != spec.checkpoint_sha256:
        raise ConfigError(
            f"{folder} was trained for INT8 from the checkpoint {quantization.float_sha256[:12]}..., but "
            f"{spec.checkpoint_sha256[:12]}... is exported; give the first with --checkpoint"
        )
    return Tuned(network, tuned, quantization.ranges)
