import os

import pytest

from fer_engine.system import cpu, cpu_quota


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretend to be a machine of eight cores with a given CPU quota."""

    def pretend(quota=None, affinity=8):
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        monkeypatch.setattr(cpu_quota, "GROUPS", tmp_path / "groups")
        monkeypatch.setattr(cpu_quota, "MEMBERSHIP", tmp_path / "membership")
        if quota is not None:
            put("groups/cpu.max", quota)

    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    pretend.put = put
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


def test_the_least_quota_of_a_group_and_those_around_it_holds(machine):
    machine("max 100000")
    machine.put("membership", "0::/user/app\n")
    machine.put("groups/user/cpu.max", "300000 100000")
    machine.put("groups/user/app/cpu.max", "600000 100000")
    assert cpu.usable_cores() == 3
    machine.put("groups/user/app/cpu.max", "150000 100000")
    assert cpu.usable_cores() == 2


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_version_1_has_a_file_each(machine, folder):
    machine()
    machine.put("membership", f"4:memory:/a\n2:{folder}:/docker/1\n0::/\n")
    for name, value in (("quota", 200_000), ("period", 50_000)):
        machine.put(f"groups/{folder}/docker/1/cpu.cfs_{name}_us", f"{value}\n")
    assert cpu.usable_cores() == 4
    machine.put(f"groups/{folder}/docker/1/cpu.cfs_quota_us", "-1\n")
    assert cpu.usable_cores() == 8
    machine.put("groups/cpu/cpu.cfs_quota_us", "100000\n")  # what a container sees of itself
    machine.put("groups/cpu/cpu.cfs_period_us", "100000\n")
    assert cpu.usable_cores() == 1


def test_systems_without_affinity(machine, monkeypatch):
    machine()
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu.usable_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu.usable_cores() == 1
