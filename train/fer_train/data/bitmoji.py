"""The csv of Kaggle's "Bitmoji Faces Gender Recognition": `image_id`, and `is_male`, 1 or -1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_engine.errors import ConfigError
from fer_engine.system.progress import bar
from fer_engine.vision.resize import resize
from fer_train.data.annotations import read_rows
from fer_train.data.dataset import Dataset
from fer_train.data.image import Image, decode_image

COLUMNS = ("image_id", "is_male")
LABELS = ("female", "male")
CLASSES = {"-1": 0, "1": 1}
MARGIN = 256 / 224  # of the resized image's shorter side over the crop's, as is usual for ImageNet


def read_bitmoji(
    path: Path, images: Path, names: Sequence[str] | None, face_shape: tuple[int, ...]
) -> Dataset:
    """Read the images, resized and their centre cut out as `face_shape`; the labels are female and male.

    A stratified tenth is held out for validation.

    Raises:
        ConfigError: other `names` were asked for.
        DataError: with file and row: a column or image is missing, or a value is neither 1 nor -1.
    """
    if names is not None and tuple(names) != LABELS:
        raise ConfigError(f"{path} has the labels {', '.join(LABELS)}, got {', '.join(names)}")
    found = list(read_rows(path, COLUMNS))
    channels = 1 if len(face_shape) == 2 else 3
    faces = np.empty((len(found), *face_shape), np.uint8)
    labels = np.empty(len(found), np.uint8)
    with bar(f"reading {path.name}", len(found)) as advance:
        for index, row in enumerate(found):
            value = row.fields["is_male"].strip()
            if value not in CLASSES:
                row.refuse("is_male", "1 or -1")
            labels[index] = CLASSES[value]
            faces[index] = _centre(decode_image(row.file("image_id", images), channels), face_shape)
            advance(1)
    return Dataset.split_off(faces, labels, path.name, LABELS)


def _centre(image: Image, face_shape: tuple[int, ...]) -> Image:
    """Resize so that the crop is 224 of 256 pixels of it, and cut that out of its middle."""
    height, width = face_shape[:2]
    scale = max(height * MARGIN / image.shape[0], width * MARGIN / image.shape[1])
    larger = resize(image, round(image.shape[0] * scale), round(image.shape[1] * scale))
    top, left = (larger.shape[0] - height) // 2, (larger.shape[1] - width) // 2
    return larger[top : top + height, left : left + width]
