import json

import numpy as np
import pytest

pytest.importorskip("mlperf_loadgen", reason="MLPerf LoadGen is not installed")

from fer_bench import cli
from fer_train import synthetic

QUICK = ["--rounds", "1", "--seconds", "0.02", "--cold-starts", "1", "--batch", "1"]
SCENARIO = ["--scenario", "single-stream,offline", "--loadgen-mode", "performance,accuracy"]
SHORT = ["--scenario-seconds", "0.05", "--min-queries", "100", "--target-qps", "1000"]


@pytest.fixture
def data(tmp_path):
    """Labelled faces in the form of FER2013."""
    path = tmp_path / "fer2013.npz"
    labels = np.arange(90, dtype=np.uint8) % 7
    np.savez(path, images=synthetic.faces(90, seed=3), labels=labels, usage=np.array(["PublicTest"] * 90))
    return path


def test_scenarios_join_the_record_and_keep_their_logs_beside_it(artifact, data, tmp_path, capsys):
    path = tmp_path / "reports" / "bench.json"
    engine = ["--backend", "onnxruntime", "--precision", "fp32", "--threads", "1"]
    arguments = ["--artifact", str(artifact), "--data", str(data), "--json", str(path), *engine]
    assert cli.main([*arguments, *QUICK, *SCENARIO, *SHORT]) == 0
    found = json.loads(path.read_text("utf-8"))
    runs = {(entry["contender"], entry["scenario"], entry["mode"]): entry for entry in found["scenarios"]}
    contenders = ("onnxruntime", "engine/onnxruntime/fp32")
    assert len(runs) == len(found["scenarios"]) == 8
    for contender in contenders:
        for scenario in ("single-stream", "offline"):
            timed, judged = (runs[contender, scenario, mode] for mode in ("performance", "accuracy"))
            assert timed["metric"]["value"] > 0
            assert (path.parent / timed["logs"] / "mlperf_log_detail.txt").is_file()
            labelled = found["parity"][contender]["labelled"]
            assert judged["accuracy"]["labelled"]["accuracy"] == labelled["accuracy"]
            assert judged["accuracy"]["agreement"] == 1.0
    assert found["options"]["scenarios"]["seconds"] == 0.05
    output = capsys.readouterr().out
    assert "Scenarios of MLPerf LoadGen" in output
    assert "Accuracy under LoadGen" in output


def test_a_query_of_more_samples_than_faces_ends_before_anything_is_measured(
    artifact, data, tmp_path, capsys
):
    arguments = ["--artifact", str(artifact), "--data", str(data), "--json", str(tmp_path / "bench.json")]
    assert cli.main([*arguments, "--scenario", "multi-stream", "--samples-per-query", "91"]) == 2
    error = capsys.readouterr().err
    assert "at most the number of faces, 90, got 91" in error
    assert "cold start" not in error
    assert list(tmp_path.iterdir()) == [data]
