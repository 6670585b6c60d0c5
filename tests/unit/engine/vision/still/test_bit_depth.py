"""Images of more than 8 bits, whose files do not say what is white."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from fer_engine.errors import ImageError
from fer_engine.vision import read_image

GRAY = np.arange(256, dtype=np.uint8).reshape(16, 16)
BGR = np.stack([GRAY, GRAY.T, GRAY[::-1]], -1)
ALPHA = np.full((16, 16, 1), 255, np.uint8)


def pillow(pixels, form):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def opencv(pixels, ending):
    return cv2.imencode(ending, pixels)[1].tobytes()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_gray_of_some_bits_in_16(form, bits):
    image = read_image(pillow(GRAY.astype(np.uint16) << (bits - 8), form))
    assert (image == GRAY[..., np.newaxis]).all()


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colour_of_some_bits_in_16(ending, bits):
    shift = bits - 8
    assert (read_image(opencv(BGR.astype(np.uint16) << shift, ending)) == BGR).all()
    opaque = np.dstack([BGR, ALPHA]).astype(np.uint16) << shift
    assert (read_image(opencv(opaque, ending)) == BGR).all()


def test_transparency_of_16_bits_lies_on_white():
    clear = np.dstack([BGR, 0 * ALPHA]).astype(np.uint16) * 257
    clear[0, 0] = 65535, 0, 0, 65535
    image = read_image(opencv(clear, ".png"))
    assert image[0, 0].tolist() == [255, 0, 0]
    assert (image.reshape(-1, 3)[1:] == 255).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_deep_tiff_stands_as_its_orientation_says(dtype, channels):
    pixels = BGR[:8, :, 2] if channels == 1 else BGR[:8, :, ::-1]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        (pixels / 255 * 65535).astype(dtype),
        photometric="minisblack" if channels == 1 else "rgb",
        extratags=[(274, "H", 1, 6, True)],
    )
    image = read_image(buffer.getvalue())
    expected = np.rot90(BGR[:8], -1)
    assert image.shape == expected.shape
    channel = slice(2, 3) if channels == 1 else slice(None)
    assert np.abs(image.astype(int) - expected[..., channel]).max() <= 1


def test_a_deep_png_stands_as_its_exif_says():
    content = opencv(BGR[:8].astype(np.uint16) * 257, ".png")
    exif = Image.Exif()
    exif[0x0112] = 6
    block = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    assert (read_image(content[:33] + chunk + content[33:]) == np.rot90(BGR[:8], -1)).all()


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_gray_of_floating_point_numbers(white):
    image = read_image(pillow((GRAY / 255 * white).astype(np.float32), "TIFF"))
    assert np.abs(image.astype(int) - GRAY[..., np.newaxis]).max() <= 1


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_colour_of_floating_point_numbers(white):
    image = read_image(opencv((BGR / 255 * white).astype(np.float32), ".tif"))
    assert np.abs(image.astype(int) - BGR).max() <= 1


def test_a_floating_point_image_may_overshoot_and_have_holes():
    pixels = (GRAY / 255).astype(np.float32)
    pixels[0, :5] = -0.05, 1.08, np.nan, np.inf, -np.inf
    image = read_image(pillow(pixels, "TIFF"))
    assert image[0, :5, 0].tolist() == [0, 255, 0, 255, 0]
    assert np.abs(image[1:].astype(int) - GRAY[1:, :, np.newaxis]).max() <= 1


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_gray_of_32_bits(white):
    image = read_image(pillow((GRAY.astype(np.int32) * (white + 1)) >> 8, "TIFF"))
    assert np.abs(image.astype(int) - GRAY[..., np.newaxis]).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "values"),
    [
        (np.array([[0, 70_000]], np.int32), "0 to 70000"),
        (np.array([[-1, 200]], np.int32), "-1 to 200"),
        (np.array([[0, 3]], np.float32), "0 to 3"),
        (np.array([[-1, 1]], np.float32), "-1 to 1"),
        (np.array([[0, 1e6]], np.float32), r"0 to 1e\+06"),
    ],
)
def test_values_of_which_white_is_not_known_are_refused(pixels, values):
    with pytest.raises(ImageError, match=rf"^x\.tif has pixels from {values}.*; save it with 8 or 16 bits$"):
        read_image(pillow(pixels, "TIFF"), "x.tif")


def test_a_deep_tiff_is_refused_by_its_header_and_told_as_damaged():
    content = opencv(BGR.astype(np.float32), ".tif")
    with pytest.raises(ImageError, match="16x16 = 256 pixels, expected at most 255"):
        read_image(content, max_pixels=255)
    cut = content[:8] + content[-200:]
    with pytest.raises(ImageError, match=r"^x\.tif .*(damaged|no image)"):
        read_image(cut, "x.tif")


def test_black_stays_black():
    for pixels in (np.zeros((4, 4), np.uint16), np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int32)):
        assert not read_image(pillow(pixels, "TIFF")).any()
