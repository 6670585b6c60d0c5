import numpy as np
import pytest

from fer_engine.vision import Detections
from fer_engine.vision.video.follower import Flow, Follower

cv2 = pytest.importorskip("cv2")
BOX = (200, 150, 120, 120)


def scene(box, seed=1, size=(480, 640)):
    """A textured patch at `box` over another texture."""
    ground = texture(0, size)
    left, top, width, height = box
    ground[top : top + height, left : left + width] = cv2.resize(texture(seed, (120, 120)), (width, height))
    return ground


def texture(seed, size):
    noise = np.random.default_rng(seed).integers(0, 256, (size[0] // 6, size[1] // 6, 3), dtype=np.uint8)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)


def test_flow_moves_and_scales_a_box_with_its_content():
    flow = Flow()
    flow.follow(scene(BOX), np.empty((0, 4), np.float32))
    found, moved = flow.follow(scene((210, 145, 126, 126)), np.array([BOX], np.float32))
    assert found == [0]
    np.testing.assert_allclose(moved, [[210, 145, 126, 126]], atol=2.5)


def found(*boxes: tuple[int, ...] | list[int]) -> Detections:
    return Detections(np.array(boxes, np.int32))


def test_small_movements_add_up():
    follower = Follower(flow=True)
    located = follower.track(scene(BOX), found(BOX))
    for step in range(1, 21):
        located = follower.track(scene((200 + 3 * step, 150 - step, 120, 120)), None)
        assert located.tracks == [0]
    np.testing.assert_allclose(located.boxes, [[260, 130, 120, 120]], atol=6)


def test_a_face_that_vanishes_is_lost_and_found_again_by_detection():
    follower = Follower(flow=True)
    follower.track(scene(BOX), found(BOX))
    assert follower.track(texture(9, (480, 640)), None).tracks == []
    assert follower.track(scene(BOX), found(BOX)).tracks == [0]


def test_a_frame_of_another_size_begins_anew():
    follower = Follower(flow=True)
    follower.track(scene(BOX), found(BOX))
    assert follower.track(scene(BOX, size=(720, 640)), None).tracks == []


def test_a_face_that_leaves_the_image_is_lost():
    follower = Follower(flow=True)
    wide = texture(3, (480, 1280))
    follower.track(wide[:, :640], found([0, 100, 100, 100]))
    tracks = [follower.track(wide[:, 10 * step : 640 + 10 * step], None).tracks for step in range(1, 12)]
    assert tracks[0] == [0]
    assert tracks[-1] == []


def test_faces_come_from_left_to_right_with_their_tracks():
    follower = Follower(flow=False)
    image = np.zeros((100, 400, 3), np.uint8)
    follower.track(image, found([0, 0, 50, 50], [200, 0, 50, 50]))
    located = follower.track(image, found([210, 0, 50, 50], [10, 0, 50, 50], [100, 0, 50, 50]))
    assert located.boxes[:, 0].tolist() == [10, 100, 210]
    assert located.tracks == [0, 2, 1]


def test_a_followed_face_keeps_its_score_and_another_one_its_own():
    follower = Follower(flow=True)
    both = texture(3, (480, 640))
    boxes = np.array([[400, 100, 120, 120], [100, 100, 120, 120]], np.int32)
    follower.track(both, Detections(boxes, np.array([0.9, 0.7], np.float32)))
    followed = follower.track(both, None)
    np.testing.assert_allclose(followed.boxes[:, 0], [100, 400], atol=2)
    np.testing.assert_allclose(followed.scores, [0.7, 0.9])
