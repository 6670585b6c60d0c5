"""YuNet's graph in ONNX Runtime or OpenVINO, on the CPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_engine.errors import ConfigError
from fer_engine.runtime.backend import find_backend

Values = NDArray[np.float32]
STRIDES = (8, 16, 32)  # pixels of the input between two cells of an output
MULTIPLE = STRIDES[-1]  # of which the sides of an input are
CHANNELS = {"cls": 1, "obj": 1, "bbox": 4}  # the outputs for each stride, with their values for each cell
OUTPUTS = tuple(f"{kind}_{stride}" for stride in STRIDES for kind in CHANNELS)
PROBE = (2 * MULTIPLE, 2 * MULTIPLE)  # height and width of the image that tries a graph out
LFS_POINTER = b"version https://git-lfs"  # how the file starts that Git leaves where Git LFS is not installed
SILENT = 4  # log fatal errors alone: all others arrive as exceptions


class YuNetNetwork(ABC):
    """YuNet's graph, loaded; safe to call from several threads.

    `size` is the height and width that the graph takes, in pixels, or None where any multiples of 32 will do.
    """

    size: tuple[int, int] | None

    @abstractmethod
    def __call__(self, pixels: Values) -> dict[str, Values]:
        """Return the outputs by name, [1, cells, channels], for an image.

        Args:
            pixels: float32 [1, 3, height, width] in BGR, from 0 to 255.
        """


class OnnxRuntimeYuNet(YuNetNetwork):
    """YuNet in ONNX Runtime: one session for all threads."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = SILENT
        self._session = onnxruntime.InferenceSession(_read(path), settings, ["CPUExecutionProvider"])
        inputs = self._session.get_inputs()
        names = [port.name for port in self._session.get_outputs()]
        self.size = _input_size(path, [port.shape for port in inputs], names)
        self._input = inputs[0].name

    def __call__(self, pixels: Values) -> dict[str, Values]:
        return dict(zip(OUTPUTS, self._session.run(OUTPUTS, {self._input: pixels}), strict=True))


class OpenVinoYuNet(YuNetNetwork):
    """YuNet in OpenVINO: a compiled model for each thread that calls at the same time.

    A model of one stream runs on the thread that calls; several streams take longer to wake.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        self._core = openvino.Core()
        self._graph = self._core.read_model(_read(path))
        shapes = [
            [None if side.is_dynamic else side.get_length() for side in port.partial_shape]
            for port in self._graph.inputs
        ]
        names = [name for port in self._graph.outputs for name in port.names]
        self.size = _input_size(path, shapes, names)
        self._threads = threads
        self._idle = [self._compile()]  # its pop and append are atomic

    def __call__(self, pixels: Values) -> dict[str, Values]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compile()
        request.infer([pixels], share_inputs=True)
        found = {name: request.get_tensor(name).data.copy() for name in OUTPUTS}
        self._idle.append(request)
        return found

    def _compile(self) -> Any:
        from openvino import properties
        from openvino.properties import hint

        settings = {
            hint.inference_precision: "f32",
            properties.inference_num_threads: self._threads,
            properties.num_streams: 1,
            hint.enable_cpu_pinning: False,  # a stream that is tied to its core cannot leave it to others
        }
        return self._core.compile_model(self._graph, "CPU", settings).create_infer_request()


NETWORKS: dict[str, Callable[[Path, int], YuNetNetwork]] = {
    "onnxruntime": OnnxRuntimeYuNet,
    "openvino": OpenVinoYuNet,
}


def load_yunet(path: Path, backend: str, threads: int) -> YuNetNetwork:
    """Return the graph of an ONNX file, loaded and tried out.

    Args:
        path: The file.
        backend: "onnxruntime" or "openvino".
        threads: Threads of one call.

    Raises:
        ConfigError: the backend is unknown, or the file is missing or no YuNet.
        BackendError: the backend's runtime is not installed.
    """
    if backend not in NETWORKS:
        raise ConfigError(f"YuNet runs on the backends {' and '.join(NETWORKS)}, got {backend!r}")
    find_backend(backend)  # imports its runtime, or says how to install it
    try:
        network = NETWORKS[backend](path, threads)
        height, width = network.size or PROBE
        found = network(np.zeros((1, 3, height, width), np.float32))
    except ConfigError:
        raise
    except Exception as error:  # the runtimes' errors share no base class
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise _no_yunet(path, f"{backend} cannot run it ({reason[0]})") from error
    for name in OUTPUTS:
        kind, _, stride = name.partition("_")
        expected = (1, (height // int(stride)) * (width // int(stride)), CHANNELS[kind])
        if found[name].shape != expected:
            raise _no_yunet(
                path, f"its output {name} is {list(found[name].shape)}, expected {list(expected)}"
            )
    return network


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no YuNet file {path}; give the path of its ONNX file") from None
    except OSError as error:
        raise ConfigError(f"the YuNet file {path} cannot be read: {error.strerror or error}") from error
    if content.startswith(LFS_POINTER):
        raise ConfigError(
            f"{path} is the pointer that Git leaves in the place of a file of Git LFS; "
            "run 'git lfs pull' in its folder, or download the file itself"
        )
    return content


def _input_size(
    path: Path, inputs: Sequence[Sequence[int | str | None]], outputs: Collection[str]
) -> tuple[int, int] | None:
    """Return the fixed height and width of a graph's only input, or None where they are free.

    Args:
        path: The file of the graph, for errors.
        inputs: The shape of each input; a side that is free is a text or None.
        outputs: The names of the outputs.

    Raises:
        ConfigError: it is not the interface of a YuNet.
    """
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise _no_yunet(path, f"it has no output {missing[0]}")
    shape = inputs[0]
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        raise _no_yunet(path, f"its input is {list(map(list, inputs))}, expected [1, 3, height, width]")
    height, width = shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        if height % MULTIPLE or width % MULTIPLE:
            raise _no_yunet(path, f"its input is {width}x{height}, expected multiples of {MULTIPLE}")
        return height, width
    return None


def _no_yunet(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} is no YuNet: {reason}; expected the ONNX file of a YuNet of 2023 or later, such as "
        "face_detection_yunet_2023mar.onnx"
    )
