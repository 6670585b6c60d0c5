"""Images whose pixels are whole, in files that have a fault elsewhere."""

from __future__ import annotations

import io
import logging
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fer_engine.errors import ImageError
from fer_engine.vision import read_image

# Noise, of which every block of a JPEG has coefficients.
RGB = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
PNG_START = 33  # bytes of the signature and the header, behind which other chunks may follow


def encoded(form, **options):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind, content, checksum=None):
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.parametrize("length", [2_000_000, 70_000_000])  # above Pillow's limits for one text and for all
def test_a_png_with_a_long_text(length):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "x" * length, zip=True)
    assert (read_image(encoded("PNG", pnginfo=texts)) == RGB[..., ::-1]).all()


@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"eXIf", b"gAMA", b"pHYs"])
@pytest.mark.parametrize("at_end", [False, True])
def test_a_png_whose_metadata_has_a_wrong_checksum(kind, at_end):
    whole = encoded("PNG")
    place = len(whole) - 12 if at_end else PNG_START
    damaged = whole[:place] + chunk(kind, b"a\0b", checksum=1) + whole[place:]
    assert (read_image(damaged) == RGB[..., ::-1]).all()


@pytest.mark.parametrize("extra", [b"PK\3\4" + bytes(1000), b"\0\0"])
def test_a_png_with_other_bytes_behind(extra):
    assert (read_image(encoded("PNG") + extra) == RGB[..., ::-1]).all()


def test_a_png_without_its_end():
    assert (read_image(encoded("PNG")[:-12]) == RGB[..., ::-1]).all()


def test_a_png_turned_by_the_exif_that_imagemagick_writes():
    exif = Image.Exif()
    exif[0x0112] = 3
    block = exif.tobytes()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert (read_image(encoded("PNG", pnginfo=texts)) == RGB[::-1, ::-1, ::-1]).all()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(progressive, caplog):
    whole = encoded("JPEG", progressive=progressive)
    assert whole.endswith(b"\xff\xd9")
    with caplog.at_level(logging.WARNING):
        assert (read_image(whole[:-2], "x.jpg") == read_image(whole)).all()
    assert caplog.messages == ["x.jpg lacks the marker at its end, but none of its pixels: it is read"]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_jpeg_that_lacks_pixels_is_damaged(progressive, share):
    whole = encoded("JPEG", progressive=progressive)
    with pytest.raises(ImageError, match=r"^x\.jpg cannot be decoded: .*it is damaged, get it again$"):
        read_image(whole[: int(len(whole) * share)], "x.jpg")


def test_a_jpeg_that_lacks_its_last_byte_of_pixels_is_damaged():
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(encoded("JPEG")[:-3])


def test_a_jpeg_with_a_film_or_zeros_behind(caplog):
    whole = encoded("JPEG")
    for extra in (b"\0\0\0\x18ftypmp42" + bytes(2**16), bytes(100)):
        assert (read_image(whole + extra) == read_image(whole)).all()
    assert not caplog.messages
