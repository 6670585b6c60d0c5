import pytest

from fer_bench.contenders.sweep import Sweep
from fer_engine.errors import ConfigError

BACKENDS, PRECISIONS = ["onnxruntime", "openvino"], ["fp32", "int8"]


def names(**values):
    sweep = Sweep(**values)
    return [sweep.name(setting) for setting in sweep.settings(BACKENDS, PRECISIONS)]


def test_all_that_is_here_and_the_engine_s_own_choice():
    assert names() == [
        "engine/onnxruntime/fp32",
        "engine/onnxruntime/int8",
        "engine/openvino/fp32",
        "engine/openvino/int8",
        "engine/auto",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"backends": ("auto",)},
        {"precisions": ("auto",)},
        {"backends": ("auto",), "precisions": ("auto",)},
    ],
)
def test_auto_alone_is_the_engine_s_own_choice_of_both(values):
    assert names(**values) == ["engine/auto"]
    assert Sweep(**values).by_name


def test_auto_beside_a_name_chooses_the_other_alone():
    assert names(backends=("auto",), precisions=("int8",)) == ["engine/auto/int8"]
    assert names(backends=("openvino",), precisions=("auto", "fp32")) == [
        "engine/openvino/auto",
        "engine/openvino/fp32",
    ]


def test_every_value_meets_every_other():
    found = names(backends=("openvino",), precisions=("fp32",), threads=(1, 2), micro_batches=(4, 8))
    assert found == [f"engine/openvino/fp32/t{threads}/m{faces}" for threads in (1, 2) for faces in (4, 8)]


def test_a_single_value_is_not_part_of_the_name():
    (setting,) = Sweep(("openvino",), ("fp32",), (2,), (8,)).settings(BACKENDS, PRECISIONS)
    assert (setting.threads, setting.micro_batch) == (2, 8)
    assert names(backends=("openvino",), precisions=("fp32",), threads=(2,)) == ["engine/openvino/fp32"]


def test_flip_averaging_is_always_part_of_the_name():
    found = names(backends=("openvino",), precisions=("fp32",), tta=("none", "flip"))
    assert found == ["engine/openvino/fp32", "engine/openvino/fp32/flip"]
    assert names(backends=("auto",), tta=("flip",)) == ["engine/auto/flip"]
    with pytest.raises(ConfigError, match="--tta must be some of none, flip, got 'crop'"):
        Sweep(tta=("crop",))


@pytest.mark.parametrize("values", [{"threads": (0,)}, {"micro_batches": (8, -1)}, {"threads": (1.5,)}])
def test_what_is_no_count_is_refused(values):
    with pytest.raises(ConfigError, match="must be at least 1"):
        Sweep(**values)
