import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fer_engine import ConfigError, FerError, InputError
from fer_engine.vision import VideoWriter, frames

cv2 = pytest.importorskip("cv2")
# Writes noise until the system refuses more bytes, which it does without a word from OpenCV.
FULL_DISK = """
import resource, sys
import numpy as np
from fer_engine import FerError
from fer_engine.vision import VideoWriter

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
random = np.random.default_rng(0)
writer = VideoWriter(sys.argv[1], 25)
for _ in range(40):
    writer.write(random.integers(0, 256, (120, 160, 3), dtype=np.uint8))
try:
    writer.close()
except FerError as error:
    print(error)
"""


def image_of(index, size=(48, 64)):
    return np.full((*size, 3), 5 * index, np.uint8)


def write(path, count=10, rate=25):
    with VideoWriter(path, rate) as writer:
        for index in range(count):
            writer.write(image_of(index))


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "OUT.MP4", "a folder/ünï.mp4"])
def test_a_video_holds_its_frames_and_nothing_else_is_left(tmp_path, name):
    path = tmp_path / name
    write(path)
    means = [frame.image.mean() for frame in frames(path)]
    np.testing.assert_allclose(means, [5 * index for index in range(10)], atol=4)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, FerError])
def test_what_was_written_before_an_error_is_kept(tmp_path, name, error):
    path = tmp_path / name

    def broken():
        with VideoWriter(path, 25) as writer:
            for index in range(4):
                writer.write(image_of(index))
            raise error

    with pytest.raises(error):
        broken()
    assert len(list(frames(path))) == 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_ctrl_c_while_a_frame_is_encoded_loses_no_video(tmp_path, monkeypatch, name):
    def interrupted(*options):
        writer, left = cv2_writer(*options), iter(range(2, -1, -1))

        def write_one(image):
            writer.write(image)
            if not next(left):
                raise KeyboardInterrupt  # comes as soon as OpenCV gives control back

        return SimpleNamespace(write=write_one, isOpened=writer.isOpened, release=writer.release)

    cv2_writer = cv2.VideoWriter
    interrupted.fourcc = cv2_writer.fourcc
    monkeypatch.setattr(cv2, "VideoWriter", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name)
    assert len(list(frames(tmp_path / name))) == 3


def test_an_older_video_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    writer = VideoWriter(path, 25)
    writer.write(image_of(1))
    assert path.read_bytes() == b"old"
    writer.close()
    writer.close()
    assert len(list(frames(path))) == 1


def test_without_a_frame_there_is_no_file(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    write(path, count=0)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="limits a file's size as POSIX does")
@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_full_disk(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "cannot write" in ran.stdout
    assert "40 frames were written" in ran.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_frames_that_do_not_fit(tmp_path):
    writer = VideoWriter(tmp_path / "out.avi", 25)
    for wrong in (image_of(0)[..., 0], image_of(0).astype(np.float32)):
        with pytest.raises(InputError, match="must be uint8"):
            writer.write(wrong)
    writer.write(image_of(0))
    with pytest.raises(InputError, match="the first is 64x48, frame 1 is 32x48"):
        writer.write(image_of(1, (48, 32)))
    writer.close()
    assert len(list(frames(tmp_path / "out.avi"))) == 1


def test_odd_sizes(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 25) as writer:
        writer.write(image_of(3, (47, 63)))
    (frame,) = frames(path)
    assert frame.image.shape == (46, 62, 3)


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [
        ("out.mkv", 25, r"written as \.mp4 or \.avi, got 'out\.mkv'"),
        ("out.mp4", 0, "positive number of frames a second, got 0"),
        ("out.mp4", float("nan"), "got nan"),
        ("out.mp4", float("inf"), "got inf"),
    ],
)
def test_options_out_of_range(tmp_path, name, rate, message):
    with pytest.raises(ConfigError, match=message):
        VideoWriter(tmp_path / name, rate)


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FerError, match="cannot write"):
        write(tmp_path / "file" / "out.mp4")
    with pytest.raises(FerError, match="cannot encode 1x1"), VideoWriter(tmp_path / "out.mp4", 25) as writer:
        writer.write(image_of(0, (1, 1)))
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(FerError, match="cannot write"):
        write(tmp_path / "taken.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.mp4"]
