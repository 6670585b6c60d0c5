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

# Shares of the image's shorter side, so that text is as readable in a thumbnail as in a photo.
LARGEST_TEXT = 1 / 16
LINE = 1 / 240
# A tag is as wide as its face where that can be read, so that it does not reach over the neighbours.
SMALLEST_TEXT = 10  # pixels; smaller letters run together: only where the image is too narrow are they used
PADDING = 0.25  # around text, as a share of its size
BAR = 4  # length of a full bar, in text sizes

Colour = tuple[int, int, int]  # blue, green, red
Rectangle = tuple[int, int, int, int]  # left, top, width, height
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def annotate(image: Image, faces: Sequence[Face], labels: Sequence[str] | None = None) -> Image:
    """Return a copy of an image with the box, label and probability of each face drawn on it.

    Each expression has its own colour. Text is black or white, whichever has more contrast. It stays inside
    the image, is about as wide as its face, and covers no other face or text where there is room.

    Args:
        image: uint8 [height, width, 3] in BGR.
        faces: The faces of this image.
        labels: The labels of the model's spec, to also draw a bar for each probability.

    Raises:
        InputError: `image` is no such array, or the number of `labels` is not that of the probabilities.
        ConfigError: Pillow is not installed.
    """
    pil_image = pillow().fromarray(check_image(image))  # a copy; the order of the channels does not matter
    for face in faces:
        if labels is not None and len(labels) != len(face.probabilities):
            raise InputError(
                f"labels must name each of the {len(face.probabilities)} probabilities, "
                f"got {len(labels)} labels"
            )
    canvas = _Canvas(pil_image, [face.box for face in faces])
    for face in faces:
        canvas.box(face)
    for face in faces:  # over all boxes, so that no line crosses a text
        canvas.tag(face)
    for face in faces if labels is not None else ():
        canvas.bars(face, labels or ())
    return np.asarray(pil_image).copy()


class _Canvas:
    def __init__(self, pil_image: Any, boxes: list[Rectangle]) -> None:
        from PIL import ImageDraw

        self._width, self._height = pil_image.size
        self._draw = ImageDraw.Draw(pil_image)
        shorter = min(pil_image.size)
        self._largest = max(SMALLEST_TEXT, round(shorter * LARGEST_TEXT))
        self._line = max(1, round(shorter * LINE))
        self._boxes = boxes
        self._taken: list[Rectangle] = []  # by tags and bars

    def box(self, face: Face) -> None:
        left, top, width, height = face.box
        corners = (left, top, left + width - 1, top + height - 1)
        self._draw.rectangle(corners, outline=_face_colour(face), width=self._line)

    def tag(self, face: Face) -> None:
        """Write label and probability on the face's colour, above its box, or where there is room."""
        text = f"{face.label} {face.probabilities.max():.0%}"
        left, top, across, down = face.box
        font, padding = self._font(text, 1, across, self._height, self._largest)
        width = round(font.getlength(text)) + 2 * padding
        height = sum(font.getmetrics()) + padding
        below, right = top + down, left + across
        places = [(left, top - height), (left, below), (right - width, top - height), (right - width, below)]
        places += [(right, top), (left - width, top), (left, top)]
        (x, y), _ = self._place(face.box, places, width, height)
        self._taken.append((x, y, width, height))
        colour = _face_colour(face)
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
        self._draw.text((x + padding, y + padding // 2), text, fill=_readable_on(colour), font=font)

    def bars(self, face: Face, labels: Sequence[str]) -> None:
        """Draw one bar for each label beside the box; smaller where there is little room."""
        left, top, across, down = face.box
        longest, size = max(labels, key=len) + "m" * BAR, self._largest
        while True:
            font, padding = self._font(longest, len(labels), self._width, down, size)
            size = round(font.size) - 1
            texts = max(round(font.getlength(label)) for label in labels)
            full, row = BAR * round(font.size), sum(font.getmetrics())
            width, height = texts + full + 3 * padding, row * len(labels) + padding
            below = top + down
            places = [(left + across, top), (left - width, top), (left, below), (left, top - height)]
            (x, y), covered = self._place(face.box, places, width, height)
            if not any(covered) or size < SMALLEST_TEXT:
                break
        self._taken.append((x, y, width, height))
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=BLACK)
        for index, (label, share) in enumerate(zip(labels, face.probabilities, strict=True)):
            line = y + padding // 2 + index * row
            self._draw.text((x + padding, line), label, fill=WHITE, font=font)
            start = x + texts + 2 * padding
            box = (start, line + row // 5, start + round(full * float(share)), line + row - row // 5)
            self._draw.rectangle(box, fill=_colour(index, len(labels)))

    def _place(
        self, own: Rectangle, places: list[tuple[int, int]], width: int, height: int
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the first place, moved into the image, that covers least of faces and texts.

        With it come the pixels that it covers of the others and of its own face.
        """
        inside = [
            (max(0, min(x, self._width - width)), max(0, min(y, self._height - height))) for x, y in places
        ]
        covered = []
        for x, y in inside:
            here = (x, y, width, height)
            others = sum(_shared(here, other) for other in (*self._boxes, *self._taken) if other is not own)
            covered.append((others, _shared(here, own)))
        best = min(range(len(inside)), key=covered.__getitem__)
        return inside[best], covered[best]

    def _font(self, text: str, rows: int, width: int, height: int, size: int) -> tuple[Any, int]:
        """Return a font, at most of `size`, in which `rows` lines like `text` fit, and its padding.

        It is smaller than can be read only where the image has no room for more.
        """
        from PIL import ImageFont

        while True:
            font: Any = ImageFont.load_default(size)
            padding = round(size * PADDING)
            across, down = font.getlength(text) + 3 * padding, sum(font.getmetrics()) * rows + padding
            fits = across <= width and down <= height
            fits_image = across <= self._width and down <= self._height
            if size == 1 or (fits_image and (fits or size <= SMALLEST_TEXT)):
                return font, padding
            size -= 1


def _shared(one: Rectangle, other: Rectangle) -> int:
    """Return the pixels that two rectangles share."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, across) * max(0, down)


def _face_colour(face: Face) -> Colour:
    return _colour(int(face.probabilities.argmax()), len(face.probabilities))


def _colour(index: int, count: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(index / count, 0.75, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _readable_on(colour: Colour) -> Colour:
    blue, green, red = colour
    return BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else WHITE  # luminance, ITU-R BT.601
