"""Colour profiles: what is read is sRGB, whatever the file's pixels stand for."""

from __future__ import annotations

import io
import logging
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from fer_engine.vision import read_image

RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped():
    """Give an RGB profile whose red is sRGB's blue, and whose blue is sRGB's red."""
    return SRGB.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")


def gray(gamma):
    """Give a profile of gray with a gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, int(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    return profile(b"GRAY", b"XYZ ", [(b"wtpt", white), (b"kTRC", curve)])


def cmyk():
    """Give a profile of CMYK by whose table black ink alone counts: 0 is white and 255 is black."""
    corners = b"".join(bytes([0 if corner & 1 else 255, 128, 128]) for corner in range(16))
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    return profile(b"CMYK", b"Lab ", [(b"A2B0", table)])


def profile(space, connection, tags):
    """Give an ICC profile of version 2 with these tags."""
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4sI", start + len(body), b"lcms", 0x02100000) + kind + space + connection
    head = head.ljust(36, b"\0") + b"acsp"
    illuminant = struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(68, b"\0") + illuminant + bytes(48) + table + body


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_an_rgb_profile_is_applied(form):
    image = read_image(encoded(Image.fromarray(RGB), form, icc_profile=swapped()))
    assert np.abs(image.astype(int) - RGB).max() <= 2  # blue first, and red and blue swapped


def test_a_profile_is_applied_to_jpeg_and_webp_and_avif():
    smooth = np.full((64, 64, 3), [200, 120, 30], np.uint8)
    for form in ("JPEG", "WEBP", "AVIF"):
        image = read_image(encoded(Image.fromarray(smooth), form, quality=95, icc_profile=swapped()))
        assert np.abs(image.astype(int) - smooth).max() <= 6


def test_all_rows_of_a_large_image_are_converted():
    large = np.tile(RGB, (50, 1, 1))
    image = read_image(encoded(Image.fromarray(large), icc_profile=swapped()))
    assert np.abs(image.astype(int) - large).max() <= 2


def test_a_profile_of_srgb_changes_nothing():
    assert (read_image(encoded(Image.fromarray(RGB), icc_profile=SRGB)) == RGB[..., ::-1]).all()


def test_a_profile_is_applied_before_the_image_is_laid_on_white():
    clear = Image.fromarray(RGB)
    clear.putalpha(51)
    expected = 255 - (255 - RGB.astype(int)) * 0.2
    assert np.abs(read_image(encoded(clear, icc_profile=swapped())) - expected).max() <= 2


def test_a_profile_is_applied_to_palettes_and_to_gray():
    palette = Image.fromarray(RGB).quantize(8)
    expected = np.asarray(palette.convert("RGB")).astype(int)
    assert np.abs(read_image(encoded(palette, icc_profile=swapped())) - expected).max() <= 2
    level = Image.fromarray(RGB[..., 0])
    image = read_image(encoded(level, icc_profile=swapped()))
    assert np.abs(image.astype(int) - RGB[..., :1]).max() <= 2  # gray has no red to swap


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_gray_profile_is_applied(dtype):
    level = np.arange(256).astype(np.uint8).reshape(16, 16)
    pixels = level if dtype == np.uint8 else level.astype(np.uint16) * 257
    image = read_image(encoded(Image.fromarray(pixels), icc_profile=gray(1.8)))
    linear = (level / 255) ** 1.8
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(image - expected[..., np.newaxis]).max() <= 3


def test_a_cmyk_profile_is_applied():
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:8, :, :3] = 255  # of these colours the profile says that they are white
    inks[8:, :, 3] = 255
    content = encoded(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=cmyk())
    image = read_image(content)
    assert image[:8].min() >= 253
    assert image[8:].max() <= 2


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"no profile", ""),
        (swapped()[:200], ""),
        (cmyk(), "it is for CMYK, and the pixels are RGB"),
        (gray(2.2), "it is for GRAY, and the pixels are RGB"),
    ],
)
def test_a_profile_that_cannot_be_used_is_warned_of(damaged, reason, caplog):
    content = encoded(Image.fromarray(RGB), icc_profile=damaged)
    with caplog.at_level(logging.WARNING):
        assert (read_image(content, "x.png") == RGB[..., ::-1]).all()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"the colour profile of x.png is not applied: {reason}")


P3 = [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)]
ADOBE_RGB = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def parametric(kind, *numbers):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*numbers)


def table(*values):
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


CURVES = {
    "sRGB": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "power": parametric(0, 2.2),
    "offsets": parametric(4, 1.8, 1, 0, 1 / 16, 0.001953125, 0, 0),
    "lifted": parametric(1, 2.2, 0.9, 0.1),
    "gamma": table(563),
    "linear": table(),
    "table": table(*(round(65535 * (i / 1023) ** 2.2) for i in range(1024))),
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("colorants", [P3, ADOBE_RGB], ids=["P3", "Adobe RGB"])
def test_curves_and_a_matrix_give_what_littlecms_gives(colorants, curve):
    columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)
    tags = [(name, b"XYZ " + bytes(4) + fixed(*column)) for name, column in columns]
    tags += [(name, CURVES[curve]) for name in (b"rTRC", b"gTRC", b"bTRC")]
    icc = profile(b"RGB ", b"XYZ ", [*tags, (b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249))])
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    opened = ImageCms.getOpenProfile(io.BytesIO(icc))
    expected = ImageCms.profileToProfile(image, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
    read = read_image(encoded(image, icc_profile=icc)).astype(int)
    assert np.abs(read - np.asarray(expected)[..., ::-1]).max() <= 2
    assert np.abs(read - np.asarray(image)[..., ::-1]).max() > 20  # it changes colours
