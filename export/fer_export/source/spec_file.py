"""The spec of a user's own network: the fields that only its owner knows, as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from fer_engine.artifact.spec import INPUT_NAME, ModelSpec
from fer_engine.errors import ArtifactError, ConfigError

# No defaults: a wrong one would give wrong answers, and no error.
REQUIRED = ("name", "labels", "task", "height", "width", "channels", "mean", "scale")
OPTIONAL = ("output", "opset", "temperature")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it also names the artifact's folder
EXAMPLE = ModelSpec("my_net", labels=("calm", "tense"), mean=(0.0,), scale=(255.0,))


def read_spec(path: Path) -> ModelSpec:
    """Read the spec of a network: all of `REQUIRED`, any of `OPTIONAL`.

    A spec.json of fer-train will do too: what else it holds is made anew.

    Raises:
        ConfigError: it is missing, no JSON, or a field is missing, unknown or wrong.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the spec {path} ({error.strerror}); write one as {example_spec()}"
        ) from None
    except ValueError as error:
        raise ConfigError(f"the spec {path} is not JSON ({error}); write it as {example_spec()}") from None
    known = {field.name for field in dataclasses.fields(ModelSpec)}
    given = set(data) if isinstance(data, dict) else set()
    missing = [name for name in REQUIRED if name not in given]
    unknown = sorted(given - known)
    if missing or unknown:
        raise ConfigError(
            f"the spec {path} lacks {', '.join(missing) or 'nothing'} and has the unknown fields "
            f"{', '.join(unknown) or 'none'}; write it as {example_spec()}"
        )
    kept = {name: data[name] for name in (*REQUIRED, *OPTIONAL) if name in given}
    try:
        spec = ModelSpec.from_json(EXAMPLE.to_json() | kept)
    except ArtifactError as error:
        raise ConfigError(f"the spec {path} is wrong: {error}") from None
    for field, name in (("name", spec.name), ("output", spec.output)):
        if not NAME.fullmatch(name) or name == INPUT_NAME:
            raise ConfigError(
                f"the spec {path} has the {field} {name!r}, expected letters, digits and ._- such as my_net, "
                f"and not {INPUT_NAME}, which is the input"
            )
    return spec


def example_spec() -> str:
    """Return a spec as JSON, to start from."""
    fields = EXAMPLE.to_json()
    return json.dumps({name: fields[name] for name in REQUIRED})
