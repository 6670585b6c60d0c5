"""One call from whatever holds a picture to its faces and their expressions."""

from __future__ import annotations

import functools
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fer_engine.artifact import files
from fer_engine.engine import Engine
from fer_engine.errors import ImageError, InputError, first_line
from fer_engine.shipped import MODEL
from fer_engine.vision.annotate import annotate
from fer_engine.vision.detectors import default_detector
from fer_engine.vision.expressions import find_expressions
from fer_engine.vision.face import Face, FaceDetector
from fer_engine.vision.image import Image, read_image
from fer_engine.vision.library import opencv, pillow

if TYPE_CHECKING:
    import PIL.Image

ORDERS = ("bgr", "rgb")
# Pillow's modes of more than 8 bits: it clips them, and only a file's reader knows how many bits are in use.
DEEP_MODES = ("I", "F")
SCHEMES = ("http://", "https://", "ftp://", "rtsp://", "data:")


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """The faces of one picture, from left to right, with their expressions.

    `source` is its path, else what kind of thing it was; `image` is the picture, uint8 [height, width, 3] in
    BGR; `labels` are the model's, in the order of each face's probabilities.
    """

    source: str
    image: Image
    faces: tuple[Face, ...]
    labels: tuple[str, ...]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found = ", ".join(f"{face.label} {face.probabilities.max():.2f}" for face in self.faces) or "no face"
        return f"ImageResult({self.source}, {width}x{height}: {found})"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary for each face, as `fer-predict --json` writes them but for the frame.

        "file", "box" (left, top, width, height), "label", "probabilities" by label, and "score" where the
        detector gives one. `pandas.json_normalize` makes a column of each probability.
        """
        return [{"file": self.source, **face.as_json(self.labels)} for face in self.faces]

    def to_json(self) -> str:
        """Return `to_dicts` as the text of a JSON array."""
        return json.dumps(self.to_dicts())

    def plot(self) -> PIL.Image.Image:
        """Return a copy of the picture with boxes and expressions, as an image of Pillow in RGB."""
        drawn: PIL.Image.Image = pillow().fromarray(annotate(self.image, self.faces)[..., ::-1])
        return drawn

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a copy of the picture with boxes and expressions in place of a file; return its path.

        Raises:
            ImageError: the suffix is of no format that OpenCV writes.
            FerError: the file cannot be written; one that was there stays as it was.
        """
        target, cv2 = Path(path), opencv()
        try:
            done, content = cv2.imencode(target.suffix, annotate(self.image, self.faces))
        except cv2.error:
            done = False
        if not done:
            raise ImageError(
                f"cannot write {target}: {target.suffix or 'no suffix'} is no format of images; end the name "
                "in .jpg, .png or .webp"
            )
        files.write_bytes(target, content.tobytes())
        return target


@overload
def analyze(  # type: ignore[overload-overlap]
    given: list[Any] | tuple[Any, ...],
    *,
    engine: Engine | None = ...,
    detector: FaceDetector | None = ...,
    order: str | None = ...,
    min_confidence: float = ...,
) -> list[ImageResult]: ...


@overload
def analyze(
    given: object,
    *,
    engine: Engine | None = ...,
    detector: FaceDetector | None = ...,
    order: str | None = ...,
    min_confidence: float = ...,
) -> ImageResult: ...


def analyze(
    given: object,
    *,
    engine: Engine | None = None,
    detector: FaceDetector | None = None,
    order: str | None = None,
    min_confidence: float = 0.0,
) -> ImageResult | list[ImageResult]:
    """Return the faces of a picture and their expressions; of a list or tuple of pictures a list.

    Args:
        given: A path, as text too; the bytes of an image's file; an image of Pillow of 8 bits; an array,
            uint8 [height, width] gray or [height, width, 3]; or a tensor of PyTorch and its like, uint8
            or float from 0 to 1, [height, width], [3, height, width] or [height, width, 3]. No address is
            fetched.
        engine: Classifies the faces; None for the `fer_tiny` that ships, which each process loads once,
            also where several threads call at once.
        detector: Finds the faces; None for the finder that ships.
        order: Of the channels of an array or tensor, "bgr" or "rgb"; None for "bgr" in arrays, as OpenCV
            reads them, and "rgb" in tensors, as torchvision does.
        min_confidence: A face whose highest probability is below gets the label "uncertain"; 0 for never.

    Raises:
        ImageError: a file cannot be read, is no image, or is damaged.
        InputError: it is none of these, or an address.
        ConfigError: the engine is no classifier, an option is out of range, or a library is missing.
    """
    if order not in (None, *ORDERS):
        raise InputError(f"order must be {' or '.join(ORDERS)}, got {order!r}")
    if isinstance(given, (list, tuple)):
        return [_analyzed(one, engine, detector, order, min_confidence) for one in given]
    return _analyzed(given, engine, detector, order, min_confidence)


def _analyzed(
    given: object,
    engine: Engine | None,
    detector: FaceDetector | None,
    order: str | None,
    min_confidence: float,
) -> ImageResult:
    source, image = _read(given, order)
    with _LOADING:  # of threads that call at once the first one loads, the others wait for it
        own = engine or _default_engine(os.getpid())
        finder = detector or default_detector()
    faces = find_expressions(own, image, finder, min_confidence=min_confidence)
    return ImageResult(source, image, faces, tuple(own.spec.labels))


_LOADING = threading.Lock()


def _renew_lock() -> None:
    """Free a forked process of a lock that a thread of its parent held."""
    global _LOADING  # noqa: PLW0603
    _LOADING = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


@functools.cache
def _default_engine(process: int) -> Engine:  # noqa: ARG001 - a forked process cannot use its parent's
    return Engine.load(MODEL)


def _read(given: object, order: str | None) -> tuple[str, Image]:
    """Return what a picture is called, and its pixels, uint8 [height, width, 3] in BGR."""
    if isinstance(given, str) and given.lower().startswith(SCHEMES):
        raise InputError(f"{given[:100]} is an address, and nothing is fetched; give a file or its bytes")
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given), read_image(Path(given))
    if isinstance(given, (bytes, bytearray, memoryview)):
        return "bytes", read_image(bytes(given), "the image's bytes")
    if isinstance(given, np.ndarray):
        return "array", _as_bgr(given, order or "bgr")
    if isinstance(given, pillow().Image):
        return str(getattr(given, "filename", "") or "image"), _as_bgr(_upright(given), "rgb")
    if hasattr(given, "detach") and hasattr(given, "numpy"):
        return "tensor", _as_bgr(_pixels_of(given), order or "rgb")
    raise InputError(
        f"{type(given).__name__} holds no picture; give a path, bytes, an image of Pillow, an array, a "
        "tensor, or a list of these"
    )


def _upright(picture: PIL.Image.Image) -> NDArray[np.uint8]:
    """Return an image of Pillow as RGB, turned by its EXIF, and what is transparent in it as white."""
    from PIL import ImageOps

    if picture.mode.startswith(DEEP_MODES):
        raise InputError(
            f"an image of Pillow must have 8 bits, got mode {picture.mode}; give its file, of which all bits "
            "are read, or an array that you scaled to uint8"
        )
    try:
        turned = ImageOps.exif_transpose(picture)
        if turned.has_transparency_data:
            white = pillow().new("RGBA", turned.size, "white")
            turned = pillow().alpha_composite(white, turned.convert("RGBA"))
        return np.asarray(turned.convert("RGB"))
    except Exception as error:  # Pillow decodes only now, and on damaged bytes raises errors of any type
        raise ImageError(
            f"the image of Pillow cannot be decoded: {first_line(error)}; its file is damaged, get it again, "
            "or its mode has no RGB"
        ) from error


def _pixels_of(tensor: Any) -> NDArray[Any]:
    """Return a tensor's values as pixels, [height, width] or [height, width, 3]."""
    tensor = tensor.detach().cpu()
    values = (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16
    if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.dtype.kind == "f" and values.size and values.min() >= 0 and values.max() <= 1:
        values = (values * 255).round().astype(np.uint8)
    return values


def _as_bgr(pixels: NDArray[Any], order: str) -> Image:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    fits = pixels.dtype == np.uint8 and pixels.size and (pixels.ndim == 2 or pixels.shape[2:] == (3,))
    if not fits or pixels.ndim > 3:
        raise InputError(
            "a picture must be uint8 [height, width] or [height, width, 3], or a tensor of floats from 0 to "
            f"1, got {pixels.dtype} {list(pixels.shape)}; give a batch as a list of its pictures"
        )
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., np.newaxis], 3, axis=2)
    # A copy: the caller's memory may hold another frame by the time that the result is drawn.
    return np.array(pixels if order == "bgr" else pixels[..., ::-1], order="C")
