"""Sidecars, and what they keep from being loaded."""

import dataclasses
import hashlib
import json

import pytest

from fer_engine import ArtifactError, BackendError, FerError, exporter
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.plan import Plan, PlanFolder
from fer_engine.artifact.schema import from_json, parse
from fer_engine.backends.tensorrt.plan_match import Target, select_plan

CONTENT = b"a plan" * 100
HERE = {"flavour": "tensorrt", "version": "11.4.1.5", "compute_capability": "8.9"}


@pytest.fixture
def opened(artifact):
    return Artifact.open(artifact.folder)


@pytest.fixture
def plan(opened):
    return Plan(
        flavour="tensorrt",
        version="11.4.1.5",
        cuda="13",
        gpu="NVIDIA L4",
        compute_capabilities=("8.9",),
        precision="fp32",
        profiles=((1, 1, 1), (1, 8, 64)),
        source="model.onnx",
        source_sha256=opened.files["fp32"].sha256,
        calibration_sha256=None,
        layers={"fp32": 1.0},
        options={"version_compatible": False, "hardware_compatibility": "none"},
        build_seconds=1.5,
        plan_sha256=hashlib.sha256(CONTENT).hexdigest(),
        bytes=len(CONTENT),
    )


@pytest.fixture
def plans(opened, plan):
    opened.plans.write(plan, CONTENT)
    return opened.plans


def test_gives_back_what_was_written(plans, plan):
    assert from_json(Plan, parse(plan.dumps(), 1)) == plan
    assert plans.find("fp32", "tensorrt") == [plan]
    assert plans.read(plan) == CONTENT
    assert plans.find("fp16", "tensorrt") == plans.find("fp32", "tensorrt_rtx") == []
    assert PlanFolder(plans.path / "none").find("fp32", "tensorrt") == []


def test_the_description_names_precision_gpu_and_version(plan):
    assert plan.describe() == (
        "100.0% fp32 of the convolutions, for compute capability 8.9, 0.0 MiB in 1.5 s by tensorrt 11.4.1.5"
    )


@pytest.mark.parametrize("content", [CONTENT[:50], b"b" + CONTENT[1:], b""])
def test_a_truncated_or_altered_plan_is_not_read(plans, plan, content):
    path = plans.path / f"{plan.name}.plan"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"is not the plan that its sidecar vouches for: SHA-256"):
        plans.read(plan)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"cannot be read \(No such file.*build the plan again"):
        plans.read(plan)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("flavour", "onnx"),
        ("version", "eleven"),
        ("version", None),
        ("cuda", 13),
        ("compute_capabilities", []),
        ("compute_capabilities", ["sm89"]),
        ("profiles", [[1, 2]]),
        ("profiles", [[0, 1, 1]]),
        ("profiles", [[8, 1, 64]]),
        ("profiles", "many"),
        ("layers", None),
        ("options", []),
        ("bytes", -1),
        ("bytes", "1"),
        ("build_seconds", True),
        ("source_sha256", 5),
    ],
)
def test_a_damaged_sidecar_is_refused(plans, plan, key, value):
    path = plans.path / f"{plan.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(
        ArtifactError, match=rf"\.json is damaged .*: {key}\S* must be .*, got .*build the plan again"
    ):
        plans.find("fp32", "tensorrt")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 2}', "\x00", "[" * 200_000])
def test_a_foreign_sidecar_is_refused(plans, plan, text):
    (plans.path / f"{plan.name}.json").write_text(text)
    with pytest.raises(
        ArtifactError,
        match=r"(must be JSON|must be an object|must be 1, which this release reads), got .*delete it",
    ):
        plans.find("fp32", "tensorrt")


def test_a_sidecar_without_or_with_more_keys_is_refused(plans, plan):
    path = plans.path / f"{plan.name}.json"
    whole = json.loads(path.read_text())
    for data in ({key: whole[key] for key in whole if key != "bytes"}, whole | {"more": 1}):
        path.write_text(json.dumps(data))
        with pytest.raises(ArtifactError, match="must be an object with the keys"):
            plans.find("fp32", "tensorrt")


def test_a_sidecar_under_another_name_is_refused(plans, plan):
    (plans.path / f"{plan.name}.json").rename(plans.path / "other.json")
    with pytest.raises(ArtifactError, match=r"describes tensorrt-fp32-sm89\.plan, not the plan beside it"):
        plans.find("fp32", "tensorrt")


def test_a_plan_that_fits_passes(opened, plan, plans):
    assert select_plan(opened, "fp32", Target(**HERE)) == plan
    assert select_plan(opened, "fp32", Target(**HERE), plans=plans) == plan


@pytest.mark.parametrize(
    ("here", "text"),
    [
        ({"version": "11.4.1.6"}, "by tensorrt 11.4.1.5, 11.4.1.6 is installed"),
        ({"version": "10.13.0.35"}, "by tensorrt 11.4.1.5, 10.13.0.35 is installed"),
        ({"compute_capability": "8.6"}, "for compute capability 8.9, this GPU has 8.6"),
    ],
)
@pytest.mark.parametrize(("flavour", "target"), [("tensorrt", ""), ("tensorrt_rtx", " --target {}")])
def test_a_plan_from_elsewhere_is_refused_with_the_command_that_rebuilds(
    opened, plan, here, text, flavour, target
):
    opened.plans.write(dataclasses.replace(plan, flavour=flavour), CONTENT)
    here = HERE | {"flavour": flavour} | here
    with pytest.raises(BackendError) as error:
        select_plan(opened, "fp32", Target(**here))
    message = str(error.value)
    assert text.replace("by tensorrt", f"by {flavour}") in message
    option = "--" + flavour.replace("_", "-") + " --engine-precision fp32"
    target = target.format(here["compute_capability"])
    assert message.endswith(f"fer-export --artifact {opened.folder} {option}{target} --engine-batch 1,1:8:64")


def test_a_plan_of_another_flavour_is_not_looked_at(opened, plans):
    with pytest.raises(ArtifactError, match=f"{plans.path} holds no 'fp32' plan for tensorrt_rtx"):
        select_plan(opened, "fp32", Target(**HERE | {"flavour": "tensorrt_rtx"}))


def test_a_plan_of_another_graph_is_refused(opened, plan):
    opened.plans.write(dataclasses.replace(plan, source_sha256="0" * 64), CONTENT)
    with pytest.raises(ArtifactError, match=r"SHA-256 0{12}\.\.\., the artifact holds SHA-256"):
        select_plan(opened, "fp32", Target(**HERE))
    opened.plans.write(dataclasses.replace(plan, precision="int8"), CONTENT)
    with pytest.raises(ArtifactError, match="the artifact holds no such graph"):
        select_plan(opened, "int8", Target(**HERE))


@pytest.mark.parametrize(
    ("built", "version", "fits"),
    [
        ("11.4.1.5", "11.4.1.5", True),
        ("11.4.1.5", "11.5.0.1", True),
        ("11.4.1.5", "11.4.0.9", False),
        ("11.4.1.5", "12.0.0.1", False),
        ("10.3.0.30", "11.4.1.5", True),
        ("10.3.0.30", "12.0.0.1", False),
    ],
)
def test_a_version_compatible_plan_runs_in_later_versions(opened, plan, built, version, fits):
    compatible = dataclasses.replace(plan, version=built, options={"version_compatible": True})
    opened.plans.write(compatible, CONTENT)
    here = HERE | {"version": version}
    if fits:
        assert select_plan(opened, "fp32", Target(**here)) == compatible
    else:
        with pytest.raises(BackendError, match=r"is installed; .*--version-compatible"):
            select_plan(opened, "fp32", Target(**here))


@pytest.mark.parametrize(
    ("capability", "fits"), [("8.0", True), ("8.6", True), ("9.0", True), ("12.0", True), ("7.5", False)]
)
def test_ampere_plus_runs_on_ampere_and_later(opened, plan, capability, fits):
    portable = dataclasses.replace(plan, options={"hardware_compatibility": "ampere_plus"})
    opened.plans.write(portable, CONTENT)
    here = HERE | {"compute_capability": capability}
    if fits:
        assert select_plan(opened, "fp32", Target(**here)) == portable
    else:
        with pytest.raises(BackendError, match=r"this GPU has 7\.5; .*--hardware-compatibility ampere_plus"):
            select_plan(opened, "fp32", Target(**here))


def test_of_several_plans_the_one_that_fits_is_taken(opened, plan, plans):
    ada = dataclasses.replace(plan, compute_capabilities=("12.0",))
    plans.write(ada, CONTENT)
    assert select_plan(opened, "fp32", Target(**HERE)) == plan
    assert select_plan(opened, "fp32", Target(**HERE | {"compute_capability": "12.0"})) == ada
    with pytest.raises(BackendError, match=r"this GPU has 8\.6"):
        select_plan(opened, "fp32", Target(**HERE | {"compute_capability": "8.6"}))


def test_where_there_is_no_plan_the_message_says_how_to_build_one(artifact, opened):
    here = {"flavour": "tensorrt_rtx", "version": "1.7.1.116", "compute_capability": "8.9"}
    with pytest.raises(ArtifactError) as error:
        select_plan(opened, "fp32", Target(**here))
    command = f"fer-export --artifact {artifact.folder} --tensorrt-rtx --engine-precision fp32 --target 8.9"
    assert str(error.value).endswith(f"holds no 'fp32' plan for tensorrt_rtx; build it with: {command}")


def test_a_command_quotes_what_a_shell_would_split(opened, tmp_path):
    elsewhere = dataclasses.replace(opened, folder=tmp_path / "my models")
    with pytest.raises(ArtifactError, match=r"--artifact '.*/my models'"):
        select_plan(elsewhere, "fp32", Target(**HERE))
    assert str(elsewhere.folder) in exporter.plan_arguments(elsewhere.folder, "tensorrt", "fp32", "8.9")


def test_a_folder_that_cannot_be_written_is_named(plan, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FerError, match="cannot write"):
        PlanFolder(tmp_path / "file" / "engines").write(plan, CONTENT)
