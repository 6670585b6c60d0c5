import numpy as np
import pytest

from fer_engine.vision.video.track import MAX_MISSES, Tracker, intersection_over_union


def boxes(*rows):
    return np.array(rows, np.int32).reshape(-1, 4)


def test_intersection_over_union():
    shares = intersection_over_union(
        boxes([0, 0, 10, 10], [100, 0, 4, 4]), boxes([5, 0, 10, 10], [0, 0, 10, 10])
    )
    np.testing.assert_allclose(shares, [[50 / 150, 1], [0, 0]])


def test_numbers_stay_with_faces_that_move_and_change_places_in_the_list():
    tracker = Tracker()
    assert tracker.update(boxes([0, 0, 100, 100], [300, 0, 100, 100])) == [0, 1]
    assert tracker.update(boxes([290, 10, 110, 110], [20, 0, 90, 90])) == [1, 0]


def test_the_largest_overlap_wins():
    tracker = Tracker()
    tracker.update(boxes([0, 0, 100, 100]))
    assert tracker.update(boxes([40, 0, 100, 100], [5, 0, 100, 100])) == [1, 0]


def test_a_face_elsewhere_is_another():
    tracker = Tracker()
    tracker.update(boxes([0, 0, 50, 50]))
    assert tracker.update(boxes([45, 0, 50, 50])) == [1]


@pytest.mark.parametrize(("missed", "number"), [(1, 0), (MAX_MISSES, 0), (MAX_MISSES + 1, 1)])
def test_a_lost_face_keeps_its_number_for_a_while(missed, number):
    tracker = Tracker()
    tracker.update(boxes([0, 0, 50, 50]))
    for _ in range(missed):
        assert tracker.update(boxes()) == []
    assert tracker.update(boxes([2, 2, 50, 50])) == [number]


def test_detections_are_matched_with_where_the_faces_were_moved_to():
    tracker = Tracker()
    tracker.update(boxes([0, 0, 50, 50], [200, 0, 50, 50]))
    tracker.move([1], boxes([400, 0, 50, 50]))
    assert tracker.update(boxes([400, 0, 50, 50], [0, 0, 50, 50])) == [1, 0]
