import os

import pytest

from fer_engine.system import cpu


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretend to be a machine of eight cores with a given CPU quota."""

    def pretend(quota=None, affinity=8):
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        monkeypatch.setattr(cpu, "CGROUP_QUOTA", tmp_path / "cpu.max")
        if quota is not None:
            (tmp_path / "cpu.max").write_text(quota)

    return pretend


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [
        (None, 8, 8),
        (None, 3, 3),
        ("max 100000\n", 8, 8),
        ("200000 100000\n", 8, 2),
        ("250000 100000\n", 8, 3),
        ("50000 100000\n", 8, 1),
        ("1600000 100000\n", 4, 4),
        ("nonsense", 8, 8),
    ],
)
def test_counts_what_the_process_may_use(machine, quota, affinity, expected):
    machine(quota, affinity)
    assert cpu.usable_cores() == expected


def test_systems_without_affinity(machine, monkeypatch):
    machine()
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu.usable_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu.usable_cores() == 1
