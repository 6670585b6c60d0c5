"""What an export starts from: a float network, and weights of it that were trained for INT8."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_engine.artifact.artifact import SPEC_NAME
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import CheckpointError, ConfigError, first_line
from fer_export.graph.to_onnx import opset, to_onnx
from fer_export.source.onnx_file import SCORES, last_operator, read_onnx_file, to_logits
from fer_export.source.reference import OnnxReference
from fer_export.source.sanity import SUM_TOLERANCE
from fer_export.source.wrap import with_opset, wrap
from fer_export.verify.samples import synthetic_samples
from fer_train import checkpoint
from fer_train.loop import logits, normalize
from fer_train.models import find_model

PROBED = 64  # faces that show whether values are probabilities
# What the other graphs are held against, in words.
PYTORCH = "PyTorch in float32"
ONNX = "the given ONNX file in ONNX Runtime in float32"


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A network of the user's own.

    `target` names what makes it (see `fer_train.user_network`); `checkpoint` is a state dict for it
    (.pth, .pt or .safetensors).
    """

    target: str
    checkpoint: Path
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A ready ONNX file with normalized input; `outputs` is "logits" or "probabilities".

    `output` names the output that counts, where there are several.
    """

    path: Path
    spec: ModelSpec
    outputs: str
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A float32 graph and the reference that it has to agree with.

    `logits` maps uint8 [n, *spec.face_shape] to float32 [n, labels]; `save` writes the reference into a
    folder, from which it can be loaded again; `made` says for the manifest where it comes from.
    """

    spec: ModelSpec
    graph: onnx.ModelProto
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    save: Callable[[Path], object]
    reference: str
    made: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QatSource:
    """A float32 graph with weights that were trained for INT8, and the amax of each layer's input."""

    graph: onnx.ModelProto
    ranges: dict[str, float]
    checkpoint_sha256: str


def load_source(
    model: str | UserNetwork | OnnxFile, path: Path | None, mean: float | None, scale: float | None
) -> Source:
    """Return what to export; a name is one of the registry, which the other arguments go with.

    Raises:
        FerError: those of `load_float_network`, `source_from_module` and `source_from_onnx`; an ExportError
            where PyTorch cannot export a network of the registry.
    """
    if isinstance(model, UserNetwork):
        return source_from_module(model)
    if isinstance(model, OnnxFile):
        return source_from_onnx(model)
    network, spec = load_float_network(model, path, mean, scale)
    return _of_network(network, spec, None, {"path": "shipped" if path is None else str(path)})


def source_from_module(given: UserNetwork) -> Source:
    """Return a network of the user's own.

    Raises:
        ConfigError: it cannot be imported, or does not give what its spec says.
        CheckpointError: the state dict cannot be read, or is for another network.
        ExportError: PyTorch cannot export it, or it ends in a softmax.
    """
    if given.checkpoint.is_dir():
        raise ConfigError(f"{given.checkpoint} is a folder, expected a state dict: .pth, .pt or .safetensors")
    network, spec = checkpoint.load_state_dict(given.checkpoint, given.spec, given.target)
    _check_outputs(network, spec, given.target)
    made = {"path": str(given.checkpoint), "module": given.target}
    source = _of_network(network, spec, given.target, made)
    last = last_operator(source.graph)
    if spec.task == "classification" and last in {"Softmax", *SCORES}:
        raise ConfigError(
            f"{given.target} ends in a {last.lower()}, expected logits: have forward() return what goes into "
            "it"
        )
    return source


def source_from_onnx(given: OnnxFile) -> Source:
    """Return the graph of a ready ONNX file behind the normalization of its spec.

    Raises:
        ConfigError: it cannot be read, or does not take or give what the spec and `outputs` say.
        ExportError: it has control flow, its opset cannot be converted, or ONNX Runtime cannot load it.
    """
    model, halves = read_onnx_file(given.path, given.spec, given.output)
    expected = OnnxReference(model, with_opset(given.spec, model), given.outputs)
    if not expected.states_batch():
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        expected = OnnxReference(model, expected.spec, given.outputs)
    if given.outputs == "probabilities":
        _check_probabilities(expected)
    graph = wrap(to_logits(model, given.spec, given.outputs), expected.spec)
    made = {
        "path": str(given.path),
        "file_sha256": hashlib.sha256(given.path.read_bytes()).hexdigest(),
        "outputs": given.outputs,
        "opset": opset(model),
        "given_precision": "fp16, raised to fp32" if halves else "fp32",
    }
    return Source(expected.spec, graph, expected.logits, expected.save, ONNX, made)


def _check_probabilities(reference: OnnxReference) -> None:
    faces = synthetic_samples(reference.spec, PROBED).faces
    sums = np.exp(reference.logits(faces) * np.float32(reference.spec.temperature)).sum(1)
    if not np.abs(sums - 1).max() <= SUM_TOLERANCE:  # the logarithm of a negative one is no number
        raise ConfigError(
            f"{reference.spec.name} gives no probabilities, as you say: on synthetic faces its values are "
            "negative or do not add up to 1; say --outputs logits, or give a file that ends in a softmax"
        )


def _of_network(network: nn.Module, spec: ModelSpec, target: str | None, made: dict[str, Any]) -> Source:
    return Source(
        spec,
        to_onnx(network, spec),
        lambda faces: logits(network, spec, faces),
        lambda folder: checkpoint.save(folder, network, spec, target=target),
        PYTORCH,
        made,
    )


def _check_outputs(network: nn.Module, spec: ModelSpec, target: str) -> None:
    """Run the network: an error is easier to understand before tracing than after."""
    for count in (2, 1):  # an axis of one is what squeeze() takes away
        taken = f"float32 [{count}, {spec.channels}, {spec.height}, {spec.width}]"
        expected = f"float32 [{count}, {spec.outputs}]"
        try:
            with torch.inference_mode():
                given = network(normalize(torch.zeros((count, *spec.face_shape), dtype=torch.uint8), spec))
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(
                f"{target} fails on {taken} ({first_line(error)}); does the spec say what it takes?"
            ) from error
        found = type(given).__name__
        if isinstance(given, Tensor):
            found = f"{str(given.dtype).removeprefix('torch.')} {list(given.shape)}"
        if found != expected:
            raise ConfigError(
                f"{target} gives {found} on {taken}, expected {expected}: one tensor, one value a label of "
                "the spec"
            )


def find_spec(model: str, path: Path | None) -> ModelSpec:
    """Return the spec of a registered network: that of its checkpoint folder, else its default.

    Raises:
        ConfigError: there is no such network.
        ArtifactError: the folder's spec is damaged.
    """
    return _folder_spec(path) or find_model(model).spec


def trained_name(path: Path | None) -> str | None:
    """Return the name of the network whose checkpoint folder this is; None for no folder.

    Raises:
        ArtifactError: the folder's spec is damaged.
    """
    spec = _folder_spec(path)
    return None if spec is None else spec.name


def _folder_spec(path: Path | None) -> ModelSpec | None:
    if path is None or not (path / SPEC_NAME).is_file():
        return None
    return ModelSpec.loads((path / SPEC_NAME).read_text("utf-8", "replace"))


def load_float_network(
    model: str, path: Path | None, mean: float | None, scale: float | None
) -> tuple[nn.Module, ModelSpec]:
    """Load a checkpoint folder, a bare state dict, or with no path the checkpoint that ships.

    `mean` and `scale` go with a bare state dict alone.

    Raises:
        ConfigError: it is a checkpoint of another model, or normalization is given twice or not at all.
        CheckpointError: it cannot be read.
    """
    if path is None or path.is_dir():
        if mean is not None or scale is not None:
            raise ConfigError(
                "--mean and --scale go with a bare state dict, given with --checkpoint; a checkpoint folder "
                "has its own"
            )
        network, spec = checkpoint.load(path or checkpoint.pretrained(model))
        if spec.name != model:
            raise ConfigError(f"{path} is a checkpoint of {spec.name}, not of {model}")
        return network, spec
    if not path.exists():
        raise CheckpointError(
            f"{path}: no such file or folder; expected a checkpoint folder of fer-train or a bare state dict"
        )
    if mean is None or scale is None:
        raise ConfigError(
            f"{path} is a bare file and does not say how pixels were normalized in training; "
            "add --mean and --scale, as in (pixel - mean) / scale: 0 and 255 for pixels from 0 to 1"
        )
    spec = find_model(model).spec
    channels = spec.channels
    spec = dataclasses.replace(spec, mean=(mean,) * channels, scale=(scale,) * channels)
    return checkpoint.load_state_dict(path, spec)


def load_qat_source(folder: Path, spec: ModelSpec) -> QatSource:
    """Load the weights that `fer-train --qat` trained for INT8 from the float checkpoint of `spec`.

    They have learned to answer as that one does, and get its temperature.

    Raises:
        ConfigError: they were trained from another checkpoint, or not for INT8.
        CheckpointError: they cannot be read.
        ExportError: PyTorch cannot export the network.
    """
    network, own = checkpoint.load(folder)
    quantization = checkpoint.load_quantization(folder)
    if quantization is None:
        raise ConfigError(
            f"{folder} is a float checkpoint, expected one of 'fer-train --qat'; "
            "give a float one with --checkpoint"
        )
    if quantization.float_sha256 != spec.checkpoint_sha256:
        raise ConfigError(
            f"{folder} was trained for INT8 from the checkpoint {quantization.float_sha256[:12]}..., but "
            f"{spec.checkpoint_sha256[:12]}... is exported; give the first with --checkpoint"
        )
    own = dataclasses.replace(own, temperature=spec.temperature)
    return QatSource(to_onnx(network, own), quantization.ranges, own.checkpoint_sha256)
