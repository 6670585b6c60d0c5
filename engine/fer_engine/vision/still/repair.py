"""Makes files whole that have a fault outside of their pixels, which Pillow would refuse."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# The text chunks that may hold the orientation: XMP, and EXIF as ImageMagick writes it.
PNG_KEPT_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
ANCILLARY = 0x20  # bit of a chunk's first letter: decoders can do without the chunk
JPEG_END = b"\xff\xd9"
# Stands for coefficients that are not there: varied bytes, none of which begins a marker.
JPEG_PROBE = bytes(range(1, 255)) * 2


def drop_png_texts(content: bytes) -> bytes:
    """Return a PNG without its text chunks, and without chunks of metadata whose checksum is wrong.

    Pillow refuses images with long texts, such as the prompt that image generators write, and with a wrong
    checksum. libpng, which browsers read PNG with, ignores both.
    """
    kept, start = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while start + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 12 + length
        chunk = content[start:end]
        start = end
        if not kind[0] & ANCILLARY or _is_wanted(kind, chunk):
            kept.append(chunk)
        if kind == b"IEND":
            break
    return b"".join([*kept, content[start:]])


def _is_wanted(kind: bytes, chunk: bytes) -> bool:
    if kind in PNG_TEXTS and not chunk[8:].startswith(PNG_KEPT_TEXTS):
        return False
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def complete_jpeg(content: bytes, decode: Callable[[bytes], np.ndarray]) -> bytes | None:
    """Return a JPEG with the end marker that it lacks; None if some of the pixels are missing, too.

    A decoder reads no further than the last block of pixels. So if other bytes before the end marker change
    the image, blocks are missing.

    Args:
        content: The file, which `decode` cannot decode.
        decode: Returns the pixels of a JPEG.
    """
    completed = content + JPEG_END
    if np.array_equal(decode(completed), decode(content + JPEG_PROBE + JPEG_END)):
        return completed
    return None
