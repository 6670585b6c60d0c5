"""The service's page in a real browser: photos, a camera, the keyboard, and a server that goes away."""

import base64
import re
import shutil
import subprocess
import sys

import cv2
import matplotlib.cbook
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

# Where the faces are, between the eyes and the mouth, in pixels of each picture.
ASTRONAUT = (222, 115)
HOPPER = (263, 225)
FACES = {"astronaut.jpg": [ASTRONAUT], "both.jpg": [ASTRONAUT, (512 + HOPPER[0], HOPPER[1])]}
CAMERA_SIZE = (640, 480)
FOUND = re.compile(r"\d faces? \(.+\)$")
NEAR = 30  # pixels: a detector's box is not centred on what a person would say is the centre

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CENTRES = """() => {
    const picture = document.querySelector("#frame").getBoundingClientRect();
    return [...document.querySelectorAll("#boxes button")].map(button => {
        const box = button.getBoundingClientRect();
        return [
            (box.x + box.width / 2 - picture.x) / picture.width,
            (box.y + box.height / 2 - picture.y) / picture.height,
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


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Give a folder of two photographs in the public domain, both in one, no picture, and a video of one."""
    folder = tmp_path_factory.mktemp("pictures")
    astronaut = cv2.cvtColor(skimage_data.astronaut(), cv2.COLOR_RGB2BGR)
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    for name, picture in {"astronaut": astronaut, "both": np.hstack([astronaut, hopper[:512]])}.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), picture)
    (folder / "letter.jpg").write_text("not a picture")
    with (folder / "camera.mjpeg").open("wb") as video:
        for shade in range(8):  # frames that differ
            frame = np.full((CAMERA_SIZE[1], CAMERA_SIZE[0], 3), shade, np.uint8)
            frame[:, : CAMERA_SIZE[1]] = astronaut[:480, :480]
            video.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return folder


@pytest.fixture(scope="module")
def service(artifact):
    """Give the address of a running fer-serve."""
    program = "from fer_engine.serve.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "--artifact", artifact, "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline()
            assert " is ready" in ready, "fer-serve did not start"
            yield re.search(r"http://[\w.:]+", ready)[0]
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def browser(pictures):
    arguments = [
        "--no-sandbox",  # a container has no sandbox of its own to offer; the page is ours
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={pictures / 'camera.mjpeg'}",
    ]
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, service):
    """A function that opens the page and gives it with what it said and asked for."""
    contexts = []

    def opened(width=1200, scheme="light", script=None):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        tab, said, asked = context.new_page(), [], []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        if script:
            tab.add_init_script(script)
        tab.goto(service)
        return tab, said, asked

    yield opened
    for context in contexts:
        context.close()


def assert_boxes_on(tab, faces):
    """Check that the boxes are those of the answer, and that each of the known faces has one."""
    answer = tab.evaluate("window.answer")
    size = answer["width"], answer["height"]
    drawn = np.array(tab.evaluate(CENTRES)) * size
    boxes = np.array([face["box"] for face in answer["faces"]])
    np.testing.assert_allclose(drawn, boxes[:, :2] + boxes[:, 2:] / 2, atol=1)
    for face in faces:
        assert np.abs(drawn - face).max(1).min() < NEAR


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_the_screen_and_asks_nobody_else(opened, service, pictures, width, scheme):
    tab, said, asked = opened(width, scheme)
    assert tab.evaluate(OVERFLOW) == 0
    tab.set_input_files("#files", [pictures / "both.jpg", pictures / "astronaut.jpg"])
    expect(tab.locator("#strip [data-state=shown]")).to_have_count(2)
    tab.locator("summary").click()
    assert tab.evaluate(OVERFLOW) == 0
    background, text = tab.evaluate(LIGHTNESS)
    assert (background < 60 and text > 200) if scheme == "dark" else (background > 200 and text < 60)
    assert said == []
    assert [url for url in asked if not url.startswith((service, f"blob:{service}"))] == []


def test_a_photo_gets_a_box_for_each_face_and_bars_for_the_chosen_one(opened, pictures):
    tab, _, _ = opened(script=KEEP_ANSWER)
    tab.set_input_files("#files", pictures / "both.jpg")
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


def test_the_model_and_the_times_are_shown(opened, pictures):
    tab, _, _ = opened(script=KEEP_ANSWER)
    tab.set_input_files("#files", pictures / "astronaut.jpg")
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
def test_a_photo_may_be_dropped_or_pasted(opened, pictures, kind):
    tab, said, _ = opened(script=KEEP_ANSWER)
    content = base64.b64encode((pictures / "astronaut.jpg").read_bytes()).decode()
    tab.evaluate(GIVE_FILE, [kind, "astronaut.jpg", content])
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    assert_boxes_on(tab, FACES["astronaut.jpg"])
    assert said == []


def test_an_unreadable_file_is_named_and_the_photos_beside_it_are_answered(opened, pictures):
    tab, _, _ = opened(400)
    tab.set_input_files("#files", [pictures / name for name in ("astronaut.jpg", "letter.jpg", "both.jpg")])
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


def test_the_keyboard_alone_is_enough(opened, pictures):
    tab, _, _ = opened()
    tab.on("filechooser", lambda _: None)  # Chromium opens a window of its own unless it is told in time
    press_until(tab, "Tab", "#choose")
    with tab.expect_file_chooser() as chooser:
        tab.keyboard.press("Enter")
    chooser.value.set_files([pictures / "both.jpg", pictures / "astronaut.jpg"])
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


def test_a_server_that_goes_away_and_comes_back_is_found_again(opened, pictures):
    tab, _, _ = opened()
    tab.context.set_offline(True)
    tab.set_input_files("#files", pictures / "astronaut.jpg")
    expect(tab.get_by_role("status")).to_have_text("astronaut.jpg: The server does not answer.")
    tab.context.set_offline(False)
    tab.get_by_role("button", name="Try again").click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    expect(tab.get_by_role("button", name="Try again")).to_be_hidden()
    tab.get_by_role("button", name="Use the camera").click()
    expect(tab.get_by_role("status")).to_have_text(FOUND)
    tab.context.set_offline(True)
    expect(tab.get_by_role("status")).to_have_text("The server does not answer. Trying again.")
    expect(tab.locator("#boxes button")).to_have_count(0)
    tab.context.set_offline(False)
    expect(tab.get_by_role("status")).to_have_text(FOUND)
