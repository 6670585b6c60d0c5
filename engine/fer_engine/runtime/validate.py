"""Checks of what is given to the engine: faces against the spec, a graph's inputs and outputs against it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import ArtifactError, InputError
from fer_engine.runtime.backend import Faces, Model


def check_faces(faces: Any, spec: ModelSpec) -> Faces:
    """Return `faces` as they are where they fit the spec: uint8 [n, *face_shape], any n.

    Raises:
        InputError: not an array, or one of the wrong type, rank or size.
    """
    if isinstance(faces, (str, bytes, os.PathLike)) or hasattr(faces, "getexif"):  # the last is Pillow's
        raise InputError(
            f"faces must be a numpy array, got {type(faces).__name__}; fer_engine.vision.analyze takes "
            "pictures and their files, and finds the faces"
        )
    if not isinstance(faces, np.ndarray):
        raise InputError(
            f"faces must be a numpy array, got {type(faces).__name__}; "
            "stack a list with np.stack(faces), turn a tensor into an array with faces.numpy()"
        )
    if faces.dtype != np.uint8:
        raise InputError(f"faces must be uint8 pixels from 0 to 255, got {_dtype_advice(faces)}")
    if faces.shape[1:] != spec.face_shape:
        wanted = ", ".join(map(str, spec.face_shape))
        raise InputError(
            f"faces must have the shape [n, {wanted}], got {list(faces.shape)}; {_shape_advice(faces, spec)}"
        )
    return faces


def _dtype_advice(faces: np.ndarray[Any, Any]) -> str:
    kind = faces.dtype.kind
    if kind not in "fiu":
        return f"{faces.dtype}; give the image's own bytes"
    if kind != "f":
        return f"{faces.dtype}; convert with faces.clip(0, 255).astype(np.uint8)"
    finite = np.isfinite(faces)
    bad = faces.size - int(np.count_nonzero(finite))
    unit = faces.max(initial=0, where=finite) <= 1
    unit = unit and faces.min(initial=0, where=finite) >= 0
    scaled = "(faces * 255)" if unit else "faces"
    found = f" with {bad} values NaN or infinite" if bad else ""
    cure = "replace those, then convert" if bad else "convert"
    return f"{faces.dtype}{found}; {cure} with {scaled}.round().clip(0, 255).astype(np.uint8)"


def _shape_advice(faces: Faces, spec: ModelSpec) -> str:
    shape, face = faces.shape, spec.face_shape
    if shape == face:
        return "give one face as faces[None]"
    if len(shape) == 3 and shape[2] == 3 and spec.channels == 1:
        return "for a picture with faces in it take fer_engine.vision.analyze"
    if spec.channels == 1:
        if shape[1:] == (*face, 1):
            return "drop the last axis with faces[..., 0]"
        if shape[1:] == (1, *face):
            return "drop the second axis with faces[:, 0]"
        if shape[1:] == (*face, 3):
            return "convert each face to gray with cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)"
    elif shape[1:] == (spec.channels, *face[:2]):
        return "move the channels last with faces.transpose(0, 2, 3, 1)"
    if len(shape) == len(face) + 1:
        return f"resize each face to {spec.width}x{spec.height} with cv2.resize"
    return "stack faces with np.stack(list_of_faces)"


class TensorInfo(NamedTuple):
    """An input or output of a graph: NumPy's name of its type; in `shape` an axis that is free is a text."""

    name: str
    kind: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {list(self.shape)}"


def check_interface(model: Model, tensors: Iterable[TensorInfo]) -> None:
    """Check the inputs and outputs of a graph, in order, against the model's spec.

    Raises:
        ArtifactError: a name, type or shape differs, or the batch is fixed.
    """
    spec = model.spec
    expected = [
        TensorInfo(INPUT_NAME, "uint8", ("batch", *spec.face_shape)),
        TensorInfo(spec.output, "float32", ("batch", spec.outputs)),
    ]
    found = list(tensors)
    same_batch = [
        tensor._replace(shape=("batch", *tensor.shape[1:])) if _is_free(tensor) else tensor
        for tensor in found
    ]
    if same_batch != expected:
        raise ArtifactError(
            f"the {model.precision} graph of {model.folder} does not fit its spec: "
            f"expected {', '.join(map(str, expected))}; got {', '.join(map(str, found))}; "
            "run fer-export again"
        )


def _is_free(tensor: TensorInfo) -> bool:
    return bool(tensor.shape) and isinstance(tensor.shape[0], str)
