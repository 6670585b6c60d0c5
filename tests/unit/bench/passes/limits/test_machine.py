"""What the machine can do at most, as its probes measure it."""

import json
import sys

import pytest
import torch

from fer_bench.passes.limits import machine, probe
from fer_engine.errors import BackendError


def scripted(*instants):
    ticks = iter(instants)
    return lambda: next(ticks)


def test_the_shortest_call_counts_and_the_first_does_not():
    calls = []
    # The end lies at 100 + 1,000; calls take 700, 200 and 900 ns.
    clock = scripted(100, 100, 800, 800, 1_000, 1_000, 1_900)
    assert probe.fastest(lambda: calls.append(None), 1e-6, clock) == 200
    assert len(calls) == 4


def test_a_product_rate_is_the_sum_of_the_threads_own(monkeypatch):
    monkeypatch.setattr(probe, "fastest", lambda rows: {512: 1_000_000, 2048: 5_000_000}[rows])
    rate = probe.product_rate(lambda rows: rows, threads=3)
    assert rate == pytest.approx(3 * 512 * 512**2 / 1e-3)


def test_traffic_counts_what_the_arrays_hold(monkeypatch):
    def fastest(call):
        call()
        return 2_000_000

    monkeypatch.setattr(probe, "fastest", fastest)
    monkeypatch.setattr(probe, "array_bytes", lambda: 8_000)
    assert probe.memory_traffic(threads=2) == pytest.approx(3 * 8_000 / 2e-3)


@pytest.mark.parametrize(
    ("cache", "expected"),
    [(2**20, 4 * 2**20), (None, probe.MOST_BYTES // 3), (2**40, probe.MOST_BYTES // 3)],
)
def test_arrays_are_larger_than_the_last_cache_up_to_a_limit(cache, expected, monkeypatch):
    monkeypatch.setattr(probe, "last_cache_bytes", lambda: cache)
    assert probe.array_bytes() == expected


@pytest.mark.parametrize("product", probe.PRODUCTS)
def test_every_product_gives_a_rate_for_each_number_of_threads(product, monkeypatch, capsys):
    before = torch.get_num_threads()
    monkeypatch.setattr(probe, "ROWS", (8,))
    monkeypatch.setattr(sys, "argv", ["probe", product, "1", "2"])
    try:
        assert probe.main() == 0
    finally:
        torch.set_num_threads(before)
    rates = json.loads(capsys.readouterr().out)
    assert set(rates) == {"1", "2"}
    assert all(0 < rate < float("inf") for rate in rates.values())


def test_the_machine_is_measured_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(probe, "PRODUCTS", {})  # the test above has them
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    steps = []
    found = machine.measure_machine(steps.append)
    assert steps == [1]
    assert found.products == {}
    assert set(found.memory.bytes_per_second) == {"1"}
    assert 0 < found.memory.bytes_per_second["1"] < float("inf")
    assert found.memory.array_bytes == probe.array_bytes()


def test_a_probe_that_fails_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(probe, "PRODUCTS", {"abacus/fp32": None})
    with pytest.raises(
        BackendError,
        match=r"probe abacus/fp32 .* failed \(exit code 1\): .*KeyError: 'abacus/fp32'; leave out",
    ):
        machine.measure_machine()


@pytest.mark.parametrize(
    ("features", "cycle"),
    [({"avx512f": True, "avx2": True}, 32), ({"avx512f": False, "avx2": True}, 16)],
)
def test_the_theoretical_peak_is_clock_times_lanes_times_units(features, cycle):
    assert machine.theoretical_peak(2e9, features).multiply_adds_per_second == 2e9 * cycle


def test_no_theoretical_peak_is_made_up():
    assert machine.theoretical_peak(None, {"avx512f": True, "avx2": True}) is None
    assert machine.theoretical_peak(2e9, {"avx512f": None, "avx2": None}) is None
