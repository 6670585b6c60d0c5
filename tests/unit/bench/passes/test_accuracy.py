import json

import numpy as np
import pytest

from fer_bench.contenders.inputs import Inputs
from fer_bench.passes import accuracy
from fer_engine.artifact.schema import to_json
from fer_engine.errors import ConfigError
from fer_export.verify.votes import measure_votes
from fer_train.data.votes import COLUMNS

ANSWERS = {
    "pytorch": [0, 1, 2, 2],
    "onnxruntime": [0, 1, 2, 2],
    "engine/onnxruntime/int8": [0, 1, 1, 2],
    "null": [0, 0, 0, 0],
}


class FakeWorker:
    def __init__(self, logits):
        self.logits = logits

    def ask(self, do, path):
        assert do == "logits"
        np.save(path, self.logits)
        return {"faces": len(self.logits)}


def workers():
    return {name: FakeWorker(np.eye(3)[answers].astype(np.float32)) for name, answers in ANSWERS.items()}


def inputs(labels):
    return Inputs("four faces", np.zeros((4, 48, 48), np.uint8), labels)


def test_each_contender_is_compared_with_pytorch(tmp_path):
    advanced = []
    found = accuracy.measure_parity(
        workers(), inputs(np.array([0, 1, 2, 0], np.uint8)), tmp_path, advanced.append
    )
    assert list(found) == ["pytorch", "onnxruntime", "engine/onnxruntime/int8"]
    assert found["onnxruntime"].agreement == 1.0
    int8 = found["engine/onnxruntime/int8"]
    assert (int8.agreement, int8.changed) == (0.75, 1)
    assert int8.labelled.accuracy == 0.5
    assert int8.labelled.reference_accuracy == 0.75
    assert (int8.labelled.right_to_wrong, int8.labelled.wrong_to_right) == (1, 0)
    assert sum(advanced) == 3


def test_confusion_counts_the_answers_to_each_true_class(tmp_path):
    found = accuracy.measure_parity(workers(), inputs(np.array([0, 1, 2, 0], np.uint8)), tmp_path)
    assert found["pytorch"].labelled.confusion == ((1, 0, 1), (0, 1, 0), (0, 0, 1))
    assert found["engine/onnxruntime/int8"].labelled.confusion == ((1, 0, 1), (0, 1, 0), (0, 1, 0))


def test_flips_name_the_face_and_both_answers(tmp_path):
    found = accuracy.measure_parity(workers(), inputs(None), tmp_path)
    assert found["engine/onnxruntime/int8"].flips == ((2, 2, 1),)
    assert found["pytorch"].flips == found["onnxruntime"].flips == ()
    json.dumps(to_json(found))


def test_only_the_first_flips_are_listed(tmp_path):
    always, never = (FakeWorker(np.eye(2)[np.full(300, answer)]) for answer in (1, 0))
    faces = Inputs("300 faces", np.zeros((300, 48, 48), np.uint8), None)
    found = accuracy.measure_parity({"pytorch": always, "onnxruntime": never}, faces, tmp_path)["onnxruntime"]
    assert found.changed == 300
    assert found.flips == tuple((index, 1, 0) for index in range(200))


def test_faces_without_labels_have_no_accuracy(tmp_path):
    found = accuracy.measure_parity(workers(), inputs(None), tmp_path)
    assert all(entry.labelled is None for entry in found.values())


def test_logits_that_are_not_finite_end_the_run(tmp_path):
    broken = workers() | {"onnxruntime": FakeWorker(np.full((4, 3), np.nan, np.float32))}
    with pytest.raises(ConfigError, match="candidate gave 12"):
        accuracy.measure_parity(broken, inputs(None), tmp_path)


def test_votes_add_the_measures_against_them(tmp_path):
    votes = np.zeros((4, len(COLUMNS)), np.uint8)
    votes[:, COLUMNS.index("happiness")] = (10, 0, 4, 5)
    votes[:, COLUMNS.index("sadness")] = (0, 10, 6, 5)
    names, labels = ("happy", "sad", "neutral"), np.array([0, 1, 2, 0], np.uint8)
    faces = Inputs("four faces", np.zeros((4, 48, 48), np.uint8), labels, votes, names)
    found = accuracy.measure_parity(workers(), faces, tmp_path)
    logits = {name: np.eye(3)[answers].astype(np.float32) for name, answers in ANSWERS.items()}
    for name, entry in found.items():
        assert entry.voted == measure_votes(logits["pytorch"], logits[name], votes, names)
    int8 = found["engine/onnxruntime/int8"]
    assert (int8.labelled.accuracy, int8.voted.accuracy) == (0.5, 1.0)
    assert accuracy.measure_parity(workers(), inputs(labels), tmp_path)["pytorch"].voted is None
