"""Images of every kind, whole and damaged."""

from __future__ import annotations

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import fer_engine
from fer_engine import errors, vision
from fer_engine.errors import ConfigError, ImageError, InputError
from fer_engine.vision import read_image
from fer_engine.vision.image import check_image
from fer_engine.vision.still.file import FORMATS

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
BGR = RGB[..., ::-1]
ORIENTATION = 0x0112


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def heif(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(image).save(buffer)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Give a PNG that claims a size and holds no pixel."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b""))]
    chunks = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_colours_are_kept_in_bgr(form):
    image = read_image(encoded(Image.fromarray(RGB), form))
    assert (image == BGR).all()
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_close(form):
    smooth = np.stack([np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)] * 3, -1)
    smooth[..., 0] //= 2
    image = read_image(encoded(Image.fromarray(smooth), form, quality=95))
    assert np.abs(image.astype(int) - smooth[..., ::-1]).mean() < 4


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, BGR),
        (2, BGR[:, ::-1]),
        (3, BGR[::-1, ::-1]),
        (4, BGR[::-1]),
        (5, BGR.swapaxes(0, 1)),
        (6, np.rot90(BGR, -1)),
        (7, BGR[::-1, ::-1].swapaxes(0, 1)),
        (8, np.rot90(BGR)),
        (77, BGR),
    ],
)
def test_an_image_stands_as_its_exif_orientation_says(orientation, upright):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(read_image(encoded(Image.fromarray(RGB), exif=exif)), upright)


def test_gray_black_and_white_and_palettes_become_colour():
    gray = RGB[..., 0]
    assert (read_image(encoded(Image.fromarray(gray))) == gray[..., np.newaxis]).all()
    two = Image.fromarray(gray > 127)
    assert (read_image(encoded(two)) == np.where(gray > 127, 255, 0)[..., np.newaxis]).all()
    palette = Image.fromarray(RGB).quantize(8)
    assert (read_image(encoded(palette)) == np.asarray(palette.convert("RGB"))[..., ::-1]).all()


def test_what_is_transparent_lies_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = 0, 51, 255
    expected = [[255, 255, 255], [204, 204, 244], [0, 0, 200]]
    assert read_image(encoded(Image.fromarray(rgba)))[0].tolist() == expected
    shaded = Image.fromarray(rgba).convert("LA")
    assert read_image(encoded(shaded))[0, 0].tolist() == [255] * 3
    keyed = Image.new("P", (2, 1), 0)
    keyed.putpalette([10, 20, 30, 40, 50, 60])
    keyed.putpixel((1, 0), 1)
    assert read_image(encoded(keyed, transparency=0))[0].tolist() == [[255] * 3, [60, 50, 40]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_of_16_bits_the_upper_8_are_kept(form):
    gray = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    assert read_image(encoded(Image.fromarray(gray), form))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_cmyk():
    image = read_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(image.reshape(-1, 3).astype(int) - [0, 0, 255]).max() <= 4


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_image_is_taken(form):
    first, second = Image.new("RGB", (8, 8), (200, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 200))
    options = {"lossless": True} if form == "WEBP" else {}
    content = encoded(first, form, save_all=True, append_images=[second], **options)
    assert read_image(content)[4, 4].tolist() == [0, 0, 200]


def test_the_content_tells_the_format_not_the_ending(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(Image.fromarray(RGB)))
    assert (read_image(path) == BGR).all()


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])  # below, above and far above Pillow's own limit
def test_a_decompression_bomb_is_refused_by_its_header(side):
    with pytest.raises(ImageError) as raised:
        read_image(png_header(side, side), "bomb.png")
    assert str(raised.value) == (
        f"bomb.png has {side}x{side} = {side * side} pixels, expected at most 64000000; make it smaller, or "
        f"allow it with max_pixels={side * side} (of a command: --max-pixels {side * side})"
    )


def test_the_limit_is_the_callers_not_pillows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    content = encoded(Image.fromarray(RGB))
    assert (read_image(content, max_pixels=35) == BGR).all()
    with pytest.raises(ImageError, match="7x5 = 35 pixels, expected at most 34"):
        read_image(content, max_pixels=34)
    with pytest.raises(ConfigError, match="max_pixels must be at least 1, got 0"):
        read_image(content, max_pixels=0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, 0 bytes; get it again"),
        (b"hello", "is no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image of a known format"),
        (encoded(Image.fromarray(RGB))[:50], "cannot be decoded: .*it is damaged, get it again"),
    ],
)
def test_what_is_no_image(tmp_path, content, reason):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    for source, name in ((path, None), (content, str(path))):
        with pytest.raises(ImageError, match=reason) as raised:
            read_image(source, name)
        assert str(raised.value).startswith(f"{path} ")
        assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(ImageError, match=r"cannot read .*: it is a folder; check the path"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match=r"cannot read .*gone\.png: No such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="cannot read"):
        read_image(Path("a\0b"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name of Unix")
def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_bytes, encoded(Image.fromarray(RGB)))
        np.testing.assert_array_equal(read_image(pipe), BGR)


def outcome(content: bytes) -> str:
    try:
        check_image(read_image(content, max_pixels=10_000))
    except ImageError:
        return "error"
    return "image"


@pytest.mark.parametrize("form", [*FORMATS, "HEIF"])
def test_damage_is_one_error_or_an_image(form):
    """Whatever a decoder makes of damaged bytes, nothing else comes out."""
    random = np.random.default_rng(1)
    image = Image.fromarray(RGB).resize((40, 30))
    whole = np.frombuffer(heif(image) if form == "HEIF" else encoded(image, form), np.uint8)
    contents = []
    for _ in range(60):
        damaged = whole.copy()
        damaged[random.integers(len(whole), size=4)] = random.integers(256, size=4)
        contents += [damaged.tobytes(), whole[: random.integers(1, len(whole))].tobytes()]
    assert {outcome(content) for content in contents} in ({"image", "error"}, {"error"})


def test_reading_changes_nothing_global():
    settings = ("MAX_IMAGE_PIXELS", "WARN_POSSIBLE_FORMATS", "LOAD_TRUNCATED_IMAGES")
    before = [getattr(module, name, None) for module in (Image, ImageFile) for name in settings]
    read_image(encoded(Image.fromarray(RGB)))
    assert [getattr(module, name, None) for module in (Image, ImageFile) for name in settings] == before


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "NoneType"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((4, 4, 3)), r"float64 \[4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]"),
    ],
)
def test_what_is_passed_for_an_image(value, got):
    with pytest.raises(InputError, match=f"got {got}; read it with fer_engine.vision.read_image"):
        check_image(value)


def test_the_older_names_stand_for_the_same():
    assert fer_engine.PictureError is fer_engine.ImageError is errors.PictureError
    assert fer_engine.PictureSizeError is fer_engine.ImageSizeError is errors.PictureSizeError
    assert vision.read_picture is vision.read_image
    assert vision.Picture is vision.Image
    frame = vision.Frame("a.png", 0, 0.0, BGR)
    assert frame.picture is frame.image
