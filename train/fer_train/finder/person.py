"""Draws a face of 48x48 pixels into a picture, with the hair, neck and shoulders of nobody around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_engine.vision.library import opencv
from fer_train.finder.backgrounds import Backgrounds

cv2 = opencv()

Gray = NDArray[np.float32]

SIDE = 48  # of a face
MASKS = 400
SUBPIXELS = 4  # bits: OpenCV draws edges at sixteenths of a pixel
REACH = 2.0  # of the face's size: as far as anything of a person is drawn from its centre
ENLARGED = 56  # pixels; from here on a face is enlarged so much that it is blurred


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face goes: its centre and size in pixels of the picture, and its tilt in degrees."""

    x: float
    y: float
    size: float
    tilt: float


class Window:
    """The part of a picture around a face, drawn into in place; its unit is the face's size."""

    def __init__(self, image: Gray, place: Place) -> None:
        side, reach = len(image), int(place.size * REACH) + 4
        left, top = max(0, int(place.x) - reach), max(0, int(place.y) - reach)
        self.image = image[top : min(side, int(place.y) + reach), left : min(side, int(place.x) + reach)]
        self.place = Place(place.x - left, place.y - top, place.size, place.tilt)

    def at(self, across: float, down: float, *, tilted: bool = True) -> tuple[int, int]:
        """Return a point, in OpenCV's units of a sixteenth of a pixel."""
        angle = -math.radians(self.place.tilt) if tilted else 0.0
        turned = (
            across * math.cos(angle) - down * math.sin(angle),
            across * math.sin(angle) + down * math.cos(angle),
        )
        x, y = self.place.x + self.place.size * turned[0], self.place.y + self.place.size * turned[1]
        return int(x * 2**SUBPIXELS), int(y * 2**SUBPIXELS)

    def ellipse(self, centre: tuple[int, int], axes: tuple[float, float], tilt: float = 0.0) -> Gray:
        """Return a mask, float32 [h, w], 1 within an ellipse whose axes are in units of the face's size."""
        mask = np.zeros(self.image.shape, np.float32)
        scale = self.place.size * 2**SUBPIXELS
        half = (max(1, int(axes[0] * scale)), max(1, int(axes[1] * scale)))
        cv2.ellipse(mask, centre, half, tilt, 0, 360, 1.0, -1, cv2.LINE_AA, SUBPIXELS)
        return mask

    def polygon(self, *corners: tuple[int, int]) -> Gray:
        """Return a mask, float32 [h, w], 1 within a polygon."""
        mask = np.zeros(self.image.shape, np.float32)
        cv2.fillPoly(mask, [np.array(corners, np.int32)], 1.0, cv2.LINE_AA, SUBPIXELS)
        return mask


class Artist:
    """Draws people and what only looks like them; every draw comes from `rng`."""

    def __init__(self, faces: NDArray[np.uint8], backgrounds: Backgrounds, rng: np.random.Generator) -> None:
        """Keep the faces, uint8 [n, 48, 48], that are drawn from."""
        self._faces, self._backgrounds, self._rng = faces, backgrounds, rng
        self._masks = [_mask(rng) for _ in range(MASKS)]

    def face(self) -> Gray:
        """Return one of the faces or its mirror image, float32 [48, 48]."""
        face = self._faces[self._rng.integers(len(self._faces))].astype(np.float32)
        return face[:, ::-1].copy() if self._rng.random() < 0.5 else face

    def no_face(self) -> Gray:
        """Return what is blended as a face is but is none: turned or shuffled faces, letters, cuts."""
        rng, face, kind = self._rng, self.face(), self._rng.random()
        if kind < 0.2:
            return np.rot90(face, 2).copy()
        if kind < 0.32:
            return np.rot90(face, rng.choice([1, 3])).copy()
        if kind < 0.5:
            return _shuffled(rng, face)
        if kind < 0.57:
            top, left = (int(value) for value in rng.choice([0, SIDE // 2], 2))
            return cv2.resize(face[top : top + SIDE // 2, left : left + SIDE // 2].copy(), (SIDE, SIDE))
        if kind < 0.63:
            return cv2.GaussianBlur(face, (0, 0), rng.uniform(7, 12))
        if kind < 0.68:
            return np.roll(face, SIDE // 2, 0)
        return self._letters() if kind < 0.78 else self._backgrounds.cut(SIDE, SIDE)

    def draw(self, image: Gray, place: Place, patch: Gray, *, body: bool) -> None:
        """Draw a patch, float32 [48, 48], at its place into an image, with or without a body around it."""
        rng = self._rng
        patch = self._lit(patch)
        mask = self._masks[rng.integers(MASKS)]
        if rng.random() < 0.4:
            reach = int(place.size * 0.75) + 2
            around = image[
                max(0, int(place.y) - reach) : int(place.y) + reach,
                max(0, int(place.x) - reach) : int(place.x) + reach,
            ]
            if around.size:
                patch = patch + rng.uniform(0.2, 1) * np.clip(around.mean() - patch.mean(), -70, 70)
        if body:
            self._draw_body(image, place, float(patch[8:44, 8:40].mean()))
        self._blend(image, place, patch, mask)
        if rng.random() < 0.2:
            self._cover(image, place)

    def _letters(self) -> Gray:
        rng = self._rng
        patch = np.full((SIDE, SIDE), rng.uniform(0, 255), np.float32)
        patch += self._backgrounds.texture(SIDE, SIDE) * rng.uniform(0, 6)
        text = "".join(chr(code) for code in rng.integers(33, 126, int(rng.integers(1, 4))))
        start = (int(rng.integers(-4, 14)), int(rng.integers(26, 46)))
        font, scale, ink = int(rng.integers(0, 8)), rng.uniform(0.7, 2.2), float(rng.uniform(0, 255))
        cv2.putText(patch, text, start, font, scale, ink, int(rng.integers(1, 7)), cv2.LINE_AA)
        return cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.3, 2.5))

    def _lit(self, patch: Gray) -> Gray:
        """Return the patch in another light: brighter, darker, from a side, washed out, or under-exposed."""
        rng, mean = self._rng, patch.mean()
        patch = (patch - mean) * np.exp(rng.normal() * 0.35 - 0.1) + mean + rng.normal() * 18
        kind = rng.random()
        if kind < 0.1:
            patch = np.clip(patch * rng.uniform(1, 1.3) + rng.uniform(20, 90), 0, 255)
        elif kind < 0.22:
            patch = patch * rng.uniform(0.25, 0.7)
        if rng.random() < 0.25:
            patch = patch * (1 + np.linspace(-1, 1, SIDE, dtype=np.float32) * rng.uniform(-0.6, 0.6))
        return patch.astype(np.float32)

    def _draw_body(self, image: Gray, place: Place, skin: float) -> None:
        rng, window = self._rng, Window(image, place)
        if min(window.image.shape) < 4:
            return
        softness = max(0.4, place.size * rng.uniform(0.01, 0.05))
        hair = float(np.clip(rng.normal(55, 40), 3, 230)) if rng.random() < 0.75 else rng.uniform(0, 255)
        if rng.random() < 0.75:
            long = 0.3 if rng.random() < 0.35 else 0.0
            centre = window.at(rng.normal() * 0.03, rng.uniform(-0.15, -0.02) + long * 0.8)
            axes = (rng.uniform(0.5, 0.72), rng.uniform(0.62, 0.85) + long)
            mask = window.ellipse(centre, axes, -place.tilt + rng.normal() * 5)
            self._fill(window.image, mask, hair, rng.uniform(3, 25), softness)
        if rng.random() < 0.8:
            self._draw_shoulders(window, skin, softness)
        if rng.random() < 0.6:  # the rest of the head
            mask = window.ellipse(
                window.at(0, 0), (rng.uniform(0.42, 0.52), rng.uniform(0.5, 0.62)), -place.tilt
            )
            self._fill(window.image, mask, skin * rng.uniform(0.75, 1.05), rng.uniform(1, 8), softness)

    def _draw_shoulders(self, window: Window, skin: float, softness: float) -> None:
        rng = self._rng
        neck = rng.uniform(0.2, 0.36)
        low = [window.at(across * 1.1, 0.95, tilted=False) for across in (neck, -neck)]
        mask = window.polygon(window.at(-neck, 0.1), window.at(neck, 0.1), *low)
        self._fill(window.image, mask, skin * rng.uniform(0.6, 1.05), rng.uniform(1, 8), softness)
        centre = window.at(rng.normal() * 0.15, rng.uniform(1.5, 1.9), tilted=False)
        mask = window.ellipse(centre, (rng.uniform(0.9, 1.6), rng.uniform(0.75, 1.05)))
        self._fill(window.image, mask, rng.uniform(0, 255), rng.uniform(2, 45), softness)
        if rng.random() < 0.5:  # a collar, and a tie
            half = rng.uniform(0.15, 0.4)
            corners = [(-half, 0.7), (half, 0.7), (0.0, rng.uniform(1.1, 1.7))]
            mask = window.polygon(*(window.at(*corner, tilted=False) for corner in corners))
            self._fill(window.image, mask, rng.uniform(60, 255), rng.uniform(1, 6), softness)
            if rng.random() < 0.6:
                half = rng.uniform(0.03, 0.1)
                corners = [(-half * 0.6, 0.72), (half * 0.6, 0.72), (half, 1.8), (-half, 1.8)]
                mask = window.polygon(*(window.at(*corner, tilted=False) for corner in corners))
                self._fill(window.image, mask, rng.uniform(0, 160), rng.uniform(1, 20), softness)

    def _fill(self, image: Gray, mask: Gray, level: float, contrast: float, softness: float) -> None:
        if softness > 0.6:
            mask = cv2.GaussianBlur(mask, (0, 0), softness)
        filling = np.clip(level + contrast * self._backgrounds.texture(*image.shape), 0, 255)
        image += (filling - image) * mask

    def _blend(self, image: Gray, place: Place, patch: Gray, mask: Gray) -> None:
        rng = self._rng
        reach = int(place.size * 0.75) + 2
        left, top = max(0, int(place.x) - reach), max(0, int(place.y) - reach)
        target = image[top : int(place.y) + reach + 1, left : int(place.x) + reach + 1]
        if min(target.shape) < 3:
            return
        if place.size < SIDE:
            side = max(6, round(place.size))
            patch, mask = (
                cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in (patch, mask)
            )
        map_to = _map(place, rng.uniform(0.9, 1.1), len(patch), left, top)
        size = (target.shape[1], target.shape[0])
        method = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_LINEAR
        drawn = cv2.warpAffine(patch, map_to, size, flags=method, borderMode=cv2.BORDER_REPLICATE)
        covered = cv2.warpAffine(mask, map_to, size, flags=cv2.INTER_LINEAR)
        if place.size > ENLARGED and rng.random() < 0.6:  # else blur would tell faces from backgrounds
            blurred = cv2.GaussianBlur(drawn, (0, 0), place.size / SIDE * rng.uniform(0.6, 1.2))
            drawn = drawn + (drawn - blurred) * rng.uniform(0.5, 3)
            if rng.random() < 0.5:
                drawn = drawn + self._backgrounds.texture(*target.shape) * rng.uniform(1, 6)
        target += (np.clip(drawn, 0, 255) - target) * covered

    def _cover(self, image: Gray, place: Place) -> None:
        """Draw dark glasses, or cover one side of the face."""
        rng = self._rng
        window = Window(image, place)
        if min(window.image.shape) < 4:
            return
        if rng.random() < 0.25:
            shade = float(rng.uniform(0, 60))
            for across in (-0.19, 0.19):
                mask = window.ellipse(window.at(across, -0.13), (0.13, 0.1), -place.tilt)
                window.image[:] += (shade - window.image) * mask
            return
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.42, 0.6)
        centre = window.at(away * np.cos(angle), away * np.sin(angle), tilted=False)
        half = rng.uniform(0.2, 0.32)
        mask = window.ellipse(centre, (half, half))
        shape = window.image.shape
        if rng.random() < 0.5:
            filling = self._backgrounds.cut(*shape)
        else:
            filling = rng.uniform(0, 255) + self._backgrounds.texture(*shape) * rng.uniform(1, 15)
        window.image[:] += (filling - window.image) * mask


def _mask(rng: np.random.Generator) -> Gray:
    """Return a soft super-ellipse, float32 [48, 48], most often of the size of the face."""
    kind = rng.integers(5)
    if kind < 3:
        power, across, down, edge = rng.uniform(2, 4), rng.uniform(0.72, 1), rng.uniform(0.85, 1.02), 0.35
    elif kind == 3:
        power, across, down, edge = rng.uniform(5, 12), 0.98, 0.98, 0.3
    else:
        power, across, down, edge = rng.uniform(2, 3), rng.uniform(0.6, 0.85), rng.uniform(0.75, 0.95), 0.5
    steps = (np.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    x, y = steps[None], steps[:, None] - rng.uniform(-0.05, 0.08)
    distance = (np.abs(x / across) ** power + np.abs(y / down) ** power) ** (1 / power)
    ripple = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)), (0, 0), 4) * 8
    distance += rng.uniform(0, 0.08) * ripple
    return np.clip((1 - distance) / rng.uniform(0.04, edge), 0, 1).astype(np.float32)


def _shuffled(rng: np.random.Generator, face: Gray) -> Gray:
    half = SIDE // 2
    quarters = [face[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    order = rng.permutation(4)
    if (order == np.arange(4)).all():
        order = order[::-1]
    a, b, c, d = (quarters[index] for index in order)
    shuffled = np.vstack([np.hstack([a, b]), np.hstack([c, d])])
    return cv2.GaussianBlur(shuffled, (0, 0), 1.5) if rng.random() < 0.5 else shuffled


def _map(place: Place, aspect: float, side: int, left: int, top: int) -> NDArray[np.float64]:
    """Return the affine map, float64 [2, 3], from a patch of side x side to its place in the window."""
    scale, angle, half = place.size / side, math.radians(place.tilt), (side - 1) / 2
    across, down = (
        (scale * aspect * math.cos(angle), scale * math.sin(angle)),
        (
            -scale * aspect * math.sin(angle),
            scale * math.cos(angle),
        ),
    )
    return np.array(
        [
            [*across, place.x - left - half * sum(across)],
            [*down, place.y - top - half * sum(down)],
        ]
    )
