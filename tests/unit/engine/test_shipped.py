"""The artifact that the user's cache keeps of a shipped checkpoint.

What exports it is a stand-in, a process of its own as the real one is: it copies a tiny artifact, and
leaves a line in a log.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fer_engine import ConfigError, ExportError, FerError, __version__, exporter, shipped
from fer_engine.artifact.artifact import Artifact
from fer_engine.shipped import shipped_artifact
from fer_engine.system.cache import cache_folder

EXPORTER = """
import pathlib, shutil, sys, time
tiny, log, *words = sys.argv[1:]
with open(log, "a") as file:
    file.write(" ".join(words) + "\\n")
output = pathlib.Path(words[words.index("--output") + 1])
print("export to ONNX", file=sys.stderr, flush=True)
shutil.copytree(tiny, output)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch, artifact):
    """Give the log of the exports into an empty cache."""
    monkeypatch.delenv("FER_ENGINE_CACHE", raising=False)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    log = tmp_path / "log"
    log.touch()
    export(monkeypatch, EXPORTER, str(artifact.folder), str(log))
    return log


def export(monkeypatch, code, *arguments):
    monkeypatch.setattr(exporter, "EXPORTER", ("-c", code, *arguments))


def exports(log):
    return [line.split(" --output")[0] for line in log.read_text().splitlines()]


def leftovers():
    return list(cache_folder().rglob(".*"))


def test_it_is_exported_once(cache, capsys):
    first = shipped_artifact()
    assert "  export to ONNX\n" in capsys.readouterr().err
    assert shipped_artifact() == first
    assert capsys.readouterr().err == ""
    assert exports(cache) == ["--model fer_tiny"]
    assert Artifact.open(first).read_graph("fp32")
    assert leftovers() == []


def test_each_model_version_and_checkpoint_has_its_own(cache):
    mini, tiny = shipped_artifact("mini_xception"), shipped_artifact("fer_tiny")
    assert mini.parent.parent == tiny.parent.parent == cache_folder() / __version__
    assert mini.parent.name.startswith("mini_xception-")
    assert tiny.parent.name.startswith("fer_tiny-")
    assert exports(cache) == ["--model mini_xception", "--model fer_tiny"]


def test_other_precisions_are_exported_when_asked_for_and_serve_float32_too(cache):
    everything = shipped_artifact(precision="auto")
    assert exports(cache) == ["--model fer_tiny --fp16 --int8 --force"]
    assert {shipped_artifact(precision=name) for name in ("fp32", "fp16", "int8", "int8-cpu")} == {everything}


def test_a_damaged_one_is_made_anew_and_said(cache, caplog):
    folder = shipped_artifact()
    whole = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole[:-1])
    assert shipped_artifact() == folder
    assert (folder / "model.onnx").read_bytes() == whole
    assert "is damaged and will be made anew" in caplog.text
    assert "model.onnx is not the file that the manifest vouches for" in caplog.text
    assert len(exports(cache)) == 2
    assert leftovers() == []


@pytest.mark.usefixtures("cache")
def test_callers_at_once_get_one_artifact():
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: shipped_artifact(), range(4)))
    assert len(set(folders)) == 1
    assert Artifact.open(folders[0]).read_graph("fp32")
    assert leftovers() == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_what_another_process_has_just_cleared_away_does_not_matter(cache):
    folder = shipped_artifact().parent
    (folder / ".gone.tmp").symlink_to("nowhere")  # listed, and not there
    assert shipped_artifact(precision="auto").parent == folder
    assert len(cache.read_text().splitlines()) == 2


@pytest.mark.usefixtures("cache")
def test_a_kill_in_the_middle_leaves_nothing_that_is_used(monkeypatch):
    half = EXPORTER.replace(
        "shutil.copytree(tiny, output)", "output.mkdir(); (output / 'manifest.json').touch(); "
    )
    waiting = half + "print('half', file=sys.stderr, flush=True); time.sleep(60)"
    code = (
        "import sys; from fer_engine import exporter, shipped\n"
        "exporter.EXPORTER = tuple(sys.argv[1:])\n"
        "shipped.shipped_artifact()"
    )
    tiny_and_log = exporter.EXPORTER[2:]
    with subprocess.Popen(
        [sys.executable, "-c", code, "-c", waiting, *tiny_and_log], stderr=subprocess.PIPE, text=True
    ) as process:
        while "half" not in process.stderr.readline():
            assert process.poll() is None
        process.kill()
    assert len(leftovers()) == 1
    assert Artifact.open(shipped_artifact()).files
    monkeypatch.setattr(shipped, "STALE_SECONDS", -1.0)
    shipped_artifact(precision="auto")
    assert leftovers() == []


def test_what_the_export_says_is_passed_on(cache, monkeypatch):
    export(monkeypatch, "import sys; sys.exit('error: the moon is full')")
    with pytest.raises(ExportError, match=r"^fer-export could not export fer_tiny: the moon is full$"):
        shipped_artifact()
    assert leftovers() == []
    assert exports(cache) == []


def test_without_pytorch_the_extra_is_named(cache, monkeypatch):
    monkeypatch.setattr(exporter, "EXPORT_NEEDS", ("no_such_torch", "onnx"))
    with pytest.raises(ExportError, match=r"no_such_torch is not installed; .*'fer-engine\[export\]'"):
        shipped_artifact()
    assert exports(cache) == []


def test_unknown_names_are_told_with_the_known_ones(cache):
    with pytest.raises(ConfigError, match=r"no model 'vgg' ships .* fer_tiny, .*mini_xception"):
        shipped_artifact("vgg")
    with pytest.raises(ConfigError, match=r"precision must be one of fp32, .*, got 'int4'"):
        shipped_artifact(precision="int4")
    assert exports(cache) == []


@pytest.mark.usefixtures("cache")
def test_a_cache_that_cannot_be_written_is_told():
    cache_folder().parent.mkdir(parents=True)
    cache_folder().write_text("a file where the folder should be")
    with pytest.raises(FerError, match=r"^cannot write .*fer-engine.*fer-export --model fer_tiny --output"):
        shipped_artifact()


def test_the_named_folder_holds_it(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_ENGINE_CACHE", str(tmp_path / "named"))
    assert shipped_artifact().parent.parent == tmp_path / "named" / __version__
    assert exports(cache) == ["--model fer_tiny"]
    assert not (tmp_path / "cache").exists()
