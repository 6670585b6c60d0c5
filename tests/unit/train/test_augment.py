from __future__ import annotations

import pytest
import torch
from torch import Generator

from fer_engine.errors import ConfigError
from fer_train.augment import augment
from fer_train.recipe import Augmentation

NOTHING = Augmentation(rotation=0, shift=0, zoom=0, flip=0, brightness=0, contrast=0, erase=0, noise=0)


def faces(count: int = 8) -> torch.Tensor:
    return torch.rand(count, 1, 48, 48, generator=Generator().manual_seed(1)) * 255


def run(options: Augmentation, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return augment(images, options, Generator().manual_seed(seed))


def test_nothing_asked_for_changes_nothing():
    torch.testing.assert_close(run(NOTHING, faces()), faces(), atol=1e-3, rtol=0)


def test_the_same_generator_gives_the_same_images():
    assert torch.equal(run(Augmentation(), faces(), 3), run(Augmentation(), faces(), 3))
    assert not torch.equal(run(Augmentation(), faces(), 3), run(Augmentation(), faces(), 4))


def test_values_stay_gray_levels():
    changed = run(Augmentation(brightness=1.0, contrast=1.0, noise=0.5), faces())
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_flip_mirrors_left_and_right():
    options = Augmentation(rotation=0, shift=0, zoom=0, flip=1, brightness=0, contrast=0, erase=0, noise=0)
    torch.testing.assert_close(run(options, faces()), faces().flip(3), atol=1e-3, rtol=0)


def test_shift_moves_a_point_by_at_most_its_share():
    image = torch.zeros(64, 1, 48, 48)
    image[:, :, 22:26, 22:26] = 255
    options = Augmentation(rotation=0, shift=0.1, zoom=0, flip=0, brightness=0, contrast=0, erase=0, noise=0)
    moved = run(options, image)
    columns = (moved.sum((1, 2)) * torch.arange(48)).sum(1) / moved.sum((1, 2, 3))
    distance = (columns - 23.5).abs()
    assert distance.max() <= 4.81
    assert distance.max() > 2.4


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_erase_paints_one_rectangle(probability):
    options = Augmentation(
        rotation=0, shift=0, zoom=0, flip=0, brightness=0, contrast=0, erase=probability, noise=0
    )
    changed = (run(options, faces()) - faces()).abs() > 0.01
    share = changed.float().mean((1, 2, 3))
    if probability == 0:
        assert share.max() == 0
    else:
        assert share.min() > 0.005
        assert share.max() < 0.12


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rotation", 181.0),
        ("flip", 7.0),
        ("erase", -3.0),
        ("noise", -1.0),
        ("zoom", 1.0),
        ("shift", float("nan")),
    ],
)
def test_options_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigError, match=rf"{field} must be in \[0, .*\], got {value}"):
        Augmentation(**{field: value})
