"""TensorRT plans of an artifact: what each was built from and for, and whether it may be loaded here.

A plan is machine code for one library version and some GPUs, and the library that reads one does not
check it well: a foreign or damaged plan can end the process. So a JSON text, the sidecar, stands beside
each, and what it says is held against the bytes, the library and the GPU before TensorRT sees anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_engine.artifact import files, schema
from fer_engine.artifact.files import read_verified
from fer_engine.artifact.schema import SchemaError
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
    `options` those of the builder.
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

    def __post_init__(self) -> None:
        capabilities, profiles = self.compute_capabilities, self.profiles
        checks = {
            "flavour": (self.flavour in FLAVOURS, f"one of {', '.join(FLAVOURS)}"),
            "version": (VERSION.fullmatch(self.version), "a version as in '11.4.1.5'"),
            "compute_capabilities": (
                capabilities and all(map(CAPABILITY.fullmatch, capabilities)),
                "a list as in ['8.9']",
            ),
            "profiles": (
                profiles and all(1 <= least <= best <= most for least, best, most in profiles),
                "a list of [least, best, largest] batches",
            ),
            "build_seconds": (self.build_seconds >= 0, "a number of at least 0"),
            "bytes": (self.bytes >= 0, "a number of at least 0"),
        }
        for name, (is_right, expected) in checks.items():
            if not is_right:
                raise SchemaError(name, expected, repr(getattr(self, name)))

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
        return json.dumps(schema.to_json(self), indent=2) + "\n"


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
                plan = schema.from_json(Plan, schema.parse(path.read_bytes(), FORMAT_VERSION))
            except (SchemaError, OSError) as error:
                raise ArtifactError(
                    f"{path} is damaged or of another release: {error}; delete it and build the plan again"
                ) from None
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
