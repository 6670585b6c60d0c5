"""The folder form: `train|test/<label>/*.png|jpg`, or `<label>/*` with labels of one's own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import DataError
from fer_engine.system.progress import bar
from fer_engine.vision.crop import square
from fer_engine.vision.resize import resize
from fer_train.data.dataset import SIDE, SPLITS, Dataset
from fer_train.data.image import SUFFIXES, Image, decode_image

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
# What file managers leave behind, beside everything that begins with a dot.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")


def find_images(root: Path, names: Sequence[str] | None = None) -> Iterator[tuple[Path, int, str]]:
    """Give every image file with its label and split, in an order that all systems share.

    A prefix of the file's name (`PrivateTest_123.jpg`) decides the split, else the folder does:
    `test` is PublicTest, or PrivateTest where a validation folder stands beside it. With labels of one's
    own, `names`, the label folders may stand in `root` itself: the split is then an empty text.

    Raises:
        DataError: a folder or file has a name that is not understood.
    """
    labels = LABELS if names is None else {_plain(name): index for index, name in enumerate(names)}
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    if names is not None and any(_plain(entry.name) in labels for entry in folders):
        yield from ((file, label, "") for file, label in _labelled(folders, labels))
        return
    usages = _usages({entry.name.lower() for entry in folders})
    for folder in folders:
        if folder.name.lower() not in usages:
            own = "" if names is None else f", or one of the labels {', '.join(names)}"
            raise DataError(f"{folder}: unknown split folder, expected {', '.join(usages)}{own}")
        for file, label in _labelled(_entries(folder), labels):
            prefix = file.name.partition("_")[0]
            yield file, label, prefix if prefix in SPLITS else usages[folder.name.lower()]


def read_folder(
    root: Path, names: Sequence[str] | None = None, face_shape: tuple[int, ...] = (SIDE, SIDE)
) -> Dataset:
    """Read a folder of images: FER2013's, or with labels of one's own, `names`.

    The latter are made square by repeating their edges, and resized to `face_shape`; where the folder has
    no splits, a stratified tenth is held out for validation.

    Raises:
        DataError: no image, a name that is not understood, or an image of FER2013 that is not 48x48.
    """
    entries = list(find_images(root, names))
    labels = np.array([label for _, label, _ in entries], np.uint8)
    usage = np.array([usage for _, _, usage in entries], np.str_)
    faces = np.empty((len(entries), *face_shape), np.uint8)
    with bar(f"reading {root.name}", len(entries)) as advance:
        for face, (file, _, _) in zip(faces, entries, strict=True):
            face[:] = _face(file) if names is None else _resized(file, face_shape)
            advance(1)
    if names is not None and not usage.astype(np.bool_).any():
        return Dataset.split_off(faces, labels, root.name, tuple(names))
    return Dataset(faces, labels, usage, root.name, EXPRESSIONS if names is None else tuple(names))


def _labelled(folders: list[Path], labels: Mapping[str, int]) -> Iterator[tuple[Path, int]]:
    for folder in folders:
        if _plain(folder.name) not in labels:
            expected = f"{', '.join(EXPRESSIONS)} or 0 to 6" if labels is LABELS else ", ".join(labels)
            raise DataError(f"{folder}: unknown label folder, expected {expected}")
        for file in _entries(folder):
            if file.suffix.lower() not in SUFFIXES:
                raise DataError(f"{file}: not a .png or .jpg file; convert it, or move it away")
            yield file, labels[_plain(folder.name)]


def same_label(name: str) -> str:
    """Return the spelling in which labels are compared: lower case, an expression under its own name."""
    plain = _plain(name)
    return next((label for label, spellings in SPELLINGS.items() if plain in spellings), plain)


def _plain(name: str) -> str:
    """Return a name as it is compared: in one case, and composed, as some systems part letter and accent."""
    return unicodedata.normalize("NFC", name).lower()


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


def _face(file: Path) -> Image:
    face = decode_image(file, channels=1)
    if face.shape != (SIDE, SIDE):
        height, width = face.shape
        raise DataError(
            f"{file}: {width}x{height} pixels, expected {SIDE}x{SIDE}; resize it first, with INTER_AREA"
        )
    return face


def _resized(file: Path, face_shape: tuple[int, ...]) -> Image:
    image = decode_image(file, 1 if len(face_shape) == 2 else 3)
    # As `fer-predict --crop` takes a picture.
    return resize(square(image, (0, 0, image.shape[1], image.shape[0]), margin=0), *face_shape[:2])
