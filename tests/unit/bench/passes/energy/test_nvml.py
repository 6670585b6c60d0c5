"""The energy of a GPU, on a simulated pynvml: nothing here needs NVIDIA's driver."""

# ruff: noqa: N801, N802, N818 - these are pynvml's names

import sys
import types

import pytest

from fer_bench.passes.energy import nvml, rapl
from fer_bench.passes.energy.meters import Meters
from fer_engine.errors import BackendError


class Nvml(types.ModuleType):
    """Some GPUs: the millijoules that each has `spent`."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        pass

    def __init__(self, names=("NVIDIA Abacus",), *, counts=True):
        super().__init__("pynvml")
        self.names, self.counts = names, counts
        self.spent = dict.fromkeys(names, 1_000_000)
        self.broken = None

    def nvmlInit(self):
        if self.broken:
            raise self.NVMLError(self.broken)

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.names[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        try:
            return self.names[["GPU-a", "GPU-b"].index(uuid)]
        except ValueError:
            raise self.NVMLError("Not Found") from None

    def nvmlDeviceGetName(self, handle):
        return handle

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        self.nvmlInit()
        if not self.counts:
            raise self.NVMLError_NotSupported("Not Supported")
        return self.spent[handle]


@pytest.fixture
def install(monkeypatch):
    """Give what puts a simulated pynvml in place, on a machine whose variables say nothing of GPUs."""
    for name in (nvml.ORDER, nvml.VISIBLE):
        monkeypatch.delenv(name, raising=False)

    def put(*arguments, **options):
        module = Nvml(*arguments, **options)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return put


class Worker:
    """Spends energy of one GPU in each turn, the warm-up among it."""

    def __init__(self, module, joules):
        self.module, self.joules = module, joules

    def ask(self, _do, **_):
        self.module.spent["NVIDIA Abacus"] += round(1e3 * self.joules)
        return {"samples_ns": [1] * 4}


def test_the_counter_s_difference_is_the_energy(install):
    module = install()
    found = nvml.find_gpu("cuda")
    assert found.name == "NVIDIA Abacus"
    assert found.source.startswith("NVML, NVIDIA Abacus, its counter of energy")
    found.meter.start()
    module.spent["NVIDIA Abacus"] += 2_500
    assert found.meter.stop() == pytest.approx(2.5)
    module.spent["NVIDIA Abacus"] += 9_000  # between two stretches
    found.meter.start()
    assert found.meter.stop() == 0


def test_energy_an_image_is_of_the_turns_on_the_gpu_alone(install, monkeypatch, tmp_path):
    module = install()
    monkeypatch.setattr(rapl.find_cpu_meter, "__defaults__", (tmp_path,))
    meters = Meters("cuda")
    workers = {"engine/tensorrt/fp16": Worker(module, 12.0), "onnxruntime": Worker(module, 99.0)}
    metered = meters.metered(workers, ["engine/tensorrt/fp16"])
    for _ in range(2):
        for worker in metered.values():
            worker.ask("turn", batch=10, seconds=1.0, calls=4, warmup_calls=2)
    by_gpu, _ = meters.joules_by_gpu()
    assert by_gpu == {"engine/tensorrt/fp16": pytest.approx(12.0 / 60)}
    assert meters.joules_by_cpu()[0] == dict.fromkeys(workers)
    assert meters.gpu == "NVIDIA Abacus"


def test_a_record_of_the_cpu_says_nothing_of_a_gpu(install):
    install()
    meters = Meters("cpu")
    meters.metered({}, [])
    assert meters.gpu == "not measured"
    assert meters.joules_by_gpu() == (None, None)


@pytest.mark.parametrize(
    ("visible", "order", "device", "name"),
    [
        (None, "PCI_BUS_ID", "cuda", "first"),
        (None, "PCI_BUS_ID", "cuda:1", "second"),
        ("1,0", "PCI_BUS_ID", "cuda", "second"),
        ("GPU-b", None, "cuda", "second"),
        ("GPU-b, GPU-a", None, "cuda:1", "first"),
    ],
)
def test_the_gpu_is_the_one_that_cuda_means(install, monkeypatch, visible, order, device, name):
    install(("first", "second"))
    for variable, value in ((nvml.VISIBLE, visible), (nvml.ORDER, order)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert nvml.find_gpu(device).name == name


@pytest.mark.parametrize(
    ("visible", "device", "reason"),
    [
        (None, "cuda", "an order of its own; set CUDA_DEVICE_ORDER=PCI_BUS_ID"),
        ("1", "cuda:1", "there is no cuda:1: CUDA is shown 1 of 2 GPUs"),
        ("", "cuda", "CUDA is shown 0 of 2 GPUs"),
        ("GPU-z", "cuda", "Not Found"),
    ],
)
def test_where_it_is_not_known_which_gpu_is_meant_none_is_guessed(
    install, monkeypatch, visible, device, reason
):
    install(("first", "second"))
    if visible is not None:
        monkeypatch.setenv(nvml.VISIBLE, visible)
    found = nvml.find_gpu(device)
    assert (found.name, found.meter) == (None, None)
    assert found.source.startswith("not available: ")
    assert reason in found.source


def test_without_the_package_or_the_driver_the_reason_is_told(install, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "install it with: pip install nvidia-ml-py" in nvml.find_gpu("cuda").source
    install().broken = "Driver Not Loaded"
    assert nvml.find_gpu("cuda") == (None, None, "not available: Driver Not Loaded")
    assert Meters("cuda").gpu == "name not available"


def test_a_gpu_without_the_counter_is_named_without_a_figure(install):
    install(counts=False)
    name, meter, source = nvml.find_gpu("cuda")
    assert (name, meter) == ("NVIDIA Abacus", None)
    assert source == (
        "not available: NVIDIA Abacus has no energy counter, GPUs before Volta (2017) have none"
    )


def test_a_gpu_that_is_lost_on_the_way_ends_the_measurement(install):
    module = install()
    meter = nvml.find_gpu("cuda").meter
    module.broken = "GPU is lost"
    with pytest.raises(BackendError, match=r"nvmlDeviceGetTotalEnergyConsumption failed .* GPU is lost"):
        meter.start()
