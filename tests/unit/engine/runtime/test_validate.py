import numpy as np
import pytest

from fer_engine import InputError, ModelSpec
from fer_engine.runtime.validate import check_faces

GRAY = ModelSpec("gray")
COLOUR = ModelSpec("colour", channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)


def refusal(faces, spec=GRAY) -> str:
    with pytest.raises(InputError) as caught:
        check_faces(faces, spec)
    return str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lets_fitting_faces_through_without_a_copy(count):
    faces = np.zeros((2 * count, 48, 48), np.uint8)[::2]
    assert check_faces(faces, GRAY) is faces
    colour = np.zeros((count, 48, 48, 3), np.uint8)
    assert check_faces(colour, COLOUR) is colour


def test_refuses_what_is_no_array():
    assert refusal([[0] * 48] * 48) == (
        "faces must be a numpy array, got list; "
        "stack a list with np.stack(faces), turn a tensor into an array with faces.numpy()"
    )
    assert "got NoneType" in refusal(None)


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (
            np.full((2, 48, 48), 0.5, np.float32),
            "float32; convert with (faces * 255).round().clip(0, 255).astype(np.uint8)",
        ),
        (np.full((2, 48, 48), 200.0), "float64; convert with faces.round().clip(0, 255).astype(np.uint8)"),
        (np.zeros((0, 48, 48)), "float64; convert with (faces * 255).round().clip(0, 255).astype(np.uint8)"),
        (
            np.array([100, np.nan, np.inf], np.float16),
            "float16 with 2 values NaN or infinite; replace those, then convert with faces.round()",
        ),
        (np.zeros((1, 48, 48), np.int64), "int64; convert with faces.clip(0, 255).astype(np.uint8)"),
        (np.zeros((1, 48, 48), bool), "bool; give the image's own bytes"),
        (np.array([None]), "object; give the image's own bytes"),
    ],
)
def test_refuses_other_types_and_says_how_to_convert(faces, message):
    assert refusal(faces).startswith(f"faces must be uint8 pixels from 0 to 255, got {message}")


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((48, 48), "give one face as faces[None]"),
        ((5, 48, 48, 1), "drop the last axis with faces[..., 0]"),
        ((5, 1, 48, 48), "drop the second axis with faces[:, 0]"),
        ((5, 48, 48, 3), "convert each face to gray with cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)"),
        ((5, 64, 48), "resize each face to 48x48 with cv2.resize"),
        ((0,), "stack faces with np.stack(list_of_faces)"),
        ((), "stack faces with np.stack(list_of_faces)"),
    ],
)
def test_refuses_other_shapes_and_says_how_to_get_there(shape, advice):
    assert refusal(np.zeros(shape, np.uint8)) == (
        f"faces must have the shape [n, 48, 48], got {list(shape)}; {advice}"
    )


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((48, 48, 3), "give one face as faces[None]"),
        ((5, 3, 48, 48), "move the channels last with faces.transpose(0, 2, 3, 1)"),
        ((5, 48, 48), "stack faces with np.stack(list_of_faces)"),
    ],
)
def test_refuses_other_shapes_for_colour(shape, advice):
    assert refusal(np.zeros(shape, np.uint8), COLOUR) == (
        f"faces must have the shape [n, 48, 48, 3], got {list(shape)}; {advice}"
    )
