"""Quantization-aware training: from a float checkpoint to weights and ranges made for INT8."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import CheckpointError
from fer_engine.vision.resize import fit
from fer_train import checkpoint
from fer_train.fake_quant import FakeQuantized, round_values
from fer_train.loop import Faces, Trainer, normalize
from fer_train.models import find_model
from fer_train.recipe import Recipe
from fer_train.tracing import layers

FACES = 128  # to measure the first ranges on: learning corrects them
CANDIDATES = 40


def make_trainer(
    network: nn.Module, spec: ModelSpec, recipe: Recipe, teachers: Sequence[nn.Module], faces: Faces
) -> Trainer:
    """Return a trainer of the fake-quantized `network`, which learns from the float one or from `teachers`.

    The first ranges are measured on some of `faces`, uint8 [n, h, w] or [n, h, w, c].

    Raises:
        ConfigError: the layers of the network cannot be found or quantized.
        CheckpointError: the input of a layer is always zero, or not finite.
    """
    ranges = measure_input_ranges(network, spec, faces[:: max(1, len(faces) // FACES)][:FACES])
    return Trainer(FakeQuantized(network, spec, ranges), spec, recipe, teachers or [network], network)


def save_qat(folder: Path, network: FakeQuantized, spec: ModelSpec) -> ModelSpec:
    """Write a checkpoint of the float network, with the ranges beside it; return its spec.

    `spec` is that of the checkpoint that the training started from.
    """
    plain = find_model(spec.name).build(spec)
    plain.load_state_dict(network.float_state())
    quantization = checkpoint.Quantization(network.ranges(), spec.checkpoint_sha256)
    return checkpoint.save(folder, plain, spec, quantization)


def load_qat(folder: Path) -> tuple[FakeQuantized, ModelSpec]:
    """Load a checkpoint that was trained for INT8 as the network that its export will be.

    Raises:
        CheckpointError: it cannot be read, or is one of float training.
    """
    network, spec = checkpoint.load(folder)
    quantization = checkpoint.load_quantization(folder)
    if quantization is None:
        raise CheckpointError(
            f"{folder} has no {checkpoint.QUANTIZATION_NAME}: it is no checkpoint of fer-train --qat"
        )
    return FakeQuantized(network, spec, quantization.ranges), spec


def measure_input_ranges(network: nn.Module, spec: ModelSpec, faces: Faces) -> dict[str, float]:
    """Return, for each layer's input, the amax with the least squared error over `faces`."""
    ranges: dict[str, float] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def measure(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            ranges[name] = _best_amax(inputs[0])

        return measure

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers(network).items()]
    try:
        with torch.inference_mode():
            network.eval()(normalize(torch.from_numpy(fit(faces, spec)), spec))
    finally:
        for handle in handles:
            handle.remove()
    dead = sorted(name for name, amax in ranges.items() if not 0 < amax < math.inf)
    if dead:
        raise CheckpointError(
            f"the inputs of {', '.join(dead[:5])} are always zero or not finite; take another checkpoint"
        )
    return ranges


def _best_amax(values: Tensor) -> float:
    largest = values.abs().max()
    candidates = [largest * share / CANDIDATES for share in range(CANDIDATES // 4, CANDIDATES + 1)]
    errors = [float((round_values(values, amax) - values).square().mean()) for amax in candidates]
    return float(candidates[errors.index(min(errors))])
