"""From an ONNX graph to a network of TensorRT, and what to do where its parser refuses one."""

from __future__ import annotations

from typing import Any

from fer_engine.errors import ExportError

# Notes of where in its own source the parser stood, and of the driver that is missing, begin so.
NOISE = ("[", "In function", "ERROR:")
ADVICE = {
    "MODEL_DESERIALIZE_FAILED": "the file is no ONNX graph, or damaged: run fer-export again",
    "UNSUPPORTED_NODE": "this version has no such operator: update the library, or replace the layer",
    "INVALID_NODE": "TensorRT takes INT8 as symmetric Q/DQ on the inputs of convolutions alone, as "
    "'fer-export --int8' writes it into model.int8.onnx; else see 'polygraphy inspect capability'",
}
OTHER_ADVICE = "see 'polygraphy inspect capability' for the parts that TensorRT does take"


def parse_network(trt: Any, builder: Any, logger: Any, graph: bytes) -> tuple[Any, Any]:
    """Return a strongly typed network of `graph`, and the parser, which must live as long.

    Raises:
        ExportError: the parser refuses the graph.
    """
    # TensorRT 10 needs the flag; 11 and RTX take it and know nothing else.
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        raise ExportError(f"{trt.__name__} {trt.__version__} refuses the graph: {_reason(parser)}")
    return network, parser


def _reason(parser: Any) -> str:
    """Return the first error of the parser, which the others follow from, in one line with advice."""
    if parser.num_errors == 0:
        return f"it gave no reason; {OTHER_ADVICE}"
    error = parser.get_error(0)
    code = error.code().name
    advice = next((text for key, text in ADVICE.items() if code.startswith(key)), OTHER_ADVICE)
    node = f"node {error.node_name()!r} ({error.node_operator()}): " if error.node_operator() else ""
    lines = [line.strip() for line in error.desc().splitlines()]
    telling = [line for line in lines if line and not line.startswith(NOISE)] or lines
    return f"{node}{' / '.join(telling)} ({code}); {advice}"
