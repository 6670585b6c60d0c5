"""TensorRT plans of an artifact: what each was built from and for, and whether it may be loaded here.

A plan is machine code for one library version and some GPUs, and the library that reads one does not
check it well: a foreign or damaged plan can end the process. So a JSON text, the sidecar, stands beside
each, and what it says is held against the bytes, the library and the GPU before TensorRT sees anything.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.artifact import files
from fer_engine.artifact.files import read_verified
from fer_engine.errors import ArtifactError

FORMAT_VERSION = 1
FLAVOURS = ("tensorrt", "tensorrt_rtx")  # modules of the libraries
VERSION = re.compile(r"\d+(\.\d+)+")
CAPABILITY = re.compile(r"\d+\.\d+")

Profile = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """The sidecar of one plan.

    `flavour` is the module that built it and can load it, `version` that library's and `cuda` the CUDA
    version that it was built for. `gpu` is the GPU it was built on, None where targets were named;
    `compute_capabilities` are those it runs on, as in "8.9". `profiles` holds (least, best, largest)
    batch of each optimization profile, in TensorRT's order. `source` is the graph's file name in the
    artifact, `calibration_sha256` the hash of the faces that INT8's ranges were measured on, None where
    there are none. `layers` is the share of convolutions in each precision as read back from the plan,
    `options` what the builder was told.
    """

    flavour: str
    version: str
    cuda: str | None
    gpu: str | None
    compute_capabilities: tuple[str, ...]
    precision: str
    profiles: tuple[Profile, ...]
    source: str
    source_sha256: str
    calibration_sha256: str | None
    layers: Mapping[str, float]
    options: Mapping[str, Any]
    build_seconds: float
    plan_sha256: str
    bytes: int
    format_version: int = FORMAT_VERSION

    @property
    def name(self) -> str:
        """File name without its ending; for people, nothing reads it."""
        targets = (capability.replace(".", "") for capability in self.compute_capabilities)
        return "-".join((self.flavour, self.precision, *(f"sm{target}" for target in targets)))

    def describe(self) -> str:
        """Return what was built, in one line."""
        layers = ", ".join(f"{share:.1%} {precision}" for precision, share in self.layers.items())
        return (
            f"{layers} of the convolutions, for compute capability {', '.join(self.compute_capabilities)}, "
            f"{self.bytes / 2**20:.1f} MiB in {self.build_seconds:.1f} s by {self.flavour} {self.version}"
        )

    def dumps(self) -> str:
        """Return the JSON text of the sidecar."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def loads(cls, text: str) -> Plan:
        """Read a sidecar.

        Raises:
            ArtifactError: it is damaged or of another version.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"is not JSON: {error}") from None
        version = data.get("format_version") if isinstance(data, dict) else None
        if version != FORMAT_VERSION:
            raise ArtifactError(f"has format version {version!r}, this release reads {FORMAT_VERSION}")
        if set(data) != names:
            raise ArtifactError(f"should have the keys {sorted(names)}, has {sorted(data)}")
        return cls(**{name: _checked(name, value) for name, value in data.items()})


@dataclass(frozen=True, slots=True)
class PlanFolder:
    """A folder of plans, of an artifact or of a cache; it need not exist yet."""

    path: Path

    def find(self, precision: str, flavour: str) -> list[Plan]:
        """Return the plans of that precision and flavour, by their sidecars alone; see `read`.

        Raises:
            ArtifactError: a sidecar is damaged or of another version.
        """
        plans = []
        for path in sorted(self.path.glob("*.json")):
            try:
                plan = Plan.loads(path.read_text("utf-8"))
            except (ArtifactError, OSError, UnicodeDecodeError) as error:
                raise ArtifactError(f"{path} {error}; delete it and build the plan again") from None
            if plan.name != path.stem:
                raise ArtifactError(f"{path} describes {plan.name}.plan, not the plan beside it; delete both")
            plans.append(plan)
        return [plan for plan in plans if (plan.precision, plan.flavour) == (precision, flavour)]

    def read(self, plan: Plan) -> bytes:
        """Return the bytes of a plan, once they are found to be those that its sidecar vouches for.

        Raises:
            ArtifactError: the file is missing, truncated or altered.
        """
        path = self.path / f"{plan.name}.plan"
        what = "the plan that its sidecar vouches for"
        return read_verified(path, plan.plan_sha256, plan.bytes, what, "build the plan again")

    def write(self, plan: Plan, content: bytes) -> Path:
        """Write a plan and its sidecar into the folder; return the plan's path.

        Raises:
            FerError: the folder cannot be written.
        """
        path = self.path / f"{plan.name}.plan"
        # A crash in between leaves a plan that its older sidecar does not vouch for: it is never loaded.
        files.write_bytes(path, content)
        files.write_text(path.with_suffix(".json"), plan.dumps())
        return path


def _checked(name: str, value: Any) -> Any:
    """Return the JSON value of one field as the dataclass holds it."""
    expected, is_right = _EXPECTED.get(name, ("a text", _is_text))
    try:
        right = is_right(value)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ArtifactError(f"has {name} {value!r}, expected {expected}")
    if name == "profiles":
        return tuple(tuple(profile) for profile in value)
    return tuple(value) if isinstance(value, list) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def _is_version(value: Any) -> bool:
    return VERSION.fullmatch(value) is not None


def _are_capabilities(value: Any) -> bool:
    return bool(value) and all(CAPABILITY.fullmatch(entry) for entry in value)


def _are_profiles(value: Any) -> bool:
    return bool(value) and all(1 <= least <= best <= most for least, best, most in value)


_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "flavour": (f"one of {', '.join(FLAVOURS)}", FLAVOURS.__contains__),
    "version": ("a version as in '11.4.1.5'", _is_version),
    "cuda": ("a text or null", _is_text_or_null),
    "gpu": ("a text or null", _is_text_or_null),
    "compute_capabilities": ("a list as in ['8.9']", _are_capabilities),
    "profiles": ("a list of [least, best, largest] batches", _are_profiles),
    "calibration_sha256": ("a text or null", _is_text_or_null),
    "layers": ("an object", _is_object),
    "options": ("an object", _is_object),
    "build_seconds": ("a number of at least 0", _is_number),
    "bytes": ("a number of at least 0", _is_number),
    "format_version": ("a number of at least 0", _is_number),
}
