"""Draws boxes, labels and probabilities of faces onto an image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_engine.errors import InputError
from fer_engine.vision.face import Face
from fer_engine.vision.image import Image, check_image
from fer_engine.vision.library import pillow

# Sizes are shares of the image's shorter side, so that text is as readable in a thumbnail as in a photo.
TEXT = 1 / 24
LINE = 1 / 240
SMALLEST_TEXT = 10  # pixels; smaller letters run together: only where the image is too narrow are they used
PADDING = 0.25  # around text, as a share of its size
BAR = 4  # length of a full bar, in text sizes

Colour = tuple[int, int, int]  # blue, green, red
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def annotate(image: Image, faces: Sequence[Face], labels: Sequence[str] | None = None) -> Image:
    """Return a copy of an image with the box, label and probability of each face drawn on it.

    Each expression has its own colour. Text is black or white, whichever has more contrast, and stays inside
    the image.

    Args:
        image: uint8 [height, width, 3] in BGR.
        faces: The faces of this image.
        labels: The labels of the model's spec, to also draw a bar for each probability.

    Raises:
        InputError: `image` is no such array, or the number of `labels` is not that of the probabilities.
        ConfigError: Pillow is not installed.
    """
    pil_image = pillow().fromarray(check_image(image))  # a copy; the order of the channels does not matter
    canvas = _Canvas(pil_image)
    for face in faces:
        if labels is not None and len(labels) != len(face.probabilities):
            raise InputError(
                f"labels must name each of the {len(face.probabilities)} probabilities, "
                f"got {len(labels)} labels"
            )
        canvas.face(face)
        if labels is not None:
            canvas.bars(face, labels)
    return np.asarray(pil_image).copy()


class _Canvas:
    def __init__(self, pil_image: Any) -> None:
        from PIL import ImageDraw

        self._width, self._height = pil_image.size
        self._draw = ImageDraw.Draw(pil_image)
        shorter = min(pil_image.size)
        self._text = max(SMALLEST_TEXT, round(shorter * TEXT))
        self._line = max(1, round(shorter * LINE))

    def face(self, face: Face) -> None:
        left, top, width, height = face.box
        colour = _colour(int(face.probabilities.argmax()), len(face.probabilities))
        corners = (left, top, left + width - 1, top + height - 1)
        self._draw.rectangle(corners, outline=colour, width=self._line)
        text = f"{face.label} {face.probabilities.max():.0%}"
        self._tag(text, left, top, colour)

    def _tag(self, text: str, left: int, bottom: int, colour: Colour) -> None:
        """Write on a background of `colour` above a box, or at the image's top edge where it is too close."""
        font, padding = self._font(text)
        width = round(font.getlength(text)) + 2 * padding
        height = sum(font.getmetrics()) + padding
        x, y = self._inside(left, bottom - height, width, height)
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
        self._draw.text((x + padding, y + padding // 2), text, fill=_readable_on(colour), font=font)

    def bars(self, face: Face, labels: Sequence[str]) -> None:
        """Draw one bar for each label to the right of the box, or to the left where the right has no room."""
        font, padding = self._font(max(labels, key=len) + "m" * BAR, len(labels))
        texts = max(round(font.getlength(label)) for label in labels)
        full, row = BAR * round(font.size), sum(font.getmetrics())
        width, height = texts + full + 3 * padding, row * len(labels) + padding
        left, top, box_width, _ = face.box
        beside = left + box_width if left + box_width + width <= self._width else left - width
        x, y = self._inside(beside, top, width, height)
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=BLACK)
        for index, (label, share) in enumerate(zip(labels, face.probabilities, strict=True)):
            line = y + padding // 2 + index * row
            self._draw.text((x + padding, line), label, fill=WHITE, font=font)
            start = x + texts + 2 * padding
            box = (start, line + row // 5, start + round(full * float(share)), line + row - row // 5)
            self._draw.rectangle(box, fill=_colour(index, len(labels)))

    def _font(self, text: str, rows: int = 1) -> tuple[Any, int]:
        """Return the largest font in which `rows` lines like `text` fit the image, and its padding."""
        from PIL import ImageFont

        size = self._text
        while True:
            font: Any = ImageFont.load_default(size)
            padding = round(size * PADDING)
            width, height = font.getlength(text) + 3 * padding, sum(font.getmetrics()) * rows + padding
            if size == 1 or (width <= self._width and height <= self._height):
                return font, padding
            size -= 1

    def _inside(self, x: int, y: int, width: int, height: int) -> tuple[int, int]:
        return max(0, min(x, self._width - width)), max(0, min(y, self._height - height))


def _colour(index: int, count: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(index / count, 0.75, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _readable_on(colour: Colour) -> Colour:
    blue, green, red = colour
    return BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else WHITE  # luminance, ITU-R BT.601
