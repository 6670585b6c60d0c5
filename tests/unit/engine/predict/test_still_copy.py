"""Annotated copies of still images: what they keep of the original, in each format."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from fer_engine.errors import FerError
from fer_engine.predict.still_copy import encode_copy
from fer_engine.vision import read_image

ORIENTATION, MODEL = 0x0112, 0x0110
RGB = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Red is sRGB's blue and blue is sRGB's red.
SWAPPED = SRGB.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
DRAWN = np.s_[10:20, 5:15]
LOSSLESS = [".png", ".webp", ".tif", ".tiff"]
KEEPING = [*LOSSLESS, ".jpg"]


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[ORIENTATION], block[MODEL] = orientation, "A camera"
    return block.tobytes()


def copy_of(source, suffix):
    """Give the copy of an image on which a green box was drawn, as Pillow opens it."""
    image = read_image(source)
    annotated = image.copy()
    annotated[DRAWN] = 0, 255, 0
    return Image.open(io.BytesIO(encode_copy(source, "x", image, annotated, Path("copy" + suffix))))


def outside(pixels):
    """Give the pixels where nothing was drawn."""
    mask = np.ones(pixels.shape[:2], bool)
    mask[DRAWN] = False
    return pixels[mask]


@pytest.mark.parametrize("suffix", KEEPING)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_kept_and_says_upright(form, suffix):
    copied = copy_of(encoded(Image.fromarray(RGB), form, exif=exif(6)), suffix)
    assert copied.size == (40, 30)
    assert copied.getexif()[MODEL] == "A camera"
    assert copied.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("profile", [SRGB, SWAPPED], ids=["srgb", "other"])
def test_the_pixels_stay_in_their_colour_profile(profile, suffix):
    source = encoded(Image.fromarray(RGB), "PNG", icc_profile=profile)
    copied = copy_of(source, suffix)
    assert copied.info["icc_profile"] == profile
    assert (outside(np.asarray(copied)) == outside(RGB)).all()
    assert (np.asarray(copied)[DRAWN] == [0, 255, 0]).all()


def test_a_jpeg_keeps_its_colour_profile():
    smooth = Image.new("RGB", (30, 40), (200, 90, 30))
    copied = copy_of(encoded(smooth, "JPEG", quality=95, icc_profile=SWAPPED), ".jpg")
    assert copied.info["icc_profile"] == SWAPPED
    assert np.abs(np.asarray(copied)[32:].astype(int) - [200, 90, 30]).max() <= 4


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_transparency_is_kept_and_what_is_drawn_is_opaque(suffix):
    clear = Image.fromarray(RGB)
    clear.putalpha(Image.fromarray(RGB[..., 0]))
    copied = copy_of(encoded(clear, "PNG", icc_profile=SWAPPED, exif=exif(3)), suffix)
    assert copied.mode == "RGBA"
    assert copied.info["icc_profile"] == SWAPPED
    pixels = np.asarray(copied)
    assert (pixels[DRAWN] == [0, 255, 0, 255]).all()
    assert (outside(pixels) == outside(np.asarray(clear)[::-1, ::-1])).all()


def test_the_transparency_of_a_palette_is_kept():
    keyed = Image.fromarray(RGB).quantize(8)
    copied = copy_of(encoded(keyed, "GIF", transparency=3), ".png")
    assert (outside(np.asarray(copied)[..., 3]) == np.where(outside(np.asarray(keyed)) == 3, 0, 255)).all()


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_where_a_format_has_no_transparency_the_image_lies_on_white(suffix):
    clear = Image.new("RGBA", (30, 40), (200, 90, 30, 0))
    copied = copy_of(encoded(clear, "PNG", icc_profile=SWAPPED), suffix)
    assert np.asarray(copied)[32:].min() >= 250
    assert "icc_profile" not in copied.info


def test_heic_keeps_its_exif_as_png():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.encode("RGB", (30, 40), RGB.tobytes(), buffer, exif=exif(6), icc_profile=SWAPPED)
    copied = copy_of(buffer.getvalue(), ".png")
    assert (copied.size, copied.getexif()[MODEL]) == ((40, 30), "A camera")
    assert copied.getexif()[ORIENTATION] == 1
    assert copied.info["icc_profile"] == SWAPPED


@pytest.mark.parametrize("suffix", [*KEEPING, ".bmp"])
def test_an_image_without_any_of_these_gets_none(suffix):
    copied = copy_of(encoded(Image.fromarray(RGB), "PNG"), suffix)
    assert copied.mode == "RGB"
    assert not {"exif", "icc_profile"} & set(copied.info)
    if suffix != ".jpg":
        assert (outside(np.asarray(copied)) == outside(RGB)).all()


def test_exif_that_a_format_cannot_hold_is_left_out_with_a_warning(caplog):
    long = Image.Exif()
    long[0x010E] = "x" * 70_000
    source = encoded(Image.fromarray(RGB), "PNG", exif=long.tobytes())
    with caplog.at_level(logging.WARNING):
        assert "exif" not in copy_of(source, ".jpg").info
    assert "the copy of x keeps no EXIF: " in caplog.text
    assert copy_of(source, ".png").getexif()[0x010E] == "x" * 70_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name of Unix")
@pytest.mark.parametrize("kind", ["pipe", "gone"])
def test_what_cannot_be_read_twice_is_copied_plain_with_a_warning(kind, tmp_path, caplog):
    image = RGB[..., ::-1].copy()
    path = tmp_path / "photo"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(encoded(Image.new("RGBA", (3, 2)), "PNG"))
    with caplog.at_level(logging.WARNING):
        content = encode_copy(path, "x", image, image, Path("copy.png"))
    assert (read_image(content) == image).all()
    assert "the copy of x keeps no EXIF, colour profile or transparency: " in caplog.text


@pytest.mark.parametrize("block", [None, exif(1)])
def test_a_size_that_the_format_cannot_hold_is_told(block):
    wide = np.zeros((4, 66_000, 3), np.uint8)
    source = encoded(Image.fromarray(wide), "PNG", **({} if block is None else {"exif": block}))
    with pytest.raises(FerError, match=r"^cannot encode copy\.jpg: 66000x4 is more than its format holds"):
        encode_copy(source, "x", wide, wide, Path("copy.jpg"))
