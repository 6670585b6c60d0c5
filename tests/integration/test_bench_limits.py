"""The whole command with --profile; the machine's own limits are measured in the unit tests."""

import json

import pytest

from fer_bench import cli
from fer_bench.contenders import inputs
from fer_bench.passes.limits import machine
from fer_bench.record.machine_limits import MachineLimits
from fer_engine.artifact.schema import from_json

QUICK = ["--rounds", "1", "--seconds", "0.02", "--cold-starts", "1", "--batch", "8", "--threads", "1"]
MACHINE = {
    "products": {"torch/fp32": {"1": 1e11}},
    "memory": {"bytes_per_second": {"1": 1e10}, "array_bytes": 2**27, "last_cache_bytes": None},
    "theoretical": None,
}
MULTIPLY_ADDS = 5_520_448  # of mini_xception, an image


@pytest.fixture(scope="module")
def profiled(artifact, tmp_path_factory):
    """The record of one run, and the report beside it."""
    folder = tmp_path_factory.mktemp("profiled")
    engines = ["--precision", "fp32", "--backend", "onnxruntime,openvino"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(inputs, "SYNTHETIC_FACES", 20)
        patch.setattr(machine, "measure_machine", lambda _: from_json(MachineLimits, MACHINE))
        arguments = ["--artifact", str(artifact), "--markdown", "bench.md", "--profile", *engines, *QUICK]
        assert cli.main(arguments) == 0
    record = json.loads((folder / "reports" / "bench.json").read_text("utf-8"))
    return record, (folder / "bench.md").read_text("utf-8")


def test_every_multiply_add_of_the_engine_is_accounted_for(profiled):
    limits = profiled[0]["limits"]
    assert limits["model"]["multiply_adds"] == MULTIPLY_ADDS
    assert set(limits["operators"]) == {"onnxruntime", "engine/onnxruntime/fp32", "engine/openvino/fp32"}
    for counted in limits["operators"].values():
        work = sum(operator["multiply_adds"] for operator in counted["operators"])
        assert work == MULTIPLY_ADDS * counted["faces"]


def test_the_engine_is_profiled_as_it_runs(profiled):
    found, _ = profiled
    infos = {entry["name"]: entry["info"] for entry in found["contenders"]}
    for name, counted in found["limits"]["operators"].items():
        if name.startswith("engine/"):
            assert (counted["faces"], counted["threads"]) == (infos[name]["micro_batch"], 1)


def test_the_report_has_the_limits(profiled):
    _, report = profiled
    for title in (
        "## Limits of this machine",
        "## Distance to the limit, batch 8",
        "## Where the time goes: engine/openvino/fp32",
    ):
        assert title in report
