"""fer-predict on videos and cameras: times, tracks, annotated copies, and a window."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fer_engine.predict.annotated import AnnotatedCopies, plan_outputs
from fer_engine.predict.inputs import Input
from fer_engine.vision.video.frame import Frame
from fer_engine.vision.video.source import frame_rate, frames
from fer_engine.vision.video.writer import VideoWriter
from fer_predict import errors, lines, run
from films import write_film
from recording import FRAMES, RATE, write_recording


def test_a_video_gives_frames_with_times_and_a_video(predict, video):
    out, _ = predict(video, "--json", "-", "--output", "seen.mp4", "--every", 3, "--smoothing", 0.5)
    found = lines(out)
    assert [entry["frame"] for entry in found] == list(range(30))
    assert [entry["time_ms"] for entry in found] == pytest.approx([index * 100 for index in range(30)], abs=1)
    assert {entry["track"] for entry in found} == {0}
    assert found[-1]["box"][0] - found[0]["box"][0] == pytest.approx(29, abs=6)
    seen = cv2.VideoCapture("seen.mp4")
    assert (seen.get(cv2.CAP_PROP_FRAME_COUNT), seen.get(cv2.CAP_PROP_FPS)) == (30, 10)


def test_of_a_video_that_breaks_off_the_first_part_is_done(predict, video, photos):
    content = video.read_bytes()
    Path("half.avi").write_bytes(content[: len(content) // 2])
    out, err = predict("half.avi", photos / "hopper.jpg", "--json", "f.jsonl", "--output", "out", code=2)
    found = lines(Path("f.jsonl").read_text())
    frames = [entry["frame"] for entry in found if entry["file"] == "half.avi"]
    assert frames == list(range(len(frames)))
    assert 10 <= len(frames) < 20
    assert found[-1]["file"].endswith("hopper.jpg")
    (told,) = errors(err)
    assert "half.avi" in told
    assert cv2.VideoCapture("out/half.avi").get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)
    assert Path("out/hopper.jpg").exists()
    assert out.count("\n") == len(found)


def test_a_camera_is_written_in_its_own_time(tmp_path):
    camera = Input("camera 0", 0, Path("camera-0"), is_video=True)
    copies = AnnotatedCopies([camera], plan_outputs([camera], tmp_path), pytest.fail)
    image = np.zeros((48, 64, 3), np.uint8)
    for index, time_ms in enumerate((0.0, 10.0, 500.0, 990.0)):
        copies.write(Frame("camera 0", index, time_ms, image), image)
    copies.close()
    written = [frame.time_ms for frame in frames(tmp_path / "camera-0.mp4")]
    assert written == pytest.approx([0, 10, 500, 990], abs=1)


@pytest.mark.parametrize("stated", [25, 2.5, 1000])
def test_a_video_without_a_true_rate_is_written_in_its_own_time(tmp_path, stated):
    path = tmp_path / "recorded.webm"
    write_recording(path, stated)
    entry = Input(str(path), path, Path(path.name), is_video=True)
    copies = AnnotatedCopies([entry], plan_outputs([entry], tmp_path / "out"), pytest.fail)
    for frame in frames(path):
        copies.write(frame, frame.image)
    copies.close()
    written = [frame.time_ms for frame in frames(tmp_path / "out" / "recorded.webm")]
    assert written == pytest.approx([index * 1000 / RATE for index in range(FRAMES)], abs=1)


def test_a_video_larger_than_is_read_unasked_is_written_where_it_was_read(tmp_path, monkeypatch):
    path = tmp_path / "recorded.webm"
    write_recording(path, RATE)
    monkeypatch.setattr(frame_rate, "__defaults__", (1,))
    entry = Input(str(path), path, Path(path.name), is_video=True)
    copies = AnnotatedCopies([entry], plan_outputs([entry], tmp_path / "out"), pytest.fail)
    for frame in frames(path):
        copies.write(frame, frame.image)
    copies.close()
    assert len(list(frames(tmp_path / "out" / "recorded.webm"))) == FRAMES


def test_of_a_video_whose_size_changes_the_copy_holds_the_first_part(tmp_path):
    camera = Input("camera 0", 0, Path("camera-0"), is_video=True)
    problems = []
    copies = AnnotatedCopies([camera], plan_outputs([camera], tmp_path), problems.append)
    for index in range(6):
        image = np.zeros((48, 64 if index < 4 else 32, 3), np.uint8)
        copies.write(Frame("camera 0", index, index * 1000 / 30, image), image)
    copies.close()
    (problem,) = problems
    assert "all frames of" in str(problem)
    assert cv2.VideoCapture(str(tmp_path / "camera-0.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 4


def test_a_video_on_standard_input(home, video, tmp_path):
    """As Matroska, through a pipe; and as a file that can be searched."""
    write_film(tmp_path / "film.mkv", [frame.image for frame in frames(video)], rate=10)
    content = (tmp_path / "film.mkv").read_bytes()
    done = run(["-", "--json", "-"], input=content, text=False, env=home[1])
    found = lines(done.stdout.decode())
    assert (done.returncode, [entry["frame"] for entry in found]) == (0, list(range(30)))
    assert {entry["file"] for entry in found} == {"-"}
    with video.open("rb") as file:
        done = run(["-", "--json", "-"], stdin=file, env=home[1])
    assert (done.returncode, len(lines(done.stdout))) == (0, 30)


def test_files_are_told_by_their_content(predict, video, photos):
    Path("in").mkdir()
    shutil.copy(video, "in/film")
    shutil.copy(photos / "hopper.jpg", "in/photo")
    Path("in/README").write_text("no image")
    shutil.copy(video, "film.vob")
    shutil.copy(video, "film.jpg")
    out, _ = predict("in", "film.vob", "film.jpg", "--json", "-", "--output", "out")
    counts = Counter(Path(entry["file"]).name for entry in lines(out))
    assert counts == {"film": 30, "photo": 1, "film.vob": 30, "film.jpg": 30}
    written = sorted(path.name for path in Path("out").iterdir())
    assert [Path(name).suffix == ".png" for name in written if name.startswith("photo")] == [True]
    assert len(written) == 4


def test_an_animated_image_is_a_film(predict, photos):
    from PIL import Image

    with Image.open(photos / "hopper.jpg") as opened:
        image = opened.convert("RGB")
    # Pillow would join frames that are the same.
    others = [image.transform(image.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, 0)) for x in (3, 6)]
    image.save("film.webp", save_all=True, append_images=others, duration=200)
    out, _ = predict("film.webp", "--json", "-", "--output", "out")
    assert [(entry["frame"], entry["time_ms"], entry["track"]) for entry in lines(out)] == [
        (0, 0.0, 0),
        (1, 200.0, 0),
        (2, 400.0, 0),
    ]
    (copy,) = Path("out").iterdir()
    assert len(list(frames(copy))) == 3


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb, a display without a screen")
def test_a_window_shows_a_video_to_its_end(home, video, tmp_path):
    with subprocess.Popen(
        [shutil.which("Xvfb"), "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as x:
        try:
            environment = {**home[1], "DISPLAY": f":{int(x.stdout.readline())}"}
            done = run([video, "--show"], env=environment, cwd=tmp_path)
        finally:
            x.terminate()
    assert done.returncode == 0, done.stderr
    assert "frames: 30" in done.stderr


def test_a_camera_that_is_not_there_is_told(predict):
    assert "camera 97 cannot be opened" in predict("97", code=2)[1]


def test_a_pause_of_hours_is_as_long_in_the_copy(tmp_path):
    camera = Input("camera 0", 0, Path("camera-0"), is_video=True)
    copies = AnnotatedCopies([camera], plan_outputs([camera], tmp_path), pytest.fail)
    image = np.zeros((48, 64, 3), np.uint8)
    for index, time_ms in enumerate((0.0, 7_200_000.0, 7_200_100.0)):
        copies.write(Frame("camera 0", index, time_ms, image), image)
    copies.close()
    written = [frame.time_ms for frame in frames(tmp_path / "camera-0.mp4")]
    assert written == pytest.approx([0, 7_200_000, 7_200_100], abs=1)


def test_the_sound_of_a_video_is_in_its_copy(tmp_path):
    path = write_film(tmp_path / "film.mov", [np.zeros((48, 64, 3), np.uint8)] * 25, sound=True)
    entry = Input(str(path), path, Path(path.name), is_video=True)
    copies = AnnotatedCopies([entry], plan_outputs([entry], tmp_path / "out"), pytest.fail)
    for frame in frames(path):
        copies.write(frame, frame.image)
    copies.close()
    with av.open(str(tmp_path / "out" / "film.mp4")) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]


def test_long_and_dotted_names_keep_what_fits(tmp_path):
    long = "ü" * 127  # 254 bytes
    places = [long, long + "x", "Dr. No", "rtsp-10.0.0.7-cam", "clip.ts", "clip.mpg", "clip.webm"]
    inputs = [Input(f"{index}", 0, Path(place), is_video=True) for index, place in enumerate(places)]
    names = [path.name for path in plan_outputs(inputs, tmp_path).values()]
    assert names == [
        "ü" * 125 + ".mp4",
        "ü" * 124 + "-2.mp4",
        "Dr. No.mp4",
        "rtsp-10.0.0.7-cam.mp4",
        "clip.mp4",
        "clip-2.mp4",
        "clip.webm",
    ]
    for name in names:
        with VideoWriter(tmp_path / name, 25) as video:
            video.write(np.zeros((48, 64, 3), np.uint8))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
