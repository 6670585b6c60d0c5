"""fer-export's subcommands and options, without an export."""

from __future__ import annotations

import pytest

from fer_export import cli
from fer_export.cli import _parse, _parser, main


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_every_option_says_what_it_does_and_its_default(command):
    parser = _parser(command)
    for action in parser._actions:
        assert action.help, action.option_strings
    silent = {"--help", "--version", "--module", "--onnx", "--spec", "--outputs"}  # none, as their group says
    for action in parser._actions:
        if action.option_strings[-1] not in silent:
            assert "(default: " in action.help or "(default of " in action.help, action.option_strings


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["onnx", "--target", "8.9"], "--target is an option of 'fer-export tensorrt'"),
        (["onnx", "--tensorrt"], "--tensorrt is an option of 'fer-export tensorrt'"),
        (["tensorrt", "--artifact", "a", "--int8"], "--int8 is an option of 'fer-export onnx'"),
        (["tensorrt", "--calibration-size=9"], "--calibration-size is an option of 'fer-export onnx'"),
        (["tensorrt"], "--artifact is missing"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["openvino"], "unrecognized arguments: openvino"),
    ],
)
def test_a_misuse_says_which_subcommand_has_the_option(argv, text, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_the_subcommands_take_what_the_plain_form_takes():
    words = ["-m", "simple_cnn", "-o", "out", "-q", "--int8"]
    plain, onnx = _parse(words), _parse(["onnx", *words])
    assert (onnx.model, str(onnx.output), onnx.quiet, onnx.int8) == ("simple_cnn", "out", True, True)
    assert vars(onnx).items() - {("command", "onnx")} <= vars(plain).items()
    plan = ["--artifact", "a", "--tensorrt-rtx", "--target", "8.9"]
    plain, tensorrt = _parse(plan), _parse(["tensorrt", *plan])
    assert vars(tensorrt).items() - {("command", "tensorrt")} <= vars(plain).items()


@pytest.mark.parametrize(
    "argv", [["tensorrt", "--artifact", "nowhere"], ["--artifact", "nowhere", "--tensorrt"]]
)
def test_both_forms_build_from_an_artifact(argv, capsys):
    assert main(argv) == 2
    assert "nowhere is not an artifact folder" in capsys.readouterr().err
