"""Measure the eigenfaces of FER2013 Training that `fer_train.synthetic` draws faces from.

python -m studies.eigenfaces --data fer2013.csv --output train/fer_train/pretrained/eigenfaces.npz
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact import files
from fer_engine.cli import exit_codes
from fer_engine.errors import DataError
from fer_train.data import load_dataset
from fer_train.synthetic import SIDE, UNIT, Eigenfaces, draw

COMPONENTS = 128
FLAT = 8.0  # gray levels; faces of less contrast are blank or broken
# The fit of mask and contrast: both settle to three digits within about ten rounds.
ROUNDS = 16
TRIAL = 2_000

Array = NDArray[np.floating[Any]]


def measure_eigenfaces(images: NDArray[np.uint8]) -> Eigenfaces:
    """Measure the model on faces, uint8 [n, 48, 48].

    Raises:
        DataError: there are fewer usable faces than twice the number of components.
    """
    pixels = images.reshape(len(images), -1).astype(np.float32)
    brightness, contrast = pixels.mean(1), pixels.std(1)
    usable = contrast > FLAT
    if usable.sum() < 2 * COMPONENTS:
        raise DataError(f"eigenfaces need at least {2 * COMPONENTS} faces with contrast, got {usable.sum()}")
    brightness, contrast = brightness[usable], contrast[usable]
    standard = (pixels[usable] - brightness[:, np.newaxis]) / contrast[:, np.newaxis]
    mean = standard.mean(0)
    standard -= mean
    # eigh sorts upwards: the last ones are the strongest.
    components = np.linalg.eigh(standard.T @ standard / len(standard))[1][:, : -COMPONENTS - 1 : -1].T
    coefficients = standard @ components.T
    left_out = np.sqrt(np.maximum((standard**2).sum(1) - (coefficients**2).sum(1), 1e-6))
    sharpness = np.log(left_out) - np.log(left_out).mean()
    detail = _detail(coefficients, sharpness)
    spread = (coefficients * np.exp(-np.outer(sharpness, detail))).std(0)
    step = np.abs(components).max(1) / 127
    light = np.stack([brightness, np.log(contrast), sharpness])
    model = Eigenfaces(
        mean=np.rint(mean / UNIT).astype(np.int16),
        components=np.rint(components / step[:, np.newaxis]).astype(np.int8),
        spread=(spread * step).astype(np.float32),
        detail=detail.astype(np.float32),
        light=light.mean(1).astype(np.float32),
        light_factor=np.linalg.cholesky(np.cov(light)).astype(np.float32),
        mask=np.array(1, np.float32),
    )
    return _fit(model, images)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m studies.eigenfaces", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013: a csv, a folder or an .npz")
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    options = parser.parse_args(argv)
    return exit_codes.run_command(lambda: _write(options.data, options.output))


def _write(data: Path, output: Path) -> int:
    model = measure_eigenfaces(load_dataset(data).split("Training")[0])
    content = io.BytesIO()
    arrays = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    np.savez_compressed(content, **arrays)
    files.write_bytes(output, content.getvalue())
    print(f"{output}: {len(model.components)} components, {len(content.getvalue())} bytes")
    return 0


def _detail(coefficients: Array, sharpness: Array) -> Array:
    """How strongly the size of each coefficient grows with what the components leave out, [k].

    The slope of a regression of log energy on sharpness, averaged over nine neighbours.
    """
    floor = 1e-3 * coefficients.var(0)  # keeps the logarithm of a near zero from ruling the slope
    slopes = np.polyfit(sharpness, np.log(coefficients**2 + floor), 1)[0] / 2
    return np.convolve(np.pad(slopes, 4, mode="edge"), np.full(9, 1 / 9), "valid")


def _fit(model: Eigenfaces, images: NDArray[np.uint8]) -> Eigenfaces:
    """Set mask and contrast so that drawn faces have the mean gradient and deviation of `images`."""
    goal = _texture(images)
    for _ in range(ROUNDS):
        got = _texture(draw(model, np.random.default_rng(0), TRIAL))
        light = model.light.copy()
        light[1] += np.log(goal[1] / got[1])
        # Gradient over deviation is free of the contrast; the mask moves it by about half its own change.
        ratio = (goal[0] / goal[1]) / (got[0] / got[1])
        mask = np.array(model.mask * ratio**2, np.float32)
        model = dataclasses.replace(model, light=light, mask=mask)
    return model


def _texture(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean absolute gradient and mean deviation of a face, in gray levels."""
    signed = images.astype(np.int16)
    gradient = np.mean([np.abs(np.diff(signed, axis=axis)).mean() for axis in (1, 2)])
    return float(gradient), float(images.reshape(-1, SIDE * SIDE).std(1).mean())


if __name__ == "__main__":
    sys.exit(main())
