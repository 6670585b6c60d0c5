"""Photographs of scikit-image and matplotlib, in the public domain, and a look for forgotten threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import skimage

from fer_engine.vision import read_image

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
HOPPER = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture
def astronaut() -> np.ndarray:
    """Give Eileen Collins, 512x512; her face, as looked at, is at (172, 75), 105 wide and 115 high."""
    return read_image(ASTRONAUT)


@pytest.fixture
def hopper() -> np.ndarray:
    """Give Grace Hopper, 512x600; her face, as looked at, is at (165, 120), 210 wide and 215 high."""
    return read_image(HOPPER)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Look for threads of a pipeline after the test."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("fer-")] == []
