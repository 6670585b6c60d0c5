"""Opens the file of a still image: tells its format by its content, and reads its header only."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fer_engine.errors import FerError, ImageError, ImageSizeError, first_line
from fer_engine.vision.library import pillow
from fer_engine.vision.still import repair

SCAN = b"\xff\xda"  # begins a scan of a JPEG; in the data of one, other bytes follow 255
# Each scan goes over the whole image: a few kilobytes that repeat one would keep a core for minutes. Encoders
# make some ten scans, of 64 megapixels too.
MAX_SCANS = 500
MAX_SCANNED = 2**31  # pixels of all scans together
# Pillow's names. Its other formats are rare, or start other programs, as EPS does.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
HEADER = 16  # bytes that identify a format
# The brands of HEIF (ISO/IEC 23008-12) that the photographs of telephones and cameras begin with; `mif1` and
# `msf1` may also be AVIF.
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# What the readers of Pillow raise on a header that is not of their format.
NOT_THIS_FORMAT = (SyntaxError, IndexError, TypeError, KeyError, struct.error)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file whose header was read: `opened` is Pillow's image, perhaps not decoded yet."""

    name: str
    opened: Any
    file: IO[bytes]

    @property
    def profile(self) -> bytes | None:
        """The colour profile (ICC); None if there is none."""
        return self.opened.info.get("icc_profile") or None

    @property
    def has_alpha(self) -> bool:
        """Whether it may be transparent."""
        return bool(self.opened.has_transparency_data)

    def content(self) -> bytes:
        """Return the whole file."""
        self.file.seek(0)
        return self.file.read()


@dataclass(frozen=True, slots=True)
class DeepTiff:
    """Stands for Pillow's image where a TIFF has pixels that only OpenCV decodes: colour of 32 bits."""

    width: int
    height: int
    info: dict[str, Any]
    has_transparency_data: bool
    format: str = "TIFF"
    mode: str = "RGB"
    tile: tuple[()] = field(default=())

    def getexif(self) -> Any:
        """Return no EXIF."""
        return pillow().Exif()


@contextlib.contextmanager
def open_image(source: Path | bytes, name: str | None, max_pixels: int) -> Iterator[ImageFile]:
    """Open an image and read its header; for the rest see `fer_engine.vision.image.read_image`.

    Raises:
        ImageError: the file cannot be read, is no image, or is damaged, also if the body of the `with` block
            finds that out; or it is a JPEG made to take minutes.
        ImageSizeError: the image has more than `max_pixels` pixels.
        ConfigError: Pillow is not installed.
    """
    if isinstance(source, bytes):
        file: IO[bytes] = io.BytesIO(source)
        name = name or "the image"
    else:
        name = name or str(source)
        file = _open(source, name)
    with file:
        try:
            if not file.seekable():  # a pipe
                file = io.BytesIO(file.read())
            image = _read_header(file, name)
            _check_size(image.opened, name, max_pixels)
            _check_scans(image)
            yield image
        except FerError:
            raise
        except Exception as error:  # on damaged bytes, Pillow's decoders raise exceptions of any type
            raise ImageError(
                f"{name} cannot be decoded: {first_line(error)}; it is damaged, get it again"
            ) from error


def _open(path: Path, name: str) -> IO[bytes]:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        reason = "it is a folder" if path.is_dir() else getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot read {name}: {reason}; check the path and its permissions") from error


def is_heif(header: bytes) -> bool:
    """Whether the first 12 bytes of a file, or more, are those of a HEIC or another HEIF image."""
    return header[4:8] == b"ftyp" and header[8:12] in HEIF_BRANDS


def _read_header(file: IO[bytes], name: str) -> ImageFile:
    """Read only the header, as PIL's Image.open does, but without its global limit of the size."""
    plugins = pillow().OPEN
    header = file.read(HEADER)
    if not header:
        raise ImageError(f"{name} is empty, 0 bytes; get it again")
    if header.startswith(repair.PNG_SIGNATURE):
        file = io.BytesIO(repair.drop_png_texts(header + file.read()))
    for form in filter(plugins.__contains__, FORMATS):
        factory, accepts = plugins[form]
        accepted = accepts(header)
        if not accepted or isinstance(accepted, str):  # a text: this Pillow was built without the decoder
            continue
        file.seek(0)
        with contextlib.suppress(*NOT_THIS_FORMAT):
            return ImageFile(name, factory(file, ""), file)
        if form == "TIFF":
            with contextlib.suppress(*NOT_THIS_FORMAT):
                return ImageFile(name, _deep_tiff(file), file)
    if is_heif(header):
        file.seek(0)
        return ImageFile(name, _heif(name)(file, ""), file)
    raise ImageError(
        f"{name} is no image of a known format, its header is damaged, or this Pillow lacks the decoder: "
        f"expected one of {', '.join(FORMATS)}, HEIF; convert it to PNG"
    )


def _deep_tiff(file: IO[bytes]) -> DeepTiff:
    from PIL.TiffImagePlugin import ICCPROFILE, IMAGELENGTH, IMAGEWIDTH, ImageFileDirectory_v2

    samples_per_pixel = 277
    file.seek(0)
    tags = ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    info = {"icc_profile": tags.get(ICCPROFILE)}
    return DeepTiff(tags[IMAGEWIDTH], tags[IMAGELENGTH], info, tags.get(samples_per_pixel) == 4)


def _heif(name: str) -> Any:
    """Return pillow-heif's reader.

    Raises:
        ImageError: pillow-heif is not installed.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC or HEIF image, which needs pillow-heif ({error}): "
            "pip install 'fer-engine[heif]', or convert it to JPEG"
        ) from None
    return HeifImageFile


def _check_size(opened: Any, name: str, max_pixels: int) -> None:
    pixels = opened.width * opened.height
    if pixels > max_pixels:
        raise ImageSizeError(
            f"{name} has {opened.width}x{opened.height} = {pixels} pixels, expected at most {max_pixels}; "
            f"make it smaller, or allow it with max_pixels={pixels} (of a command: --max-pixels {pixels})",
            pixels,
        )


def _check_scans(image: ImageFile) -> None:
    if image.opened.format not in ("JPEG", "MPO"):
        return
    scans, pixels = image.content().count(SCAN), image.opened.width * image.opened.height
    if scans > MAX_SCANS or scans * pixels > MAX_SCANNED:
        raise ImageError(
            f"{image.name} has {scans} scans of {pixels} pixels, expected some ten: it would take minutes to "
            "decode, and was made for that or is damaged; save it anew"
        )
