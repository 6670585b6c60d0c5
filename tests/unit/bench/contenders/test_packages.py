from importlib import metadata
from pathlib import Path

import pytest

from fer_bench.contenders import packages
from fer_bench.record.record import MeasuredContender, RuntimeInfo, RuntimeSize


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Distributions of an environment of their own: a runtime with two requirements, one of them missing."""
    monkeypatch.syspath_prepend(tmp_path)
    packages.installed_bytes.cache_clear()
    packages._provided.cache_clear()

    def install(name, size, *requirements):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
        (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {r}" for r in requirements)]))
        module = name.replace("-", "_")
        (tmp_path / module).mkdir()
        (tmp_path / module / "data.bin").write_bytes(b"x" * size)
        (info / "RECORD").write_text(f"{module}/data.bin,,\n{module}/deleted.bin,,\n")
        (info / "top_level.txt").write_text(module)

    install(
        "imaginary-runtime",
        1_000,
        "Imaginary.Helper>=1",
        "imaginary-absent",
        "imaginary-extra; extra == 'gpu'",
        "imaginary-extra; python_version < '3'",
    )
    install("imaginary-helper", 200, "imaginary-runtime")
    install("imaginary-extra", 50)
    yield
    packages.installed_bytes.cache_clear()
    packages._provided.cache_clear()


def ran(kind, **info):
    """A contender of that kind as a record describes it."""
    return MeasuredContender("name", kind, "artifact", "file", bytes=1, info=RuntimeInfo(1, **info))


@pytest.mark.usefixtures("installed")
def test_what_a_package_requires_is_part_of_it():
    assert packages.closure(["imaginary_runtime"]) == ["imaginary-helper", "imaginary-runtime"]


@pytest.mark.usefixtures("installed")
def test_the_files_on_disk_are_summed():
    info = {"backend": "imaginary", "versions": {"imaginary_runtime": "1.0", "python": "3"}}
    found = packages.runtime_sizes([ran("engine", **info)])
    sizes = RuntimeSize({"imaginary-helper": 200, "imaginary-runtime": 1_000}, 1_200)
    assert found == {"engine/imaginary": sizes}


def test_a_runtime_of_another_environment_is_not_known():
    info = {"backend": "absent", "versions": {"imaginary-absent": "1.0", "numpy": "2"}}
    assert packages.runtime_sizes([ran("engine", **info)]) == {"engine/absent": None}


def test_the_plain_session_has_its_library_and_numpy_but_not_our_own():
    found = packages.runtime_sizes([ran("onnxruntime")])["onnxruntime"]
    assert {"onnxruntime", "numpy"} <= set(found.packages)
    assert "fer-engine" not in found.packages
    assert found.bytes == sum(found.packages.values())
    native = sum(
        Path(file.locate()).stat().st_size
        for file in metadata.files("onnxruntime")
        if file.suffix == ".so" and Path(file.locate()).exists()
    )
    assert found.packages["onnxruntime"] > native


def test_the_variants_of_a_runtime_share_an_entry():
    found = packages.runtime_sizes([ran("onnxruntime"), ran("onnxruntime/1-thread")])
    assert list(found) == ["onnxruntime"]


def test_the_engine_alone_counts_of_our_own_distribution():
    size = packages.installed_bytes("fer-engine")
    assert 50_000 < size < 2_000_000
