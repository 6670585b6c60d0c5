import pytest

from fer_bench.passes.energy import rapl
from fer_bench.passes.energy.meters import Metered

UJ = 1_000_000


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")
    return folder


@pytest.fixture
def powercap(tmp_path):
    """A tree as Linux shows it: two packages, parts of one, and the same package by another road."""
    for zone, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ):
        write(tmp_path / zone, name=name, energy_uj=0, max_energy_range_uj=100 * UJ)
    return tmp_path


def spend(powercap, **counters):
    for name, joules in counters.items():
        write(powercap / f"intel-rapl:{name.removeprefix('package')}", energy_uj=joules * UJ)


class Worker:
    """Spends energy in each turn; the counter of package 0 starts over at 100 J."""

    def __init__(self, powercap, joules, calls=4):
        self.powercap, self.joules, self.calls = powercap, joules, calls

    def ask(self, _do, **_):
        counter = self.powercap / "intel-rapl:0" / "energy_uj"
        counter.write_text(str((int(counter.read_text()) + self.joules * UJ) % (100 * UJ)))
        return {"samples_ns": [1] * self.calls}


def test_the_packages_are_summed_and_nothing_is_counted_twice(powercap):
    meter, source = rapl.find_cpu_meter(powercap)
    spend(powercap, package0=2, package1=3)
    write(powercap / "intel-rapl:0:0", energy_uj=7 * UJ)
    write(powercap / "intel-rapl-mmio:0", energy_uj=7 * UJ)
    assert meter.stop() == pytest.approx(5)
    meter.start()
    assert meter.stop() == 0
    assert "2 CPU package(s)" in source


def test_a_counter_that_starts_over_loses_nothing(powercap):
    spend(powercap, package0=95)
    meter, _ = rapl.find_cpu_meter(powercap)
    spend(powercap, package0=15)
    assert meter.stop() == pytest.approx(20)


def test_energy_an_image_counts_the_warm_up_s_images_too(powercap):
    meter, _ = rapl.find_cpu_meter(powercap)
    spending = {"hungry": Worker(powercap, 60), "frugal": Worker(powercap, 6)}
    workers = {name: Metered(worker, meter) for name, worker in spending.items()}
    for _ in range(2):
        for worker in workers.values():
            reply = worker.ask("turn", batch=10, seconds=1.0, calls=4, warmup_calls=2)
            assert reply == {"samples_ns": [1] * 4}
    assert workers["hungry"].joules_an_image() == pytest.approx(60 / 60)
    assert workers["frugal"].joules_an_image() == pytest.approx(6 / 60)


def test_what_is_no_turn_is_not_metered(powercap):
    meter, _ = rapl.find_cpu_meter(powercap)
    worker = Metered(Worker(powercap, 60), meter)
    worker.ask("info")
    assert worker.joules_an_image() is None
    worker.ask("turn", batch=1, seconds=1.0, calls=4, warmup_calls=0)
    assert worker.joules_an_image() == pytest.approx(60 / 4)


def test_without_counters_the_reason_is_told_and_turns_run_all_the_same(tmp_path, powercap):
    meter, reason = rapl.find_cpu_meter(tmp_path / "none")
    assert meter is None
    assert reason.startswith("not available: ")
    assert "has no RAPL counter" in reason
    worker = Metered(Worker(powercap, 1), meter)
    assert worker.ask("turn", batch=1, seconds=1.0, calls=4, warmup_calls=0) == {"samples_ns": [1] * 4}
    assert worker.joules_an_image() is None


def test_a_counter_that_may_not_be_read_is_told(powercap, monkeypatch):
    def refuse(zone):
        raise PermissionError(13, "Permission denied", str(zone._counter))

    monkeypatch.setattr(rapl.Zone, "_read", refuse)  # a root user may read everything
    meter, reason = rapl.find_cpu_meter(powercap)
    assert meter is None
    assert "Permission denied" in reason
    assert "energy_uj" in reason


def test_a_counter_that_holds_no_number_is_told(powercap):
    write(powercap / "intel-rapl:1", energy_uj="broken")
    meter, reason = rapl.find_cpu_meter(powercap)
    assert meter is None
    assert "not available" in reason
