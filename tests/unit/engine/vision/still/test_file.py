"""HEIC, which another library reads, and files that are no image."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from fer_engine.errors import ImageError, ImageSizeError
from fer_engine.vision import read_image

SMOOTH = np.stack([np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)] * 3, -1)
SMOOTH[..., 0] //= 2
BGR = SMOOTH[..., ::-1]


def heic(image, **options):
    buffer = io.BytesIO()
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.encode(image.mode, image.size, image.tobytes(), buffer, quality=95, **options)
    return buffer.getvalue()


def near(image, expected):
    return image.shape == expected.shape and np.abs(image.astype(int) - expected).mean() < 4


def test_heic_is_read(tmp_path):
    content = heic(Image.fromarray(SMOOTH))
    path = tmp_path / "photo.jpg"  # as some telephones name it when they send it
    path.write_bytes(content)
    assert near(read_image(content), BGR)
    assert near(read_image(path), BGR)


@pytest.mark.parametrize(("in_container", "in_exif"), [(6, 6), (1, 6), (1, 1)])
def test_heic_is_turned_by_its_container_alone(in_container, in_exif):
    """The standard, ISO/IEC 23008-12, lets EXIF only inform; telephones write the orientation to both."""
    exif = Image.Exif()
    exif[0x0112] = in_container
    block = exif.tobytes()
    content = heic(Image.fromarray(SMOOTH), exif=block)
    assert (b"irot" in content) == (in_container == 6)
    assert content.count(block[6:]) == 1
    exif[0x0112] = in_exif
    content = content.replace(block[6:], exif.tobytes()[6:])
    assert near(read_image(content), BGR if in_container == 1 else np.rot90(BGR, -1))


def test_heic_has_transparency_a_profile_and_a_limit():
    clear = Image.fromarray(SMOOTH)
    clear.putalpha(0)
    assert read_image(heic(clear)).min() > 250
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
    assert near(read_image(heic(Image.fromarray(SMOOTH), icc_profile=swapped)), SMOOTH)
    with pytest.raises(ImageSizeError, match="64x48 = 3072 pixels, expected at most 3071"):
        read_image(heic(Image.fromarray(SMOOTH)), max_pixels=3071)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_without_pillow_heif_the_error_names_the_extra(brand, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        ImageError, match=r"^x\.heic is a HEIC .*pip install 'fer-engine\[heif\]', or convert"
    ):
        read_image(b"\0\0\0\x18ftyp" + brand + bytes(100), "x.heic")


def test_damaged_heic_is_one_error():
    with pytest.raises(ImageError, match=r"^x\.heic "):
        read_image(heic(Image.fromarray(SMOOTH))[:200], "x.heic")


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><h1>404",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\r\n\xff\xd8\xff\xe0",
        b"\0\0\0\x18ftypisom" + bytes(100),
        b"\0\0\1\0\1\0\x10\x10" + bytes(40),
    ],
    ids=["html", "svg", "line before a JPEG", "film", "icon"],
)
def test_what_is_no_photograph_is_told(content):
    with pytest.raises(
        ImageError, match=r"^x\.jpg is no image of a known format.*expected one of JPEG, .*HEIF"
    ):
        read_image(content, "x.jpg")


def bomb(scans: int, side: int = 64) -> bytes:
    """Return a progressive JPEG that repeats its last scan."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, "JPEG", progressive=True)
    whole = encoded.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * scans + whole[-2:]


def test_a_jpeg_that_repeats_its_scans_is_refused_before_it_is_decoded():
    assert read_image(bomb(20)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match=r"has 6[0-9][0-9] scans of 4096 pixels, expected some ten"):
        read_image(bomb(600))
    # A picture of 7000x7000 pixels: far fewer scans take as long.
    large = bomb(60).replace(b"\x00\x40\x00\x40", b"\x1b\x58\x1b\x58", 1)  # its height and width
    with pytest.raises(ImageError, match="scans of 49000000 pixels"):
        read_image(large)
