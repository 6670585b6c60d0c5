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
