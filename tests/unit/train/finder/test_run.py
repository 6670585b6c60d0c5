import cv2
import numpy as np
import pytest
import torch

from fer_engine.errors import ConfigError
from fer_train import checkpoint
from fer_train.finder.__main__ import main
from fer_train.finder.amounts import Amounts
from fer_train.models import FINDER, find_model


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (120, 150), dtype=np.uint8))
    images = rng.integers(0, 256, (20, 48, 48), dtype=np.uint8)
    data = tmp_path / "faces.npz"
    np.savez(data, images=images, labels=np.zeros(20, np.uint8), usage=np.full(20, "Training"))
    return data, folder


def test_the_command_trains_both_networks_and_goes_on_after_the_last_finished_stage(inputs, tmp_path):
    data, backgrounds = inputs
    output = tmp_path / "run"
    arguments = ["--data", str(data), "--backgrounds", str(backgrounds), "-o", str(output), "--scale", "1e-5"]
    assert main(arguments) == 0
    detector, spec = checkpoint.load(output / "detector")
    verifier, verifier_spec = checkpoint.load(output / "verifier")
    assert spec.task == "detection"
    assert verifier_spec.labels == ("other", "face")
    with torch.no_grad():
        assert detector(torch.zeros(1, 1, 288, 288)).shape == (1, spec.outputs)
        assert verifier(torch.zeros(2, 1, 40, 40)).shape == (2, 2)
    before = (output / "detector" / "model.safetensors").stat().st_mtime_ns
    (output / "verifier" / "spec.json").unlink()
    (output / "verifier" / "model.safetensors").unlink()
    (output / "verifier").rmdir()
    assert main(arguments) == 0
    assert checkpoint.load(output / "verifier")[1] == verifier_spec  # to the bit
    assert (output / "detector" / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_that_is_missing_is_an_error_of_one_line(inputs, tmp_path, capsys):
    data, _ = inputs
    assert (
        main(["--data", str(data), "--backgrounds", str(tmp_path / "none"), "-o", str(tmp_path / "run")]) == 2
    )
    assert "there is no folder of backgrounds" in capsys.readouterr().err


def test_a_trial_is_scaled_in_pictures_and_steps_alone():
    scaled = Amounts().scaled(0.1)
    assert scaled.first_steps == Amounts().first_steps // 10
    assert scaled.small_faces == Amounts().small_faces
    assert scaled.seed == Amounts().seed
    with pytest.raises(ConfigError, match="scale must be above 0"):
        Amounts().scaled(0)


@pytest.mark.parametrize("name", FINDER)
def test_the_registry_tells_the_true_size_of_the_finders_networks(name):
    entry = find_model(name)
    network = entry.build(entry.spec).eval()
    assert sum(value.numel() for value in network.parameters()) == entry.parameters
    work = []

    def count(module, _, output):
        weight = module.weight
        work.append(output[0].numel() * weight[0].numel() if weight.ndim == 4 else weight.numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    network(torch.zeros(1, 1, entry.spec.height, entry.spec.width))
    assert sum(work) == entry.multiply_adds
