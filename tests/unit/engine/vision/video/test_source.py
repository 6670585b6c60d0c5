"""Frames of files, good and bad, and of cameras, which are simulated."""

import io
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from fer_engine import ConfigError, FerError
from fer_engine.vision import frame_rate, frames
from fer_engine.vision.image import MAX_PIXELS
from fer_engine.vision.video.source import is_video
from films import gray, write_film
from recording import FRAMES, write_recording

cv2 = pytest.importorskip("cv2")
Image = pytest.importorskip("PIL.Image")
RATE = 25.0
CAT = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
LOSSLESS = {"qp": "0", "g": "10"}


def image_of(index):
    """A gray image whose mean tells the index."""
    return gray(index)


def noise(index, size=(96, 128)):
    """An image that needs many bytes."""
    return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture
def video(tmp_path):
    """Give what writes a video of some frames."""

    def write(name="video.avi", count=40):
        codec = "mjpeg" if name.endswith(".avi") else "libx264"
        options = {} if codec == "mjpeg" else LOSSLESS
        return write_film(
            tmp_path / name, [image_of(index) for index in range(count)], codec, options=options
        )

    return write


def read(path):
    """Return the frames of a file, and the error that ended them, as a text."""
    found = []
    try:
        found.extend(frames(path))
    except FerError as error:
        return found, str(error)
    return found, ""


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


@pytest.mark.parametrize("name", ["video.avi", "video.mp4", "video.mkv", "video.ts"])
def test_a_video_gives_its_frames_with_their_times(video, name):
    path = video(name)
    found = list(frames(path))
    assert [frame.index for frame in found] == list(range(40))
    assert {frame.source for frame in found} == {str(path)}
    np.testing.assert_allclose([frame.time_ms for frame in found], np.arange(40) * 40.0, atol=0.6)
    means = [frame.image.mean() for frame in found]
    np.testing.assert_allclose(means, [4 * index for index in range(40)], atol=4)
    assert frame_rate(path) == pytest.approx(RATE)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("f.mpg", "mpeg2video"), ("f.m2v", "mpeg2video"), ("f.avi", "dvvideo"), ("f.mp4", "libx264")],
)
def test_the_fields_of_an_interlaced_video_are_joined(tmp_path, name, codec):
    """A bright bar moves by 10 pixels a field: between the rows of a woven frame its edges are 10 apart."""

    def woven(index):
        image = np.full((576, 720, 3), 30, np.uint8)
        for field in (0, 1):
            left = 20 * index + 10 * field
            image[field::2, left : left + 200] = 200
        return image

    path = write_film(tmp_path / name, [woven(index) for index in range(12)], codec, interlaced=True)
    found, error = read(path)
    assert (len(found), error) == (12, "")
    for frame in found:
        left = np.argmax(frame.image[..., 1] > 115, axis=1)[20:-20] * 720 / frame.image.shape[1]
        assert frame.image.std() > 50  # no stale or empty memory
        assert abs(left - (20 * frame.index + 5)).max() < 9
        assert abs(np.diff(left)).mean() < 3


@pytest.mark.parametrize(
    ("shape", "size"), [((16, 11), (96, 186)), ((3, 4), (128, 128)), ((2624, 2625), (96, 128))]
)
def test_pixels_are_made_square(tmp_path, shape, size):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(*shape)

    path = write_film(tmp_path / "dvd.mp4", [gray(9, (96, 128))] * 3, prepare=prepare)
    assert {frame.image.shape[:2] for frame in frames(path)} == {size}
    with pytest.raises(FerError, match=f"{size[1]}x{size[0]} = {size[0] * size[1]} pixels"):
        list(frames(path, max_pixels=size[0] * size[1] - 1))


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_video_is_upright_as_phones_turn_it(tmp_path, angle, mirrored):
    image = cv2.resize(np.array([[[0] * 3, [80] * 3], [[160] * 3, [240] * 3]], np.uint8), (64, 48))
    # Degrees against the clock, as FFmpeg has them; then it is mirrored.
    turned = np.rot90(image, angle // 90)
    expected = turned[:, ::-1] if mirrored else turned

    def prepare(stream):
        stream.set_display_rotation(angle, hflip=mirrored)

    (frame,) = frames(write_film(tmp_path / "phone.mp4", [image], prepare=prepare, options=LOSSLESS))
    np.testing.assert_allclose(frame.image, expected, atol=6)


def test_frames_whose_size_changes_keep_it(tmp_path):
    """As where recordings are joined, or a broadcast changes to its advertisements."""
    joined = b""
    for index, size in enumerate([(48, 64), (96, 128)]):
        part = write_film(tmp_path / f"{index}.ts", [gray(20, size)] * 10)
        joined += part.read_bytes()
    (tmp_path / "joined.ts").write_bytes(joined)
    found, error = read(tmp_path / "joined.ts")
    assert error == ""
    assert [frame.image.shape[0] for frame in found] == [48] * 10 + [96] * 10
    times = np.diff([frame.time_ms for frame in found])  # the timestamps of the second part begin anew
    np.testing.assert_allclose(times, 40, atol=0.1)


@pytest.mark.parametrize("name", ["cut.avi", "cut.mkv", "cut.mp4"])
def test_a_video_that_breaks_off_gives_what_it_holds_then_an_error(tmp_path, name):
    codec = "mjpeg" if name == "cut.avi" else "libx264"
    path = write_film(
        tmp_path / name, [noise(i) for i in range(40)], codec, options={"movflags": "faststart"}
    )
    content = path.read_bytes()
    if name == "cut.mp4":  # with its index at the front, as after a broken download
        _index_first(path)
        content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found, error = read(path)
    assert 5 < len(found) < 35
    assert f"breaks off after frame {len(found) - 1}, at " in error
    assert "of 1.60 s" in error


def _index_first(path):
    import av

    with (
        av.open(str(path)) as source,
        av.open(
            str(path.with_suffix(".m4v")), "w", format="mp4", options={"movflags": "faststart"}
        ) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.with_suffix(".m4v").replace(path)


def test_a_video_that_was_trimmed_without_encoding_is_whole(tmp_path):
    """An edit list leaves out frames that are in the file, because the first ones are needed to decode."""
    import av

    path = write_film(tmp_path / "all.mp4", [gray(i) for i in range(40)], options={**LOSSLESS, "g": "40"})
    with av.open(str(path)) as source, av.open(str(tmp_path / "trimmed.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts -= round(0.6 / packet.time_base)
                packet.dts -= round(0.6 / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    found, error = read(tmp_path / "trimmed.mp4")
    assert error == ""
    assert 25 <= len(found) <= 28
    assert found[0].time_ms == 0
    assert found[-1].image.mean() == pytest.approx(4 * 39, abs=4)


@pytest.mark.parametrize("name", ["damaged.mp4", "damaged.ts"])
def test_damage_in_the_middle_costs_its_frames_alone(tmp_path, name):
    path = write_film(tmp_path / name, [noise(index) for index in range(60)], options={"g": "10", "bf": "0"})
    content = bytearray(path.read_bytes())
    start = len(content) // 2
    content[start : start + len(content) // 20] = np.random.default_rng(1).bytes(len(content) // 20)
    path.write_bytes(content)
    found, error = read(path)
    lost = 60 - len(found)
    assert 0 < lost < 20
    assert "frames are damaged and left out" in error
    assert abs(int(error.split(" frames are damaged")[0].split()[-1]) - lost) <= 2
    assert f"the other {len(found)} are done" in error
    assert found[-1].time_ms == pytest.approx(59 * 40, abs=1)


def test_times_are_the_container_s(tmp_path):
    times = [0.0, 0.04, 0.5, 0.54, 2.0]
    path = write_film(tmp_path / "varies.mkv", [gray(index) for index in range(5)], times=times)
    assert [frame.time_ms for frame in frames(path)] == pytest.approx([1000 * time for time in times], abs=1)


@pytest.mark.parametrize("stated", [10, 25, 2.5, 1000])
def test_times_and_rate_are_those_of_the_stream_whatever_its_header_states(tmp_path, stated):
    path = tmp_path / "recorded.webm"
    write_recording(path, stated)
    assert [frame.time_ms for frame in frames(path)] == pytest.approx(np.arange(FRAMES) * 100.0)
    assert frame_rate(path) == pytest.approx(10)


@pytest.mark.parametrize("name", ["film", "film.vob", "film.jpg", "a:b.mp4", "100%d[1].mp4", "concat:x.mp4"])
def test_a_file_is_told_by_its_content(tmp_path, video, name):
    path = video("video.mp4").rename(tmp_path / name)
    assert len(list(frames(path))) == 40
    assert is_video(path)


def test_a_name_that_is_not_utf_8_is_read(tmp_path, video):
    path = tmp_path / os.fsdecode(b"film-\xff.mp4")
    try:
        video("video.mp4").rename(path)
    except (OSError, UnicodeError):
        pytest.skip("no such names on this system")
    assert len(list(frames(path))) == 40
    assert frame_rate(path) == RATE


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_an_animated_image_is_a_film(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    first, *others = [Image.fromarray(np.full((48, 64, 3), 60 * index, np.uint8)) for index in range(4)]
    try:
        first.save(path, save_all=True, append_images=others, duration=[100, 200, 300, 400])
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {suffix}")
    found = list(frames(path))
    assert [frame.time_ms for frame in found] == [0, 100, 300, 600]
    np.testing.assert_allclose([frame.image.mean() for frame in found], [0, 60, 120, 180], atol=3)
    assert frame_rate(path) == pytest.approx(4)
    assert is_video(path)
    with pytest.raises(FerError, match="allow it with max_pixels=3072 "):
        next(frames(path, max_pixels=3071))
    first.save(path)
    assert len(list(frames(path))) == 1
    assert not is_video(path)


def test_transparent_frames_lie_on_white(tmp_path):
    path = tmp_path / "clear.png"
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(path, save_all=True, append_images=[Image.new("RGBA", (8, 8), (9, 9, 9, 255))], duration=50)
    assert [frame.image.mean() for frame in frames(path)] == [255, 9]


def test_an_animation_that_breaks_off(tmp_path):
    path = tmp_path / "film.gif"
    first, *others = [Image.fromarray(noise(index)) for index in range(6)]
    first.save(path, save_all=True, append_images=others, duration=100)
    path.write_bytes(path.read_bytes()[:-20000])
    found, error = read(path)
    assert 1 <= len(found) < 6
    assert "breaks off at frame" in error or "damaged" in error


def test_what_comes_through_a_pipe(video):
    for path in (video("video.mkv"), video("video.ts")):
        with subprocess.Popen(
            [sys.executable, "-c", CAT, str(path)], stdout=subprocess.PIPE, bufsize=0
        ) as sender:
            found = list(frames(sender.stdout))
        assert len(found) == 40
        assert found[0].source == "standard input"


def test_an_open_file_is_read_as_its_path(video):
    path = video("video.mp4")
    with path.open("rb") as file:
        assert len(list(frames(file))) == 40
    (frame,) = frames(io.BytesIO(cv2.imencode(".png", image_of(7))[1].tobytes()))
    np.testing.assert_array_equal(frame.image, image_of(7))


def test_a_film_of_sound_alone_is_told(tmp_path):
    import av

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        container.mux([*stream.encode(silence), *stream.encode()])
    with pytest.raises(FerError, match="holds no video, only sound"):
        list(frames(path))


def test_a_playlist_opens_no_other_file(tmp_path, video):
    video("video.ts")
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\nvideo.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FerError):
        list(frames(path))


def test_without_pyav_the_error_names_the_extra(monkeypatch, video):
    path = video()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"videos need PyAV .*pip install 'fer-engine\[vision\]'"):
        list(frames(path))


def test_an_image_is_one_frame_whatever_its_name_says(tmp_path):
    path = tmp_path / "holiday.mp4"
    path.write_bytes(cv2.imencode(".png", image_of(7))[1].tobytes())
    (frame,) = frames(str(path))
    assert (frame.source, frame.index, frame.time_ms) == (str(path), 0, 0.0)
    np.testing.assert_array_equal(frame.image, image_of(7))


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
