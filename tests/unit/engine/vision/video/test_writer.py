"""Videos that players open, with their sound; whole or not at all."""

import os
import subprocess
import sys

import av
import numpy as np
import pytest

from fer_engine import ConfigError, FerError, InputError
from fer_engine.vision import VideoWriter, frames
from fer_engine.vision.video import writer as writer_module
from fer_engine.vision.video.writer import video_suffixes
from films import gray, write_film

# Writes noise until the system refuses more bytes.
FULL_DISK = """
import resource, signal, sys
import numpy as np
from fer_engine import FerError
from fer_engine.vision import VideoWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
random = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 25) as writer:
        for _ in range(40):
            writer.write(random.integers(0, 256, (120, 160, 3), dtype=np.uint8))
except FerError as error:
    print(error)
"""
NAMES = ["out.mp4", "out.webm", "out.avi"]


def image_of(index, size=(48, 64)):
    return np.full((*size, 3), 5 * index, np.uint8)


def write(path, count=10, rate=25):
    with VideoWriter(path, rate) as writer:
        for index in range(count):
            writer.write(image_of(index))


@pytest.mark.parametrize(
    "name", [*NAMES, "OUT.MP4", "a folder/ünï.mp4", "a:b.mp4", "日本語.webm", "%d.mp4", "x" * 250 + ".mp4"]
)
def test_a_video_holds_its_frames_and_nothing_else_is_left(tmp_path, name):
    path = tmp_path / name
    write(path)
    means = [frame.image.mean() for frame in frames(path)]
    np.testing.assert_allclose(means, [5 * index for index in range(10)], atol=4)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", NAMES)
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


def test_ctrl_c_while_a_frame_is_encoded_loses_no_video(tmp_path, monkeypatch):
    path = tmp_path / "out.mp4"
    video = VideoWriter(path, 25)
    for index in range(3):
        video.write(image_of(index))
    muxed = video._container.mux

    def interrupted(_packets):
        monkeypatch.setattr(video, "_container", container)
        raise KeyboardInterrupt

    container = video._container
    stand_in = type("Container", (), {"mux": staticmethod(interrupted)})()
    monkeypatch.setattr(video, "_container", stand_in)
    with pytest.raises(KeyboardInterrupt):
        video.write(image_of(3))
    assert muxed
    video.close()
    assert 3 <= len(list(frames(path))) <= 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "codec"), list(zip(NAMES, ["h264", "vp9", "mjpeg"], strict=True)))
def test_videos_are_in_codecs_that_players_have(tmp_path, name, codec):
    path = tmp_path / name
    write(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        assert stream.average_rate == 25
        assert stream.codec_context.pix_fmt in {"yuv420p", "yuvj420p"}  # others play in few browsers


def test_without_an_h264_encoder_a_video_is_webm(tmp_path, monkeypatch):
    assert video_suffixes() == (".mp4", ".webm", ".avi")
    monkeypatch.setitem(writer_module.ENCODERS, ".mp4", {"h264_of_nobody": {}})
    assert video_suffixes() == (".webm", ".avi")
    with pytest.raises(ConfigError, match=r"cannot encode \.mp4: name the video \.webm"):
        VideoWriter(tmp_path / "out.mp4", 25)


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_frames_keep_their_times(tmp_path, name):
    times = [0, 40, 500, 500.001, 7_200_000, 7_200_040]
    with VideoWriter(tmp_path / name, 25) as video:
        for index, time_ms in enumerate(times):
            video.write(image_of(index), time_ms)
    found = [frame.time_ms for frame in frames(tmp_path / name)]
    assert found == pytest.approx([0, 40, 500, 7_200_000, 7_200_040], abs=1)


def test_an_avi_counts_frames(tmp_path):
    with VideoWriter(tmp_path / "out.avi", 10) as video:
        for index, time_ms in enumerate([0, 10, 100, 300]):  # one too many, and one is missing
            video.write(image_of(index), time_ms)
    assert [frame.time_ms for frame in frames(tmp_path / "out.avi")] == pytest.approx([0, 100, 300])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [50, 25])
def test_the_sound_is_kept_up_to_the_last_frame(tmp_path, name, kept):
    source = write_film(tmp_path / "film.mp4", [gray(index) for index in range(50)], sound=True)
    path = tmp_path / name
    with VideoWriter(path, 25, sound=source) as video:
        for frame in list(frames(source))[:kept]:
            video.write(frame.image, frame.time_ms)
    assert len(list(frames(path))) == kept
    with av.open(str(path)) as container:
        pieces = [(frame.time, frame.to_ndarray()) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    assert pieces[0][0] == pytest.approx(0, abs=0.05)
    length = sum(piece.shape[-1] for _, piece in pieces) / rate
    if name == "out.avi":  # whose samples are not in planes
        length /= 2
    assert length == pytest.approx(kept / 25, abs=0.1)
    assert max(np.abs(piece).max() for _, piece in pieces) > 0.5  # the tone


@pytest.mark.parametrize("silent", ["silent.mp4", "film.gif"])
def test_a_source_without_sound(tmp_path, silent):
    (tmp_path / "film.gif").write_bytes(b"GIF89a")
    write_film(tmp_path / "silent.mp4", [gray(index) for index in range(5)])
    with VideoWriter(tmp_path / "out.mp4", 25, sound=tmp_path / silent) as video:
        video.write(image_of(1))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_colours_are_kept(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (200, 40, 90), (30, 180, 220)
    for name in ("out.mp4", "out.webm"):
        with VideoWriter(tmp_path / name, 25) as video:
            video.write(image)
        (frame,) = frames(tmp_path / name)
        for column in (10, 50):
            np.testing.assert_allclose(frame.image[20, column].astype(int), image[20, column], atol=12)


def test_a_name_that_is_not_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"bad\xff.mp4")
    try:
        path.write_bytes(b"")
    except (OSError, UnicodeError):
        pytest.skip("no such names on this system")
    write(path)
    assert len(list(frames(path))) == 10


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
@pytest.mark.parametrize("name", NAMES)
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
    assert "Exception ignored" not in ran.stderr
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
        ("out.mkv", 25, r"written as \.mp4, \.webm, \.avi, got 'out\.mkv'"),
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
