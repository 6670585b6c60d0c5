"""A browser, a running service, and the images that the page is given.

`browser` is imported late: it skips where there is no browser.
"""

from __future__ import annotations

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from fer_engine.shipped import shipped_artifact
from serving import serving


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Give a folder of two photographs in the public domain, both in one, one of many bytes, and no image.

    And two videos of one of them: `camera.mjpeg` for the camera, `film.webm` of 2 seconds.
    """
    from browser import CAMERA_SIZE, FILM_RATE, FILM_SECONDS, LARGE_SIZE, skimage_data

    folder = tmp_path_factory.mktemp("images")
    astronaut = cv2.cvtColor(skimage_data.astronaut(), cv2.COLOR_RGB2BGR)
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    for name, image in {"astronaut": astronaut, "both": np.hstack([astronaut, hopper[:512]])}.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), image)
    large = cv2.resize(astronaut, LARGE_SIZE).astype(np.int16)
    large += np.random.default_rng(0).integers(-9, 10, large.shape, np.int16)  # as the sensor of a phone
    cv2.imwrite(str(folder / "large.jpg"), np.clip(large, 0, 255))
    (folder / "letter.jpg").write_text("not an image")
    film = cv2.VideoWriter(str(folder / "film.webm"), cv2.VideoWriter.fourcc(*"VP80"), FILM_RATE, (512, 512))
    for number in range(FILM_RATE * FILM_SECONDS):  # nobody in the first second
        film.write(astronaut if number >= FILM_RATE else np.zeros_like(astronaut))
    film.release()
    with (folder / "camera.mjpeg").open("wb") as video:
        for shade in range(8):  # frames that differ
            frame = np.full((CAMERA_SIZE[1], CAMERA_SIZE[0], 3), 30 * shade, np.uint8)
            frame[:, : CAMERA_SIZE[1]] = astronaut[:480, :480]
            video.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return folder


@pytest.fixture(scope="session")
def artifact():
    """Give a small artifact: the page does not depend on what computes its answers."""
    return shipped_artifact()


@pytest.fixture(scope="module")
def service(artifact):
    """Give the address of a running fer-serve."""
    with serving(artifact, "--threads", 1) as server:
        yield f"http://127.0.0.1:{server.port}"
        assert server.stop() == (0, "")


@pytest.fixture(scope="module")
def browser(images):
    from browser import CHROMIUM, sync_api

    arguments = [
        "--no-sandbox",  # a container has no sandbox of its own to offer; the page is ours
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={images / 'camera.mjpeg'}",
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
