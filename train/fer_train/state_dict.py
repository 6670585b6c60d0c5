"""Bare weights, as training scripts leave them: the tensors in a file, by the names of a network.

Pickled files are read with `weights_only=True` alone: they can carry no code.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from fer_engine.errors import CheckpointError

COUNTER = ".num_batches_tracked"
PROFILERS = ("total_ops", "total_params")  # what thop and its like leave in a network
PARALLEL = "module."  # what DataParallel puts before every name
# Parts of names that come from around a network: DataParallel, torch.compile, Lightning, other trainers.
AROUND = ("module", "_orig_mod", "model", "net", "network")
NAMED = 8  # keys of a file that an error lists
ADVICE = "save it with torch.save(model.state_dict(), PATH)"
SCALAR = np.float64(0).__reduce__()[0]
# What stands beside weights and holds values alone: settings, and numbers of NumPy, also of NumPy 1.
VALUES: list[Any] = [
    argparse.Namespace,
    SCALAR,
    (SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"},
]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file (`.safetensors`, else pickled), by their names in it.

    They may be all it holds, or one dictionary beside other entries, under any key.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no such tensors or several sets of them.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path} ({error.strerror}); expected a state dict") from None
    if path.suffix == ".safetensors":
        return tensors(path, content)
    return _chosen(path, _unpickled(path))


def tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """Return the tensors of the content of a safetensors file.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is no whole safetensors file ({error}); copy or train it again"
        ) from None


def unwrapped(given: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors by the names of `network`: without what wrappers put into them.

    Parts of names are left out only where all names fit then; else the prefix of DataParallel alone. What
    profilers leave in a network is left out.
    """
    own = set(network.state_dict())
    kept = {
        name: value
        for name, value in given.items()
        if name in own or name.rpartition(".")[2] not in PROFILERS
    }
    wanted = _counted(own)
    for count in range(len(AROUND)):
        for parts in itertools.combinations(AROUND, count):
            renamed = {_without(name, parts): value for name, value in kept.items()}
            if len(renamed) == len(kept) and _counted(renamed) == wanted:
                return renamed
    if any(name.startswith(PARALLEL) for name in own):
        return kept
    return {name.removeprefix(PARALLEL): value for name, value in kept.items()}


def _without(name: str, parts: tuple[str, ...]) -> str:
    return ".".join(part for part in name.split(".") if part not in parts)


def _counted(names: set[str] | dict[str, Tensor]) -> set[str]:
    """Return the names but for the counters of batch norm, which older files lack."""
    return {name for name in names if not name.endswith(COUNTER)}


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(VALUES):
            warnings.simplefilter("ignore")  # on odd pickle protocols: what matters comes as an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = str(error).partition("GLOBAL ")[2].split(" ")[0]
        what = f"it holds objects of {found}, as of a whole module or trainer" if found else "it is damaged"
        raise CheckpointError(
            f"{path} holds no plain state dict: {what}; nothing of it was run. Where its code is, {ADVICE}"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle raises anything; its text is no advice
        if _is_torchscript(path):
            raise CheckpointError(
                f"{path} holds no plain state dict but TorchScript; "
                f"torch.save(torch.jit.load({path.name!r}).state_dict(), PATH) makes one"
            ) from None
        raise CheckpointError(
            f"{path} holds no plain state dict ({type(error).__name__}): it is damaged, no file of "
            f"torch.save, or holds more than tensors; {ADVICE}"
        ) from None


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name == "constants.pkl" for name in archive.namelist())
    except Exception:  # noqa: BLE001 - zipfile raises anything on a damaged directory
        return False


def _chosen(path: Path, data: object) -> dict[str, Tensor]:
    """Return the one dictionary of tensors that `data` is or holds."""
    if _is_state(data):
        return {str(name): value for name, value in data.items()}  # type: ignore[attr-defined]
    entries = data if isinstance(data, dict) else {}
    states = [key for key, value in entries.items() if _is_state(value)]
    if len(states) != 1:
        keys = ", ".join(str(key) for key in list(entries)[:NAMED])
        found = f"several state dicts: {', '.join(map(str, states))}" if states else type(data).__name__
        if not states and keys:
            found += f" with the keys {keys}"
        raise CheckpointError(f"{path} holds {found}, expected one state dict of tensors; {ADVICE}")
    return {str(name): value for name, value in entries[states[0]].items()}


def _is_state(data: object) -> bool:
    return isinstance(data, dict) and bool(data) and all(isinstance(one, Tensor) for one in data.values())
