"""The Open Inference Protocol over gRPC, with the engine and batches of HTTP; needs the extra `grpc`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fer_engine.errors import BackendError, ConfigError, FerError
from fer_engine.serve import v2_metadata
from fer_engine.serve.limits import RefusedError
from fer_engine.serve.service import Service
from fer_engine.serve.v2_protocol import VERSION
from fer_engine.serve.v2_routes import INLINE_LOGITS, INLINE_TEXT

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # or its core writes lines of its own on standard error
try:
    import grpc
    from google.protobuf.json_format import ParseDict

    from fer_engine.serve.grpc_infer import make_response, read_request
    from fer_engine.serve.grpc_messages import DATA_TYPES, MESSAGES, SERVICE
except ImportError as error:
    raise ConfigError(f"--grpc-port needs gRPC ({error}): pip install 'fer-engine[grpc]'") from None

LOG = logging.getLogger(__name__)
CODES = {
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
MESSAGE_HEAD = 64 * 2**10  # bytes of a message beside its tensor
Method = Callable[[Any], Awaitable[Any]]


class GrpcServer:
    """Serves GRPCInferenceService in the running event loop; create it there.

    `port` is the one that it listens on once it has started.
    """

    def __init__(self, service: Service) -> None:
        self.port = 0
        self._service = service
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", service.limits.body + MESSAGE_HEAD),
                ("grpc.so_reuseport", 0),  # or two servers would share the port in silence
            ]
        )
        methods: dict[str, Method] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "ModelInfer": self._infer,
        }
        handlers = {name: self._handler(name, method) for name, method in methods.items()}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])

    async def start(self, host: str, port: int) -> None:
        """Listen and serve; port 0 takes any free port.

        Raises:
            ConfigError: the address is in use, or not of this machine.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise ConfigError(
                f"cannot listen on {address}; give another --grpc-port (0 takes a free one)"
            ) from None
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Refuse new requests, and finish those that run within so many seconds."""
        await self._server.stop(seconds)

    def _handler(self, name: str, method: Method) -> Any:
        """Return what calls a method, turns errors into status codes, and counts the answers."""
        metrics, route = self._service.metrics, f"grpc/{name}"

        async def answer(request: Any, context: Any) -> Any:
            begun, text, response = time.perf_counter(), "", None
            try:
                response, code = await method(request), grpc.StatusCode.OK
            except RefusedError as refused:
                code, text = CODES.get(refused.status, grpc.StatusCode.INVALID_ARGUMENT), str(refused)
            except BackendError as error:
                LOG.error("%s: %s", route, error)  # noqa: TRY400 - the text says all
                code, text = grpc.StatusCode.INTERNAL, str(error)
            except FerError as error:
                code, text = grpc.StatusCode.INVALID_ARGUMENT, str(error)
            except Exception:
                LOG.exception("%s failed", route)
                code, text = grpc.StatusCode.INTERNAL, "the server failed on this request; its log says why"
            metrics.requests.labels(route, code.name).inc()
            metrics.durations.labels(route).observe(time.perf_counter() - begun)
            if code is not grpc.StatusCode.OK:
                await context.abort(code, text)
            return response

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=MESSAGES[f"{name}Request"].FromString,
            response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
        )

    async def _live(self, _: Any) -> Any:
        return MESSAGES["ServerLiveResponse"](live=True)

    async def _ready(self, _: Any) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=not self._service.draining)

    async def _model_ready(self, request: Any) -> Any:
        self._check_model(request.name, request.version)
        return MESSAGES["ModelReadyResponse"](ready=not self._service.draining)

    async def _server_metadata(self, _: Any) -> Any:
        return _message("ServerMetadataResponse", v2_metadata.server_metadata())

    async def _model_metadata(self, request: Any) -> Any:
        self._check_model(request.name, request.version)
        return _message("ModelMetadataResponse", v2_metadata.model_metadata(self._service.spec))

    async def _model_config(self, request: Any) -> Any:
        self._check_model(request.name, request.version)
        service = self._service
        config = v2_metadata.model_config(service.spec, service.batching, service.limits.faces)
        for tensor in config["input"] + config["output"]:
            tensor["data_type"] = DATA_TYPES[tensor["data_type"]]
        return _message("ModelConfigResponse", {"config": config})

    async def _statistics(self, request: Any) -> Any:
        if request.name:
            self._check_model(request.name, request.version)
        statistics = self._service.metrics.statistics(self._service.spec.name)
        return _message("ModelStatisticsResponse", statistics)

    async def _index(self, _: Any) -> Any:
        index = v2_metadata.repository_index(self._service.spec)
        return _message("RepositoryIndexResponse", {"models": index})

    async def _infer(self, request: Any) -> Any:
        service = self._service
        with service.admit():
            self._check_model(request.model_name, request.model_version)
            deadline = service.deadline()

            def read() -> Any:
                return read_request(request, service.spec, service.limits.faces)

            with service.metrics.timed("compute_input"):
                slow = request.ByteSize() > INLINE_TEXT and not request.raw_input_contents
                parsed = await service.in_pool(read, deadline) if slow else read()
            logits = await service.batcher.logits(parsed.faces, deadline)

            def render() -> Any:
                return make_response(service.spec, parsed, logits)

            with service.metrics.timed("compute_output"):
                return render() if logits.nbytes <= INLINE_LOGITS else await service.in_pool(render, deadline)

    def _check_model(self, name: str, version: str) -> None:
        self._service.check_model(name, version or VERSION)


def _message(name: str, values: dict[str, Any]) -> Any:
    """Return a message whose JSON is that of the protocol over HTTP."""
    return ParseDict(values, MESSAGES[name]())
