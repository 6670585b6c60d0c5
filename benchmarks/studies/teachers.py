"""The accuracy of the teachers in train/teachers, and of what they say together: accuracy.json there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from fer_engine.artifact import files
from fer_engine.cli import exit_codes
from fer_engine.errors import DataError
from fer_train import checkpoint
from fer_train.data import load_dataset
from fer_train.data.votes import majority
from fer_train.loop import logits
from fer_train.objective import find_objective
from fer_train.recipe import Recipe

TEACHERS = Path(__file__).parents[2] / "train" / "teachers"
SPLIT = "PublicTest"
NAMES = ("labels", "tiny_labels", "votes")
TOGETHER = (  # each as often as it is given as a teacher
    ("labels", "labels", "labels", "votes"),
    ("labels", "labels", "votes"),
    ("labels", "tiny_labels", "votes"),
    ("labels", "votes"),
)


def measure(data: Path, votes: Path | None) -> dict[str, object]:
    """Return the record; accuracies are top-1 in percent, those of FER+ on the faces with a majority."""
    dataset = load_dataset(data, votes=votes)
    faces, labels = dataset.split(SPLIT)
    cast = dataset.split_votes(SPLIT)
    if cast is None:
        raise DataError(f"{data} has no votes of FER+; name them with --votes")
    voted = majority(cast, dataset.names)
    clear = voted >= 0
    given = {}
    for name in NAMES:
        network, spec = checkpoint.load(TEACHERS / name)
        given[name] = torch.from_numpy(logits(network, spec, faces))
        objective = find_objective(spec, Recipe())
    outputs: dict[tuple[str, ...], torch.Tensor] = {(name,): given[name] for name in NAMES}
    outputs |= {names: objective.ensemble(torch.stack([given[name] for name in names])) for names in TOGETHER}
    answers = {
        ", ".join(f"`{name}`" for name in names): values.numpy().argmax(1)
        for names, values in outputs.items()
    }
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
