"""README's picture of the page: `python benchmarks/studies/page_picture.py` asks a fer-serve of its own.

The person is Eileen Collins, photographed by NASA, in the public domain (scikit-image's `astronaut`).
Needs the extra `dev` and Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

import cv2
from playwright.sync_api import expect, sync_playwright
from skimage import data

PICTURE = Path(__file__).parents[2] / "docs" / "page.jpg"
WIDTH, HEIGHT = 1200, 720
QUALITY = 82  # of the JPEG


def answer_once(address: str, photo: Path) -> None:
    """Let the service answer a photo before: the picture shows what the second one takes."""
    request = Request(f"{address}/predict", photo.read_bytes(), {"Content-Type": "image/jpeg"})  # noqa: S310
    with urlopen(request) as response:  # noqa: S310 - our own service
        response.read()


def draw(address: str, photo: Path) -> None:
    """Give the page of the service at `address` a photo, and take its picture."""
    with sync_playwright() as playwright:
        # A container has no sandbox of its own to offer; the page is ours.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(address)
        tab.set_input_files("#files", photo)
        expect(tab.locator("#boxes button")).to_have_count(1, timeout=60_000)
        tab.wait_for_timeout(1000)  # the bars have grown
        tab.screenshot(path=PICTURE, type="jpeg", quality=QUALITY)
        browser.close()


def main() -> int:
    command = [sys.executable, "-m", "fer_engine.serve", "--port", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
    ):
        photo = Path(folder) / "astronaut.jpg"
        cv2.imwrite(str(photo), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
        try:
            ready = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
            if ready is None:
                return server.wait() or 1
            answer_once(ready[0], photo)
            draw(ready[0], photo)
        finally:
            server.terminate()
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
