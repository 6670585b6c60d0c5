"""The service's page: tags beside the faces, the slider for the finder's score, and long pictures."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from browser import expect
from browser_answers import answer, face, give

SIZE = (512, 512)  # of astronaut.jpg
RECTANGLES = """() => ["#boxes button", ".tag:not([hidden])"].map(
    (selector) => [...document.querySelectorAll(selector)].map((one) => {
        const { x, y, right, bottom } = one.getBoundingClientRect();
        return [x, y, right, bottom];
    })
)"""


def overlap(first, second):
    """Give the area that two rectangles, left, top, right, bottom, share."""
    left, top = np.maximum(first[:2], second[:2])
    right, bottom = np.minimum(first[2:], second[2:])
    return max(0, right - left) * max(0, bottom - top)


def assert_tags_cover_nothing(tab):
    boxes, tags = (np.array(found) for found in tab.evaluate(RECTANGLES))
    assert len(tags)
    for number, tag in enumerate(tags):
        others = [*boxes, *np.delete(tags, number, axis=0)]
        assert max(overlap(tag, other) for other in others) < 1  # square pixels, of rounding
    return tags


@pytest.mark.parametrize("width", [400, 1200])
def test_tags_cover_neither_faces_nor_each_other(opened, images, width):
    tab, said, _ = opened(width)
    row = [face((40 + 90 * at, 200 + 15 * (at % 2), 80, 100), "surprise") for at in range(5)]
    above = [face((100 + 90 * at, 100, 70, 80), "disgust") for at in range(4)]
    give(tab, answer(SIZE, row + above))
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.locator("#boxes button")).to_have_count(9)
    tags = assert_tags_cover_nothing(tab)
    assert len(tags) >= 4
    tab.set_viewport_size({"width": 700, "height": 800})
    tab.wait_for_timeout(200)
    assert_tags_cover_nothing(tab)
    assert said == []


def test_the_chosen_face_always_has_a_tag(opened, images):
    tab, _, _ = opened(400)
    crowd = [face((25 * left, 25 * top, 24, 24)) for top in range(20) for left in range(20)]
    give(tab, answer(SIZE, crowd))
    tab.set_input_files("#files", images / "astronaut.jpg")
    boxes = tab.locator("#boxes button")
    expect(boxes).to_have_count(400)
    inner = boxes.nth(210)
    expect(inner.locator(".tag")).to_be_hidden()
    inner.click()
    expect(inner.locator(".tag")).to_be_visible()


def test_the_slider_hides_faces_of_which_the_finder_is_less_sure(opened, images):
    tab, said, _ = opened()
    scores = (0.95, 0.62, 0.81)
    give(tab, answer(SIZE, [face((150 * at, 200, 90, 90), score=score) for at, score in enumerate(scores)]))
    tab.set_input_files("#files", images / "astronaut.jpg")
    slider = tab.get_by_role("slider", name="Show faces with a score of at least")
    expect(slider).to_have_attribute("aria-valuetext", "all faces")
    expect(tab.locator("#which")).to_have_text("Face 1 of 3 · score 0.95")
    expect(tab.locator("#marks i")).to_have_count(3)
    slider.fill("0.8")
    expect(slider).to_have_attribute("aria-valuetext", "0.80: 2 of 3 faces")
    expect(tab.locator("#boxes button")).to_have_count(2)
    expect(tab.get_by_role("status")).to_have_text("astronaut.jpg: 2 faces (2 happy)")
    slider.fill("1")
    expect(tab.get_by_role("status")).to_have_text("astronaut.jpg: 3 hidden by the slider")
    slider.focus()
    tab.keyboard.press("Home")
    expect(tab.locator("#boxes button")).to_have_count(3)
    tab.keyboard.press("ArrowRight")  # moves the slider, not to the next face
    expect(tab.locator("#which")).to_contain_text("Face 1 of 3")
    assert said == []


def test_without_scores_there_is_no_slider(opened, images):
    tab, _, _ = opened()
    give(tab, answer(SIZE, [face((200, 200, 90, 90))]))
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.locator("#which")).to_have_text("Face 1 of 1")
    expect(tab.locator("#score")).to_be_hidden()


@pytest.mark.parametrize(("size", "side"), [((12000, 1200), "left"), ((800, 16000), "top")])
def test_a_long_picture_is_a_strip_that_scrolls_to_its_faces(opened, tmp_path, size, side):
    tab, said, _ = opened()
    path = tmp_path / "long.jpg"
    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    far = (size[0] * 9 // 10 - 80, 400, 80, 80) if side == "left" else (400, size[1] * 9 // 10, 80, 80)
    give(tab, answer(size, [face((100, 100, 80, 80)), face(far, "sad")]))
    tab.set_input_files("#files", path)
    expect(tab.locator("#boxes button")).to_have_count(2)
    stage, box = tab.locator("#stage"), tab.locator("#boxes button").nth(1)
    assert box.evaluate("box => box.getBoundingClientRect().width") > 30
    position = f"stage => stage.scroll{side.capitalize()}"
    assert stage.evaluate(position) == 0
    tab.get_by_role("button", name="Next face").click()
    expect(box).to_be_checked()
    expect(box).to_be_in_viewport()
    assert stage.evaluate(position) > 1000
    assert tab.evaluate("scrollY") == 0  # the page stays where it is
    stage.focus()
    before = stage.evaluate(position)
    tab.keyboard.press("ArrowLeft" if side == "left" else "ArrowUp")  # scrolls the strip
    tab.wait_for_timeout(300)
    assert stage.evaluate(position) < before
    expect(box).to_be_checked()
    assert said == []


def test_the_buttons_beside_the_number_lead_from_face_to_face(opened, images):
    tab, _, _ = opened(400)
    give(tab, answer(SIZE, [face((10, 10, 60, 60)), face((300, 10, 60, 60), "sad")]))
    tab.set_input_files("#files", images / "astronaut.jpg")
    for name, label in (("Next face", "sad"), ("Next face", "happy"), ("Previous face", "sad")):
        button = tab.get_by_role("button", name=name)
        assert min(button.bounding_box()[side] for side in ("width", "height")) >= 44  # a finger's tip
        button.click()
        expect(tab.get_by_role("heading", level=2)).to_have_text(label)
    expect(tab.locator("#which")).to_have_text(re.compile("^Face 2 of 2"))
