"""The service's page: the camera, and a server that goes away."""

from __future__ import annotations

import re

import numpy as np
import pytest

from browser import ASTRONAUT, BARS, CAMERA_SIZE, CENTRES, FOUND, NEAR, expect, wait_until


def test_the_camera_is_read_frame_by_frame_until_it_is_stopped(opened):
    tab, said, asked = opened()
    at_once, most = 0, 0

    def count(change):
        nonlocal at_once, most
        at_once += change
        most = max(most, at_once)

    tab.on("request", lambda request: request.url.endswith("/predict") and count(1))
    tab.on("requestfinished", lambda request: request.url.endswith("/predict") and count(-1))
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.locator("#boxes button")).not_to_have_count(0)
    expect(tab.locator("#rate")).to_have_text(re.compile(r"^\d+(\.\d)? frames/s$"))
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    assert sum(tab.evaluate(BARS)) == pytest.approx(1, abs=0.01)
    mirrored = CAMERA_SIZE[0] - ASTRONAUT[0], ASTRONAUT[1]
    assert np.abs(np.array(tab.evaluate(CENTRES)) * CAMERA_SIZE - mirrored).max(1).min() < NEAR
    tab.get_by_role("button", name="Stop the camera").click()
    expect(tab.get_by_role("status")).to_have_text("The camera is off.")
    expect(tab.locator("#boxes button")).to_have_count(0)
    assert tab.evaluate("document.querySelector('#video').srcObject") is None
    sent = len(asked)
    tab.wait_for_timeout(500)
    assert len(asked) == sent
    assert most == 1
    assert said == []


SAME = 5  # mean difference of colour values that JPEG makes; frames of the video differ by 7 and more
SHOWN_AND_SENT = """async () => {
    const pixels = (picture) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(picture, 0, 0);
        return context.getImageData(0, 0, 640, 480).data;
    };
    const shown = pixels(document.querySelector("#live"));
    const sent = pixels(await createImageBitmap(window.firstFrame));
    return shown.reduce((sum, value, at) => sum + Math.abs(value - sent[at]), 0) / shown.length;
}"""
KEEP_FIRST_SENT = """
    const plain = window.fetch;
    window.fetch = (address, options) => {
        window.firstFrame ??= options.body;
        return plain(address, options);
    };
"""


def test_the_boxes_lie_on_the_frame_that_was_answered(opened):
    tab, said, _ = opened(script=KEEP_FIRST_SENT)
    requests = []

    def answer_the_first(route):
        requests.append(route)
        if len(requests) == 1:
            route.continue_()

    tab.route("**/predict", answer_the_first)
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.locator("#boxes button")).not_to_have_count(0)
    wait_until(tab, lambda: len(requests) > 1)  # the camera has gone on, and the next frame has left
    expect(tab.locator("#video")).to_be_hidden()
    assert tab.evaluate(SHOWN_AND_SENT) < SAME
    assert said == []


SLOW_FRAMES = """() => {
    const encode = HTMLCanvasElement.prototype.toBlob;
    window.encoding = 0;
    HTMLCanvasElement.prototype.toBlob = function (given, ...rest) {
        window.encoding += 1;
        encode.call(this, (blob) => setTimeout(() => given(blob), 500), ...rest);
    };
}"""


def test_a_frame_that_was_read_when_the_camera_was_stopped_does_not_leave(opened):
    tab, said, asked = opened()
    tab.evaluate(SLOW_FRAMES)
    tab.get_by_role("button", name="Use the camera").click()
    while tab.evaluate("window.encoding") == 0:
        tab.wait_for_timeout(20)
    tab.get_by_role("button", name="Stop the camera").click()
    tab.wait_for_timeout(1000)
    assert [url for url in asked if url.endswith("/predict")] == []
    assert tab.evaluate("window.encoding") == 1
    assert said == []


def test_an_answer_that_comes_after_the_camera_was_stopped_is_not_shown(opened):
    tab, _, _ = opened()
    held = []

    def hold(route):
        held.append(route)

    tab.route("**/predict", hold)
    with tab.expect_request("**/predict"):
        tab.get_by_role("button", name="Use the camera").click()
    tab.get_by_role("button", name="Stop the camera").click()
    with tab.expect_event("requestfinished"):
        held.pop().continue_()
    tab.wait_for_timeout(200)
    expect(tab.get_by_role("status")).to_have_text("The camera is off.")
    expect(tab.locator("#boxes button")).to_have_count(0)
    assert held == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "may not use the camera"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "in use by another program"),
    ],
)
def test_a_camera_that_is_refused_or_missing_is_told_in_words(opened, error, words):
    refuse = f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{error}'); }}"
    tab, said, _ = opened(script=refuse)
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.get_by_role("status")).to_contain_text(words)
    expect(tab.get_by_role("button", name="Use the camera")).to_be_visible()
    assert said == []


def test_a_server_that_goes_away_and_comes_back_is_found_again(opened, images):
    tab, _, _ = opened()
    tab.context.set_offline(True)
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.get_by_role("status")).to_have_text(
        "astronaut.jpg: This device is offline. Connect it, then try again."
    )
    tab.context.set_offline(False)
    tab.get_by_role("button", name="Try again").click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    expect(tab.get_by_role("button", name="Try again")).to_be_hidden()
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    tab.context.set_offline(True)
    expect(tab.get_by_role("status")).to_have_text("This device is offline. Trying again.")
    expect(tab.locator("#boxes button")).to_have_count(0)
    tab.context.set_offline(False)
    expect(tab.get_by_role("status")).to_have_text(FOUND)
