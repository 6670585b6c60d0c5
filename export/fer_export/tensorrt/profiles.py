"""Optimization profiles: the batches that a plan is made for."""

from __future__ import annotations

from fer_engine.artifact.plan import Profile
from fer_engine.errors import ConfigError

# A captured graph of launches holds one batch, and TensorRT tunes a fixed one best: a profile a bucket.
# TensorRT for RTX compiles for the batch that it meets at run time, and a range keeps its plans small.
DEFAULT: dict[str, tuple[Profile, ...]] = {
    "tensorrt": tuple((batch, batch, batch) for batch in (1, 8, 32, 64, 128, 256)),
    "tensorrt_rtx": ((1, 64, 256),),
}


def parse_profiles(text: str) -> tuple[Profile, ...]:
    """Return the profiles that a text names: "1,8,64" for fixed batches, "1:64:256" for a range.

    Raises:
        ConfigError: it is something else, or a batch is below 1 or out of order.
    """
    return tuple(_profile(part, text) for part in text.split(","))


def _profile(part: str, text: str) -> Profile:
    try:
        batches = [int(number) for number in part.split(":")]
    except ValueError:
        batches = []
    if len(batches) == 1:
        batches *= 3
    if len(batches) != 3 or not 1 <= batches[0] <= batches[1] <= batches[2]:
        raise ConfigError(
            f"batches must be fixed ones as in 1,8,64 or least:best:largest as in 1:64:256, got {text!r}"
        )
    least, best, largest = batches
    return least, best, largest
