"""Holds a wheel against the source: `python tests/wheel_content.py dist/fer_engine-*.whl`.

It must hold every file of the four packages, and nothing else but its own metadata. Standard library alone,
so that it runs where nothing is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine/fer_engine", "train/fer_train", "export/fer_export", "benchmarks/fer_bench")


def expected() -> set[str]:
    """The files of the four packages, as a wheel names them."""
    return {
        str(path.relative_to((ROOT / package).parent))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def differences(wheel: Path) -> list[str]:
    """One line for each file that is missing from the wheel or does not belong there."""
    with ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing = [f"missing: {name}" for name in sorted(expected() - found)]
    return missing + [f"not of the source: {name}" for name in sorted(found - expected())]


if __name__ == "__main__":
    problems = differences(Path(sys.argv[1]))
    print("\n".join(problems) or "the wheel holds the four packages and nothing else")
    sys.exit(1 if problems else 0)
