"""Frames of files, good and bad, and of cameras, which are simulated."""

import numpy as np
import pytest

from fer_engine import ConfigError, FerError
from fer_engine.vision import VideoWriter, frame_rate, frames
from fer_engine.vision.image import MAX_PIXELS
from recording import FRAMES, write_recording

cv2 = pytest.importorskip("cv2")
RATE = 25.0


def image_of(index):
    """A gray ramp whose mean tells the index."""
    return np.full((48, 64, 3), 4 * index, np.uint8)


@pytest.fixture
def video(tmp_path):
    """Give what writes a video of some frames."""

    def write(name="video.avi", count=40):
        with VideoWriter(tmp_path / name, RATE) as writer:
            for index in range(count):
                writer.write(image_of(index))
        return tmp_path / name

    return write


class Capture:
    """A camera that gives `count` images, then none; remembers whether it was released."""

    opened = True
    raises = False
    size = (64, 48)

    def __init__(self, count=3):
        self.left = count
        self.released = False

    def isOpened(self):  # noqa: N802 - as OpenCV calls it
        return self.opened

    def get(self, what):
        width, height = self.size
        return {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}.get(what, 0.0)

    def read(self):
        self.left -= 1
        if self.left >= 0:
            return True, image_of(self.left)
        if self.raises:
            raise cv2.error("unplugged")
        return False, None

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    capture = Capture()
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: capture)
    return capture


@pytest.mark.parametrize("name", ["video.avi", "video.mp4"])
def test_a_video_gives_its_frames_with_their_times(video, name):
    path = video(name)
    found = list(frames(path))
    assert [frame.index for frame in found] == list(range(40))
    assert {frame.source for frame in found} == {str(path)}
    np.testing.assert_allclose([frame.time_ms for frame in found], np.arange(40) * 40.0, atol=0.1)
    means = [frame.image.mean() for frame in found]
    np.testing.assert_allclose(means, [4 * index for index in range(40)], atol=4)
    assert frame_rate(path) == pytest.approx(RATE)


def test_an_image_is_one_frame_whatever_its_name_says(tmp_path):
    path = tmp_path / "holiday.mp4"
    path.write_bytes(cv2.imencode(".png", image_of(7))[1].tobytes())
    (frame,) = frames(str(path))
    assert (frame.source, frame.index, frame.time_ms) == (str(path), 0, 0.0)
    np.testing.assert_array_equal(frame.image, image_of(7))


def test_a_video_that_breaks_off_gives_what_it_holds_then_an_error(video):
    path = video(count=40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    seen = []
    with pytest.raises(FerError, match="breaks off") as caught:
        seen.extend(frame.index for frame in frames(path))  # keeps what came before the error
    assert 5 < len(seen) < 35
    assert f"frame {len(seen)} of 40" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world " * 100, "neither an image nor a video"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 500, "neither an image nor a video"),
    ],
)
def test_what_is_no_video(tmp_path, content, message):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    for call in (lambda: list(frames(path)), lambda: frame_rate(path)):
        with pytest.raises(FerError, match=message):
            call()


def test_a_cut_image_is_an_error(tmp_path):
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(".png", noise)[1].tobytes()[:2000])
    with pytest.raises(FerError, match=r"cut\.png"):
        list(frames(path))


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_what_cannot_be_opened(tmp_path, name):
    with pytest.raises(FerError, match="cannot read"):
        list(frames(tmp_path / name))


@pytest.mark.parametrize("stated", [10, 25, 2.5, 1000])
def test_times_and_rate_are_those_of_the_stream_whatever_its_header_states(tmp_path, stated):
    path = tmp_path / "recorded.webm"
    write_recording(path, stated)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(stated)
    assert [frame.time_ms for frame in frames(path)] == pytest.approx(np.arange(FRAMES) * 100.0)
    assert frame_rate(path) == pytest.approx(10)


def test_a_timestamp_that_goes_back_is_not_taken(tmp_path, camera):
    path = tmp_path / "raw.avi"
    path.write_bytes(b"no image")
    stamps = iter([40.0, 90.0, 30.0, 0.0, 200.0])
    camera.left = 5
    camera.get = lambda what: (
        next(stamps) if what == cv2.CAP_PROP_POS_MSEC else 20.0 * (what == cv2.CAP_PROP_FPS)
    )
    assert [frame.time_ms for frame in frames(path)] == [40.0, 90.0, 140.0, 190.0, 200.0]


def test_a_video_without_timestamps_counts_by_its_rate(tmp_path, camera):
    path = tmp_path / "raw.avi"
    path.write_bytes(b"no image")
    camera.get = lambda what: 20.0 if what == cv2.CAP_PROP_FPS else 0.0
    assert [frame.time_ms for frame in frames(path)] == [0.0, 50.0, 100.0]
    assert camera.released


def test_a_whole_video_whose_rate_is_the_unit_of_its_timestamps(tmp_path, camera):
    """What a browser records states 1000 frames a second, and so as many frames as milliseconds."""
    path = tmp_path / "recorded.webm"
    path.write_bytes(b"no image")
    times = iter(range(0, 40 * 60, 40))
    stated = {cv2.CAP_PROP_FPS: 1000.0, cv2.CAP_PROP_FRAME_COUNT: 60 * 40}
    camera.get = lambda what: next(times) if what == cv2.CAP_PROP_POS_MSEC else stated.get(what, 0.0)
    camera.left = 60
    assert len(list(frames(path))) == 60
    times = iter(range(0, 40 * 60, 40))
    camera.left = 50
    with pytest.raises(FerError, match="breaks off at frame 50"):
        list(frames(path))


def test_a_name_that_opencv_cannot_take_is_an_error_and_not_the_end(tmp_path):
    path = tmp_path / "bad\udcff.mp4"
    try:
        path.write_bytes(b"no image")
    except (OSError, UnicodeError):
        pytest.skip("no such names on this system")
    for call in (lambda: list(frames(path)), lambda: frame_rate(path), lambda: VideoWriter(path, RATE)):
        with pytest.raises(ConfigError, match=r"not UTF-8, got .*bad\\udcff\.mp4; rename it"):
            call()


def test_a_video_without_a_rate_or_a_frame(tmp_path, camera):
    path = tmp_path / "raw.avi"
    path.write_bytes(b"no image")
    with pytest.raises(FerError, match="states no frame rate"):
        frame_rate(path)
    camera.left = 0
    with pytest.raises(FerError, match="no frame of"):
        list(frames(path))


@pytest.mark.parametrize("raises", [False, True])
def test_a_camera_that_vanishes(camera, raises):
    camera.raises = raises
    seen = []
    with pytest.raises(FerError, match="camera 0 gave no image after 3 frames"):
        seen.extend((frame.source, frame.index, frame.time_ms) for frame in frames(0))
    assert [(source, index) for source, index, _ in seen] == [("camera 0", index) for index in range(3)]
    assert seen[0][2] == 0
    assert sorted(time for *_, time in seen) == [time for *_, time in seen]
    assert camera.released


def test_a_camera_is_released_when_the_iterator_is_closed(camera):
    running = frames(0)
    next(running)
    assert not camera.released
    running.close()
    assert camera.released


def test_a_camera_that_is_not_there(camera):
    camera.opened = False
    with pytest.raises(FerError, match="camera 0 cannot be opened"):
        next(frames(0))
    assert camera.released
    with pytest.raises(ConfigError, match="must not be negative, got -1"):
        next(frames(-1))


def test_the_rate_of_a_video_too_large_to_decode(video):
    path = video("video.avi")
    height, width = next(frames(path)).image.shape[:2]
    with pytest.raises(FerError, match=f"allow it with max_pixels={width * height} "):
        frame_rate(path, max_pixels=width * height - 1)
    assert frame_rate(path, max_pixels=width * height) == pytest.approx(RATE)


def test_frames_too_large_to_decode(camera):
    camera.size = (MAX_PIXELS, 2)
    with pytest.raises(FerError, match=f"allow it with max_pixels={2 * MAX_PIXELS} "):
        next(frames(0))
    assert camera.released
    assert next(frames(0, max_pixels=2 * MAX_PIXELS)).index == 0
