import json
import os
import sys

import pytest

from fer_bench import environment


def test_the_description_goes_into_json():
    found = json.loads(json.dumps(environment.describe()))
    assert found["gpu"] == "not measured"
    assert found["cores"] >= 1
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert {"fer-engine", "numpy"} <= set(found["packages"])


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no /proc")
@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [
        (
            "processor\t: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu avx2 avx512_vnni avx2x\n",
            "Some Xeon",
            ["avx2", "avx512_vnni"],
        ),
        (
            "processor\t: 0\nFeatures\t: fp asimd asimddp\nModel\t\t: Some Pi\n",
            "Some Pi",
            ["asimd", "asimddp"],
        ),
    ],
)
def test_the_processor_is_read_from_linux(monkeypatch, tmp_path, text, model, flags):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    found = environment.describe()
    assert found["cpu"] == model
    assert found["cpu_flags"] == flags


def test_what_the_system_does_not_tell_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(environment, "GOVERNOR", tmp_path / "none")
    monkeypatch.delattr(os, "getloadavg", raising=False)
    found = environment.describe()
    assert found["cpu_flags"] is None
    assert found["governor"] is None
    assert environment.load_average() is None


def test_the_governor_is_read(monkeypatch, tmp_path):
    (tmp_path / "governor").write_text("powersave\n")
    monkeypatch.setattr(environment, "GOVERNOR", tmp_path / "governor")
    assert environment.describe()["governor"] == "powersave"
