"""ONNX Runtime on the CPU: one single-threaded session that all worker threads share.

A session of several threads splits every layer and waits for the slowest thread at its end; here
each thread takes whole micro-batches through the whole graph instead. Nothing waits within a
batch, activations stay in a core's own cache, and a core that other processes keep busy simply
takes fewer. ONNX Runtime releases the interpreter lock while it runs.
"""

from __future__ import annotations

import onnxruntime

from fer_engine.backend import Backend, BackendOptions, Faces, Logits, Model
from fer_engine.cores import usable_cores
from fer_engine.errors import ArtifactError, BackendError
from fer_engine.spec import INPUT_NAME

PROVIDERS = ("CPUExecutionProvider",)
MICRO_BATCHES = (2, 4, 8, 16, 32)
SILENT = 4  # log fatal errors alone: all others arrive as exceptions, and are reported once


class OnnxRuntimeBackend(Backend):
    """A model in ONNX Runtime's CPU execution provider."""

    name = "onnxruntime"

    def __init__(self, session: onnxruntime.InferenceSession, output: str, options: BackendOptions) -> None:
        self.providers = PROVIDERS
        self.versions = {"onnxruntime": onnxruntime.__version__}
        self.workers = options.threads or usable_cores()
        self.micro_batches = (options.micro_batch,) if options.micro_batch else MICRO_BATCHES
        self._run = session.run
        self._outputs = [output]

    @classmethod
    def load(cls, model: Model, options: BackendOptions) -> OnnxRuntimeBackend:
        if options.device != "cpu":
            raise BackendError(f"backend 'onnxruntime' runs on device 'cpu' alone, got {options.device!r}")
        session = _session(model)
        if tuple(session.get_providers()) != PROVIDERS:
            raise BackendError(f"onnxruntime runs on {session.get_providers()}, not on {list(PROVIDERS)}")
        _check_interface(session, model)
        return cls(session, model.spec.output, options)

    def infer(self, faces: Faces) -> Logits:
        try:
            return self._run(self._outputs, {INPUT_NAME: faces})[0]
        except Exception as error:  # onnxruntime's errors share no base class
            raise BackendError(f"onnxruntime failed on {len(faces)} faces: {_first_line(error)}") from error

    def close(self) -> None:
        del self._run


def _session(model: Model) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    settings.log_severity_level = SILENT
    try:
        return onnxruntime.InferenceSession(model.content, settings, providers=list(PROVIDERS))
    except Exception as error:  # onnxruntime's errors share no base class
        raise ArtifactError(
            f"onnxruntime cannot load the {model.precision} graph of {model.folder}: {_first_line(error)}; "
            "run fer-export again"
        ) from error


def _check_interface(session: onnxruntime.InferenceSession, model: Model) -> None:
    """Refuse a graph whose inputs and outputs are not those of the spec."""
    spec = model.spec
    expected = (
        (INPUT_NAME, "tensor(uint8)", spec.face_shape),
        (spec.output, "tensor(float)", (len(spec.labels),)),
    )
    got = [(node.name, node.type, node.shape) for node in (*session.get_inputs(), *session.get_outputs())]
    fixed_batch = any(isinstance(shape[0], int) for _, _, shape in got if shape)
    if fixed_batch or tuple((name, kind, tuple(shape[1:])) for name, kind, shape in got) != expected:
        wanted = ", ".join(f"{name} {kind} {['batch', *shape]}" for name, kind, shape in expected)
        found = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in got)
        raise ArtifactError(
            f"the {model.precision} graph of {model.folder} does not fit its spec: expected {wanted}; "
            f"got {found}; run fer-export again"
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
