"""What importing the engine loads, and how a process that uses it ends; each in a process of its own."""

import pkgutil
import subprocess
import sys

import fer_engine

SERVER = (
    "app",
    "body",
    "connection",
    "grpc_infer",
    "grpc_messages",
    "grpc_server",
    "hosts",
    "image_body",
    "image_route",
    "metrics",
    "page_routes",
    "responses",
    "server",
    "service",
    "v1_routes",
    "v2_routes",
)
HEAVY = ("torch", "onnx", "onnxruntime", "cv2", "tensorrt", "tensorrt_rtx", "cuda", "pycuda", "openvino")
# What an extra brings is imported here at once; the command, its options and the rest of the package are not.
EXTRA = ("fer_engine.backends.", *(f"fer_engine.serve.{name}" for name in SERVER))
MODULES = [
    module.name
    for module in pkgutil.walk_packages(fer_engine.__path__, "fer_engine.")
    if not module.name.startswith(EXTRA)
]
BARE = """
import importlib, sys

class OnlyNumPy:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in {"numpy", "fer_engine", *sys.stdlib_module_names} and not root.startswith("_"):
            raise ModuleNotFoundError(f"{name} is not in a bare environment", name=name)

sys.meta_path.insert(0, OnlyNumPy())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
UNCLOSED = """
import sys, threading
import numpy as np
from fer_engine import BackendError, Engine

engine = Engine.load(sys.argv[1], threads=2)
faces = np.ones((500, 4, 4), np.uint8)

def work():
    try:
        while True:
            engine.predict(faces)
    except BackendError as error:
        assert "the engine is closed" in str(error)

threads = [threading.Thread(target=engine.predict, args=(faces,)) for _ in range(4)]
threads += [threading.Thread(target=work, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
print("end")
"""


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


def test_import_loads_no_runtime():
    ran = python(f"import sys, fer_engine; print([name for name in {HEAVY} if name in sys.modules])")
    assert ran.stdout == "[]\n", ran.stderr


def test_all_but_the_backends_imports_with_numpy_alone():
    assert "fer_engine.engine" in MODULES
    ran = python(BARE, *MODULES)
    assert ran.returncode == 0, ran.stderr


def test_a_bare_environment_says_what_to_install(artifact):
    ran = python(
        BARE + f"fer_engine = importlib.import_module('fer_engine')\n"
        f"try: fer_engine.Engine.load({str(artifact.folder)!r})\n"
        "except fer_engine.BackendError as error: print(error)"
    )
    assert ran.stdout.endswith("install its runtime with: pip install 'fer-engine[cpu]'\n"), ran.stderr


def test_a_process_may_end_without_close_while_threads_predict(artifact):
    ran = python(UNCLOSED, str(artifact.folder))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "end\n", "")
