"""ONNX Runtime on the CPU or on an NVIDIA GPU.

On the CPU one single-threaded session is shared by all worker threads. A session of several threads
splits every layer and waits for the slowest thread at its end; here each thread takes whole
micro-batches through the whole graph instead. Nothing waits within a batch, activations stay in a
core's own cache, and a core that other processes keep busy simply takes fewer. In mode "latency" it
is the one session of several threads all the same. ONNX Runtime releases the interpreter lock while
it runs.

On a GPU ONNX Runtime itself runs on the CPU what its execution provider does not take, and all of it
where the provider cannot start. Here that is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

import onnxruntime

from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.backends.cuda.devices import device_index
from fer_engine.errors import ArtifactError, BackendError, first_line
from fer_engine.runtime.backend import Backend, BackendOptions, Faces, Logits, Model
from fer_engine.runtime.validate import TensorInfo, check_interface

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
# Without its flag the TensorRT provider builds float32, or refuses the graph.
PRECISION_FLAGS = {"fp16": "trt_fp16_enable", "int8": "trt_int8_enable"}
MICRO_BATCHES = (2, 4, 8, 16, 32)
GPU_MICRO_BATCHES = (32, 64, 128, 256, 512)
KINDS = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
SILENT = 4  # log fatal errors alone: all others arrive as exceptions, and are reported once
# Makes the session remember which provider takes each node.
RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
NAMED_NODES = 3  # a message names this many of the nodes that it is about


class OnnxRuntimeBackend(Backend):
    """A model in ONNX Runtime's CPU or CUDA execution provider."""

    name = "onnxruntime"
    versions: ClassVar[dict[str, str]] = {"onnxruntime": onnxruntime.__version__}

    def __init__(
        self, session: onnxruntime.InferenceSession, provider: str, output: str, options: BackendOptions
    ) -> None:
        on_cpu = provider == CPU
        self.providers = (provider,)
        self.threads = options.cores if on_cpu else 1
        self.workers = options.workers if on_cpu else 1
        sizes = MICRO_BATCHES if on_cpu else GPU_MICRO_BATCHES
        self.micro_batches = (options.micro_batch,) if options.micro_batch else sizes
        self._run = session.run
        self._outputs = [output]

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> OnnxRuntimeBackend:
        provider, settings = cls._provider(model, options)
        if provider not in onnxruntime.get_available_providers():
            raise BackendError(
                f"device {options.device!r} needs onnxruntime's {provider}, the one installed has "
                f"{', '.join(onnxruntime.get_available_providers())}; exchange it with: "
                "pip uninstall onnxruntime && pip install 'fer-engine[gpu]'"
            )
        session = _session(model, options, provider, settings)
        _check_placement(session, provider)
        check_interface(model, _tensors(session))
        return cls(session, provider, model.spec.output, options)

    @classmethod
    def _provider(cls, model: Model, options: BackendOptions) -> tuple[str, dict[str, str]]:  # noqa: ARG003
        """Return the execution provider to run on, and its settings."""
        if options.device == "cpu":
            return CPU, {}
        # Left to itself it computes float32 convolutions with the ten bits of TF32.
        return CUDA, {"device_id": str(device_index(options.device, cls.name, ("cpu",))), "use_tf32": "0"}

    def infer(self, faces: Faces) -> Logits:
        try:
            return self._run(self._outputs, {INPUT_NAME: faces})[0]
        except Exception as error:  # onnxruntime's errors share no base class
            raise BackendError(f"onnxruntime failed on {len(faces)} faces: {first_line(error)}") from error

    def close(self) -> None:
        del self._run


class OnnxRuntimeTensorRtBackend(OnnxRuntimeBackend):
    """A model in ONNX Runtime's TensorRT execution provider, which builds its engines at load.

    With `BackendOptions.cache` they are kept there.
    """

    name = "onnxruntime-tensorrt"

    @classmethod
    def _provider(cls, model: Model, options: BackendOptions) -> tuple[str, dict[str, str]]:
        settings = {"device_id": str(device_index(options.device, cls.name))}
        if model.precision in PRECISION_FLAGS:
            settings[PRECISION_FLAGS[model.precision]] = "1"
        if options.cache is not None:
            # It names an engine after the graph's structure, not its weights: a folder for each graph.
            folder = options.cache / hashlib.sha256(model.content).hexdigest()[:16]
            settings |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
        return TENSORRT, settings


def _session(
    model: Model, options: BackendOptions, provider: str, provider_settings: dict[str, str]
) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.cores // options.workers
    settings.inter_op_num_threads = 1
    settings.log_severity_level = SILENT
    settings.add_session_config_entry(RECORD_PLACEMENT, "1")
    try:
        # Without `enable_fallback=False` it prints why the provider cannot start, and goes on without.
        return onnxruntime.InferenceSession(
            model.content, settings, [(provider, provider_settings)], enable_fallback=False
        )
    except Exception as error:  # onnxruntime's errors share no base class
        failure = (
            f"onnxruntime cannot load the {model.precision} graph of {model.folder}: {first_line(error)}"
        )
        if provider == CPU:
            raise ArtifactError(f"{failure}; run fer-export again") from error
        raise BackendError(
            f"{failure}; if it loads with device='cpu', install what {provider} needs: the NVIDIA driver, "
            "CUDA, and cuDNN or TensorRT"
        ) from error


def _check_placement(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Check that the provider has started and runs every node of the session.

    Raises:
        BackendError: the provider did not start, or leaves nodes to another.
    """
    if provider not in session.get_providers():
        raise BackendError(
            f"onnxruntime cannot start {provider} and would run on {', '.join(session.get_providers())}; "
            "what it printed names the library that is missing: install the NVIDIA driver, and CUDA "
            "and cuDNN with: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    if provider == CPU:
        return
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise BackendError(
            f"onnxruntime {onnxruntime.__version__} cannot tell where each node runs, which a GPU needs; "
            "upgrade it with: pip install --upgrade onnxruntime-gpu"
        )
    elsewhere = [
        f"{node.name or node.op_type} ({placed.ep_name})"
        for placed in session.get_provider_graph_assignment_info()
        if placed.ep_name != provider
        for node in placed.get_nodes()
    ]
    if elsewhere:
        more = ", ..." if len(elsewhere) > NAMED_NODES else ""
        raise BackendError(
            f"onnxruntime's {provider} does not run {len(elsewhere)} nodes of the graph: "
            f"{', '.join(elsewhere[:NAMED_NODES])}{more}; use another precision or backend on this device"
        )


def _tensors(session: onnxruntime.InferenceSession) -> Iterator[TensorInfo]:
    for node in (*session.get_inputs(), *session.get_outputs()):
        shape = tuple("?" if size is None else size for size in node.shape)
        yield TensorInfo(node.name, KINDS.get(node.type, node.type), shape)
