"""From an ONNX graph to a plan; the library is an argument, the same for all flavours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_engine.artifact import files
from fer_engine.artifact.spec import INPUT_NAME
from fer_engine.backends.tensorrt.log import Log
from fer_engine.errors import BackendError, ConfigError, ExportError
from fer_export.tensorrt.monitor import Progress, monitor
from fer_export.tensorrt.options import BuildOptions

MIB = 1 << 20
# Notes of where in its own source the parser stood, and of the driver that is missing, begin so.
NOISE = ("[", "In function", "ERROR:")
ADVICE = {
    "MODEL_DESERIALIZE_FAILED": "the file is no ONNX graph, or damaged: run fer-export again",
    "UNSUPPORTED_NODE": "this version has no such operator: update the library, or replace the layer",
    "INVALID_NODE": "TensorRT takes INT8 as symmetric Q/DQ on the inputs of convolutions alone, as "
    "'fer-export --int8' writes it into model.int8.onnx; else see 'polygraphy inspect capability'",
}
OTHER_ADVICE = "see 'polygraphy inspect capability' for the parts that TensorRT does take"


def build_plan(
    trt: Any,
    graph: bytes,
    face_shape: tuple[int, ...],
    options: BuildOptions,
    *,
    gpu: str | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> bytes:
    """Return the plan of `graph`, whose input `faces` is uint8 [batch, *face_shape].

    `gpu` names the GPU that the timing cache belongs to. `report(share)` is told how far the build is.

    Raises:
        ExportError: the parser refuses the graph.
        ConfigError: the installed version does not know an option.
        BackendError: the build failed.
    """
    log = Log(trt, echo=_print if options.verbose else None)
    builder = trt.Builder(log.logger)
    network, parser = _parse_network(trt, builder, log.logger, graph)
    config = builder.create_builder_config()
    progress = monitor(trt, Progress(report))  # TensorRT keeps no reference
    config.progress_monitor = progress
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else precisions cannot be read back
    _add_profiles(builder, config, face_shape, options)
    _apply(trt, config, options)
    cache = _timing_cache(trt, options, gpu)
    if cache is not None:
        _load_timing_cache(config, cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise log.failure("build_serialized_network", "see all of its messages with --verbose")
    report(1.0)  # the library ends its phases early where it needs fewer steps
    if cache is not None:
        files.write_bytes(cache, bytes(config.get_timing_cache().serialize()))
    content = bytes(plan)
    del plan, network, parser, config, builder  # in this order, before the logger
    return content


def _parse_network(trt: Any, builder: Any, logger: Any, graph: bytes) -> tuple[Any, Any]:
    """Return a strongly typed network of `graph`, and the parser, which must live as long."""
    # TensorRT 10 needs the flag; 11 and RTX take it and know nothing else.
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        raise ExportError(f"{trt.__name__} {trt.__version__} refuses the graph: {_parser_error(parser)}")
    return network, parser


def _parser_error(parser: Any) -> str:
    """Return the first error of the parser, which the others follow from, in one line with advice."""
    if parser.num_errors == 0:
        return f"it gave no reason; {OTHER_ADVICE}"
    error = parser.get_error(0)
    code = error.code().name
    advice = next((text for key, text in ADVICE.items() if code.startswith(key)), OTHER_ADVICE)
    node = f"node {error.node_name()!r} ({error.node_operator()}): " if error.node_operator() else ""
    lines = [line.strip() for line in error.desc().splitlines()]
    telling = [line for line in lines if line and not line.startswith(NOISE)] or lines
    return f"{node}{' / '.join(telling)} ({code}); {advice}"


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def _add_profiles(builder: Any, config: Any, face_shape: tuple[int, ...], options: BuildOptions) -> None:
    for batches in options.profiles:
        profile = builder.create_optimization_profile()
        profile.set_shape(INPUT_NAME, *((batch, *face_shape) for batch in batches))
        if config.add_optimization_profile(profile) < 0:
            raise ConfigError(f"the library refuses a profile of the batches {batches}; give other batches")


def _apply(trt: Any, config: Any, options: BuildOptions) -> None:
    config.clear_flag(trt.BuilderFlag.TF32)  # on by default; it would make fp32 one of ten bits
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatibility != "none":
        levels = trt.HardwareCompatibilityLevel
        config.hardware_compatibility_level = _member(trt, levels, options.hardware_compatibility.upper())
    if options.flavour == "tensorrt_rtx":
        # Without it the plan allocates at run time, which the capture of a CUDA graph forbids.
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
        _set_targets(trt, config, options.rtx_targets)


def _set_targets(trt: Any, config: Any, targets: tuple[str, ...]) -> None:
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        capability = _member(trt, trt.ComputeCapability, f"SM{target.replace('.', '')}")
        if not config.set_compute_capability(capability, index):
            raise BackendError(f"{trt.__name__} refuses the target {target}; leave out --target {target}")


def _member(trt: Any, enum: Any, name: str) -> Any:
    if name not in enum.__members__:
        raise ConfigError(
            f"{trt.__name__} {trt.__version__} has no {name}, it has {', '.join(enum.__members__)}; "
            "choose one of these, or update it"
        )
    return enum.__members__[name]


def _timing_cache(trt: Any, options: BuildOptions, gpu: str | None) -> Path | None:
    """Return the cache's file; measurements hold for one GPU and one version."""
    if options.timing_cache is None:
        return None
    name = re.sub(r"[^\w.]+", "-", f"{trt.__name__}-{trt.__version__}-{gpu or 'gpu'}")
    return options.timing_cache / f"{name}.timing"


def _load_timing_cache(config: Any, path: Path) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give another --timing-cache") from None
    if not config.set_timing_cache(config.create_timing_cache(content), ignore_mismatch=False):
        raise ConfigError(f"{path} is of another GPU or version, or damaged; delete it")
