"""The finder with the networks that ship, on photographs in the public domain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_engine.vision import FaceFinder
from fer_engine.vision.video.track import intersection_over_union

FACES = {"astronaut": (172, 60, 100, 125), "hopper": (190, 125, 180, 220)}  # left, top, width, height


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_photograph_has_its_one_face(request, name, precision):
    found = FaceFinder(precision=precision)(request.getfixturevalue(name))
    assert len(found.boxes) == 1
    assert intersection_over_union(found.boxes, np.array([FACES[name]], np.int32))[0, 0] > 0.5
    assert found.scores[0] > 0.8


@pytest.mark.parametrize(("width", "height"), [(12000, 1200), (800, 16000)])
def test_long_pictures_have_all_their_faces(astronaut, width, height):
    face = cv2.resize(astronaut[:300, 70:370], (250, 250), interpolation=cv2.INTER_AREA)
    picture = cv2.resize(astronaut[330:400, 400:500], (width, height))
    steps = range(100, max(width, height) - 300, 1700)
    for step in steps:
        left, top = (step, 500) if width > height else (300, step)
        picture[top : top + 250, left : left + 250] = face
    found = FaceFinder()(picture).boxes
    corners = found[:, 0] if width > height else found[:, 1]
    assert all(((corners >= step) & (corners < step + 250)).any() for step in steps)
    assert len(found) <= len(steps) + 1
