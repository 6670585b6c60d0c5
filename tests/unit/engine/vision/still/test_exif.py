"""EXIF as cameras and programs write it: which way an image is up, whatever else the block holds."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from fer_engine.vision import read_image
from fer_engine.vision.still.exif import PREFIX, upright_block

RGB = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3) * 2
BGR = RGB[..., ::-1]
TURNED = np.rot90(BGR, -1)  # by orientation 6
ORIENTATION, RESOLUTION, EXIF_DIRECTORY, GPS_DIRECTORY = 0x0112, 0x011A, 0x8769, 0x8825
SHORT, ASCII, LONG, RATIONAL = 3, 2, 4, 5
SIX = (ORIENTATION, SHORT, 1, struct.pack(">HH", 6, 0))


def block(*entries, tail=b""):
    """Give a big-endian EXIF block of tag, type, count and the four bytes of each value."""
    fields = b"".join(struct.pack(">HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + fields + bytes(4) + tail


def jpeg(*segments):
    """Give a JPEG of BGR with these APP1 segments."""
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG", quality=100, subsampling=0)
    content = buffer.getvalue()
    marked = (b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments)
    return content[:2] + b"".join(marked) + content[2:]


def xmp(orientation):
    """Give an XMP segment with an orientation."""
    space = b"xmlns:tiff='http://ns.adobe.com/tiff/1.0/'"
    return (
        b"http://ns.adobe.com/xap/1.0/\0<rdf:Description "
        + space
        + b" tiff:Orientation="
        + orientation
        + b"/>"
    )


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "segments",
    [
        [PREFIX + block(SIX)],
        [PREFIX + block(SIX, (RESOLUTION, ASCII, 3, b"72\0\0"))],
        [
            PREFIX
            + block(
                SIX, (RESOLUTION, RATIONAL, 2, struct.pack(">I", 38)), tail=struct.pack(">4I", 72, 1, 72, 1)
            )
        ],
        [PREFIX + block(SIX, (EXIF_DIRECTORY, LONG, 1, struct.pack(">I", 8)))],
        [PREFIX + block(SIX, (GPS_DIRECTORY, LONG, 1, struct.pack(">I", 0x7FFFFFFF)))],
        [PREFIX + PREFIX + block(SIX)],
        [PREFIX + block(SIX), xmp(b"'6'")],
        [xmp(b"'6'")],
        [xmp(b'"6"')],
    ],
    ids=["plain", "text", "two", "loop", "beyond", "prefixes", "both", "xmp", "xmp quoted"],
)
def test_the_image_is_turned_once(segments):
    image = read_image(jpeg(*segments))
    assert image.shape == TURNED.shape
    assert np.abs(image.astype(int) - TURNED).max() < 12


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage, no TIFF at all",
        b"II*\0\xff\xff\xff\x7f",
        block((ORIENTATION, RATIONAL, 1, struct.pack(">I", 26)), tail=struct.pack(">II", 1, 0)),
        block((ORIENTATION, ASCII, 2, b"6\0\0\0")),
        block((ORIENTATION, SHORT, 1, b"\0\x4d\0\0")),
        block((ORIENTATION, RATIONAL, 1, struct.pack(">I", 0x120)), (0x011A, 10, 2**32 - 1, bytes(4))),
    ],
    ids=["blank", "garbage", "offset", "0 in the denominator", "text", "77", "types"],
)
def test_an_odd_block_leaves_the_image_as_it_is(content):
    image = read_image(jpeg(PREFIX + content))
    assert image.shape == BGR.shape
    assert np.abs(image.astype(int) - BGR).max() < 12


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [block(SIX, (RESOLUTION, ASCII, 3, b"72\0\0")), block((ORIENTATION, LONG, 1, struct.pack(">I", 6)))],
)
def test_the_block_of_a_copy_differs_in_the_orientation_alone(content):
    copied = upright_block(opened(jpeg(PREFIX + PREFIX + content)))
    assert copied.startswith(PREFIX)
    assert not copied[6:].startswith(PREFIX)
    exif = Image.Exif()
    exif.load(copied)
    assert exif[ORIENTATION] == 1
    assert len(copied) == len(PREFIX + content)
    assert sum(a != b for a, b in zip(copied, PREFIX + content, strict=True)) <= 4


@pytest.mark.parametrize("content", [b"garbage, no TIFF at all", b"II*\0\xff\xff\xff\x7f", block(SIX)[:12]])
def test_a_damaged_block_is_copied_as_it_is(content):
    image = Image.new("RGB", (1, 1))
    image.info["exif"] = content
    assert upright_block(image) == PREFIX + content


def test_a_copy_of_an_image_without_exif_has_none():
    assert upright_block(opened(jpeg())) is None
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "TIFF")
    assert upright_block(opened(buffer.getvalue())) is None


def test_a_tiff_keeps_what_describes_the_photograph():
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x0110] = 6, "A camera"
    exif[EXIF_DIRECTORY], exif[GPS_DIRECTORY] = {0x9003: "2026:11:30 12:00:00"}, {1: "N"}
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "TIFF", exif=exif.tobytes())
    copied = Image.Exif()
    copied.load(upright_block(opened(buffer.getvalue())))
    assert dict(copied)[0x0110] == "A camera"
    assert copied.get_ifd(EXIF_DIRECTORY)[0x9003] == "2026:11:30 12:00:00"
    assert copied.get_ifd(GPS_DIRECTORY)[1] == "N"
    assert not {ORIENTATION, TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.STRIPOFFSETS} & set(copied)
