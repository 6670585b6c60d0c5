"""The service's page: what it says, and what a person may do, where a photo has no answer."""

from __future__ import annotations

import json

import pytest

from browser import FACES, FOUND, KEEP_ANSWER, LARGE_SIZE, assert_boxes_on, expect
from browser_answers import answer, face, give, refuse


@pytest.mark.parametrize(
    ("status", "error", "words", "again"),
    [
        (
            413,
            "the image has 60000000 pixels",
            "The picture is too large for the server. Save it smaller",
            False,
        ),
        (
            415,
            "Content-Type must be image/*",
            "The server cannot read this as a picture. Save it as JPEG",
            False,
        ),
        (429, "too many requests", "The server is busy. Try again in a moment.", True),
        (503, "not served within 30 s", "The server is busy. Try again in a moment.", True),
        (500, "internal error", "Something went wrong on the server. Try again", True),
    ],
)
def test_a_refusal_is_told_in_words_for_people(opened, images, status, error, words, again):
    tab, _, _ = opened()
    refuse(tab, status, json.dumps({"error": error}))
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.get_by_role("status")).to_contain_text(f"astronaut.jpg: {words}")
    expect(tab.locator("#detail")).to_have_text(f"The server said: {error}")
    expect(tab.get_by_role("button", name="Try again")).to_be_visible(visible=again)


@pytest.mark.parametrize(
    ("status", "words"), [(413, "too large"), (200, "Something went wrong"), (502, "Something went wrong")]
)
def test_a_page_of_a_proxy_is_no_answer(opened, images, status, words):
    tab, said, _ = opened()
    refuse(tab, status, "<html>nginx</html>", "text/html")
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.get_by_role("status")).to_contain_text(words)
    expect(tab.locator("#detail")).to_be_hidden()
    assert not [line for line in said if "Failed to load resource" not in line]


def test_a_server_that_cannot_be_reached_is_tried_again(opened, images):
    tab, _, _ = opened()
    tab.route("**/predict", lambda route: route.abort())
    tab.set_input_files("#files", images / "astronaut.jpg")
    expect(tab.get_by_role("status")).to_contain_text("The server does not answer. See that it is running")
    tab.unroute("**/predict")
    tab.get_by_role("button", name="Try again").click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    expect(tab.locator("#choose")).to_be_focused()


def test_a_large_photo_is_sent_smaller_and_its_boxes_lie_on_the_original(opened, images):
    tab, said, _ = opened(script=KEEP_ANSWER)
    with tab.expect_request("**/predict") as request:
        tab.set_input_files("#files", images / "large.jpg")
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    sent = int(request.value.all_headers()["content-length"])
    assert sent < (images / "large.jpg").stat().st_size / 2
    size = tab.evaluate("[answer.width, answer.height]")
    assert size[0] < LARGE_SIZE[0]
    assert tab.evaluate("document.querySelector('#photo').naturalWidth") == LARGE_SIZE[0]
    [(x, y)] = FACES["astronaut.jpg"]
    assert_boxes_on(tab, [(x * size[0] / 512, y * size[1] / 512)])
    expect(tab.locator("#sent")).to_have_text(f"{size[0]} \u00d7 {size[1]}, {sent / 1e6:.1f} MB")
    assert said == []


def test_a_small_photo_is_sent_as_it_is(opened, images):
    tab, _, _ = opened()
    with tab.expect_request("**/predict") as request:
        tab.set_input_files("#files", images / "astronaut.jpg")
    assert int(request.value.all_headers()["content-length"]) == (images / "astronaut.jpg").stat().st_size


def test_where_no_face_is_found_the_page_says_what_to_try(opened, images):
    tab, _, _ = opened()
    nobody, somebody = (answer(LARGE_SIZE, faces) for faces in ([], [face((900, 900, 80, 80))]))
    give(tab, nobody, somebody)
    tab.set_input_files("#files", images / "large.jpg")
    expect(tab.get_by_role("status")).to_contain_text("No face found. Try a closer or sharper picture")
    tab.get_by_role("button", name="Try the full size").click()
    expect(tab.get_by_role("status")).to_have_text("large.jpg: 1 face (happy)")
    whole = (images / "large.jpg").stat().st_size / 1e6
    expect(tab.locator("#sent")).to_contain_text(f", {whole:.1f} MB")
