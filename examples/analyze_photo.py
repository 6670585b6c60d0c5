"""Print the faces of photographs, write annotated copies: python analyze_photo.py FOLDER PHOTO..."""

import sys
from pathlib import Path

from fer_engine import FerError
from fer_engine.vision import analyze


def main(folder: str, *photos: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for photo in photos:
        try:
            result = analyze(photo)
        except FerError as error:  # skip a broken file
            print(error, file=sys.stderr)
            continue
        print(result.to_json())
        result.save(Path(folder) / f"{Path(photo).stem}.jpg")


if __name__ == "__main__":
    main(*sys.argv[1:])
