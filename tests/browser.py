"""The page in a real browser: where the faces are, and what is looked at; skips without a browser."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
skimage_data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

expect = sync_api.expect
expect.set_options(timeout=30_000)  # for a machine that is busy

# Where the faces are, between the eyes and the mouth, in pixels of each image.
ASTRONAUT = (222, 115)
HOPPER = (263, 225)
FACES = {"astronaut.jpg": [ASTRONAUT], "both.jpg": [ASTRONAUT, (512 + HOPPER[0], HOPPER[1])]}
CAMERA_SIZE = (640, 480)
LARGE_SIZE = (3000, 3000)
FILM_RATE, FILM_SECONDS = 10, 2
FOUND = re.compile(r"\d faces? \(.+\)$")
NEAR = 30  # pixels: a detector's box is not centred on what a person would say is the centre

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CENTRES = """() => {
    const image = document.querySelector("#frame").getBoundingClientRect();
    return [...document.querySelectorAll("#boxes button")].map(button => {
        const box = button.getBoundingClientRect();
        return [
            (box.x + box.width / 2 - image.x) / image.width,
            (box.y + box.height / 2 - image.y) / image.height,
        ];
    });
}"""
BARS = """() => [...document.querySelectorAll("#bars i")].map(
    bar => bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width
)"""
LIGHTNESS = """() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    return [backgroundColor, color].map(one => Math.max(...one.match(/\\d+/g).slice(0, 3)));
}"""
KEEP_ANSWER = """
    const plain = window.fetch;
    window.fetch = async (...request) => {
        const response = await plain(...request);
        window.answer = await response.clone().json();
        return response;
    };
"""
GIVE_FILE = """([kind, name, content]) => {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type: "image/jpeg" }));
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector("#stage").dispatchEvent(event);
}"""


def wait_until(tab, holds):
    """Wait until something holds that happens while the tab goes on."""
    for _ in range(1500):
        if holds():
            return
        tab.wait_for_timeout(20)
    pytest.fail("it never held")


def assert_boxes_on(tab, faces):
    """Check that the boxes are those of the answer, and that each of the known faces has one."""
    answer = tab.evaluate("window.answer")
    size = answer["width"], answer["height"]
    drawn = np.array(tab.evaluate(CENTRES)) * size
    boxes = np.array([face["box"] for face in answer["faces"]])
    np.testing.assert_allclose(drawn, boxes[:, :2] + boxes[:, 2:] / 2, atol=1)
    for face in faces:
        assert np.abs(drawn - face).max(1).min() < NEAR
