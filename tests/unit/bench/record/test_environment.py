import json
import os
import sys

from fer_bench.record import environment
from fer_engine.artifact.schema import to_json
from fer_engine.system import cpu


def test_the_description_goes_into_json():
    found = json.loads(json.dumps(to_json(environment.describe_machine())))
    assert found["gpu"] == "not measured"
    assert found["cores"] >= 1
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert {"fer-engine", "numpy"} <= set(found["packages"])


def test_the_processor_and_what_it_can(monkeypatch):
    monkeypatch.setattr(cpu, "cpu_name", lambda: "Some Xeon")
    monkeypatch.setattr(cpu, "cpu_features", lambda: {"avx2": True, "avx512_vnni": False, "amx_int8": None})
    found = environment.describe_machine()
    assert found.cpu == "Some Xeon"
    assert found.cpu_flags == ("avx2",)


def test_what_the_system_does_not_tell_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu, "cpu_features", lambda: dict.fromkeys(cpu.FEATURES))
    monkeypatch.setattr(environment, "GOVERNOR", tmp_path / "none")
    monkeypatch.delattr(os, "getloadavg", raising=False)
    found = environment.describe_machine()
    assert found.cpu_flags is None
    assert found.governor is None
    assert environment.load_average() is None


def test_the_governor_is_read(monkeypatch, tmp_path):
    (tmp_path / "governor").write_text("powersave\n")
    monkeypatch.setattr(environment, "GOVERNOR", tmp_path / "governor")
    assert environment.describe_machine().governor == "powersave"
