"""Colour profiles of three curves and a matrix, as displays and telephones have them: to sRGB with OpenCV.

The conversion is that of ICC.1:2022, annex F.3: the curves make the values linear, the matrix gives XYZ under
D50. It takes half the time of LittleCMS, which is the reference: it is used where the two agree.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv

# Linear red, green and blue of sRGB as XYZ under D50, by columns: the profile of IEC 61966-2-1 by the ICC.
SRGB_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
STEPS = 4095  # of linear light: in the darkest tones one is 0.8 gray levels
# The names of the numbers of a parametric curve, by its type (ICC.1:2022, 10.18).
PARAMETERS = ("g", "gab", "gabc", "gabcd", "gabcdef")


@dataclass(frozen=True, slots=True)
class MatrixProfile:
    """A profile and its way to sRGB, both in BGR.

    `curves` is float32 [1, 256, 3], the linear light of each level. `matrix` is float32 [3, 4] and gives the
    linear light in sRGB, counted in STEPS; its last column is the half that rounds.
    """

    curves: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def to_srgb(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return pixels, uint8 [height, width, 3] in BGR, in sRGB."""
        cv2 = opencv()
        linear = cv2.transform(cv2.LUT(pixels, self.curves), self.matrix)
        return np.take(ENCODED, linear.astype(np.int32), mode="clip")


def read_matrix_profile(profile: bytes) -> MatrixProfile | None:
    """Return an RGB profile of curves and a matrix; None where it is of another kind, or damaged."""
    try:
        tags = dict(_tags(profile))
        curves = [_curve(tags[name]) for name in (b"bTRC", b"gTRC", b"rTRC")]
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"bXYZ", b"gXYZ", b"rXYZ")]
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    to_linear = np.linalg.inv(SRGB_TO_XYZ)[::-1] @ (np.array(columns).T / 65536)
    matrix = np.hstack([to_linear * STEPS, np.full((3, 1), 0.5)])
    return MatrixProfile(np.stack(curves, -1)[np.newaxis].astype(np.float32), matrix.astype(np.float32))


def _tags(profile: bytes) -> list[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 100))]
    return [(name, profile[start : start + size]) for name, start, size in entries]


def _curve(tag: bytes) -> NDArray[np.float64]:
    """Return the linear light of each of the 256 levels."""
    levels = np.arange(256) / 255
    if tag[:4] == b"para":
        kind = struct.unpack_from(">H", tag, 8)[0]
        names = PARAMETERS[kind]
        numbers = np.array(struct.unpack_from(f">{len(names)}i", tag, 12)) / 65536
        return _parametric(levels, dict(zip(names, numbers, strict=True)))
    (count,) = struct.unpack_from(">I", tag, 8)
    values = np.array(struct.unpack_from(f">{count}H", tag, 12))
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    if count == 0:
        return levels
    if count == 1:
        return levels ** (values[0] / 256)
    return np.interp(levels, np.linspace(0, 1, count), values / 65535)


def _parametric(x: NDArray[np.float64], p: dict[str, float]) -> NDArray[np.float64]:
    a, b, c = p.get("a", 1.0), p.get("b", 0.0), p.get("c", 0.0)
    power = np.maximum(a * x + b, 0) ** p["g"]
    if "d" in p:
        return np.where(x >= p["d"], power + p.get("e", 0.0), c * x + p.get("f", 0.0))
    return power + c  # below -b / a it is c


def _encoded() -> NDArray[np.uint8]:
    """Return the gray level of sRGB for each step of linear light (IEC 61966-2-1)."""
    linear = np.arange(STEPS + 1) / STEPS
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


ENCODED = _encoded()
