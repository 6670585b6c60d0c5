from pathlib import Path

from fer_bench import bench
from fer_bench.contenders.contender import Contender


def test_a_record_names_no_home_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "somebody")
    kept = tmp_path / "somebody" / ".cache" / "model.onnx"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"12345")
    described = bench._described(Contender("peer", "peer", "artifact", str(kept)), {"threads": 1})
    assert (described.file, described.bytes) == ("~/.cache/model.onnx", 5)
    elsewhere = tmp_path / "model.onnx"
    elsewhere.write_bytes(b"")
    described = bench._described(Contender("peer", "peer", "artifact", str(elsewhere)), {"threads": 1})
    assert described.file == str(elsewhere)
