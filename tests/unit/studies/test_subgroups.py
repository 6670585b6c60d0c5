import numpy as np

from fer_engine.artifact.spec import EXPRESSIONS
from fer_train.data.votes import COLUMNS
from studies.subgroups import measure_subgroups

HAPPY, SAD = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")


def test_each_part_has_its_faces_and_both_measures():
    """Eight faces from dark to bright, all called happy; the bright half is, by its labels."""
    faces = np.arange(8, dtype=np.uint8)[:, None, None] * 30 + np.zeros((48, 48), np.uint8)
    labels = np.array([SAD] * 4 + [HAPPY] * 4)
    votes = np.zeros((8, 10), np.uint8)
    happy, unknown = COLUMNS.index("happiness"), COLUMNS.index("unknown")
    votes[:, happy] = (10, 9, 8, 7, 6, 5, 5, 5)
    votes[:, COLUMNS.index("sadness")] = (0, 1, 2, 3, 4, 5, 5, 5)
    votes[4, unknown], votes[4, COLUMNS.index("sadness")] = 4, 0
    answers = np.full(8, HAPPY)
    found = measure_subgroups(faces, labels, votes, EXPRESSIONS, answers, np.array([HAPPY] * 6 + [SAD] * 2))
    parts = {(each.property, each.part): each for each in found}
    dark, bright = parts["brightness", "lowest quarter"], parts["brightness", "highest quarter"]
    assert (dark.labels.faces, dark.labels.accuracy, dark.majority.accuracy) == (2, 0.0, 1.0)
    assert (bright.labels.accuracy, bright.majority) == (1.0, None)
    assert bright.labels.interval[0] < 1.0 == bright.labels.interval[1]
    agreement = {part: each for (name, part), each in parts.items() if name == "annotators who agree"}
    counts = {part: each.labels.faces for part, each in agreement.items()}
    assert counts == {"all": 1, "all but 1 or 2": 2, "more than half": 2, "no majority": 3}
    assert agreement["no majority"].majority is None
    assert parts["mirror image", "another answer"].labels.faces == 2
    without = measure_subgroups(faces, labels, None, EXPRESSIONS, answers, answers)
    assert {each.property for each in without} == {"brightness", "contrast", "mirror image"}
    assert {each.majority for each in without} == {None}
