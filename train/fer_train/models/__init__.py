"""The networks that fer-engine knows, by name."""

from __future__ import annotations

from fer_engine.errors import ConfigError
from fer_train.models import (
    bitmoji_cnn,
    cnn3,
    face_cnn,
    face_detector,
    face_verifier,
    fer_teacher,
    fer_tiny,
    mini_xception,
    resnet34,
    simple_cnn,
    vgg16,
)
from fer_train.models.entry import Entry

__all__ = ["FINDER", "MODELS", "Entry", "find_model"]

# The networks of expressions.
MODELS: dict[str, Entry] = {
    **mini_xception.ENTRIES,
    **fer_tiny.ENTRIES,
    **simple_cnn.ENTRIES,
    **cnn3.ENTRIES,
    **face_cnn.ENTRIES,
    **vgg16.ENTRIES,
    **resnet34.ENTRIES,
    **bitmoji_cnn.ENTRIES,
    **fer_teacher.ENTRIES,
}
# The two that find faces, which `python -m fer_train.finder` trains.
FINDER: dict[str, Entry] = {**face_detector.ENTRIES, **face_verifier.ENTRIES}


def find_model(name: str) -> Entry:
    """Return the registry's entry for `name`.

    Raises:
        ConfigError: there is no such network.
    """
    try:
        return MODELS[name] if name in MODELS else FINDER[name]
    except KeyError:
        raise ConfigError(f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}") from None
