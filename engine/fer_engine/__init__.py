"""The lean runtime of fer-engine: numpy and, on demand, one inference library."""

from fer_engine._version import __version__
from fer_engine.artifact.artifact import Artifact
from fer_engine.artifact.spec import ModelSpec
from fer_engine.engine import Engine, EngineInfo, Prediction
from fer_engine.errors import (
    ArtifactError,
    BackendError,
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    FerError,
    ImageError,
    ImageSizeError,
    InputError,
    PictureError,
    PictureSizeError,
)
from fer_engine.runtime.backend import BACKENDS, BackendOptions
from fer_engine.selection.select import Choice

__all__ = [
    "BACKENDS",
    "Artifact",
    "ArtifactError",
    "BackendError",
    "BackendOptions",
    "CheckpointError",
    "Choice",
    "ConfigError",
    "DataError",
    "Engine",
    "EngineInfo",
    "ExportError",
    "FerError",
    "ImageError",
    "ImageSizeError",
    "InputError",
    "ModelSpec",
    "PictureError",
    "PictureSizeError",
    "Prediction",
    "__version__",
]
