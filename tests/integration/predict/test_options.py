"""Options of fer-predict that make no sense, and a system that lacks what they need."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from fer_predict import errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display can't be taken away elsewhere")
def test_a_window_without_a_display_is_an_error(predict, photos, monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    out, err = predict(photos / "hopper.jpg", "--show", code=2)
    assert "--show cannot open a window" in err
    assert out == ""


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["a.png", "--model", "mini_xception", "--artifact", "x"], "give --model or --artifact"),
        (["a.png", "--crop", "--detector", "haar"], "--detector is for finding faces"),
        (["a.png", "--crop", "--detect-size", "640"], "--detect-size is for finding faces"),
        (["a.png", "--detect-size", "0"], "must be at least 1, got 0"),
        (["a.png", "--tta", "crop"], "tta must be"),
        (["a.png", "--json", "-", "--csv", "-"], "--json and --csv would both write -"),
        (["a.png", "0"], "a camera or live stream never ends"),
        (["a.png", "b.png", "--output", "a.png"], "a.png is a file, and there are 2 inputs"),
        (["a.png", "b.png", "--output", "new.jpg"], "new.jpg is a file, and there are 2 inputs"),
        ([""], "an input is an empty text"),
        (["a.png", "--output", "a.xyz"], "an image is written as"),
        (["a.png", "--model", "vgg"], "no model 'vgg' ships"),
        (["a.png", "--artifact", "nowhere"], "nowhere is not an artifact folder"),
        (["a.png", "--detector", "nowhere.onnx"], "nowhere.onnx"),
        (["a.png", "--every", "0"], "every must be at least 1"),
        (["a.png", "--smoothing", "1"], "smoothing must be"),
        (["a.png", "--precision", "int4"], "holds no 'int4' graph, it has fp32"),
        (["."], ". holds no image or video"),
    ],
)
def test_options_that_make_no_sense_are_errors(predict, argv, told):
    if argv[0] != ".":
        for name in ("a.png", "b.png"):
            cv2.imwrite(name, np.zeros((10, 10, 3), np.uint8))
    out, err = predict(*argv, code=2)
    assert (out, len(errors(err))) == ("", 1)
    assert told in errors(err)[0]


def test_yunet_without_a_network_is_an_error_with_the_manual_way(predict, photos, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens on the port of "discard"
    monkeypatch.delenv("no_proxy", raising=False)
    out, err = predict(photos / "hopper.jpg", "--detector", "yunet", code=2)
    assert out == ""
    assert len(errors(err)) == 1
    assert "YuNet's file cannot be fetched (huggingface.co: " in errors(err)[0]
    assert "By hand: download https://huggingface.co/" in errors(err)[0]


def test_help_needs_no_extras_and_use_names_them():
    absent = ", ".join(f"{name}=None" for name in ("cv2", "PIL", "av", "onnxruntime", "rich", "torch"))
    bare = f"import sys; sys.modules.update({absent})\n"
    code = bare + "from fer_engine.predict.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "-h"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--smoothing" in done.stdout
    done = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'fer-engine[vision]'" in done.stderr
    assert "Traceback" not in done.stderr
