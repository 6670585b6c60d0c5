"""The accuracy of the teachers in train/teachers, and of the means of their logits: accuracy.json there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from fer_engine.artifact import files
from fer_engine.cli import exit_codes
from fer_engine.errors import DataError
from fer_train import checkpoint
from fer_train.data import load_dataset
from fer_train.data.votes import majority
from fer_train.loop import logits

TEACHERS = Path(__file__).parents[2] / "train" / "teachers"
SPLIT = "PublicTest"
WEIGHTS = (3, 2, 1)  # of the teacher of the labels, against 1 of that of the votes


def measure(data: Path, votes: Path | None) -> dict[str, object]:
    """Return the record; accuracies are top-1 in percent, those of FER+ on the faces with a majority."""
    dataset = load_dataset(data, votes=votes)
    faces, labels = dataset.split(SPLIT)
    cast = dataset.split_votes(SPLIT)
    if cast is None:
        raise DataError(f"{data} has no votes of FER+; name them with --votes")
    voted = majority(cast, dataset.names)
    clear = voted >= 0
    given = {name: logits(*checkpoint.load(TEACHERS / name), faces) for name in ("labels", "votes")}
    outputs = {"`labels`": given["labels"]}
    for weight in WEIGHTS:
        mean = (weight * given["labels"] + given["votes"]) / (weight + 1)
        outputs[f"mean of the logits, `labels` {weight} : `votes` 1"] = mean
    outputs["`votes`"] = given["votes"]
    answers = {name: values.argmax(1) for name, values in outputs.items()}
    return {
        "split": SPLIT,
        "faces": len(labels),
        "faces_with_majority": int(clear.sum()),
        "accuracy": [
            {
                "teacher": name,
                "labels": round(100 * float(np.mean(answer == labels)), 2),
                "ferplus_majority": round(100 * float(np.mean((answer == voted)[clear])), 2),
            }
            for name, answer in answers.items()
        ],
    }


def main() -> int:
    """Run the study; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="FER2013 as csv or npz")
    parser.add_argument("--votes", type=Path, help="FER+'s votes (default: those in --data)")
    options = parser.parse_args()

    def run() -> int:
        record = json.dumps(measure(options.data, options.votes), indent=2) + "\n"
        files.write_text(TEACHERS / "accuracy.json", record)
        print(record)
        return 0

    return exit_codes.run_command(run)


if __name__ == "__main__":
    sys.exit(main())
