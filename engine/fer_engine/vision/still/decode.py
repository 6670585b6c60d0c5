"""Decodes the pixels of an image file: colour of 8 bits, upright, with its transparency apart."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv, pillow
from fer_engine.vision.still import bit_depth, colour_profile, exif, repair
from fer_engine.vision.still.file import DeepTiff, ImageFile

LOG = logging.getLogger(__name__)
Pixels = NDArray[np.uint8]

STRIP = 128  # rows that are laid on white at once, which saves memory
GRAY_MODES = {"1", "L", "LA", "La"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of an image that stands upright.

    `colour` is uint8 [height, width, 3] in BGR, of the RGB profile `profile`, or of sRGB where that is None.
    `alpha` is uint8 [height, width], 255 where the image is opaque; None without transparency.
    """

    colour: Pixels
    alpha: Pixels | None
    profile: bytes | None

    def on_white(self) -> Pixels:
        """Return the image in sRGB, laid on white, uint8 [height, width, 3] in BGR."""
        colour = self.colour
        if self.profile is not None:
            colour = colour_profile.pixels_to_srgb(colour, self.profile)
        if self.alpha is None or self.alpha.min() == 255:
            return colour
        shown = np.empty_like(colour)
        for start in range(0, len(shown), STRIP):
            rows = slice(start, start + STRIP)
            alpha = self.alpha[rows, :, np.newaxis].astype(np.uint16)
            shown[rows] = (colour[rows] * alpha + 255 * (255 - alpha) + 127) // 255
        return shown


def decode(image: ImageFile) -> Decoded:
    """Decode the pixels of an image file, within the `with` block of `open_image`."""
    opened, profile = image.opened, image.profile
    space, problem = profile_space(image)
    if problem:
        LOG.warning("the colour profile of %s is not applied: %s", image.name, problem)
    kept = profile if space == "RGB" else None
    if isinstance(opened, DeepTiff) or bit_depth.is_deep_colour(opened):
        pixels = bit_depth.as_8_bits(bit_depth.decode_deep(image.content(), image.name), image.name)
        # OpenCV turns a TIFF itself.
        return _upright(pixels, 1 if opened.format == "TIFF" else exif.orientation(opened), kept)
    if opened.format in {"JPEG", "MPO"} and opened.mode == "RGB":
        plain = _decode_plain_jpeg(image)
        if plain is not None:
            return _upright(plain, exif.orientation(opened), kept)
    opened = _loaded(image)
    if opened.mode[0] in "IF":  # gray of 16 or 32 bits
        opened = pillow().fromarray(bit_depth.as_8_bits(np.asarray(opened), image.name))
    transparent = opened.has_transparency_data
    colour = opened.convert("RGBA") if transparent else opened
    if profile is not None and space in {"GRAY", "CMYK", "LAB"}:
        colour = colour_profile.image_to_srgb(opened.convert(colour_profile.MODES[space]), profile)
        if transparent:
            colour.putalpha(opened.convert("RGBA").getchannel("A"))
    return _upright(_from_pillow(colour), exif.orientation(image.opened), kept)


def profile_space(image: ImageFile) -> tuple[str, str]:
    """Return the colour space of the image's profile; or "", and why it cannot be applied if there is one."""
    if image.profile is None:
        return "", ""
    try:
        space = colour_profile.colour_space(image.profile)
    except colour_profile.UnusableProfileError as error:
        return "", str(error)
    mode = image.opened.mode
    own = "GRAY" if mode in GRAY_MODES or mode[0] in "IF" else mode if mode in {"CMYK", "LAB"} else "RGB"
    if space == own or (space, own) == ("RGB", "GRAY"):
        return space, ""
    return "", f"it is for {space}, and the pixels are {own}"


def _decode_plain_jpeg(image: ImageFile) -> Pixels | None:
    """Decode with OpenCV, which gives the same pixels as Pillow in half the time; None where Pillow must."""
    cv2, content = opencv(), image.content()
    image.file.seek(0)
    if not content.rstrip(b"\0").endswith(repair.JPEG_END):  # it may be cut, and Pillow tells
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    return pixels if pixels is not None and pixels.shape[1::-1] == image.opened.size else None


def _loaded(image: ImageFile) -> Any:
    """Return Pillow's image with its pixels decoded."""
    try:
        image.opened.load()
    except OSError:
        whole = None
        if image.opened.format in {"JPEG", "MPO"}:
            whole = repair.complete_jpeg(image.content(), lambda content: np.asarray(_open_jpeg(content)))
        if whole is None:
            raise
        LOG.warning("%s lacks the marker at its end, but none of its pixels: it is read", image.name)
        return _open_jpeg(whole)
    return image.opened


def _open_jpeg(content: bytes) -> Any:
    factory, _ = pillow().OPEN["JPEG"]
    return factory(io.BytesIO(content), "")


def _from_pillow(image: Any) -> Pixels:
    """Return an image of Pillow as uint8 [height, width, 3 or 4] in BGR or BGRA."""
    cv2 = opencv()
    if image.mode == "RGBA":
        return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGBA2BGRA)
    return cv2.cvtColor(np.asarray(image if image.mode == "RGB" else image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _upright(pixels: Pixels, orientation: int, profile: bytes | None) -> Decoded:
    cv2 = opencv()
    pixels = exif.turn_upright(pixels, orientation)
    if pixels.ndim == 2:
        return Decoded(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), None, profile)
    if pixels.shape[2] == 4:
        return Decoded(
            cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.ascontiguousarray(pixels[..., 3]), profile
        )
    return Decoded(pixels, None, profile)
