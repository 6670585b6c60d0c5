"""The studies are modules of the development install, and no part of the wheel."""

import importlib
import sys
from pathlib import Path

import pytest

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
ROOT = Path(__file__).parents[3]
STUDIES = ROOT / "benchmarks" / "studies"


@pytest.mark.parametrize("name", sorted(path.stem for path in STUDIES.glob("*.py")))
def test_a_study_is_imported_by_its_name(name):
    for library in ("skimage", "scipy"):
        pytest.importorskip(library)
    module = importlib.import_module("studies" if name == "__init__" else f"studies.{name}")
    assert Path(module.__file__).parent == STUDIES
    assert module.__doc__


def test_the_wheel_has_no_studies():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert [path.rpartition("/")[2] for path in build["targets"]["wheel"]["packages"]] == [
        "fer_train",
        "fer_export",
        "fer_engine",
        "fer_bench",
    ]
    assert "benchmarks" in build["dev-mode-dirs"]
