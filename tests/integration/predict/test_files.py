"""The files that fer-predict reads and writes: broken ones, patterns, odd names, names that meet."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_predict import errors, lines, run, unix


def test_broken_files_are_told_and_the_others_done(predict, photos, tmp_path):
    folder = tmp_path / "in"
    (folder / "a" / "b").mkdir(parents=True)
    photo = (photos / "hopper.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "empty.png").touch()
    (folder / "a" / "text.jpg").write_text("not an image")
    (folder / "a" / "b" / "mislabelled.png").write_bytes(photo)
    (folder / "notes.txt").write_text("no image either, and not named like one")
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


@unix
def test_names_that_are_not_utf_8_are_read_and_written(home, video, photos, tmp_path):
    try:
        shutil.copy(video, tmp_path / "bad\udcff.avi")
    except OSError:
        pytest.skip("no such names on this system")
    shutil.copy(photos / "hopper.jpg", tmp_path / "worse\udcff.jpg")
    done = run([tmp_path, "--json", "-", "--output", tmp_path / "out"], env=home[1])
    assert (done.returncode, len(lines(done.stdout))) == (0, 31)
    assert (tmp_path / "out" / "bad\udcff.avi").exists()
    assert (tmp_path / "out" / "worse\udcff.jpg").exists()


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


def test_a_copy_that_cannot_be_written_is_told_and_the_others_are(predict, photos, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "taken.jpg", "z.jpg"):
        shutil.copy(photos / "hopper.jpg", tmp_path / "in" / name)
    wide = cv2.imencode(".png", np.zeros((4, 66_000, 3), np.uint8))[1]  # more than JPEG has
    (tmp_path / "in" / "wide.jpg").write_bytes(wide.tobytes())
    (tmp_path / "out" / "taken.jpg").mkdir(parents=True)
    _, err = predict("in", "--output", "out", "--json", "f.jsonl", code=2)
    taken, too_wide = errors(err)
    assert "cannot write out/taken.jpg" in taken.replace("\\", "/")
    assert "wide.jpg: 66000x4 is more than its format holds" in too_wide
    assert [Path(entry["file"]).name for entry in lines(Path("f.jsonl").read_text())] == [
        "a.jpg",
        "taken.jpg",
        "z.jpg",
    ]
    for name in ("a.jpg", "z.jpg"):
        assert cv2.imread(f"out/{name}") is not None
    assert "frames: 4, faces: 3, errors: 2" in err


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_the_folder_of_a_result_is_made(predict, photos, option):
    predict(photos / "hopper.jpg", option, "new/folder/found", "--output", "other/new/seen.jpg")
    assert "hopper.jpg" in Path("new/folder/found").read_text()
    assert Path("other/new/seen.jpg").exists()


def test_more_pixels_are_allowed_by_the_option_that_the_error_names(predict, photos):
    _, err = predict(photos, "--max-pixels", 512 * 512, code=2)
    (told,) = errors(err)
    assert "hopper.jpg" in told
    assert told.endswith("(of a command: --max-pixels 307200)")
    assert predict(photos, "--max-pixels", 307_200)[0].count("\n") == 2


@unix
def test_a_name_is_shown_in_one_line(predict, photos, tmp_path):
    shutil.copy(photos / "hopper.jpg", tmp_path / "line\nbreak.jpg")
    (tmp_path / "red\x1b[31m.jpg").touch()
    out, err = predict("line\nbreak.jpg", "red\x1b[31m.jpg", "--json", "f.jsonl", code=2)
    assert out.startswith("line\\nbreak.jpg: ")
    assert out.count("\n") == 1
    assert errors(err) == ["error: red\\x1b[31m.jpg is empty (0 bytes): copy or record it anew"]
    assert lines(Path("f.jsonl").read_text())[0]["file"] == "line\nbreak.jpg"


def test_of_a_broken_video_one_line_is_told(home, tmp_path):
    (tmp_path / "junk.mp4").write_bytes(np.random.default_rng(0).bytes(3000))
    done = run(["junk.mp4"], env=home[1], cwd=tmp_path)
    model, told, summary = done.stderr.splitlines()  # and nothing of FFmpeg
    assert (done.returncode, model.split()[0], told.split()[:2]) == (
        2,
        "fer_tiny",
        ["error:", "junk.mp4"],
    )
    assert summary == "inputs: 1, frames: 0, faces: 0, errors: 1"


@unix
def test_odd_entries_of_a_folder_are_told_and_the_others_done(predict, photos, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(photos / "hopper.jpg", folder / "a.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(photos / "hopper.jpg", tmp_path / "elsewhere" / "b.jpg")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    out, err = predict(folder, "x" * 5000, "--json", "-", code=2)
    assert [Path(entry["file"]).name for entry in lines(out)] == ["a.jpg", "b.jpg"]
    told = errors(err)
    assert len(told) == 3
    assert sum("pipe.jpg is a pipe or a device" in line for line in told) == 1
    assert sum("loop.jpg" in line for line in told) == 1
    assert sum("File name too long" in line for line in told) == 1


def test_an_output_whose_name_is_too_long_is_refused(predict, photos):
    _, err = predict(photos / "hopper.jpg", "--output", "y" * 300 + ".jpg", code=2)
    assert "File name too long; give another --output" in err


def test_heic_without_its_library_is_told_and_the_others_done(predict, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Path("photos").mkdir()
    for name in ("a.heic", "b.HEIF", "c.hif"):
        Path("photos", name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    shutil.copy(photos / "hopper.jpg", "photos")
    out, err = predict("photos", code=2)
    assert out.count("hopper.jpg") == 1
    for line, name in zip(errors(err), ("a.heic", "b.HEIF", "c.hif"), strict=True):
        assert line.startswith(f"error: {Path('photos', name)} is a HEIC or HEIF image")
        assert "pip install 'fer-engine[heif]'" in line
    assert "inputs: 4, frames: 1, faces: 1, errors: 3" in err


def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(predict, photos):
    Path("cut\n.jpg").write_bytes((photos / "hopper.jpg").read_bytes()[:-2])
    whole, _ = predict(photos / "hopper.jpg", "-q")
    out, err = predict("cut\n.jpg", "-q")
    assert out.partition(": ")[2] == whole.partition(": ")[2]
    assert err == "warning: cut\\n.jpg lacks the marker at its end, but none of its pixels: it is read\n"
