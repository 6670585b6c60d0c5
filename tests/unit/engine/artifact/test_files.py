import os

import pytest

from fer_engine import FerError
from fer_engine.artifact import files


class Interrupt(BaseException):
    """Stands for Ctrl-C."""


def test_replaces_a_file_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "file.txt"
    files.write_text(path, "old")
    files.write_text(path, "é")
    assert path.read_bytes() == "é".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="the permissions of POSIX")
@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_what_is_written_has_the_permissions_that_the_user_gives_new_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "file.txt", "new")
        with files.folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def interrupt(*_):
        raise Interrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(Interrupt):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "artifact"
    for name in ("first", "second"):
        with files.folder(path) as fresh:
            (fresh / name).touch()
    assert [entry.name for entry in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "artifact"
    with files.folder(path) as fresh:
        (fresh / "old").touch()
    with pytest.raises(Interrupt), files.folder(path) as fresh:  # noqa: PT012 - both belong together
        (fresh / "half").touch()
        raise Interrupt
    assert [entry.name for entry in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_failed_replacement_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "artifact"
    with files.folder(path) as fresh:
        (fresh / "old").touch()
    replace = os.replace

    def full(source, target):
        if str(source).endswith(".tmp"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    expected = r"cannot write .*artifact: No space left on device; free the space"
    with pytest.raises(FerError, match=expected), files.folder(path) as fresh:
        (fresh / "new").touch()
    assert [entry.name for entry in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written(tmp_path):
    # A file where a folder should be refuses even the superuser, whom permissions do not stop.
    (tmp_path / "file").touch()
    with pytest.raises(FerError, match=r"cannot write .*file/model.*; free the space, or give a folder"):
        files.write_bytes(tmp_path / "file" / "model", b"")
    with (
        pytest.raises(FerError, match=r"cannot write .*file/artifact"),
        files.folder(tmp_path / "file" / "artifact"),
    ):
        pass


def test_recovers_the_folder_that_a_killed_process_had_moved_aside(tmp_path, monkeypatch):
    path = tmp_path / "artifact"
    with files.folder(path) as fresh:
        (fresh / "old").touch()

    def die(*_):
        path.rename(tmp_path / ".artifact.old")
        raise Interrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(Interrupt), files.folder(path) as fresh:
            (fresh / "new").touch()
    assert not path.exists()
    files.recover(path)
    assert [entry.name for entry in path.iterdir()] == ["old"]
    files.recover(path)
    assert [entry.name for entry in path.iterdir()] == ["old"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    target = tmp_path / "target"
    target.write_text("keep me")
    with pytest.raises(FerError, match="it is a file, not a folder"), files.folder(target):
        pass
    assert target.read_text() == "keep me"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_kill_left_aside_does_not_stop_the_next_writer(tmp_path):
    """Killed after the second rename: the new folder is in place, the old one still aside."""
    for name, text in (("target", "new"), (".target.old", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(text)
    with files.folder(tmp_path / "target") as fresh:
        (fresh / "a").write_text("newest")
    assert (tmp_path / "target" / "a").read_text() == "newest"
    assert list(tmp_path.iterdir()) == [tmp_path / "target"]
