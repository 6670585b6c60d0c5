"""The votes of FER+: what is read, what is refused with which row and column, and what is made of them."""

import numpy as np
import pytest

from fer_engine.artifact.spec import EXPRESSIONS
from fer_engine.errors import ConfigError, DataError
from fer_train.data import load_dataset
from fer_train.data.votes import (
    COLUMNS,
    FERPLUS,
    check_votes,
    distribution,
    majority,
    read_votes_csv,
    soft_labels,
)

HEADER = "Usage,Image name," + ",".join(COLUMNS)
HAPPY = "Training,fer0000000.png,1,8,0,0,0,0,0,0,1,0"
SPLIT = "Training,fer0000001.png,5,5,0,0,0,0,0,0,0,0"
NO_FACE = "Training,,0,0,0,0,0,0,0,0,0,10"


def written(tmp_path, *lines):
    path = tmp_path / "fer2013new.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_are_read_in_order(tmp_path):
    votes = read_votes_csv(written(tmp_path, HEADER, HAPPY, NO_FACE, SPLIT), ["Training"] * 3)
    assert votes.dtype == np.uint8
    assert votes.tolist() == [
        [1, 8, 0, 0, 0, 0, 0, 0, 1, 0],
        [0] * 10,  # the image has no name: nobody saw a face
        [5, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_columns_may_stand_in_any_order(tmp_path):
    header = "NF,fear,disgust,anger,sadness,surprise,happiness,neutral,contempt,unknown"
    votes = read_votes_csv(written(tmp_path, header, "0,1,2,3,4,0,0,0,0,0"), ["PublicTest"])
    assert votes.tolist() == [[0, 0, 0, 4, 3, 2, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "row 1: no column 'neutral', found none"),
        (
            ("emotion,pixels,Usage", "0,1,Training"),
            "row 1: no column 'neutral', found emotion, pixels, Usage",
        ),
        ((HEADER,), "votes for 0 faces, but there are 2"),
        ((HEADER, HAPPY, HAPPY, HAPPY), "votes for 3 faces, but there are 2; the votes go row by row"),
        (
            (HEADER, HAPPY, SPLIT.replace("Training", "PublicTest")),
            "row 3, column 'Usage': got 'PublicTest', but face 2 is of Training",
        ),
        ((HEADER, HAPPY, HAPPY[:-2]), "row 3: 11 columns, expected 12"),
        ((HEADER, HAPPY.replace("8", "x")), "row 2, column 'happiness': got 'x', expected a number of votes"),
        ((HEADER, HAPPY.replace("8", "11")), "row 2, column 'happiness': got '11'"),
        ((HEADER, HAPPY.replace("8", "-1")), "row 2, column 'happiness': got '-1'"),
        ((HEADER, SPLIT, HAPPY.replace("8", "2")), "row 3: 4 votes, expected 10"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read_votes_csv(written(tmp_path, *lines), ["Training"] * 2)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_bytes(b"\xff\xfe\x00neutral")
    with pytest.raises(DataError, match="not a csv in UTF-8"):
        read_votes_csv(path, ["Training"])


def test_arrays_are_held_to_the_faces_that_they_are_for():
    votes = np.zeros((3, 10), np.uint8)
    votes[:, 1] = (10, 0, 9)
    assert check_votes(votes, 3, "x.npz") is votes
    with pytest.raises(DataError, match=r"x.npz: array 'votes' is uint8 \[3, 10\], expected uint8 \[4, 10\]"):
        check_votes(votes, 4, "x.npz")
    with pytest.raises(DataError, match=r"array 'votes' is int64"):
        check_votes(votes.astype(np.int64), 3, "x.npz")
    votes[2, 0] = 200
    with pytest.raises(DataError, match=r"x.npz: 209 votes at index 2, expected 10"):
        check_votes(votes, 3, "x.npz")


def row(**counts):
    return np.array([[counts.get(name, 0) for name in COLUMNS]], np.uint8)


def test_shares_are_those_of_the_labels_asked_for():
    votes = row(happiness=6, contempt=2, unknown=1, NF=1)
    assert distribution(votes).tolist() == [[0, 0, 0, 1, 0, 0, 0]]
    assert distribution(votes, FERPLUS).tolist() == [[0, 0, 0, 0.75, 0, 0, 0, 0.25]]
    assert distribution(row(contempt=5, NF=5)).tolist() == [[0] * 7]
    assert distribution(row(anger=3, sadness=7), ("sad", "angry")) == pytest.approx(np.array([[0.7, 0.3]]))


def test_a_majority_is_more_than_half_of_all_annotators():
    assert majority(row(happiness=6, NF=4)).tolist() == [3]
    assert majority(row(happiness=5, NF=5)).tolist() == [-1]
    assert majority(row(contempt=6, happiness=4)).tolist() == [-1]
    assert majority(row(contempt=6, happiness=4), FERPLUS).tolist() == [7]
    assert majority(row()).tolist() == [-1]


def test_labels_without_votes_are_refused():
    with pytest.raises(ConfigError, match=r"FER\+ has no votes for bored; its labels are angry"):
        distribution(row(happiness=10), ("happy", "bored"))
    with pytest.raises(ConfigError, match="no votes for unknown"):
        majority(row(happiness=10), ("happy", "unknown"))


def test_soft_labels_mix_the_label_with_the_votes():
    labels = np.array([2, 3, 0], np.uint8)
    votes = np.concatenate([row(fear=2, happiness=8), row(happiness=5, neutral=5), row(contempt=10)])
    soft, voted = soft_labels(labels, votes, EXPRESSIONS, 0.5, "distribution")
    assert voted.tolist() == [True, True, False]
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft[0], [0, 0, 0.6, 0.4, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(soft[1], [0, 0, 0, 0.75, 0, 0, 0.25], atol=1e-6)
    soft, voted = soft_labels(labels, votes, EXPRESSIONS, 1.0, "majority")
    assert voted.tolist() == [True, False, False]
    assert soft[0].tolist() == [0, 0, 0, 1, 0, 0, 0]


@pytest.fixture
def faces():
    """Two faces of each split, and ten votes for all but the last."""
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8)
    usage = np.array(["Training", "Training", "PublicTest", "PublicTest"])
    votes = np.concatenate([row(fear=10), row(contempt=6, happiness=4), row(happiness=10), row(NF=10)])
    return {"images": images, "labels": np.array([2, 3, 2, 6], np.uint8), "usage": usage, "votes": votes}


def without_votes(faces):
    return {name: array for name, array in faces.items() if name != "votes"}


def test_votes_come_from_the_faces_own_file_or_from_one_beside_it(faces, tmp_path):
    np.savez(tmp_path / "all.npz", **faces)
    np.savez(tmp_path / "faces.npz", **without_votes(faces))
    np.savez(tmp_path / "votes.npz", votes=faces["votes"])
    own = load_dataset(tmp_path / "all.npz")
    beside = load_dataset(tmp_path / "faces.npz", votes=tmp_path / "votes.npz")
    none = load_dataset(tmp_path / "faces.npz")
    assert own.votes.tolist() == beside.votes.tolist() == faces["votes"].tolist()
    assert own.split_votes("PublicTest").tolist() == faces["votes"][2:].tolist()
    assert none.votes is None
    assert none.split_votes("PublicTest") is None
    # A run is tied to its data: with votes it is another than without.
    assert own.fingerprint == beside.fingerprint != none.fingerprint
    assert "votes of PublicTest: 1 faces have some, 1 none; 1 have a majority, which is the label of 0" in (
        own.report()
    )
    assert "votes" not in none.report()


def test_ferplus_has_eight_labels_of_the_most_votes(faces, tmp_path):
    np.savez(tmp_path / "all.npz", **faces)
    eight = load_dataset(tmp_path / "all.npz", names=["ferplus"])
    assert eight.names == FERPLUS
    assert eight.labels.tolist() == [2, 7, 3]
    assert "1 faces without a vote left out" in eight.source
    np.savez(tmp_path / "faces.npz", **without_votes(faces))
    with pytest.raises(ConfigError, match="labels ferplus are those of FER\\+: name its votes with --votes"):
        load_dataset(tmp_path / "faces.npz", names=["ferplus"])


def test_votes_for_other_data_are_refused(faces, tmp_path):
    np.savez(tmp_path / "own.npz", **(without_votes(faces) | {"labels": np.array([0, 1, 0, 1], np.uint8)}))
    np.savez(tmp_path / "votes.npz", votes=faces["votes"])
    np.savez(tmp_path / "short.npz", votes=faces["votes"][1:])
    with pytest.raises(ConfigError, match=r"--votes goes with FER2013's csv or npz.*own.npz is another set"):
        load_dataset(tmp_path / "own.npz", names=["calm", "upset"], votes=tmp_path / "votes.npz")
    with pytest.raises(
        DataError, match=r"short.npz: array 'votes' is uint8 \[3, 10\], expected uint8 \[4, 10\]"
    ):
        load_dataset(tmp_path / "own.npz", votes=tmp_path / "short.npz")
    with pytest.raises(DataError, match=r"nowhere.csv: cannot read it"):
        load_dataset(tmp_path / "own.npz", votes=tmp_path / "nowhere.csv")
