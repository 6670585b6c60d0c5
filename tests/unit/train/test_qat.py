"""Quantization-aware training: the pieces, and `fer-train --qat` as a user runs it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fer_engine.errors import CheckpointError
from fer_train import checkpoint, qat, synthetic
from fer_train.cli import main
from fer_train.fake_quant import FakeQuantized
from fer_train.loop import Trainer, logits
from fer_train.recipe import Recipe
from fer_train.tracing import layers

pytestmark = pytest.mark.slow  # networks are trained

FACES = synthetic.faces(96, seed=3)


@pytest.fixture(scope="module")
def shipped():
    return checkpoint.load(checkpoint.pretrained("mini_xception"))


@pytest.fixture(scope="module")
def data(tmp_path_factory, shipped):
    """Give faces labelled by the shipped network itself."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    usage = np.where(np.arange(len(FACES)) % 3 == 0, "PublicTest", "Training")
    labels = logits(*shipped, FACES).argmax(1).astype(np.uint8)
    np.savez(path, images=FACES, labels=labels, usage=usage)
    return path


def arguments(data, output, epochs=2):
    run = ["--data", str(data), "--output", str(output), "--epochs", str(epochs), "--batch-size", "16"]
    return ["--qat", *run]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "qat"
    assert main(arguments(data, output)) == 0
    return output


def test_measured_ranges_are_those_of_the_least_squared_error(shipped):
    """On the one input that is known beforehand, the faces themselves."""
    network, spec = shipped
    ranges = qat.measure_input_ranges(network, spec, FACES)
    assert ranges.keys() == layers(network).keys()
    values = (FACES.astype(np.float64) - 128) / 64
    candidates = np.abs(values).max() * np.arange(10, 41) / 40
    steps = candidates / 127
    errors = [np.square(np.clip(np.rint(values / step), -128, 127) * step - values).mean() for step in steps]
    assert ranges["stem.0"] == pytest.approx(candidates[np.argmin(errors)], rel=1e-6)


def test_ranges_are_measured_on_faces_made_to_fit(shipped):
    network, spec = shipped
    larger = np.repeat(np.repeat(FACES, 2, 1), 2, 2)
    expected = qat.measure_input_ranges(network, spec, FACES)
    assert qat.measure_input_ranges(network, spec, larger) == pytest.approx(expected)
    colour = np.repeat(FACES[..., np.newaxis], 3, 3)
    assert qat.measure_input_ranges(network, spec, colour) == pytest.approx(expected)


def test_an_input_that_is_always_zero_is_refused(shipped):
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 7, 3), nn.Linear(7, 7)

        def forward(self, x):
            return self.second(self.first(x).mean((2, 3)) * 0)

    with pytest.raises(CheckpointError, match="inputs of second are always zero or not finite"):
        qat.measure_input_ranges(Dead(), shipped[1], FACES)


def test_a_run_leaves_a_float_checkpoint_and_its_ranges(run):
    names = sorted(path.name for path in (run / "best").iterdir())
    assert names == ["model.safetensors", "quantization.json", "spec.json"]
    spec = checkpoint.load(run / "best")[1]
    quantization = checkpoint.load_quantization(run / "best")
    assert quantization is not None
    assert (
        quantization.float_sha256
        == checkpoint.load(checkpoint.pretrained("mini_xception"))[1].checkpoint_sha256
    )
    quantized, _ = qat.load_qat(run / "best")
    assert quantized.ranges() == quantization.ranges
    with (run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["agreement"]))
    answers = logits(quantized, spec, FACES[::3]).argmax(1)
    float_answers = logits(*checkpoint.load(checkpoint.pretrained("mini_xception")), FACES[::3]).argmax(1)
    assert float(best["agreement"]) == pytest.approx((answers == float_answers).mean())
    assert (run / "confusion.png").exists()


def test_the_weights_learn_and_the_statistics_stay(run):
    before, after = (
        load_file(folder / "model.safetensors")
        for folder in (checkpoint.pretrained("mini_xception"), run / "best")
    )
    for name, old in before.items():
        frozen = "running" in name or "num_batches" in name
        assert torch.equal(old, after[name]) == frozen, name


def test_a_resumed_run_goes_on_to_the_bit(run, data, tmp_path, monkeypatch):
    output = tmp_path / "cut"
    stop = iter([False, True])
    save = qat.save_qat

    def interrupted(*args):
        if next(stop):
            raise KeyboardInterrupt
        return save(*args)

    monkeypatch.setattr(qat, "save_qat", interrupted)
    monkeypatch.setattr("fer_train.training_run._best", lambda _: -1.0)  # save each epoch
    assert main(arguments(data, output)) == 130
    monkeypatch.undo()
    monkeypatch.setattr("fer_train.training_run._best", lambda _: -1.0)
    assert main([*arguments(data, output), "--resume"]) == 0
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (run, output)]
    for part in ("network", "average"):
        assert all(torch.equal(states[0][part][name], value) for name, value in states[1][part].items())


def test_it_comes_back_to_the_float_network(shipped):
    """Ranges that clip too much are mended, with no label that could help."""
    network, spec = shipped
    ranges = {name: 0.4 * amax for name, amax in qat.measure_input_ranges(network, spec, FACES).items()}
    quantized = FakeQuantized(network, spec, ranges)
    recipe = Recipe(
        epochs=4, batch_size=16, learning_rate=1e-3, distillation=1.0, temperature=1.0, ema_decay=0.5
    )
    trainer = Trainer(quantized, spec, recipe, [network], network)
    expected = logits(network, spec, FACES)
    before = np.abs(logits(quantized, spec, FACES) - expected).mean()
    nothing = np.zeros(len(FACES), np.uint8)
    for _ in range(recipe.epochs):
        trainer.run_epoch((FACES, nothing), (FACES, nothing))
    after = np.abs(logits(trainer.average, spec, FACES) - expected).mean()
    assert after < 0.9 * before
    assert quantized.ranges()["stem.3"] > 1.02 * ranges["stem.3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("ranges"), r"is damaged .* the keys .*'ranges'.*, got"),
        (lambda data: data.pop("float_sha256"), r"is damaged .* the keys .*'float_sha256'.*, got"),
        (lambda data: data.update(ranges=[1]), "ranges must be an object, got .1."),
        (
            lambda data: data.update(format_version=2),
            "format_version must be 1, which this release reads, got 2",
        ),
        (lambda data: data.update(checkpoint_sha256="0" * 64), "belongs to the weights 000000000000"),
        (lambda data: data["ranges"].pop("head"), "one positive range for each layer .*: head"),
        (lambda data: data["ranges"].update(tail=1.0), "unknown or not positive: tail"),
        (lambda data: data["ranges"].update(head=-1.0), "not positive: head"),
        (lambda data: data["ranges"].update(head=float("nan")), "not positive: head"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(run, tmp_path, change, message):
    for path in (run / "best").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / checkpoint.QUANTIZATION_NAME
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_quantization(tmp_path)


def test_a_float_checkpoint_has_no_ranges():
    folder = checkpoint.pretrained("mini_xception")
    assert checkpoint.load_quantization(folder) is None
    with pytest.raises(CheckpointError, match="no checkpoint of fer-train --qat"):
        qat.load_qat(folder)


def error_of(capsys, argv) -> str:
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    return error


def test_bad_input_is_one_line_and_exit_code_2(run, data, tmp_path, capsys):
    output = tmp_path / "none"
    given = arguments(data, output)
    assert "no checkpoint of 'fer_teacher' ships" in error_of(capsys, [*given, "--model", "fer_teacher"])
    assert "--qat trains in float32" in error_of(capsys, [*given, "--bf16"])
    assert "is a checkpoint of mini_xception, not of fer_teacher" in error_of(
        capsys, [*given, "--model", "fer_teacher", "--init", str(run / "best")]
    )
    assert not output.exists()
    as_float = [argument for argument in arguments(data, run) if argument != "--qat"]
    assert "qat True (now None)" in error_of(capsys, [*as_float, "--resume"])
