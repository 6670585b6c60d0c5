import pytest

from tiny_artifact import write_tiny_artifact


@pytest.fixture
def artifact(tmp_path):
    return write_tiny_artifact(tmp_path / "artifact")
