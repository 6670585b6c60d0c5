"""Write the expressions of all faces in a folder as CSV: python batch_folder.py FOLDER TABLE.csv."""

import csv
import sys
from pathlib import Path

from fer_engine import Engine, FerError
from fer_engine.vision import Frame, Pipeline, read_image


def read_frames(path: Path) -> list[Frame]:
    try:
        return [Frame(path.name, 0, 0.0, read_image(path))]
    except FerError as error:  # skip a broken file
        print(error, file=sys.stderr)
        return []


def main(folder: str, table: str) -> None:
    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    with (
        Engine.load("fer_tiny") as engine,
        Path(table).open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(["file", "left", "top", "width", "height", "label", *engine.spec.labels])
        # The pipeline reads, detects and classifies in parallel, and batches the faces of many images.
        for analysis in Pipeline(engine).run(frame for path in paths for frame in read_frames(path)):
            for face in analysis.faces:
                rows.writerow([analysis.frame.source, *face.box, face.label, *face.probabilities.tolist()])


if __name__ == "__main__":
    main(*sys.argv[1:])
