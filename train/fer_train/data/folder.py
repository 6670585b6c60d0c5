"""The folder form: `train|test/<label>/*.png|jpg`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError, DataError
from fer_engine.spec import EXPRESSIONS
from fer_train.data.dataset import SIDE, SPLITS, Dataset
from fer_train.progress import bar

TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("validation", "valid", "val", "public", "publictest")
PRIVATE_NAMES = ("private", "privatetest")
TEST_NAME = "test"
SPELLINGS = {
    "angry": ("angry", "anger"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful"),
    "happy": ("happy", "happiness"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral", "neutrality"),
}
LABELS = {
    spelling: index for index, name in enumerate(EXPRESSIONS) for spelling in (*SPELLINGS[name], str(index))
}
SUFFIXES = (".png", ".jpg", ".jpeg")
# What file managers leave behind, beside everything that begins with a dot.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")


def images(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Give every image file with its label and split, in an order that all systems share.

    A prefix of the file's name (`PrivateTest_123.jpg`) decides the split, else the folder does:
    `test` is PublicTest, or PrivateTest where a validation folder stands beside it.

    Raises:
        DataError: a folder or file has a name that is not understood.
    """
    splits = [entry for entry in _entries(root) if entry.is_dir()]
    usages = _usages({entry.name.lower() for entry in splits})
    for split in splits:
        if split.name.lower() not in usages:
            raise DataError(f"{split}: unknown split folder, expected {', '.join(usages)}")
        for label in _entries(split):
            if label.name.lower() not in LABELS:
                raise DataError(f"{label}: unknown label folder, expected {', '.join(EXPRESSIONS)} or 0 to 6")
            for file in _entries(label):
                if file.suffix.lower() not in SUFFIXES:
                    raise DataError(f"{file}: not a .png or .jpg file; convert it, or move it away")
                prefix = file.name.partition("_")[0]
                usage = prefix if prefix in SPLITS else usages[split.name.lower()]
                yield file, LABELS[label.name.lower()], usage


def read(root: Path) -> Dataset:
    """Read a folder of images.

    Raises:
        DataError: no image, a name that is not understood, or an image that is not 48x48.
    """
    entries = list(images(root))
    faces = np.empty((len(entries), SIDE, SIDE), np.uint8)
    with bar(f"reading {root.name}", len(entries)) as advance:
        for face, (file, _, _) in zip(faces, entries, strict=True):
            face[:] = _decode(file)
            advance(1)
    return Dataset(
        images=faces,
        labels=np.array([label for _, label, _ in entries], np.uint8),
        usage=np.array([usage for _, _, usage in entries], np.str_),
        source=root.name,
    )


def _usages(present: set[str]) -> dict[str, str]:
    usages = dict.fromkeys(TRAINING_NAMES, "Training")
    usages |= dict.fromkeys(VALIDATION_NAMES, "PublicTest")
    usages |= dict.fromkeys(PRIVATE_NAMES, "PrivateTest")
    usages[TEST_NAME] = "PrivateTest" if present & set(VALIDATION_NAMES) else "PublicTest"
    return usages


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: a file where a folder was expected (train|test/<label>/*.png|jpg)")
    kept = [
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in LITTER
    ]
    return sorted(kept, key=_natural)


def _natural(entry: Path) -> list[tuple[int, str]]:
    """Sort key with 2.png before 10.png."""
    return [(len(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", entry.name)]


def _decode(file: Path) -> NDArray[Any]:
    try:
        import cv2
    except ImportError as error:  # not installed, or a system library such as libGL is missing
        raise ConfigError(
            f"folders of images need OpenCV ({error}): pip install 'fer-engine[train]', and on Debian "
            "apt-get install libgl1"
        ) from None
    content = np.frombuffer(file.read_bytes(), np.uint8)
    # imdecode, not imread: the latter cannot open every path on Windows.
    face = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
    if face is None:
        raise DataError(f"{file}: cannot be decoded; it is damaged or no image, get it again")
    if face.shape != (SIDE, SIDE):
        height, width = face.shape
        raise DataError(
            f"{file}: {width}x{height} pixels, expected {SIDE}x{SIDE}; resize it first, with INTER_AREA"
        )
    return face
