"""The check that a graph, as a runtime read it, is the one that its spec describes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fer_engine.backend import Model
from fer_engine.errors import ArtifactError
from fer_engine.spec import INPUT_NAME


class Port(NamedTuple):
    """An input or output; `kind` is NumPy's name of its type, an axis that is not fixed is a text."""

    name: str
    kind: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {list(self.shape)}"


def check_interface(model: Model, ports: Iterable[Port]) -> None:
    """Hold the inputs and outputs of a graph, in order, against the model's spec.

    Raises:
        ArtifactError: a name, type or shape differs, or the batch is fixed.
    """
    spec = model.spec
    expected = [
        Port(INPUT_NAME, "uint8", ("batch", *spec.face_shape)),
        Port(spec.output, "float32", ("batch", len(spec.labels))),
    ]
    found = list(ports)
    same_batch = [
        port._replace(shape=("batch", *port.shape[1:])) if _is_free(port) else port for port in found
    ]
    if same_batch != expected:
        raise ArtifactError(
            f"the {model.precision} graph of {model.folder} does not fit its spec: "
            f"expected {', '.join(map(str, expected))}; got {', '.join(map(str, found))}; "
            "run fer-export again"
        )


def _is_free(port: Port) -> bool:
    return bool(port.shape) and isinstance(port.shape[0], str)
