import sys

import pytest

from fer_engine import FerError
from fer_engine.system.cache import cache_folder


def test_the_named_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("FER_ENGINE_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    monkeypatch.setenv("FER_ENGINE_CACHE", "")
    assert cache_folder().name == "fer-engine"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError(), r"^no home folder .* set HOME, or name a folder in FER_ENGINE_CACHE$"),
        (ImportError(), r"pip install platformdirs, or name a folder in FER_ENGINE_CACHE$"),
    ],
)
def test_where_there_is_no_cache_folder_the_variable_is_named(monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.delenv("FER_ENGINE_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", fail)
    with pytest.raises(FerError, match=message):
        cache_folder()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG rules are not those of this system")
def test_the_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.delenv("FER_ENGINE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" / "fer-engine"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / ".cache" / "fer-engine"
