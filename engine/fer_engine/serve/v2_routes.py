"""The routes of the Open Inference Protocol."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fer_engine.serve import body, v2_metadata, v2_protocol
from fer_engine.serve.service import Service

# The JSON of so many bytes is read or written in less time than it takes to wake a thread.
INLINE_TEXT = 16 * 2**10
INLINE_LOGITS = 4 * 2**10


class V2Routes:
    """The handlers of the protocol's routes, for one model."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def server(self, _: Request) -> Response:
        return JSONResponse(v2_metadata.server_metadata())

    async def live(self, _: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        self._service.check_ready()
        return JSONResponse({"ready": True})

    async def index(self, _: Request) -> Response:
        return JSONResponse(v2_metadata.repository_index(self._service.spec))

    async def model(self, request: Request) -> Response:
        self._check_model(request)
        return JSONResponse(v2_metadata.model_metadata(self._service.spec))

    async def model_config(self, request: Request) -> Response:
        self._check_model(request)
        service = self._service
        return JSONResponse(v2_metadata.model_config(service.spec, service.batching, service.limits.faces))

    async def model_ready(self, request: Request) -> Response:
        self._check_model(request)
        self._service.check_ready()
        return JSONResponse({"name": self._service.spec.name, "ready": True})

    async def statistics(self, request: Request) -> Response:
        if "name" in request.path_params:
            self._check_model(request)
        return JSONResponse(self._service.metrics.statistics(self._service.spec.name))

    async def infer(self, request: Request) -> Response:
        service, headers = self._service, body.headers_by_name(request)
        with service.admit():
            self._check_model(request)
            content = await body.read_body(request, headers, service.limits.body)
            deadline = service.deadline()
            with service.metrics.timed("compute_input"):
                parsed = await self._parse(content, headers, deadline)
            logits = await service.batcher.logits(parsed.faces, deadline)

            def render() -> Response:
                return _response(*v2_protocol.render_response(service.spec, parsed, logits), headers)

            with service.metrics.timed("compute_output"):
                return render() if logits.nbytes <= INLINE_LOGITS else await service.in_pool(render, deadline)

    async def _parse(
        self, content: bytes, headers: body.Headers, deadline: float
    ) -> v2_protocol.InferRequest:
        service = self._service
        if body.is_compressed(headers):
            compressed = content
            content = await service.in_pool(
                lambda: body.decompress(compressed, headers, service.limits.body), deadline
            )
        text, tail = v2_protocol.split_body(content, headers.get(v2_protocol.HEADER))

        def parse() -> v2_protocol.InferRequest:
            return v2_protocol.parse_request(text, tail, service.spec, service.limits.faces)

        return parse() if len(text) <= INLINE_TEXT else await service.in_pool(parse, deadline)

    def _check_model(self, request: Request) -> None:
        parameters = request.path_params
        self._service.check_model(parameters["name"], parameters.get("version", v2_protocol.VERSION))


def _response(content: bytes, text_length: int | None, headers: body.Headers) -> Response:
    compressed, encoding = body.compress(content, headers)
    own = {"content-type": "application/json"}
    if text_length is not None:
        own = {"content-type": "application/octet-stream", v2_protocol.HEADER_NAME: str(text_length)}
    if encoding is not None:
        own["content-encoding"] = encoding
    return Response(compressed, headers=own)
