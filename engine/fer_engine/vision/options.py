"""Checks of the options of face detectors."""

from __future__ import annotations

from fer_engine.errors import ConfigError


def check_positive(**values: int) -> None:
    """Raise ConfigError if a value is below 1."""
    for name, value in values.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")


def check_share(**values: float) -> None:
    """Raise ConfigError if a value is not from 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be from 0 to 1, got {value}")
