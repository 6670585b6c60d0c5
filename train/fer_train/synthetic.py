"""Synthetic faces, for demonstration, parity and speed where no dataset is given.

A face is drawn from a Gaussian in the space of eigenfaces (Turk & Pentland, "Eigenfaces for
Recognition", 1991) of faces of equal brightness and contrast, sharpened by an unsharp mask, and then
given a brightness and contrast. `benchmarks/studies/eigenfaces.py` measures all of it on FER2013 Training.
The faces have no labels, for they carry next to no expression.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError

SIDE = 48
FILE = Path(__file__).with_name("pretrained") / "eigenfaces.npz"
# Faces are drawn in blocks, each from its own generator: memory is bounded, and fewer faces of one
# seed are the first ones of more.
BLOCK = 64
# Coefficients are whole numbers of 2**-12, so that a sum over components is exact in whatever order
# a machine's matrix product takes it: one seed gives the same bytes everywhere.
UNIT = 2.0**-12

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Eigenfaces:
    """What `faces` draws from; brightness is the mean of a face's pixels, contrast their deviation.

    A standardized face is `mean + sum(coefficient * component)`, where a coefficient is normal with
    deviation `spread * exp(detail * sharpness)`. (brightness, log contrast, sharpness) of a face is
    normal with the mean `light` and the Cholesky factor `light_factor` of its covariance.
    """

    mean: NDArray[np.int16]  # [2304], in UNIT
    components: NDArray[np.int8]  # [k, 2304], each with a scale of its own that `spread` holds
    spread: NDArray[np.float32]  # [k]
    detail: NDArray[np.float32]  # [k]
    light: NDArray[np.float32]  # [3]
    light_factor: NDArray[np.float32]  # [3, 3]
    mask: NDArray[np.float32]  # [], strength of the unsharp mask

    @classmethod
    def load(cls, path: Path) -> Eigenfaces:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**arrays)


def faces(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw synthetic faces, uint8 [count, 48, 48]; one seed gives the same faces on every machine.

    Raises:
        ConfigError: `count` or `seed` is negative.
    """
    if count < 0 or seed < 0:
        raise ConfigError(f"count and seed of synthetic faces must not be negative, got {count} and {seed}")
    drawn = np.empty((count, SIDE, SIDE), np.uint8)
    for block, start in enumerate(range(0, count, BLOCK)):
        part = draw(_shipped(), np.random.default_rng([seed, block]), BLOCK)
        drawn[start : start + BLOCK] = part[: count - start]
    return drawn


def draw(model: Eigenfaces, generator: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """Draw faces, uint8 [count, 48, 48], from `model`."""
    normal = generator.standard_normal((count, len(model.spread) + len(model.light)))
    light = np.zeros((count, len(model.light))) + model.light
    for index, column in enumerate(model.light_factor.T.astype(np.float64)):
        light += normal[:, index, np.newaxis] * column
    brightness, contrast, sharpness = light.T[:, :, np.newaxis, np.newaxis]
    deviation = model.spread * np.exp(sharpness[:, 0] * model.detail)
    coefficients = np.rint(normal[:, len(model.light) :] * deviation / UNIT)
    standard = (coefficients @ model.components.astype(np.float64) + model.mean) * UNIT
    sharp = _sharpen(standard.reshape(count, SIDE, SIDE), float(model.mask))
    return np.rint(_limit(brightness + np.exp(contrast) * sharp)).astype(np.uint8)


@functools.cache
def _shipped() -> Eigenfaces:
    return Eigenfaces.load(FILE)


def _sharpen(images: Floats, strength: float) -> Floats:
    """Unsharp mask over the 3x3 binomial blur; |x|^1.25 favours true edges, as real faces have them."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    edges = images - (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    return images + strength * edges * np.sqrt(np.sqrt(np.abs(edges)))


def _limit(images: Floats) -> Floats:
    """Bend gray levels softly into 0..255, as cameras do; a hard cut leaves flat patches."""
    centred = (images - 127.5) / 127.5
    power = centred * centred
    for _ in range(2):
        power *= power
    return 127.5 + 127.5 * centred / np.sqrt(np.sqrt(np.sqrt(1 + power)))
