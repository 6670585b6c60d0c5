"""The check of faces that are given on the device."""

from __future__ import annotations

from fer_engine.backends.cuda.external import ExternalArray
from fer_engine.errors import InputError


def check_device_faces(faces: ExternalArray, face_shape: tuple[int, ...]) -> None:
    """Hold faces on the device against the model: uint8 [n, *face_shape], any n.

    Raises:
        InputError: they have another type, rank or size.
    """
    if faces.dtype != "uint8":
        raise InputError(
            f"faces must be uint8 pixels from 0 to 255, got {faces.dtype}; convert them on the GPU, as with "
            "faces.clip(0, 255).to(torch.uint8) in PyTorch"
        )
    if len(faces.shape) == 0 or faces.shape[1:] != face_shape:
        wanted = ", ".join(map(str, face_shape))
        raise InputError(
            f"faces must have the shape [n, {wanted}], got {list(faces.shape)}; give one face "
            "as faces[None], and resize faces of another size"
        )
