import numpy as np
import pytest

from fer_engine import InputError
from fer_engine.vision import Face, annotate

pytest.importorskip("PIL")
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
GRAY = 90


def face_at(*box, label="surprise"):
    shares = np.full(7, 0.05, np.float32)
    shares[LABELS.index(label)] = 0.7
    return Face(box, label, shares)


def gray(height, width):
    return np.full((height, width, 3), GRAY, np.uint8)


def changed(image):
    """The smallest box, left, top, right, bottom, of what was drawn."""
    rows, columns = np.nonzero((image != GRAY).any(2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_image_given_is_left_alone():
    image = gray(240, 320)
    drawn = annotate(image, [face_at(100, 100, 80, 80)])
    assert (image == GRAY).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable


def test_without_faces_nothing_is_drawn():
    np.testing.assert_array_equal(annotate(gray(100, 100), [], LABELS), gray(100, 100))


@pytest.mark.parametrize("size", [(120, 160), (480, 640), (2160, 3840)])
def test_the_box_is_drawn_where_it_is_and_the_label_above(size):
    height, width = size
    box = (width // 4, height // 2, width // 2, height // 3)
    left, top, right, bottom = changed(annotate(gray(*size), [face_at(*box)]))
    assert (left, bottom) == (box[0], box[1] + box[3])
    assert right >= box[0] + box[2]
    assert top < box[1]
    inner = annotate(gray(*size), [face_at(*box)])[box[1] + box[3] // 2, box[0] + box[2] // 2]
    assert inner.tolist() == [GRAY] * 3


@pytest.mark.parametrize("size", [(16, 16), (60, 40), (480, 640), (3000, 2000)])
@pytest.mark.parametrize("corner", [(0, 0), (0.9, 0.9), (-0.2, 0.5), (0.8, -0.1)])
def test_the_label_is_whole_at_any_place_and_size(size, corner):
    height, width = size
    side = min(size) // 4
    at = annotate(gray(*size), [face_at(round(corner[0] * width), round(corner[1] * height), side, side)])
    free = annotate(gray(*size), [face_at(0, height // 2, side, side)])
    # As many pixels of text wherever it stands: none is cut off.
    assert _text_pixels(at) >= 0.9 * _text_pixels(free) > 0


def _text_pixels(image):
    """Count what is neither the image nor the colour of box and tag."""
    drawn = image[(image != GRAY).any(2)]
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    return len(drawn) - counts.max()


def drawn_over(image, box):
    """The share of a box's inner pixels that were drawn over."""
    left, top, width, height = box
    inner = image[top + 5 : top + height - 5, left + 5 : left + width - 5]
    return float((inner != GRAY).any(2).mean())


def test_text_is_sized_by_the_face():
    small, large = face_at(100, 300, 80, 80), face_at(500, 300, 300, 300)
    drawn = annotate(gray(720, 1280), [small, large])
    tags = drawn[:300]
    heights = [int((tags[:, part] != GRAY).any(2).any(1).sum()) for part in (slice(0, 300), slice(400, 1280))]
    assert heights[1] > 2 * heights[0]
    for face, part in ((small, slice(0, 400)), (large, slice(400, 1280))):
        columns = np.nonzero((tags[:, part] != GRAY).any(2).any(0))[0]
        assert np.ptp(columns) <= face.box[2] * 1.1


@pytest.mark.parametrize("labels", [None, LABELS])
def test_tags_cover_no_neighbour(labels):
    """A school class: faces in rows, with gaps of half a face."""
    side, step = 64, 130
    faces = [face_at(60 + x * step, 60 + y * step, side, side) for y in range(4) for x in range(6)]
    if labels:
        faces = faces[::3]
    drawn = annotate(gray(600, 860), faces, labels)
    assert max(drawn_over(drawn, face.box) for face in faces) == 0


def test_tags_of_faces_above_each_other_go_where_there_is_room():
    upper, lower = face_at(300, 100, 100, 100), face_at(300, 200, 100, 100)
    drawn = annotate(gray(480, 640), [upper, lower])
    assert drawn_over(drawn, upper.box) == drawn_over(drawn, lower.box) == 0


@pytest.mark.parametrize("label", LABELS)
def test_text_stands_out_from_its_ground(label):
    drawn = annotate(gray(480, 640), [face_at(200, 200, 150, 150, label=label)])
    # The tag is what is drawn above the box.
    tag = drawn[:200][(drawn[:200] != GRAY).any(2)].astype(float)
    colours, counts = np.unique(tag, axis=0, return_counts=True)
    ground = _luminance(colours[counts.argmax()])
    text = max((0.0, 1.0), key=lambda tone: np.abs(colours / 255 - tone).sum(1).min() == 0)
    assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 3  # WCAG 2.2, large text


def _luminance(colour):
    """The relative luminance of WCAG 2.2."""
    shares = np.asarray(colour) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.0722, 0.7152, 0.2126])


def test_bars_are_as_long_as_the_probabilities():
    drawn = annotate(gray(480, 640), [face_at(50, 100, 100, 100, label="happy")], LABELS)
    panel = drawn[:, 150:]
    coloured = (panel != GRAY).any(2) & (panel.max(2) > 200) & (panel.min(2) < 100)
    runs = coloured.sum(1)[coloured.any(1)]
    assert runs.max() == pytest.approx(0.7 / 0.05 * np.median(runs), rel=0.4)


@pytest.mark.parametrize("size", [(32, 32), (120, 160), (480, 640)])
def test_bars_fit_into_the_image(size):
    side = min(size) // 3
    assert annotate(gray(*size), [face_at(size[1] - side, 0, side, side)], LABELS).shape == (*size, 3)


def test_bad_input():
    with pytest.raises(InputError, match="labels must name each of the 7 probabilities, got 2 labels"):
        annotate(gray(100, 100), [face_at(0, 0, 50, 50)], ("one", "two"))
    with pytest.raises(InputError, match="an image must be uint8"):
        annotate(gray(100, 100)[..., 0], [])
