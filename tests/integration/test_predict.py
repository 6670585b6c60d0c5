"""fer-predict as a user runs it, on real photographs, generated videos and what is broken."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from PIL import Image

from fer_engine import Engine, shipped
from fer_engine.predict.cli import main
from fer_engine.predict.copies import Copies, plan
from fer_engine.predict.inputs import Input
from fer_engine.vision.frame import Frame
from fer_engine.vision.writer import VideoWriter

# Where the faces are, as a person sees them: left, top, right, bottom of eyes, nose and mouth.
ASTRONAUT = (200, 90, 250, 150)
HOPPER = (200, 130, 320, 270)
FER_PREDICT = [sys.executable, "-m", "fer_engine.predict.cli"]
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Give a folder of two photographs, both in the public domain, with one face each."""
    from skimage import data

    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "astronaut.png"), data.astronaut()[:, :, ::-1])
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        (folder / "hopper.jpg").write_bytes(file.read())
    return folder


@pytest.fixture(scope="module")
def video(photos, tmp_path_factory):
    """Give a video of 30 frames at 10 a second, over which the astronaut drifts to the right."""
    path = tmp_path_factory.mktemp("videos") / "drift.avi"
    write_video(path, photos, 30)
    return path


def write_video(path, photos, frames):
    face = cv2.imread(str(photos / "astronaut.png"))[20:220, 130:330]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 200))
    for index in range(frames):
        picture = np.full((200, 320, 3), 128, np.uint8)
        start = index % 60
        picture[:, start : start + 200] = face
        writer.write(picture)
    writer.release()


@pytest.fixture(scope="module")
def home(photos, tmp_path_factory):
    """Give the result of the first command that a user gives, and the cache that it fills."""
    cache, empty = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("empty")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache), "HOME": str(cache)}
    done = run([str(photos / "hopper.jpg")], cwd=empty, env=environment)
    assert list(empty.iterdir()) == []
    return done, environment


@pytest.fixture
def predict(home, monkeypatch, capfd, tmp_path):
    """Give what runs the command in an empty folder, in this process, with the cache filled."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, home[1][name])
    monkeypatch.chdir(tmp_path)

    def call(*argv: object, code: int = 0) -> tuple[str, str]:
        assert main([str(word) for word in argv]) == code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return out, err

    return call


def run(argv, **options):
    options = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run([*FER_PREDICT, *map(str, argv)], **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def covers(box, face):
    left, top, width, height = box
    return (
        left <= face[0]
        and top <= face[1]
        and left + width >= face[2]
        and top + height >= face[3]
        and width < 4 * (face[2] - face[0])
    )


def errors(err):
    return [line for line in err.splitlines() if line.startswith("error: ")]


def test_the_first_use_exports_the_model_and_the_second_finds_it(home, photos, predict):
    first, _ = home
    assert first.returncode == 0, first.stderr
    assert "exporting mini_xception, which happens once" in first.stderr
    assert first.stdout.startswith(f"{photos / 'hopper.jpg'}: ")
    out, err = predict(photos / "hopper.jpg")
    assert out == first.stdout
    assert "exporting" not in err
    assert "mini_xception fp32 on onnxruntime, cpu" in err


def test_photographs_become_lines_of_json(predict, photos):
    out, _ = predict(photos, "--json", "-")
    astronaut, hopper = lines(out)
    assert (Path(astronaut["file"]).name, Path(hopper["file"]).name) == ("astronaut.png", "hopper.jpg")
    assert covers(astronaut["box"], ASTRONAUT)
    assert covers(hopper["box"], HOPPER)
    for found in (astronaut, hopper):
        assert list(found) == ["file", "frame", "time_ms", "box", "label", "probabilities"]
        assert (found["frame"], found["time_ms"]) == (0, 0.0)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    assert astronaut["label"] == "happy"  # she smiles for the camera


def test_backend_and_mirror_images_are_the_ones_asked_for(predict, photos):
    plain = lines(predict(photos / "hopper.jpg", "--json", "-")[0])[0]["probabilities"]
    out, err = predict(photos / "hopper.jpg", "--json", "-", "--tta", "flip", "--backend", "openvino")
    assert "mini_xception fp32 on openvino, cpu, averaged over mirror images; faces by haar" in err
    assert lines(out)[0]["probabilities"] != plain


def test_the_table_says_what_the_json_says(predict, photos):
    predict(photos, "--json", "found.jsonl", "--csv", "found.csv")
    rows = list(csv.DictReader(io.StringIO(Path("found.csv").read_text("utf-8"))))
    for row, found in zip(rows, lines(Path("found.jsonl").read_text("utf-8")), strict=True):
        assert [int(row[side]) for side in ("left", "top", "width", "height")] == found["box"]
        assert (row["file"], row["label"], row["track"]) == (found["file"], found["label"], "")
        assert {label: float(row[label]) for label in found["probabilities"]} == found["probabilities"]


def test_an_annotated_picture_differs_around_the_face_alone(predict, photos):
    before = (photos / "astronaut.png").read_bytes()
    out, _ = predict(photos / "astronaut.png", "--output", "seen.png", "--json", "-")
    left, top, width, height = lines(out)[0]["box"]
    picture, seen = cv2.imread(str(photos / "astronaut.png")), cv2.imread("seen.png")
    changed = (picture != seen).any(2)
    assert changed[top : top + height, left : left + width].any()
    assert not changed[top + height + 20 :].any()
    assert (photos / "astronaut.png").read_bytes() == before


def test_broken_files_are_told_and_the_others_done(predict, photos, tmp_path):
    folder = tmp_path / "in"
    (folder / "a" / "b").mkdir(parents=True)
    photo = (photos / "hopper.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "empty.png").touch()
    (folder / "a" / "text.jpg").write_text("not a picture")
    (folder / "a" / "b" / "mislabelled.png").write_bytes(photo)
    (folder / "notes.txt").write_text("no picture either, and not named like one")
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "whole.jpg").write_bytes(photo)
    out, err = predict(folder, "missing.jpg", "--json", "f.jsonl", "--output", "out", code=2)
    told = errors(err)
    assert len(told) == 4
    for name in ("truncated.jpg", "empty.png", "text.jpg", "missing.jpg"):
        assert sum(name in line for line in told) == 1
    found = lines((tmp_path / "f.jsonl").read_text())
    assert [Path(entry["file"]).relative_to(folder).as_posix() for entry in found] == [
        "whole.jpg",
        "a/b/mislabelled.png",
    ]
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    assert written == ["a/b/mislabelled.png", "whole.jpg"]
    assert out.count("\n") == 2
    assert "inputs: 5, frames: 2, faces: 2, errors: 4" in err


def test_results_below_an_input_folder_are_not_read_again(predict, photos, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hopper.jpg").write_bytes((photos / "hopper.jpg").read_bytes())
    for _ in range(2):
        out, _ = predict("in", "--output", "in/annotated")
        assert out.count("\n") == 1
    assert [path.name for path in (tmp_path / "in" / "annotated").iterdir()] == ["hopper.jpg"]


def test_names_that_meet_in_the_output_are_numbered(predict, photos, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "h.jpg").write_bytes((photos / "hopper.jpg").read_bytes())
    predict("one/h.jpg", "two/h.jpg", "--output", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["h-2.jpg", "h.jpg"]


def test_patterns_are_expanded_without_a_shell(predict, photos):
    assert predict(photos / "*.jpg")[0].count("\n") == 1
    assert predict(photos / "[ah]*.*")[0].count("\n") == 2
    assert "no file matches" in predict(photos / "*.tiff", code=2)[1]


def test_a_picture_on_standard_input(home, photos):
    photo = (photos / "hopper.jpg").read_bytes()
    done = run(["-", "--json", "-"], input=photo, text=False, env=home[1])
    (found,) = lines(done.stdout.decode())
    assert (done.returncode, found["file"]) == (0, "-")
    assert covers(found["box"], HOPPER)
    done = run(["-"], input=photo[:1000], text=False, env=home[1])
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"standard input" in done.stderr


def test_crops_give_what_the_engine_gives(predict, photos):
    left, top, right, bottom = HOPPER
    gray = cv2.imread(str(photos / "hopper.jpg"), cv2.IMREAD_GRAYSCALE)[top:bottom, left:right]
    face = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)
    cv2.imwrite("face.png", face)
    (found,) = lines(predict("face.png", "--crop", "--json", "-")[0])
    with Engine.load(shipped.shipped_artifact()) as engine:
        result = engine.predict(face[np.newaxis])
    assert found["box"] == [0, 0, 48, 48]
    assert list(found["probabilities"].values()) == pytest.approx(result.probabilities[0].tolist(), abs=1e-6)


def test_no_face_is_an_empty_result(predict):
    cv2.imwrite("wall.png", np.full((200, 200, 3), 128, np.uint8))
    out, err = predict("wall.png", "--json", "f.jsonl", "--output", "seen.png")
    assert out == "wall.png: no face\n"
    assert Path("f.jsonl").read_text() == ""
    assert (cv2.imread("seen.png") == 128).all()
    assert "frames: 1, faces: 0, errors: 0" in err


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
    camera = Input("camera 0", 0, Path("camera-0"))
    copies = Copies([camera], plan([camera], tmp_path))
    picture = np.zeros((48, 64, 3), np.uint8)
    for index, time_ms in enumerate((0.0, 10.0, 500.0, 990.0)):  # one frame too many, then too few
        copies.write(Frame("camera 0", index, time_ms, picture), picture)
    copies.close()
    written = cv2.VideoCapture(str(tmp_path / "camera-0.mp4"))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) / written.get(cv2.CAP_PROP_FPS) == pytest.approx(1, abs=0.05)


def test_a_video_without_a_true_rate_is_written_in_its_own_time(tmp_path):
    path = tmp_path / "recorded.avi"
    picture = np.zeros((48, 64, 3), np.uint8)
    with VideoWriter(path, 1000) as video:  # what the recording of a browser states
        video.write(picture)
    entry = Input(str(path), path, Path(path.name))
    copies = Copies([entry], plan([entry], tmp_path / "out"))
    for index, time_ms in enumerate((0.0, 300.0, 990.0)):
        copies.write(Frame(entry.name, index, time_ms, picture), picture)
    copies.close()
    written = cv2.VideoCapture(str(tmp_path / "out" / "recorded.avi"))
    assert (written.get(cv2.CAP_PROP_FRAME_COUNT), written.get(cv2.CAP_PROP_FPS)) == (30, 30)


@unix
def test_names_that_opencv_cannot_take_are_told(home, video, photos, tmp_path):
    try:
        shutil.copy(video, tmp_path / "bad\udcff.avi")
    except OSError:
        pytest.skip("no such names on this system")
    shutil.copy(photos / "hopper.jpg", tmp_path / "worse\udcff.jpg")
    done = run([tmp_path, "--json", "-", "--output", tmp_path / "out"], env=home[1])
    (told,) = errors(done.stderr)
    assert (done.returncode, len(lines(done.stdout))) == (2, 1)
    assert "bad\\udcff.avi; rename it" in told
    assert (tmp_path / "out" / "worse\udcff.jpg").exists()


@unix
def test_ctrl_c_ends_the_wait_for_standard_input(home):
    with subprocess.Popen(
        [*FER_PREDICT, "-"],
        env=home[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(bytes(2**20))  # more than a pipe holds: it is being read
        process.stdin.flush()
        time.sleep(0.2)  # until the rest of it is taken too
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b"interrupted\n"


def test_formats_that_are_not_written_become_png(predict, photos):
    Image.open(photos / "hopper.jpg").save("hopper.gif")
    predict("hopper.gif", "--output", "out")
    assert [path.name for path in Path("out").iterdir()] == ["hopper.png"]


@pytest.mark.parametrize("option", ["--output", "--json", "--csv"])
def test_an_input_is_never_written_over(predict, photos, option):
    content = (photos / "hopper.jpg").read_bytes()
    Path("photo.jpg").write_bytes(content)
    Path("same.jpg").hardlink_to("photo.jpg")
    for target in ("photo.jpg", "./photo.jpg", "same.jpg"):
        _, err = predict("photo.jpg", option, target, code=2)
        assert "would replace the input photo.jpg" in err
    _, err = predict("photo.jpg", "./photo.jpg", option, "." if option == "--output" else "same.jpg", code=2)
    assert "would replace the input" in err
    assert Path("photo.jpg").read_bytes() == content


@unix
def test_a_full_disk_is_told_and_whole_lines_are_kept(home, video, tmp_path):
    import resource

    limit = 2000
    done = run(
        [video, "--json", "f.jsonl"],
        env=home[1],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (told,) = errors(done.stderr)
    assert told.startswith("error: cannot write f.jsonl: ")
    kept = (tmp_path / "f.jsonl").read_text()
    assert kept.endswith("\n")
    assert limit - 400 < len(kept) <= limit
    assert [entry["frame"] for entry in lines(kept)] == list(range(kept.count("\n")))


@unix
def test_ctrl_c_leaves_whole_results(home, photos, tmp_path):
    write_video(tmp_path / "long.avi", photos, 600)
    command = [*FER_PREDICT, "long.avi", "--json", "f.jsonl", "--output", "seen.mp4"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=home[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    found = lines((tmp_path / "f.jsonl").read_text())
    seen = cv2.VideoCapture(str(tmp_path / "seen.mp4"))
    assert 20 <= len(found) < 600
    assert abs(seen.get(cv2.CAP_PROP_FRAME_COUNT) - len(found)) <= 1
    assert seen.read()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.jsonl", "long.avi", "seen.mp4"]


@unix
def test_a_reader_that_goes_away_ends_it_without_a_traceback(home, video):
    with subprocess.Popen(
        [*FER_PREDICT, str(video)], env=home[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 2
    assert [line.split(";")[0] for line in errors(err)] == [
        "error: cannot write standard output: Broken pipe"
    ]
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display can't be taken away elsewhere")
def test_a_window_without_a_display_is_an_error(predict, photos, monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    out, err = predict(photos / "hopper.jpg", "--show", code=2)
    assert "--show has no window to show in" in err
    assert out == ""


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


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["a.png", "--model", "mini_xception", "--artifact", "x"], "give --model or --artifact"),
        (["a.png", "--crop", "--detector", "haar"], "--detector is for finding faces"),
        (["a.png", "--crop", "--detect-size", "640"], "--detect-size is for finding faces"),
        (["a.png", "--detect-size", "0"], "longest_side must be at least 1"),
        (["a.png", "--tta", "crop"], "tta must be"),
        (["a.png", "--json", "-", "--csv", "-"], "--json and --csv would both write -"),
        (["a.png", "0"], "a camera gives pictures without end"),
        (["a.png", "b.png", "--output", "a.png"], "a.png is a file, and there are 2 inputs"),
        (["a.png", "b.png", "--output", "new.jpg"], "new.jpg is a file, and there are 2 inputs"),
        ([""], "an input is an empty text"),
        (["a.png", "--output", "a.xyz"], "a picture is written as"),
        (["a.png", "--model", "vgg"], "no model 'vgg' ships"),
        (["a.png", "--artifact", "nowhere"], "nowhere is not an artifact folder"),
        (["a.png", "--detector", "nowhere.onnx"], "nowhere.onnx"),
        (["a.png", "--every", "0"], "every must be at least 1"),
        (["a.png", "--smoothing", "1"], "smoothing must be"),
        (["a.png", "--precision", "int4"], "precision must be one of"),
        (["."], ". holds no picture or video"),
    ],
)
def test_options_that_make_no_sense_are_errors(predict, argv, told):
    if argv[0] != ".":
        for name in ("a.png", "b.png"):
            cv2.imwrite(name, np.zeros((10, 10, 3), np.uint8))
    out, err = predict(*argv, code=2)
    assert (out, len(errors(err))) == ("", 1)
    assert told in errors(err)[0]


def test_help_needs_no_extras_and_use_names_them():
    bare = "import sys; sys.modules.update(cv2=None, PIL=None, onnxruntime=None, rich=None, torch=None)\n"
    code = bare + "from fer_engine.predict.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "-h"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--smoothing" in done.stdout
    done = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'fer-engine[vision]'" in done.stderr
    assert "Traceback" not in done.stderr
