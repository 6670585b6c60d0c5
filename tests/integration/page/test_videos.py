"""The service's page: video files, which the browser reads and whose frames the server answers."""

from __future__ import annotations

import re

import pytest

from browser import FACES as KNOWN
from browser import FOUND, KEEP_ANSWER, OVERFLOW, assert_boxes_on, expect, wait_until
from browser_answers import answer, face, give

FRAMES = 10  # 2 seconds, one every 0.2 s


@pytest.mark.parametrize("width", [400, 1200])
def test_a_video_is_answered_frame_by_frame(opened, images, width):
    tab, said, asked = opened(width, script=KEEP_ANSWER)
    tab.set_input_files("#files", images / "film.webm")
    expect(tab.get_by_role("status")).to_have_text(
        f"film.webm: {FRAMES} frames, one every 0.2 s; {FRAMES // 2} with faces"
    )
    assert len([url for url in asked if url.endswith("/predict")]) == FRAMES
    assert_boxes_on(tab, KNOWN["astronaut.jpg"])  # the last frame
    slider = tab.get_by_role("slider", name="Frame of the video")
    expect(slider).to_have_value(str(FRAMES - 1))
    slider.fill("0")
    expect(slider).to_have_attribute("aria-valuetext", "0:00.0: No face found")
    expect(tab.locator("#boxes button")).to_have_count(0)
    slider.focus()
    for _ in range(FRAMES // 2):
        tab.keyboard.press("ArrowRight")
    expect(tab.locator("#time-text")).to_have_text(re.compile(r"^0:01\.0 of 0:0[12]\.\d$"))
    expect(tab.locator("#boxes button")).not_to_have_count(0)
    assert tab.evaluate(OVERFLOW) == 0
    assert said == []


def test_a_video_is_played_and_its_time_line_is_clicked(opened, images):
    tab, _, _ = opened()
    give(tab, answer((512, 512), [face((200, 100, 90, 90))]))
    tab.set_input_files("#files", images / "film.webm")
    expect(tab.get_by_role("status")).to_contain_text(f"{FRAMES} with faces")
    slider = tab.get_by_role("slider", name="Frame of the video")
    course = tab.locator("#course")
    size = course.bounding_box()
    course.click(position={"x": size["width"] * 0.55, "y": size["height"] / 2})
    expect(slider).to_have_value(str(FRAMES // 2))
    tab.get_by_role("button", name="Play").click()
    expect(tab.get_by_role("button", name="Pause")).to_be_visible()
    expect(slider).to_have_value(str(FRAMES - 1))
    expect(tab.get_by_role("button", name="Play")).to_be_visible()  # at the end


def test_a_video_is_stopped_and_goes_on(opened, images):
    tab, _, _ = opened()
    held = []

    def hold(route):
        held.append(route)

    tab.route("**/predict", hold)
    tab.set_input_files("#files", images / "film.webm")
    for number in range(3):
        wait_until(tab, lambda number=number: len(held) > number)
        held[number].continue_()
    wait_until(tab, lambda: len(held) > 3)
    tab.get_by_role("button", name="Stop").click()
    held[3].continue_()  # is on its way
    expect(tab.get_by_role("status")).to_have_text(f"film.webm: 4 of {FRAMES} frames, one every 0.2 s")
    tab.unroute("**/predict")
    tab.get_by_role("button", name="Go on").click()
    expect(tab.get_by_role("status")).to_contain_text(f"film.webm: {FRAMES} frames")


def test_a_video_goes_on_after_the_network_was_gone(opened, images):
    tab, _, _ = opened()
    count = []

    def fail_once(route):
        count.append(route)
        route.abort() if len(count) == 3 else route.continue_()

    tab.route("**/predict", fail_once)
    tab.set_input_files("#files", [images / "film.webm", images / "astronaut.jpg"])
    expect(tab.get_by_role("status")).to_contain_text("film.webm: The server does not answer.")
    expect(tab.get_by_role("slider", name="Frame of the video")).to_be_visible()  # the frames before stay
    tab.get_by_role("button", name="Try again").click()
    expect(tab.get_by_role("status")).to_contain_text(f"film.webm: {FRAMES} frames")
    tab.get_by_role("radio", name=re.compile("^astronaut")).click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    expect(tab.locator("#timeline")).to_be_hidden()


def test_a_video_that_the_browser_cannot_play_is_told(opened, tmp_path):
    tab, _, asked = opened()
    path = tmp_path / "old.avi"
    path.write_bytes(b"RIFF\x00\x00\x00\x00AVI nothing")
    tab.set_input_files("#files", path)
    expect(tab.get_by_role("status")).to_have_text(
        "old.avi: This browser cannot play the video. "
        "Save it as MP4 (H.264) or WebM, or let the command fer-predict read the file."
    )
    assert not [url for url in asked if url.endswith("/predict")]
