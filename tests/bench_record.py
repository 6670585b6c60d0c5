"""Changes to a made record of fer-bench that leave it whole: every part names the same contenders."""

import copy


def add_contender(record, name, like, **values):
    """Add a contender that measured what `like` did; `values` are those of its own entry."""
    entry = next(entry for entry in record["contenders"] if entry["name"] == like)
    record["contenders"].append(entry | {"name": name} | values)
    record["startup"][name] = copy.deepcopy(record["startup"][like])
    record["parity"] = copy.deepcopy(record["parity"])  # the names share one entry
    record["parity"][name] = copy.deepcopy(record["parity"][like])
    record["speed"] += [
        copy.deepcopy(entry) | {"contender": name}
        for entry in list(record["speed"])
        if entry["contender"] == like
    ]


def drop_contender(record, name):
    """Take a contender out of every part."""
    record["contenders"] = [entry for entry in record["contenders"] if entry["name"] != name]
    record["speed"] = [entry for entry in record["speed"] if entry["contender"] != name]
    for part in ("startup", "parity"):
        record[part] = {other: found for other, found in record[part].items() if other != name}


def add_votes(record):
    """Add FER+'s votes for the faces, and the measures against them."""
    record["inputs"]["votes_sha256"] = "ef" * 32
    voted = {
        "accuracy": 0.8123,
        "interval": [0.7981, 0.8257],
        "reference_accuracy": 0.8201,
        "reference_interval": [0.8061, 0.8333],
        "right_to_wrong": 41,
        "wrong_to_right": 17,
        "mcnemar_p": 0.00217,
        "recall": [0.75, 0.9, None],
        "recall_difference": [-0.037, 0.012, None],
        "ece": 0.0713,
        "reference_ece": 0.07,
        "faces": 900,
        "split_faces": 80,
        "changed_clear": 63,
        "changed_split": 22,
        "confusion": [[601, 1, 2], [3, 280, 13], [0, 0, 0]],
    }
    record["parity"] = {name: found | {"voted": voted} for name, found in record["parity"].items()}
    record["parity"] = copy.deepcopy(record["parity"])
