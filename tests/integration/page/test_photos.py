"""The service's page: photos, the bars of each face, and the keyboard."""

from __future__ import annotations

import base64
import re

import pytest

from browser import (
    BARS,
    FACES,
    FOUND,
    GIVE_FILE,
    KEEP_ANSWER,
    LIGHTNESS,
    OVERFLOW,
    assert_boxes_on,
    expect,
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_the_screen_and_asks_nobody_else(opened, service, images, width, scheme):
    tab, said, asked = opened(width, scheme)
    assert tab.evaluate(OVERFLOW) == 0
    tab.set_input_files("#files", [images / "both.jpg", images / "astronaut.jpg"])
    expect(tab.locator("#strip [data-state=shown]")).to_have_count(2)
    tab.locator("summary").click()
    assert tab.evaluate(OVERFLOW) == 0
    background, text = tab.evaluate(LIGHTNESS)
    assert (background < 60 and text > 200) if scheme == "dark" else (background > 200 and text < 60)
    assert said == []
    assert [url for url in asked if not url.startswith((service, f"blob:{service}"))] == []


def test_a_photo_gets_a_box_for_each_face_and_bars_for_the_chosen_one(opened, images):
    tab, _, _ = opened(script=KEEP_ANSWER)
    tab.set_input_files("#files", images / "both.jpg")
    expect(tab.locator("#stage")).to_have_attribute("data-state", "shown")
    answer = tab.evaluate("window.answer")
    assert_boxes_on(tab, FACES["both.jpg"])
    count = len(answer["faces"])
    expect(tab.get_by_role("status")).to_contain_text(f"both.jpg: {count} faces (")
    for number, face in reversed(list(enumerate(answer["faces"], 1))):
        box = tab.get_by_role("radio", name=re.compile(f"^Face {number} of {count}: {face['label']}, "))
        box.click()
        expect(box).to_be_checked()
        expect(tab.get_by_role("heading", level=2)).to_have_text(face["label"])
        bars = tab.evaluate(BARS)
        assert sum(bars) == pytest.approx(1, abs=0.01)
        assert bars == pytest.approx([face["probabilities"][label] for label in answer["labels"]], abs=0.005)
        assert tab.locator("#bars .name").all_inner_texts() == answer["labels"]
        shares = [float(text.rstrip("%")) for text in tab.locator("#bars .share").all_inner_texts()]
        assert sum(shares) == pytest.approx(100, abs=0.5)
        expect(tab.locator("#bars .top .name")).to_have_text(face["label"])


def test_the_model_and_the_times_are_shown(opened, images):
    tab, _, _ = opened(script=KEEP_ANSWER)
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.locator("#stage")).to_have_attribute("data-state", "shown")
    answer = tab.evaluate("window.answer")
    for part, value in answer["model"].items():
        expect(tab.locator(f"#{'model' if part == 'name' else part}")).to_have_text(value)
    on_server, round_trip = (
        float(tab.locator(id_).inner_text().split()[0]) for id_ in ("#total", "#round-trip")
    )
    assert on_server == pytest.approx(answer["milliseconds"]["total"], rel=0.1, abs=0.1)
    assert round_trip >= on_server * 0.99
    assert "detect" in tab.locator("#parts").inner_text()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_may_be_dropped_or_pasted(opened, images, kind):
    tab, said, _ = opened(script=KEEP_ANSWER)
    content = base64.b64encode((images / "astronaut.jpg").read_bytes()).decode()
    tab.evaluate(GIVE_FILE, [kind, "astronaut.jpg", content])
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    assert_boxes_on(tab, FACES["astronaut.jpg"])
    assert said == []


def test_an_unreadable_file_is_named_and_the_photos_beside_it_are_answered(opened, images):
    tab, _, _ = opened(400)
    tab.set_input_files("#files", [images / name for name in ("astronaut.jpg", "letter.jpg", "both.jpg")])
    photos = tab.get_by_role("radiogroup", name="Photos").get_by_role("radio")
    expect(photos.nth(0)).to_have_attribute("aria-label", re.compile(r"astronaut.jpg: \d face"))
    expect(photos.nth(2)).to_have_attribute("aria-label", re.compile(r"both.jpg: \d face"))
    photos.nth(1).click()
    expect(tab.get_by_role("status")).to_have_text(re.compile(r"^letter\.jpg: .{20,}"))
    expect(tab.get_by_role("button", name="Try again")).to_be_hidden()
    expect(tab.locator("#boxes button")).to_have_count(0)
    photos.nth(2).click()
    expect(tab.locator("#boxes button")).not_to_have_count(0)


def press_until(tab, key, selector):
    for _ in range(12):
        tab.keyboard.press(key)
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"nothing shows that {selector} has the focus"
            return
    pytest.fail(f"{key} does not lead to {selector}")


def test_the_keyboard_alone_is_enough(opened, images):
    tab, _, _ = opened()
    tab.on("filechooser", lambda _: None)  # Chromium opens a window of its own unless it is told in time
    press_until(tab, "Tab", "#choose")
    with tab.expect_file_chooser() as chooser:
        tab.keyboard.press("Enter")
    chooser.value.set_files([images / "both.jpg", images / "astronaut.jpg"])
    faces = tab.get_by_role("radiogroup", name="Faces").get_by_role("radio")
    expect(faces.nth(0)).to_be_checked()
    tab.keyboard.press("ArrowRight")  # from anywhere
    expect(faces.nth(1)).to_be_checked()
    press_until(tab, "Shift+Tab", "#boxes button")
    tab.keyboard.press("ArrowLeft")
    expect(faces.nth(0)).to_be_checked()
    tab.keyboard.press("ArrowLeft")  # around the end
    expect(faces.last).to_be_checked()
    expect(faces.last).to_be_focused()
    press_until(tab, "Tab", "#strip button")
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("status")).to_contain_text("astronaut.jpg: ")
    press_until(tab, "Shift+Tab", "#camera")
    tab.keyboard.press("Enter")
    expect(tab.locator("#camera")).to_have_text("Stop the camera")
    tab.keyboard.press("Enter")
    expect(tab.locator("#camera")).to_have_text("Use the camera")
