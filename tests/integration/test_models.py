import json

import numpy as np
import pytest

from fer_train import synthetic
from studies import models


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "fer2013.npz"
    usage = np.array(["Training"] * 10 + ["PublicTest"] * 90)
    labels = np.arange(100, dtype=np.uint8) % 7
    votes = np.zeros((100, 10), np.uint8)
    votes[np.arange(100), labels] = 8
    votes[:, 8] = 2
    np.savez(path, images=synthetic.faces(100, seed=3), labels=labels, usage=usage, votes=votes)
    return path


def test_the_record_holds_answers_and_speeds_of_every_precision(artifact, data, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "available_backends", lambda _: ("onnxruntime",))
    record, page = tmp_path / "models.json", tmp_path / "models.md"
    arguments = [str(artifact), "--data", str(data), "--rounds", "2", "--seconds", "0.02"]
    assert models.main([*arguments, "--json", str(record), "--markdown", str(page)]) == 0
    (network,) = json.loads(record.read_text("utf-8"))["models"]
    assert network["parameters"] == 58_047
    assert network["answers"]["onnxruntime/fp32"]["agreement"] == 1.0
    assert network["answers"]["onnxruntime/fp32/flip"]["agreement"] < 1.0
    assert set(network["speed"]) == set(network["answers"]) - {"pytorch"}
    assert network["speed"]["onnxruntime/fp32"]["ratio"]["median"] == 1.0
    assert set(network["single"]) == set(network["speed"])
    assert network["answers"]["onnxruntime/int8"]["voted"]["faces"] == 90
    assert network["calibration"]["temperature"] == network_temperature(artifact)
    assert network["unseen"]["labels"]["faces"] == 90
    assert set(network["subgroups"]) == {"fp32", "int8"}
    text = page.read_text("utf-8")
    assert models.main(["--render", "--json", str(record)]) == 0
    assert "| `mini_xception` | 58,047 |" in text


def network_temperature(artifact):
    return json.loads((artifact / "manifest.json").read_text("utf-8"))["spec"].get("temperature", 1.0)


def test_networks_without_the_yardstick_are_refused(artifact, data, tmp_path, capsys):
    twice = [str(artifact), str(artifact), "--data", str(data), "--json", str(tmp_path / "models.json")]
    assert models.main(twice) == 2
    assert "expected one artifact a network and one of mini_xception" in capsys.readouterr().err
    assert models.main([str(artifact), "--json", str(tmp_path / "models.json")]) == 2
    assert "give --data fer2013.csv" in capsys.readouterr().err
    assert not (tmp_path / "models.json").exists()
