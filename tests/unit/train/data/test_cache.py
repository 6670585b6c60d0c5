import os

import numpy as np
import pytest

from fer_train import data
from fer_train.data import kaggle_csv, load_dataset

ROW = "3," + " ".join(["{0}"] * 2304) + ",Training\n"


@pytest.fixture(autouse=True)
def no_user_settings(monkeypatch, tmp_path):
    monkeypatch.delenv("FER_ENGINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "set" / "fer.csv"
    path.parent.mkdir()
    path.write_text("emotion,pixels,Usage\n" + ROW.format(1))
    return path


@pytest.fixture
def parses(monkeypatch):
    """Counts how often the csv is parsed in truth."""
    calls = []
    original = kaggle_csv.read_csv

    def read_csv(path):
        calls.append(path)
        return original(path)

    monkeypatch.setattr(data.kaggle_csv, "read_csv", read_csv)
    return calls


def test_the_second_load_comes_from_the_cache_beside_the_source(source, parses):
    first, second = load_dataset(source), load_dataset(source)
    assert len(parses) == 1
    assert second.fingerprint == first.fingerprint
    assert second.source == first.source == "fer.csv"
    assert sorted(entry.name for entry in source.parent.iterdir()) == ["fer.csv", "fer.csv.cache.npz"]


def test_without_cache_none_is_read_or_written(source, parses):
    load_dataset(source, cache=False)
    load_dataset(source, cache=False)
    assert len(parses) == 2
    assert [entry.name for entry in source.parent.iterdir()] == ["fer.csv"]


def test_a_changed_source_is_parsed_again(source, parses):
    load_dataset(source)
    source.write_text(source.read_text() + ROW.format(2))
    assert len(load_dataset(source)) == 2
    # The same size at another time: the time alone must tell.
    source.write_text(source.read_text().replace("2 2", "3 3"))
    os.utime(source, ns=(1, 1))
    assert load_dataset(source).images.max() == 3
    assert len(parses) == 3


def test_a_changed_folder_of_images_is_parsed_again(tmp_path):
    cv2 = pytest.importorskip("cv2")
    root = tmp_path / "set"
    (root / "train" / "sad").mkdir(parents=True)
    cv2.imwrite(str(root / "train" / "sad" / "1.png"), np.full((48, 48), 1, np.uint8))
    assert len(load_dataset(root)) == 1
    assert (tmp_path / "set.cache.npz").exists()
    cv2.imwrite(str(root / "train" / "sad" / "2.png"), np.full((48, 48), 2, np.uint8))
    assert len(load_dataset(root)) == 2
    (root / "train" / "sad").rename(root / "train" / "happy")
    assert load_dataset(root).labels.tolist() == [3, 3]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2  # inside the pixels: the archive's own structure stays whole
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda _: b"", lambda _: b"rubbish" * 99])
def test_a_damaged_cache_is_passed_over_and_written_anew(source, parses, damage):
    good = load_dataset(source).fingerprint
    cache = source.with_name("fer.csv.cache.npz")
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert load_dataset(source).fingerprint == good
    assert len(parses) == 2
    assert load_dataset(source).fingerprint == good
    assert len(parses) == 2


def test_the_named_cache_folder_is_the_only_place(source, parses, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_ENGINE_CACHE", str(tmp_path / "named"))
    load_dataset(source)
    load_dataset(source)
    assert len(parses) == 1
    assert len(list((tmp_path / "named").iterdir())) == 1
    assert [entry.name for entry in source.parent.iterdir()] == ["fer.csv"]


def test_the_users_cache_folder_serves_where_the_source_cannot_be_written(source, parses, tmp_path):
    # A folder in the place of the cache file refuses a write to everyone, an administrator too.
    source.with_name("fer.csv.cache.npz").mkdir()
    load_dataset(source)
    load_dataset(source)
    assert len(parses) == 1
    assert len(list((tmp_path / "home" / "fer-engine").iterdir())) == 1


def test_a_cache_that_can_be_kept_nowhere_is_reported(source, monkeypatch, caplog, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("FER_ENGINE_CACHE", str(blocked))
    assert len(load_dataset(source)) == 1
    assert "no cache could be written; name a folder in FER_ENGINE_CACHE" in caplog.text


def test_two_sources_of_one_name_do_not_share_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_ENGINE_CACHE", str(tmp_path / "named"))
    for gray in (1, 2):
        path = tmp_path / str(gray) / "fer.csv"
        path.parent.mkdir()
        path.write_text("emotion,pixels,Usage\n" + ROW.format(gray))
        os.utime(path, ns=(1, 1))
        assert load_dataset(path).images.max() == gray
    assert load_dataset(tmp_path / "1" / "fer.csv").images.max() == 1


def test_a_cache_of_which_any_byte_is_damaged_is_made_anew(source):
    expected = load_dataset(source).fingerprint
    cache = source.with_name("fer.csv.cache.npz")
    whole, draw = cache.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        spoiled = bytearray(whole)
        spoiled[draw.integers(len(whole))] ^= 1 << draw.integers(8)
        cache.write_bytes(spoiled)
        assert load_dataset(source).fingerprint == expected
