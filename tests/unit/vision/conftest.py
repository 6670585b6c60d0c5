"""Photographs of real faces, which come with scikit-image and matplotlib and are in the public domain."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import skimage

from fer_engine.vision import read_picture

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
HOPPER = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture
def astronaut() -> np.ndarray:
    """Give Eileen Collins, 512x512; her face, as looked at, is at (172, 75), 105 wide and 115 high."""
    return read_picture(ASTRONAUT)


@pytest.fixture
def hopper() -> np.ndarray:
    """Give Grace Hopper, 512x600; her face, as looked at, is at (165, 120), 210 wide and 215 high."""
    return read_picture(HOPPER)
