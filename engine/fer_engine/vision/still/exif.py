"""EXIF: which way an image is up, and the block that a copy of it gets."""

from __future__ import annotations

import re
import struct
from typing import Any

from fer_engine.vision.library import opencv, pillow

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"
# What Pillow raises on a block that is damaged or has values of other types than the standard says.
DAMAGED = (SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OSError, struct.error)
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])""")
# What of a TIFF's directory describes the photograph and not the layout of the file: texts, and the
# directories of EXIF and GPS.
TIFF_TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
TIFF_DIRECTORIES = (0x8769, 0x8825)


def orientation(opened: Any) -> int:
    """Return the EXIF orientation, 1 to 8, of an image that Pillow opened; 1 if there is none.

    XMP's orientation is taken where EXIF has none. A damaged block counts as none, as in browsers: the pixels
    are whole.
    """
    try:
        value = opened.getexif().get(ORIENTATION)
    except DAMAGED:
        value = None
    if value is None and opened.format != "TIFF":  # Pillow turned it already, and took the value away
        xmp = opened.info.get("XML:com.adobe.xmp") or opened.info.get("xmp") or b""
        found = XMP_ORIENTATION.search(xmp.encode() if isinstance(xmp, str) else xmp)
        value = int(found[1]) if found else 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def turn_upright(pixels: Any, value: int) -> Any:
    """Return pixels [height, width(, channels)] turned and mirrored as the orientation `value` says."""
    cv2 = opencv()
    if value in {5, 7}:
        pixels = cv2.transpose(pixels)
    flips = {2: 1, 4: 0, 7: -1}
    turns = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if value in flips:
        return cv2.flip(pixels, flips[value])
    return cv2.rotate(pixels, turns[value]) if value in turns else pixels


def upright_block(opened: Any) -> bytes | None:
    """Return the EXIF block of an image that Pillow opened, for a copy that stands upright; None for none.

    Only the orientation is changed, in place: writing the block anew would move what the makers of cameras
    refer to by its offset. A TIFF has no such block, so its texts, EXIF and GPS make a new one.
    """
    block = opened.info.get("exif")
    if not block:
        return _tiff_block(opened) if opened.format == "TIFF" else None
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    return PREFIX + _with_orientation_1(block)


def _with_orientation_1(block: bytes) -> bytes:
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return block
    changed = bytearray(block)
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", block, entry) == (ORIENTATION,):
                short = 3  # TIFF's number for this type
                struct.pack_into(f"{order}HIHH", changed, entry + 2, short, 1, 1, 0)
    except struct.error:  # the block ends before its directory does
        pass
    return bytes(changed)


def _tiff_block(opened: Any) -> bytes | None:
    block = pillow().Exif()
    try:
        found = opened.getexif()
        for tag in TIFF_TEXTS:
            if tag in found:
                block[tag] = found[tag]
        for tag in TIFF_DIRECTORIES:
            if directory := found.get_ifd(tag):
                block[tag] = directory
        return block.tobytes() if block else None
    except DAMAGED:
        return None
