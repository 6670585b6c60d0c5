import numpy as np
import pytest

from fer_engine.errors import DataError
from fer_train.data import load_dataset

HEADER = "emotion,pixels,Usage"
GOOD = " ".join(["7"] * 2304)


def row(pixels: str = GOOD, emotion: str = "3", usage: str = "Training") -> str:
    return f"{emotion},{pixels},{usage}"


def spoiled(index: int, entry: str) -> str:
    entries = ["7"] * 2304
    entries[index] = entry
    return " ".join(entries)


def read(path, *lines: str):
    path.write_text("\n".join(lines) + "\n")
    return load_dataset(path, cache=False)


def test_every_value_of_a_pixel_is_exact_at_every_place_of_a_row(tmp_path):
    # The lengths of neighbours change from row to row, so that each stands beside one, two and three digits.
    values = np.stack([np.roll(np.arange(2304) * step % 256, step) for step in (1, 3, 7, 101)]).astype(
        np.uint8
    )
    lines = [row(" ".join(map(str, line))) for line in values]
    dataset = read(tmp_path / "fer.csv", HEADER, *lines)
    np.testing.assert_array_equal(dataset.images.reshape(4, 2304), values)


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n\n",
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace(GOOD, f'"{GOOD}"'),
        lambda text: text.replace(GOOD, f" {GOOD} "),
    ],
    ids=["crlf", "byte order mark", "blank lines at the end", "no last newline", "quoted", "padded"],
)
def test_harmless_forms_are_read(tmp_path, form):
    path = tmp_path / "fer.csv"
    path.write_bytes(form("\n".join([HEADER, row(), row(usage="PrivateTest")]) + "\n").encode())
    dataset = load_dataset(path, cache=False)
    assert dataset.images.shape == (2, 48, 48)
    assert (dataset.images == 7).all()
    assert dataset.usage.tolist() == ["Training", "PrivateTest"]


def test_columns_that_are_not_needed_are_left_out(tmp_path):
    dataset = read(tmp_path / "fer.csv", "id,Usage,pixels,emotion", f"12,PublicTest,{GOOD},6")
    assert dataset.labels.tolist() == [6]
    assert dataset.usage.tolist() == ["PublicTest"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(GOOD[:-2]), "column 'pixels': the row is too short: 2303 pixels, expected 2304"),
        (row(GOOD + " 7"), "column 'pixels': the row is too long: 2305 pixels, expected 2304"),
        (row(""), "column 'pixels': pixel 1 is '', expected an integer from 0 to 255"),
        (row(spoiled(16, "7x")), "column 'pixels': pixel 17 is '7x', expected an integer from 0 to 255"),
        (row(spoiled(16, "x")), "column 'pixels': pixel 17 is 'x', expected"),
        (row(spoiled(16, "256")), "column 'pixels': pixel 17 is '256', expected"),
        (row(spoiled(16, "1000")), "column 'pixels': pixel 17 is '1000', expected"),
        (row(spoiled(2303, "-1")), "column 'pixels': pixel 2304 is '-1', expected"),
        (row(spoiled(0, "7.5")), "column 'pixels': pixel 1 is '7.5', expected"),
        (row(spoiled(5, "7 ")), "column 'pixels': pixel 7 is '', expected"),
        (row(spoiled(5, "7\t7")), r"column 'pixels': pixel 6 is '7\\t7', expected"),
        (row(spoiled(5, "\u0663")), "column 'pixels': pixel 6 is .* expected"),
        (row(emotion="7"), "column 'emotion': got '7', expected an integer from 0 to 6"),
        (row(emotion="happy"), "column 'emotion': got 'happy', expected"),
        (row(emotion=""), "column 'emotion': got '', expected"),
        (row(usage="Test"), "column 'Usage': got 'Test', expected one of Training, PublicTest, PrivateTest"),
        (row(usage=""), "column 'Usage': got '', expected one of"),
        (f"3,{GOOD}", "2 columns, expected 3 as in the header"),
        (row() + ",more", "4 columns, expected 3 as in the header"),
        ("x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_a_bad_row_is_named_with_its_column_and_what_was_expected(tmp_path, bad, message):
    with pytest.raises(DataError, match=rf"fer\.csv, row 3[:,] {message}"):
        read(tmp_path / "fer.csv", HEADER, row(), bad, row())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty, expected a header with emotion, pixels, Usage"),
        (HEADER.encode(), "holds no images"),
        (
            b"emotion,pixels\n3," + GOOD.encode(),
            "row 1: no column 'Usage', found 'emotion', 'pixels'; expected",
        ),
        (row().encode(), "row 1: no column 'emotion', found '3', '7 7 7"),
        (HEADER.encode("utf-16"), "row 1: not UTF-8 text"),
        (bytes(range(256)) * 40, "row 1: no column 'emotion', found "),
        (b"\0" * 100_000, "row 1: longer than 65536 bytes"),
        (f"{HEADER}\n".encode() + b"\x89PNG\0\xff" * 50, "row 2: 1 columns, expected 3"),
    ],
)
def test_a_file_that_is_no_fer2013_csv_is_refused(tmp_path, content, message):
    path = tmp_path / "fer.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"fer\.csv[:,] {message}"):
        load_dataset(path, cache=False)


def test_a_cut_file_is_refused_wherever_it_was_cut(tmp_path):
    path = tmp_path / "fer.csv"
    whole = f"{HEADER}\n{row()}\n{row()}".encode()
    end_of_first_row = len(HEADER) + 1 + len(row())
    for size in range(end_of_first_row + 2, len(whole), 397):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="row 3"):
            load_dataset(path, cache=False)
