"""Runtimes that report home are imported with that turned off."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

# ONNX Runtime for Linux from 1.29 on keeps a device id and a queue of events in the user's cache folder, and
# sends them, unless this is set when it is imported.
ONNXRUNTIME_VARIABLE = "ORT_DISABLE_TELEMETRY"
# OpenVINO writes into ~/intel and sends an event when it is imported, unless this module is missing.
OPENVINO_MODULE = "openvino_telemetry"


@contextlib.contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep the telemetry of ONNX Runtime and OpenVINO off, if the body is the first to import them.

    `ORT_DISABLE_TELEMETRY` counts as it is where the user has set it. Environment and modules are as before
    at the end: both libraries look only while they are imported.
    """
    was_set = ONNXRUNTIME_VARIABLE in os.environ
    was_imported = OPENVINO_MODULE in sys.modules
    if not was_set:
        os.environ[ONNXRUNTIME_VARIABLE] = "1"
    if not was_imported:
        sys.modules[OPENVINO_MODULE] = None  # type: ignore[assignment] # then importing it fails
    try:
        yield
    finally:
        if not was_set:
            os.environ.pop(ONNXRUNTIME_VARIABLE, None)
        if not was_imported:
            sys.modules.pop(OPENVINO_MODULE, None)
