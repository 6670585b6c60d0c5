"""The networks of the registry at sizes that a test can afford, and faces for them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact.spec import AFFECT, ModelSpec
from fer_train.models import MODELS, Entry

SIDE = 48
HEAVY = 10_000_000  # parameters: such a network gets still smaller faces
HEAVY_SIDE = 32  # the smallest that vgg16 takes


def _small(entry: Entry) -> ModelSpec:
    side = HEAVY_SIDE if entry.parameters > HEAVY else SIDE
    return dataclasses.replace(
        entry.spec, height=min(entry.spec.height, side), width=min(entry.spec.width, side)
    )


# One of 224x224 is left out where the registry has it at 48x48 as well.
SMALL = {name: _small(entry) for name, entry in MODELS.items() if f"{name}_{SIDE}" not in MODELS}
# A regression too: a network with two values for its labels.
SMALL["cnn3, affect"] = dataclasses.replace(SMALL["cnn3"], labels=AFFECT, task="regression", output="affect")


def faces(spec: ModelSpec, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Give images of random patches, uint8 [count, *face_shape]: fine noise averages out in deep networks."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, spec.channels), np.uint8)
    rows, columns = (np.arange(side) * 6 // side for side in (spec.height, spec.width))
    images = patches[:, rows][:, :, columns]
    return np.ascontiguousarray(images[..., 0] if spec.channels == 1 else images)


def labels(spec: ModelSpec, count: int) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Give a label for each of `count` faces: a class, or for a regression values, float32 [count, k]."""
    if spec.task == "classification":
        return (np.arange(count) % len(spec.labels)).astype(np.uint8)
    return np.random.default_rng(1).uniform(-1, 1, (count, len(spec.labels))).astype(np.float32)
