"""Checkpoints: a folder with the weights (`model.safetensors`) and their spec (`spec.json`).

Where the network is none of the registry, `module.json` names what makes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from fer_engine.artifact import files
from fer_engine.artifact.artifact import SPEC_NAME, WEIGHTS_NAME
from fer_engine.artifact.schema import SchemaError, from_json, parse, to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import CheckpointError
from fer_train import user_network
from fer_train.models import MODELS, find_model
from fer_train.state_dict import COUNTER, read_state_dict, tensors, unwrapped
from fer_train.tracing import layers

QUANTIZATION_NAME = "quantization.json"
QUANTIZATION_VERSION = 1
PRETRAINED = Path(__file__).with_name("pretrained")


@dataclass(frozen=True, slots=True)
class Quantization:
    """What weights were trained for INT8 with, and from which float checkpoint.

    `ranges` holds the absolute value that 127 stands for at the input of each layer, by the layer's
    module path.
    """

    COMPLETE: ClassVar[bool] = True

    ranges: dict[str, float]
    float_sha256: str
    checkpoint_sha256: str = ""  # of the weights beside it; `save` fills it in
    format_version: int = QUANTIZATION_VERSION


def pretrained(name: str) -> Path:
    """Return the folder of the checkpoint that ships with the package.

    Raises:
        ConfigError: there is no such network.
        CheckpointError: none ships for it.
    """
    find_model(name)
    folder = PRETRAINED / name
    if not (folder / WEIGHTS_NAME).exists():
        shipped = [model for model in sorted(MODELS) if (PRETRAINED / model / WEIGHTS_NAME).exists()]
        raise CheckpointError(
            f"no checkpoint of {name!r} ships with the package (there are: {', '.join(shipped)}); "
            f"train one with 'fer-train --model {name} --data PATH' and give its folder best/"
        )
    return folder


def save(
    folder: Path,
    network: nn.Module,
    spec: ModelSpec,
    quantization: Quantization | None = None,
    target: str | None = None,
) -> ModelSpec:
    """Write a checkpoint in place of `folder`; return its spec, which now names the weights' hash.

    `target` is what makes a network that is none of the registry; see `fer_train.user_network.build_network`.
    """
    content = _encode(network)
    spec = dataclasses.replace(spec, checkpoint_sha256=hashlib.sha256(content).hexdigest())
    with files.folder(folder) as fresh:
        (fresh / WEIGHTS_NAME).write_bytes(content)
        (fresh / SPEC_NAME).write_text(_spec_text(spec), "utf-8")
        if quantization is not None:
            entry = dataclasses.replace(quantization, checkpoint_sha256=spec.checkpoint_sha256)
            (fresh / QUANTIZATION_NAME).write_text(json.dumps(to_json(entry), indent=2) + "\n", "utf-8")
        if target is not None:
            user_network.write_target(fresh, target)
    return spec


def write_spec(folder: Path, spec: ModelSpec) -> None:
    """Write the spec of a checkpoint folder in place of its own; its weights stay as they are."""
    files.write_text(folder / SPEC_NAME, _spec_text(spec))


def load(folder: Path, target: str | None = None) -> tuple[nn.Module, ModelSpec]:
    """Load a checkpoint folder: the network in evaluation mode, and its spec.

    `target` names the user's own code that the folder may ask for, which is imported; without it none is.

    Raises:
        CheckpointError: a file is missing, damaged, or does not belong to the other.
        ConfigError: the network is the user's own, and `target` does not name it, or cannot be imported.
    """
    content = _read(folder / WEIGHTS_NAME)
    spec = ModelSpec.loads(_read(folder / SPEC_NAME).decode("utf-8", "replace"))
    digest = hashlib.sha256(content).hexdigest()
    if digest != spec.checkpoint_sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS_NAME} is not the file that {SPEC_NAME} vouches for: "
            f"SHA-256 {digest[:12]}..., expected {spec.checkpoint_sha256[:12]}...; "
            "restore both files from one checkpoint"
        )
    weights = tensors(folder / WEIGHTS_NAME, content)
    return _fill(
        _build(spec, user_network.trusted_target(folder, target)), folder / WEIGHTS_NAME, weights, spec
    ), spec


def load_quantization(folder: Path) -> Quantization | None:
    """Return what the weights were trained for INT8 with; None for a float checkpoint.

    Raises:
        CheckpointError: they are damaged, of another version or network, or belong to other weights.
    """
    path = folder / QUANTIZATION_NAME
    if not path.exists():
        return None
    network, spec = load(folder)
    try:
        quantization = from_json(Quantization, parse(_read(path), QUANTIZATION_VERSION))
    except SchemaError as error:
        raise CheckpointError(
            f"{path} is damaged or of another release: {error}; restore it, or train again"
        ) from None
    if quantization.checkpoint_sha256 != spec.checkpoint_sha256:
        raise CheckpointError(
            f"{path} belongs to the weights {quantization.checkpoint_sha256[:12]}..., not to "
            f"{spec.checkpoint_sha256[:12]}... beside it; restore both from one checkpoint"
        )
    odd = sorted(set(quantization.ranges) ^ set(layers(network)))
    odd += sorted(name for name, amax in quantization.ranges.items() if not 0 < amax < math.inf)
    if odd:
        raise CheckpointError(
            f"{path} needs one positive range for each layer of {spec.name}; missing, unknown or not "
            f"positive: {', '.join(odd[:5])}; restore it, or train again"
        )
    return quantization


def load_state_dict(path: Path, spec: ModelSpec, target: str | None = None) -> tuple[nn.Module, ModelSpec]:
    """Load a bare state dict (`.pth`, `.pt` or `.safetensors`) into the network that `spec` names.

    `target` is what makes the network where the registry has none; see `fer_train.user_network`. What
    else the file may hold is in `fer_train.state_dict`.

    Raises:
        CheckpointError: the file is missing, no state dict, or made for another network.
        ConfigError: `target` cannot be imported.
    """
    network = _build(spec, target)
    network = _fill(network, path, unwrapped(read_state_dict(path), network), spec)
    # The hash of these weights as `save` writes them, whatever form they came in.
    return network, dataclasses.replace(spec, checkpoint_sha256=hashlib.sha256(_encode(network)).hexdigest())


def load_backbone(path: Path, network: nn.Module) -> str:
    """Load a bare state dict into `network` where its last layer may have other outputs; say what was loaded.

    torchvision's ImageNet weights fit resnet34 and vgg16 so. What the network has and the file has not,
    or in another shape, keeps its fresh weights: one layer, the head.

    Raises:
        CheckpointError: the file is no state dict, or more than one layer differs.
    """
    given = unwrapped(read_state_dict(path), network)
    # Older files lack the batch norms' counters, which nothing here reads.
    own = {name: weight for name, weight in network.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: weight for name, weight in given.items() if not name.endswith(COUNTER)}
    fresh = [name for name, weight in own.items() if name not in given or given[name].shape != weight.shape]
    unknown = [name for name in given if name not in own]
    layers = sorted({name.rpartition(".")[0] for name in fresh})
    if unknown or len(layers) > 1:
        odd = ", ".join([*fresh, *unknown][:6])
        raise CheckpointError(
            f"{path} was made for another network: {len(layers)} layers missing or of another shape, "
            f"{len(unknown)} tensors unknown, expected all but the head to fit; these differ: {odd}"
        )
    network.load_state_dict({name: given[name] for name in own if name not in fresh}, strict=False)
    return f"{path}: {len(own) - len(fresh)} tensors loaded; fresh: {', '.join(layers) or 'none'}"


def _spec_text(spec: ModelSpec) -> str:
    return json.dumps(spec.to_json(), indent=2) + "\n"


def _encode(network: nn.Module) -> bytes:
    return save_tensors({name: weight.contiguous().clone() for name, weight in network.state_dict().items()})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path} ({error.strerror}); expected a folder with {WEIGHTS_NAME} and {SPEC_NAME}, "
            "as fer-train writes it"
        ) from None


def _build(spec: ModelSpec, target: str | None) -> nn.Module:
    return find_model(spec.name).build(spec) if target is None else user_network.build_network(target)


def _fill(network: nn.Module, path: Path, given: dict[str, Tensor], spec: ModelSpec) -> nn.Module:
    own = network.state_dict()
    # Counters of batch norm, which older files lack and evaluation does not read.
    weights = {name: own[name] for name in own if name.endswith(COUNTER)} | given
    expected = {name: tuple(weight.shape) for name, weight in own.items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))
        names = ", ".join(dict.fromkeys(name for name, _ in odd[:6]))
        raise CheckpointError(
            f"{path} was not made for {spec.name} with {len(spec.labels)} classes: "
            f"{len(given)} tensors, expected {len(expected)}; missing, unknown or of another shape: {names}"
        )
    if not all(weight.isfinite().all() for weight in weights.values() if weight.is_floating_point()):
        raise CheckpointError(f"{path} holds weights that are NaN or infinite; take an earlier checkpoint")
    network.load_state_dict(weights)
    return network.eval()
