import json
import shlex

import pytest

from fer_engine import ArtifactError
from fer_engine.artifact.artifact import MANIFEST_NAME, Artifact
from fer_engine.artifact.manifest import Gate


def edit(folder, change):
    path = folder / MANIFEST_NAME
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_gives_back_what_was_written(artifact):
    opened = Artifact.open(artifact.folder)
    assert opened.spec == artifact.spec
    assert opened.read_graph("fp32") == (artifact.folder / "model.onnx").read_bytes()
    opened.write_manifest()
    assert Artifact.open(artifact.folder) == opened


def test_missing_folder_says_how_to_make_one(tmp_path):
    with pytest.raises(ArtifactError, match=r"is not an artifact folder.*fer-export --model"):
        Artifact.open(tmp_path / "nothing")


def test_a_manifest_that_is_nested_without_end(artifact):
    (artifact.folder / MANIFEST_NAME).write_text("[" * 200_000)
    with pytest.raises(ArtifactError, match=r"is damaged.*run fer-export again"):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize("made", [None, [], {"checkpoint": "shipped"}])
def test_a_damaged_account_of_its_making(artifact, made):
    edit(artifact.folder, lambda data: data.update(made=made))
    with pytest.raises(ArtifactError, match=r"is damaged .*: made(\.checkpoint)? must be an object, got "):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize("name", ["a\0.onnx", "\ud800.onnx"])
def test_a_name_that_no_file_can_have(artifact, name):
    edit(artifact.folder, lambda data: data["files"]["fp32"].update(path=name))
    with pytest.raises(ArtifactError, match="cannot be read"):
        Artifact.open(artifact.folder).read_graph("fp32")


def test_a_precision_that_nothing_makes_names_no_command(artifact):
    with pytest.raises(ArtifactError, match=r"holds no 'int4' graph, it has [\w, -]+$"):
        Artifact.open(artifact.folder).read_graph("int4")


@pytest.mark.parametrize("keep", [0, 1, 40, -3])
def test_truncated_manifest(artifact, keep):
    path = artifact.folder / MANIFEST_NAME
    path.write_text(path.read_text()[:keep])
    with pytest.raises(ArtifactError, match=r"is damaged.*run fer-export again"):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format_version": 99}'])
def test_foreign_manifest(artifact, text):
    (artifact.folder / MANIFEST_NAME).write_text(text)
    with pytest.raises(
        ArtifactError, match=r"must be (an object, got \[\]|1, which this release reads, got (None|99));"
    ):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize("key", ["spec", "files", "made", "verification"])
def test_manifest_without_a_part(artifact, key):
    edit(artifact.folder, lambda data: data.pop(key))
    with pytest.raises(
        ArtifactError,
        match=rf"is damaged .*: the whole must be an object with the keys .*'{key}'.*, got (?!.*'{key}')",
    ):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"path": "model.onnx"},
        {"path": "a", "sha256": "", "bytes": "?"},
        {"path": "a", "sha256": "", "bytes": float("inf")},
    ],
)
def test_damaged_file_entry(artifact, entry):
    edit(artifact.folder, lambda data: data["files"].update(fp32=entry))
    with pytest.raises(ArtifactError, match=r"is damaged .*: files\.fp32(\.bytes)? must be "):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize(
    "path", ["../secret.onnx", "/etc/passwd", "a/../../b", "C:\\\\secret", "..\\\\secret"]
)
def test_path_outside_the_folder(artifact, path):
    edit(artifact.folder, lambda data: data["files"]["fp32"].update(path=path))
    with pytest.raises(ArtifactError, match=r"a path outside its folder: do not load"):
        Artifact.open(artifact.folder)


def test_absent_precision_names_those_present(artifact):
    with pytest.raises(ArtifactError, match=r"holds no 'int8' graph, it has fp32; make it with"):
        Artifact.open(artifact.folder).read_graph("int8")


def test_missing_graph(artifact):
    (artifact.folder / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model.onnx cannot be read"):
        Artifact.open(artifact.folder).read_graph("fp32")


def test_changed_and_truncated_graph(artifact):
    path = artifact.folder / "model.onnx"
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-1] + b"?", b""):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"is not the file that the manifest vouches for: SHA-256"):
            Artifact.open(artifact.folder).read_graph("fp32")


def judged(artifact, **verdicts):
    """Write the verdicts into the artifact: precision=None means accepted, a text refused because of it."""
    gate = {
        name.replace("_", "-"): {"accepted": reason is None, "reason": reason or "fine"}
        for name, reason in verdicts.items()
    }
    edit(artifact.folder, lambda data: data.update(gate={"machine": "any", "verdicts": gate}))
    edit(artifact.folder, lambda data: data["files"].update(fp16=data["files"]["fp32"]))
    return Artifact.open(artifact.folder)


def test_a_manifest_without_a_gate_accepts_float32_alone(artifact):
    assert judged(artifact).accepted() == ("fp32",)
    edit(artifact.folder, lambda data: data.pop("gate"))
    opened = Artifact.open(artifact.folder)
    assert opened.manifest.gate == Gate()
    assert set(opened.files) == {"fp32", "fp16"}
    assert opened.accepted() == ("fp32",)


def test_the_gate_accepts_and_refuses(artifact):
    assert judged(artifact, fp16=None).accepted() == ("fp32", "fp16")
    assert judged(artifact, fp32=None, fp16="0.35x of FP32").accepted() == ("fp32",)
    assert judged(artifact, fp32="wrong", fp16=None, int8=None).accepted() == ("fp16",)


def test_a_refused_graph_that_was_kept_can_be_read(artifact):
    opened = judged(artifact, fp16="0.35x of FP32")
    assert opened.read_graph("fp16") == (artifact.folder / "model.onnx").read_bytes()


@pytest.mark.parametrize("precision", ["int8", "int8-cpu"])
def test_a_refused_graph_that_was_not_kept_gives_the_reason(artifact, precision):
    opened = judged(artifact, int8="0.35x of FP32", int8_cpu="0.35x of FP32")
    with pytest.raises(ArtifactError) as caught:
        opened.read_graph(precision)
    output = shlex.quote(str(artifact.folder))
    assert str(caught.value) == (
        f"{artifact.folder} holds no {precision!r} graph, the gate refused it: 0.35x of FP32; "
        f"keep it all the same with 'fer-export --model tiny --int8 --force --output {output}'"
    )


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ({"path": "shipped"}, "--model tiny"),
        ({"path": "runs/a"}, "--model tiny --checkpoint {kept}"),
        (
            {"path": "w.pth", "module": "net:Net"},
            "--module net:Net --checkpoint {kept}/model.safetensors --spec {kept}/spec.json",
        ),
        (
            {"path": "w.onnx", "outputs": "logits"},
            "--onnx {kept}/model.onnx --outputs logits --spec {kept}/spec.json",
        ),
    ],
)
def test_the_command_that_makes_a_precision_starts_from_the_same_network(artifact, source, arguments):
    folder = artifact.folder.rename(artifact.folder.with_name("my artifact"))
    edit(folder, lambda data: data["made"].update(checkpoint=source))
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(folder).read_graph("int8")
    command = str(caught.value).partition("make it with '")[2].removesuffix("'")
    words = [word.format(kept=(folder / "checkpoint").as_posix()) for word in arguments.split()]
    found = [word.replace("\\", "/") for word in shlex.split(command)]
    assert found == ["fer-export", *words, "--int8", "--output", folder.as_posix()]


@pytest.mark.parametrize(
    "gate",
    [
        None,
        [],
        {"verdicts": []},
        {"verdicts": {"int8": {}}},
        {"verdicts": {"int8": {"accepted": "no"}}},
        {"verdicts": {"int8": {"accepted": True, "reason": "", "trials": None}}},
        {"verdicts": {"int8": {"accepted": True, "reason": "", "passing": "openvino"}}},
        {"verdicts": {"int8": {"accepted": True, "reason": "", "passing": [["openvino"]]}}},
    ],
)
def test_a_damaged_gate(artifact, gate):
    edit(artifact.folder, lambda data: data.update(gate=gate))
    with pytest.raises(ArtifactError, match=r"is damaged .*: gate\S* must be .*; run fer-export again"):
        Artifact.open(artifact.folder)
