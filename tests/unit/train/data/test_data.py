import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError
from fer_train.data import Dataset, load_dataset

N = 30
SPLITS = ("Training", "PublicTest", "PrivateTest")


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {
        "images": generator.integers(0, 256, (N, 48, 48), dtype=np.uint8),
        "labels": np.arange(N, dtype=np.uint8) % 7,
        "usage": np.array(SPLITS)[np.arange(N) // 3 % 3],
    }


def write_csv(path: Path, arrays, columns: str) -> Path:
    order = [name.strip().lower() for name in columns.split(",")]
    lines = [columns]
    for image, label, usage in zip(arrays["images"], arrays["labels"], arrays["usage"], strict=True):
        row = {
            "emotion": str(label),
            "pixels": " ".join(map(str, image.ravel().tolist())),
            "usage": str(usage),
        }
        lines.append(",".join(row[name] for name in order))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_folder(root: Path, arrays) -> Path:
    """Kaggle's form: both test splits lie under `test`, told apart by the prefix of the file name."""
    for index, image in enumerate(arrays["images"]):
        usage = str(arrays["usage"][index])
        parent = root / ("train" if usage == "Training" else "test") / EXPRESSIONS[arrays["labels"][index]]
        parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(parent / f"{usage}_{index}.png"), image)
    return root


def write_npz(path: Path, arrays) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def sources(tmp_path, arrays):
    return {
        "fer2013.csv": write_csv(tmp_path / "fer2013.csv", arrays, "emotion,pixels,Usage"),
        "icml_face_data.csv": write_csv(tmp_path / "icml_face_data.csv", arrays, "emotion, Usage, pixels"),
        "folder": write_folder(tmp_path / "folder", arrays),
        "npz": write_npz(tmp_path / "fer.npz", arrays),
    }


def test_every_form_gives_the_same_dataset(sources, arrays):
    expected = Dataset(**arrays, source="memory").fingerprint
    loaded = {name: load_dataset(path, cache=False) for name, path in sources.items()}
    assert {name: dataset.fingerprint for name, dataset in loaded.items()} == dict.fromkeys(sources, expected)
    for name in ("fer2013.csv", "icml_face_data.csv", "npz"):
        for key, value in arrays.items():
            np.testing.assert_array_equal(getattr(loaded[name], key), value)
    assert all(dataset.images.dtype == np.uint8 for dataset in loaded.values())


def test_a_path_may_be_text(sources):
    assert len(load_dataset(str(sources["npz"]))) == N


@pytest.mark.parametrize("field", ["images", "labels", "usage"])
def test_the_fingerprint_sees_every_field_and_no_order(arrays, field):
    original = Dataset(**arrays, source="memory").fingerprint
    order = np.random.default_rng(1).permutation(N)
    moved = {name: value[order] for name, value in arrays.items()}
    assert Dataset(**moved, source="memory").fingerprint == original
    changed = {name: value.copy() for name, value in arrays.items()}
    changed[field][0] = "PrivateTest" if field == "usage" else changed[field][0] ^ 1
    assert Dataset(**changed, source="memory").fingerprint != original


def test_split_gives_its_faces_and_labels_in_order(arrays):
    dataset = Dataset(**arrays, source="memory")
    for name in SPLITS:
        faces, labels = dataset.split(name)
        np.testing.assert_array_equal(faces, arrays["images"][arrays["usage"] == name])
        np.testing.assert_array_equal(labels, arrays["labels"][arrays["usage"] == name])


def test_split_refuses_unknown_and_empty(arrays):
    kept = arrays["usage"] != "PrivateTest"
    dataset = Dataset(**{name: value[kept] for name, value in arrays.items()}, source="memory")
    with pytest.raises(DataError, match="no images of the split PrivateTest; it holds PublicTest, Training"):
        dataset.split("PrivateTest")
    with pytest.raises(DataError, match="unknown split 'test', expected Training, PublicTest, PrivateTest"):
        dataset.split("test")


def test_the_report_counts_classes_and_repeated_images(arrays):
    training, public = (np.flatnonzero(arrays["usage"] == name) for name in SPLITS[:2])
    arrays["images"][public[:2]] = arrays["images"][training[0]]
    report = Dataset(**arrays, source="some.csv").report()
    assert report.startswith("some.csv: 30 images of 48x48, fingerprint ")
    counts = np.bincount(arrays["labels"][training], minlength=7)
    row = next(line for line in report.splitlines() if line.startswith("Training")).split()
    assert row[1:9] == [str(count) for count in (*counts, len(training))]
    assert "repeated within PublicTest: 1" in report
    assert "images of PublicTest that Training holds too: 2" in report
    assert "images of PrivateTest that Training holds too: 0" in report


def test_the_report_holds_a_cut_copy_of_fer2013_against_the_published_counts():
    def report(public: int) -> str:
        usage = np.repeat(["Training", "PublicTest"], [20, public])
        faces = np.zeros((len(usage), 1, 1), np.uint8)
        return Dataset(faces, np.zeros(len(usage), np.uint8), usage, "some.npz").report()

    assert report(3589).count("(published: ") == report(3589).count("(published: 28709)") == 1
    assert "published" not in report(3588)  # faces of one's own, with the same labels


def without_labels(arrays):
    del arrays["labels"]


def float_images(arrays):
    arrays["images"] = arrays["images"].astype(np.float32)


def flat_images(arrays):
    arrays["images"] = arrays["images"].reshape(N, -1)


def fewer_labels(arrays):
    arrays["labels"] = arrays["labels"][:-1]


def label_seven(arrays):
    arrays["labels"][4] = 7


def unknown_usage(arrays):
    arrays["usage"][4] = "Test"


def numbers_as_usage(arrays):
    arrays["usage"] = np.zeros(N, np.int64)


def objects(arrays):
    arrays["usage"] = arrays["usage"].astype(object)


def scalar(arrays):
    arrays["images"] = np.uint8(3)


def nothing(arrays):
    for name, value in arrays.items():
        arrays[name] = value[:0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_labels, "no array 'labels', found images, usage"),
        (float_images, r"'images' is float32 \[30, 48, 48\], expected uint8 \[n, height, width\] or"),
        (flat_images, r"'images' is uint8 \[30, 2304\], expected uint8 \[n, height, width\] or"),
        (fewer_labels, r"'labels' is uint8 \[29\], expected uint8 \[30\]"),
        (label_seven, "label 7 at index 4, expected 0 to 6"),
        (unknown_usage, "unknown usage 'Test', expected Training, PublicTest, PrivateTest"),
        (numbers_as_usage, r"'usage' is int64 \[30\], expected str"),
        (objects, "damaged, or not an .npz file"),
        (scalar, r"'images' is uint8 \[\]"),
        (nothing, "holds no images"),
    ],
)
def test_an_npz_of_other_content_is_refused(tmp_path, arrays, spoil, message):
    spoil(arrays)
    with pytest.raises(DataError, match=message):
        load_dataset(write_npz(tmp_path / "fer.npz", arrays))


def test_a_damaged_npz_is_refused(tmp_path, arrays):
    path = write_npz(tmp_path / "fer.npz", arrays)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"fer\.npz: damaged, or not an \.npz file"):
        load_dataset(path)
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"fer\.npz: damaged, or not an \.npz file"):
        load_dataset(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"fer\.npz: damaged, or not an \.npz file"):
        load_dataset(path)


def test_a_missing_or_unknown_source_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder; expected a \.csv, an \.npz or a folder"):
        load_dataset(tmp_path / "none.csv")
    for name, options in (("none.npz", {"names": ["a", "b"]}), ("none", {"images": tmp_path})):
        with pytest.raises(DataError, match=rf"{name}: no such file or folder"):
            load_dataset(tmp_path / name, **options)
    (tmp_path / "fer2013.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unknown kind of file '\.zip'"):
        load_dataset(tmp_path / "fer2013.zip")


@pytest.mark.real
def test_the_real_set_has_the_published_counts_and_its_csv_equals_it(tmp_path):
    source = os.environ.get("FER2013_DATA")
    if not source:
        pytest.skip("FER2013_DATA does not name a copy of FER2013")
    dataset = load_dataset(source, cache=False)
    counts = {name: np.bincount(dataset.split(name)[1]).tolist() for name in SPLITS[:2]}
    assert counts["Training"] == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert counts["PublicTest"] == [467, 56, 496, 895, 653, 415, 607]
    arrays = {name: getattr(dataset, name) for name in ("images", "labels", "usage")}
    written = write_csv(tmp_path / "fer2013.csv", arrays, "emotion,pixels,Usage")
    again = load_dataset(written, cache=False)
    assert again.fingerprint == dataset.fingerprint
    assert again.report().splitlines()[1:] == dataset.report().splitlines()[1:]


def test_whatever_byte_of_an_npz_is_damaged_the_error_is_ours(tmp_path, arrays):
    path = tmp_path / "fer.npz"
    np.savez(path, **{name: values[:3] for name, values in arrays.items()})
    content, draw = path.read_bytes(), np.random.default_rng(0)
    for _ in range(400):
        spoiled = bytearray(content)
        # Headers and the directory at the end, where a byte decides what is read.
        for place in draw.choice([*range(300), *range(len(content) - 700, len(content))], 2):
            spoiled[place] = draw.integers(256)
        path.write_bytes(spoiled)
        try:
            load_dataset(path)
        except DataError as error:
            assert "fer.npz" in str(error)  # noqa: PT017 - some bytes decide nothing


def test_more_labels_than_a_byte_holds_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="257 labels were given, expected at most 256"):
        load_dataset(tmp_path, names=[f"label{index}" for index in range(257)])
