"""The lean runtime of fer-engine: numpy and, on demand, one inference library."""

__version__ = "0.1.0"

from fer_engine.backend import BackendOptions
from fer_engine.choice import Choice
from fer_engine.engine import Engine, EngineInfo, Prediction
from fer_engine.errors import (
    ArtifactError,
    BackendError,
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    FerError,
    InputError,
    PictureError,
    PictureSizeError,
)
from fer_engine.spec import ModelSpec

__all__ = [
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
    "InputError",
    "ModelSpec",
    "PictureError",
    "PictureSizeError",
    "Prediction",
    "__version__",
]
