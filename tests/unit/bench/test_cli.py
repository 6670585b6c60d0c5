import subprocess
import sys

import pytest

from fer_bench import arguments as flags
from fer_bench import cli
from fer_bench.record.record_file import parse_record, write_record
from fer_engine.system import progress


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "batch must be a whole number of at least 1, got 0"),
        (["--batch", "many"], "--batch must be whole numbers, as in 1,8,64, got 'many'"),
        (["--batch", "1,,2"], "--batch must be a list without gaps"),
        (["--rounds", "0"], "rounds must be a whole number of at least 1"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--threads", "1,two"], "--threads must be whole numbers"),
        (["--micro-batch", "0"], "--micro-batch must be at least 1, got 0"),
        (["--batch", "1,8", "--micro-batch", "4,16"], "--micro-batch 16 would never be filled"),
        (["--busy", "-1"], "busy must be"),
        (["--split", "PublicTest"], "--split needs --data"),
        (["--data", "nowhere.npz"], "nowhere.npz: no such file"),
        (["--render", "nowhere.json"], "cannot read nowhere.json"),
        (["--labels", "calm,tense"], "--labels are those of --data: give both"),
        (["--images", "faces"], "--images are those of --data: give both"),
        (["--votes", "fer2013new.csv"], "--votes are those of --data: give both"),
        (["--data", "faces.npz", "--labels", "calm,Calm"], "labels must be distinct in more than case"),
        (["--device", "tpu"], "--device must be cpu, cuda, or another GPU as cuda:1, got 'tpu'"),
    ],
)
def test_bad_arguments_end_with_one_line_and_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "reports" / "bench.json").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [([], "--batch"), (["run"], "--batch"), (["show"], "--show-faces"), (["compare"], "--max-slowdown")],
)
def test_help_needs_no_extra(words, named):
    code = """
import sys
for name in ("torch", "onnx", "onnxruntime", "rich", "cv2"):
    sys.modules[name] = None
from fer_bench.cli import main
main([*sys.argv[1:], "--help"])
"""
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert result.returncode == 0
    assert named in result.stdout


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.delitem(sys.modules, "fer_bench.report.render", raising=False)
    monkeypatch.delattr("fer_bench.report.render", raising=False)
    assert cli.main(["--batch", "1"]) == 2
    assert "rich is not installed; install it with pip install" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "missing", "message"),
    [
        (["--html", "page.html"], "jinja2", "install it with pip install 'fer-engine[bench]'"),
        (["--png", "figures"], "matplotlib", "install it with pip install 'fer-engine[train]'"),
    ],
)
def test_what_draws_is_missed_before_anything_is_measured(
    arguments, missing, message, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in [
        name for name in sys.modules if name.startswith(("fer_bench.report.page", "fer_bench.report.figures"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("page", "figures"):
        monkeypatch.delattr(f"fer_bench.report.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(flags, "faces", pytest.fail)  # what comes next
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--batch", "64"], "--batch"),  # its default's value, but asked for
        (["--json", "reports/bench.json"], "--json"),
        (["--peers", "--profile", "--cold-starts", "3"], "--peers, --cold-starts, --profile"),
        (["--scenario", "server", "--target-qps", "9"], "--scenario, --target-qps"),
    ],
)
def test_rendering_refuses_what_only_a_measurement_could_heed(record, tmp_path, capsys, arguments, named):
    write_record(tmp_path / "bench.json", parse_record(record))
    assert cli.main(["--render", str(tmp_path / "bench.json"), *arguments]) == 2
    assert f"measures nothing, so {named} would change nothing" in capsys.readouterr().err


def test_a_record_is_shown_again_without_measuring(record, tmp_path, capsys):
    path, markdown = tmp_path / "bench.json", tmp_path / "report.md"
    write_record(path, parse_record(record))
    assert cli.main(["--render", str(path), "--markdown", str(markdown)]) == 0
    assert "Imaginary 9000" in capsys.readouterr().out
    assert markdown.read_text().startswith("# Benchmark of tiny")


def test_show_is_the_command_for_it(record, tmp_path, capsys):
    path, markdown = tmp_path / "bench.json", tmp_path / "report.md"
    write_record(path, parse_record(record))
    assert cli.main(["show", str(path), "--markdown", str(markdown)]) == 0
    assert "Imaginary 9000" in capsys.readouterr().out
    assert markdown.read_text().startswith("# Benchmark of tiny")
    assert cli.main(["show", str(path), "--show-faces"]) == 2
    assert "--show-faces needs --html" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["show", str(path), "--batch", "64"])


@pytest.mark.parametrize("words", [["run", "--batch", "0"], ["--batch", "0"]])
def test_run_is_what_the_form_without_a_command_does(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    assert "batch must be a whole number of at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "shown"), [([], "rounds\n"), (["-q"], ""), (["run", "--quiet"], "")])
def test_quiet_shows_no_progress(words, shown, monkeypatch, capsys):
    def measure(*_):
        with progress.bar("rounds", 1):
            return 0

    monkeypatch.setattr(cli, "_run", measure)
    assert cli.main(words) == 0
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize("command", [None, *flags.COMMANDS])
def test_every_option_has_a_help_text_with_its_default(command):
    for action in flags.parser(command)._actions:
        assert action.help, action.dest
        if action.option_strings and action.dest not in ("help", "version", "render"):
            assert "default:" in action.help, action.option_strings
