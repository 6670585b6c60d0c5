"""Cuts are told from movement and light, and end the tracks before them."""

import itertools

import numpy as np
import pytest

from fer_engine.vision import Frame, Pipeline
from fer_engine.vision.video.scene import CUT, SceneChange, block_histograms, scene_difference
from grays import BOX, GrayEngine

cv2 = pytest.importorskip("cv2")
data = pytest.importorskip("skimage.data")
SIZE = (640, 480)


def photograph(name):
    image = getattr(data, name)()
    return cv2.resize(image if image.ndim == 3 else np.stack([image] * 3, -1), SIZE)


def difference(one, other):
    return scene_difference(block_histograms(one), block_histograms(other))


def test_photographs_differ_by_more_than_a_cut():
    scenes = [photograph(name) for name in ("astronaut", "coffee", "chelsea", "rocket", "camera")]
    for one, other in itertools.combinations(scenes, 2):
        assert difference(one, other) > CUT + 0.05


def test_what_moves_is_no_cut():
    image = data.astronaut()
    shown = image[50:400, 50:450]
    assert difference(shown, image[50:400, 90:490]) < CUT - 0.1
    assert difference(shown, image[50:370, 50:415]) < CUT - 0.1
    entered = photograph("coffee")
    entered[100:300, 200:360] = photograph("astronaut")[:200, 200:360]
    assert difference(photograph("coffee"), entered) < CUT - 0.1


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("offset", [0, 40])
def test_light_and_noise_are_no_cut(gain, offset):
    image = photograph("astronaut")
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    lit = np.clip(image * gain + offset + noise, 0, 255).astype(np.uint8)
    assert difference(image, lit) < CUT - 0.1
    dark = np.random.default_rng(0).integers(0, 4, (2, 480, 640, 3), dtype=np.uint8)
    assert difference(*dark) < CUT - 0.1


def test_the_first_frame_is_no_cut():
    changed = SceneChange()
    names = ("coffee", "coffee", "chelsea", "chelsea", "coffee")
    assert [changed(photograph(name)) for name in names] == [False, False, True, False, True]


@pytest.mark.parametrize("every", [1, 4])
def test_a_cut_starts_new_tracks_and_is_searched_for_faces(every):
    """Two people whose faces are in the same place, first one, then the other, then the first again."""
    searched = []

    def detector(_image):
        searched.append(1)
        return BOX

    names = ["coffee"] * 6 + ["chelsea"] * 6 + ["coffee"] * 3
    film = (Frame("film", index, 40.0 * index, photograph(name)) for index, name in enumerate(names))
    analyses = list(
        Pipeline(GrayEngine(), detector, every=every, smoothing=0.5, detector_threads=1).run(film)
    )
    tracks = [[face.track for face in analysis.faces] for analysis in analyses]
    assert tracks[0] == [0]
    assert tracks[6] == [1]
    assert tracks[12] == [2]
    assert {track for found in tracks[:6] for track in found} == {0}
    assert {track for found in tracks[6:12] for track in found} == {1}
    assert len(searched) == (15 if every == 1 else 5)
