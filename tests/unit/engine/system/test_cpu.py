import subprocess
import sys

import pytest

from fer_engine.system import cpu

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/cpuinfo")


def test_every_feature_has_an_answer_or_none():
    assert tuple(cpu.cpu_features()) == cpu.FEATURES
    assert set(cpu.cpu_features().values()) <= {True, False, None}


def test_the_key_is_stable_and_says_what_it_is():
    assert cpu.cpu_key() == cpu.cpu_key()
    assert (cpu.cpu_name() or "") in cpu.cpu_key()


def test_the_key_tells_machines_apart(monkeypatch):
    keys = {cpu.cpu_key()}
    monkeypatch.setattr(cpu, "usable_cores", lambda: 999)
    keys.add(cpu.cpu_key())
    monkeypatch.setattr(cpu, "cpu_features", lambda: {"amx_int8": True, "avx2": None})
    keys.add(cpu.cpu_key())
    monkeypatch.setattr(cpu, "cpu_name", lambda: "Imaginary 9000")
    keys.add(cpu.cpu_key())
    assert len(keys) == 4
    assert cpu.cpu_key() == "Imaginary 9000 [amx_int8] x 999"


@LINUX
@pytest.mark.parametrize(
    ("text", "name", "present"),
    [
        (
            "processor\t: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu avx2 avx512_vnni avx2x\n",
            "Some Xeon",
            {"avx2", "avx512_vnni"},
        ),
        (
            "processor\t: 0\nFeatures\t: fp asimd asimddp\nModel\t\t: Some Pi\n",
            "Some Pi",
            {"asimd", "asimddp"},
        ),
    ],
)
def test_linux(monkeypatch, tmp_path, text, name, present):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu.cpu_name() == name
    assert cpu.cpu_features() == {feature: feature in present for feature in cpu.FEATURES}


@LINUX
def test_what_linux_does_not_tell_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "none")
    assert cpu.cpu_features() == dict.fromkeys(cpu.FEATURES)


def test_macos(monkeypatch):
    told = {
        "machdep.cpu.brand_string": "Apple M9\n",
        "hw.optional.AdvSIMD": "1\n",
        "hw.optional.arm.FEAT_DotProd": "1\n",
        "hw.optional.arm.FEAT_I8MM": "0\n",
    }

    def sysctl(command, **_):
        if command[-1] not in told:
            raise subprocess.CalledProcessError(1, command)
        return told[command[-1]]

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "check_output", sysctl)
    assert cpu.cpu_name() == "Apple M9"
    known = {feature: there for feature, there in cpu.cpu_features().items() if there is not None}
    assert known == {"asimd": True, "asimddp": True, "i8mm": False}


def test_windows(monkeypatch):
    class Kernel32:
        @staticmethod
        def IsProcessorFeaturePresent(number):  # noqa: N802 - Windows's name
            return int(number == 40)

    class Windll:
        kernel32 = Kernel32

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.windll", Windll, raising=False)
    known = {feature: there for feature, there in cpu.cpu_features().items() if there is not None}
    assert known == {"avx2": True, "avx512f": False, "asimddp": False}
