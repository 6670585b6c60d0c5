"""A window that shows annotated images as they come."""

from __future__ import annotations

import subprocess
import sys

from fer_engine.errors import ConfigError
from fer_engine.vision.image import Image

TITLE = "fer-predict (q closes)"
CLOSING = frozenset({ord("q"), 27})  # 27: Escape
TRIAL = f"import cv2; cv2.namedWindow({TITLE!r}); cv2.waitKey(1); cv2.destroyAllWindows()"
TRIAL_SECONDS = 30
SIZE = (960, 720)  # pixels, at first


def check_display() -> None:
    """Open a window for a moment in a separate process, because without a display Qt would abort this one.

    Raises:
        ConfigError: there is no display, or OpenCV was built without windows.
    """
    command = [sys.executable, "-c", TRIAL]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIAL_SECONDS, check=False)
        reason = "" if done.returncode == 0 else _reason(done.stderr.decode("utf-8", "replace"))
    except subprocess.TimeoutExpired:
        reason = f"it did not open within {TRIAL_SECONDS} s"
    if reason:
        raise ConfigError(
            f"--show cannot open a window ({reason}): run it where there is a display, with "
            "opencv-python and not its headless build, or write to --output"
        )


class Window:
    """A window; use it from the main thread only, as most systems require."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(TITLE, *SIZE)

    def show(self, image: Image, *, wait: bool) -> bool:
        """Show an image, uint8 [height, width, 3] in BGR; return False once the window was closed.

        Args:
            image: The image.
            wait: Wait until a key is pressed.
        """
        self._cv2.imshow(TITLE, image)
        key = self._cv2.waitKey(1)
        while wait and key == -1 and self._is_open():
            key = self._cv2.waitKey(50)  # with a limit, so that Ctrl-C and a closed window are seen
        return key not in CLOSING and self._is_open()

    def _is_open(self) -> bool:
        return bool(self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) > 0)

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()


def _reason(text: str) -> str:
    """Return the line of an error output that names the reason, rather than the place in the code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "could not" in line.lower()]
    return (errors or lines or ["no reason was given"])[0]
