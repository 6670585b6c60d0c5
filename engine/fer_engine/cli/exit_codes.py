"""What every command does with what goes wrong: one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from fer_engine.errors import FerError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141  # as shells tell of SIGPIPE

# The extra that brings each optional library.
EXTRAS = {
    "cv2": "vision",
    "PIL": "vision",
    "av": "vision",
    "onnxruntime": "cpu",
    "openvino": "openvino",
    "uvicorn": "serve",
    "starlette": "serve",
    "httptools": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "torch": "train",
    "safetensors": "train",
    "matplotlib": "train",
    "rich": "train",
    "tomli": "train",
    "onnx": "export",
    "onnxscript": "export",
    "jinja2": "bench",
    "packaging": "bench",
}


def run_command(body: Callable[[], int]) -> int:
    """Return the exit code of `body`: its own, 2 for an error of ours, 130 for Ctrl-C.

    It is 141 where the reader of standard output has left, as `head` does.
    """
    try:
        code = body()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends, and would complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_READER
    except FerError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        print(
            f"error: {name} is not installed; install it with pip install 'fer-engine[{EXTRAS[name]}]'",
            file=sys.stderr,
        )
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code
