"""What many tests share: an artifact made once from the shipped checkpoint, and the real dataset."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fer_export.int8.make import Int8Options
from fer_export.pipeline import ExportOptions, export_model
from fer_train.data import Dataset, load_dataset

# A shell that starts the tests in the background makes them and all that they start ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
# Whole commands, every network on every runtime, broken copies of the package, a GPU, a browser.
SLOW_FOLDERS = {"integration", "parity", "mutations", "gpu"}
# PyTorch takes seconds to export a graph.
SLOW_FIXTURES = {"exported", "random_graph"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out: the slow folders, what waits for an export, the real data set."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        waits = SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if folder in SLOW_FOLDERS or waits or item.get_closest_marker("real"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the shipped mini_xception in all precisions, fast here or not; tests must not change it."""
    output = tmp_path_factory.mktemp("artifacts") / "mini_xception"
    return export_model(
        ExportOptions("mini_xception", output, fp16=True, int8=Int8Options(), force=True)
    ).folder


@pytest.fixture(scope="session")
def artifact(exported: Path) -> Path:
    """Give the exported artifact, where a folder does not put a smaller one in its place."""
    return exported


@pytest.fixture(scope="session")
def fer2013() -> Dataset:
    """Give the real dataset, or skip."""
    path = os.environ.get("FER2013_DATA")
    if not path:
        pytest.skip("FER2013_DATA does not point at the dataset")
    return load_dataset(path)
