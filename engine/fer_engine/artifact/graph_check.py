"""What a runtime would do with an ONNX file beyond computing: read other files, or never come to an end.

The file is read as far as that takes, by the wire format of protocol buffers
(https://protobuf.dev/programming-guides/encoding/) and the field numbers of onnx.proto, without ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator

from fer_engine.errors import ArtifactError

SPEC_KEY = "fer_engine.spec"  # of the metadata; stands in files that were exported: it never changes
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# The messages on the way to every tensor and node, by field number.
PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of a tensor
NODES, NODE_INPUTS, NODE_OUTPUTS = 1, 1, 2
METADATA = 14  # field of the model
DEPTH = 32  # messages in each other; a graph within a graph takes three
Field = tuple[int, int, "memoryview | int"]  # number, wire type, content


def check_graph(content: bytes, name: str) -> str | None:
    """Check that an ONNX file is whole by itself and that its nodes come in order; return the spec in it.

    Args:
        content: The file.
        name: What errors call it.

    Returns:
        The JSON text of the spec in its metadata; None where it has none.

    Raises:
        ArtifactError: it names other files, a node reads what a later one gives, or it is no such file.
    """
    try:
        _check(memoryview(content), "model", name, 0)
        return _spec(memoryview(content))
    except (IndexError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} is no whole ONNX file ({error}); export it again") from None


def _check(message: memoryview, kind: str, name: str, depth: int) -> None:
    if depth > DEPTH:
        raise ValueError("messages lie too deep in each other")
    if kind in ("graph", "function"):
        _check_order(message, NODES if kind == "graph" else 7, name)
    for number, wire, value in _fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0)):
            raise ArtifactError(
                f"{name} keeps weights in another file, which no manifest vouches for; export it as one file"
            )
        part = PARTS[kind].get(number)
        if part is not None and wire == BYTES and isinstance(value, memoryview):
            _check(value, part, name, depth + 1)


def _check_order(graph: memoryview, nodes: int, name: str) -> None:
    """Check that no node reads what itself or a later one gives: a circle has such a node."""
    found = []
    for number, _, node in _fields(graph):
        if number == nodes and isinstance(node, memoryview):
            parts = [
                (number, bytes(value)) for number, _, value in _fields(node) if isinstance(value, memoryview)
            ]
            found.append(
                tuple(
                    {value for number, value in parts if number == end} for end in (NODE_INPUTS, NODE_OUTPUTS)
                )
            )
    later = {output for _, outputs in found for output in outputs} - {b""}
    for inputs, outputs in found:
        if inputs & later:
            tensor = min(inputs & later).decode("utf-8", "replace")
            raise ArtifactError(
                f"{name} has a node that reads {tensor!r} before it is computed, as in a circle; "
                "export it again"
            )
        later -= outputs


def _spec(model: memoryview) -> str | None:
    for number, _, entry in _fields(model):
        if number == METADATA and isinstance(entry, memoryview):
            pair = {key: bytes(value) for key, _, value in _fields(entry) if isinstance(value, memoryview)}
            if pair.get(1) == SPEC_KEY.encode():
                return pair.get(2, b"").decode("utf-8", "replace")
    return None


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message; groups, which ONNX never had, are refused."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = _varint(message, place)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, place = _varint(message, place)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {place}")
        if size > len(message) - place:
            raise ValueError("it is cut off")
        yield number, wire, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number has too many bytes")
