"""AffectNet's csv: images with a face box, valence and arousal.

Source: A. Mollahosseini, B. Hasani, M. H. Mahoor, "AffectNet: A Database for Facial Expression, Valence,
and Arousal Computing in the Wild", 2017.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_engine.artifact.spec import AFFECT
from fer_engine.errors import ConfigError, DataError
from fer_engine.system.progress import bar
from fer_engine.vision.crop import square
from fer_engine.vision.resize import resize
from fer_train.data.annotations import Row, read_rows
from fer_train.data.dataset import Dataset
from fer_train.data.image import Image, decode_image

PATH = "subDirectory_filePath"
BOX = ("face_x", "face_y", "face_width", "face_height")  # in pixels, from the top left corner
COLUMNS = (PATH, *BOX, *AFFECT)
OTHERS = ("facial_landmarks", "expression")
UNANNOTATED = -2  # the value of images that show no face, or one that annotators could not agree on
LOG = logging.getLogger(__name__)


def read_affectnet(
    path: Path, images: Path, names: Sequence[str] | None, face_shape: tuple[int, ...]
) -> Dataset:
    """Read the faces, each the square around its box, resized to `face_shape`, with the values `names`.

    A stratified tenth over ten intervals of the values is held out for validation. Rows that were not
    annotated are left out, and counted in a warning.

    Raises:
        ConfigError: a name is neither valence nor arousal.
        DataError: with file and row: a column, an image or a value is missing or wrong, or a box does not
            lie inside its image.
    """
    names = tuple(names or AFFECT)
    if not set(names) <= set(AFFECT):
        raise ConfigError(f"{path} has the labels {', '.join(AFFECT)}, got {', '.join(names)}")
    found = list(read_rows(path, COLUMNS, OTHERS))
    kept = [row for row in found if not all(_unannotated(row.fields[name]) for name in AFFECT)]
    if len(kept) < len(found):
        LOG.warning("%s: %d rows without annotation left out", path, len(found) - len(kept))
    channels = 1 if len(face_shape) == 2 else 3
    faces = np.empty((len(kept), *face_shape), np.uint8)
    labels = np.empty((len(kept), len(names)), np.float32)
    with bar(f"reading {path.name}", len(kept)) as advance:
        for index, row in enumerate(kept):
            labels[index] = [row.value(name, -1, 1) for name in names]
            face = _cut(row, decode_image(row.file(PATH, images), channels))
            faces[index] = resize(face, *face_shape[:2])  # square, as faces that a detector finds
            advance(1)
    return Dataset.split_off(faces, labels, path.name, names)


def _unannotated(text: str) -> bool:
    try:
        return float(text) == UNANNOTATED
    except ValueError:
        return False


def _cut(row: Row, image: Image) -> Image:
    height, width = image.shape[:2]
    x, y, across, down = (int(row.value(name, 0, 1e6)) for name in BOX)
    if not (across > 0 and down > 0 and x + across <= width and y + down <= height):
        raise DataError(
            f"{row.path}, row {row.number}: the face box {across}x{down} at ({x}, {y}) does not lie inside "
            f"the image of {width}x{height}"
        )
    return square(image, (x, y, across, down), margin=0)
