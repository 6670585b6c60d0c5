"""Videos made for tests with PyAV, which needs no ffmpeg program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

RATE = 25
INTERLACED_DCT, INTERLACED_ME = 0x00040000, 0x20000000  # FFmpeg's flags of an encoder


def gray(index: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """An image whose mean tells the index."""
    return np.full((*size, 3), 4 * index, np.uint8)


def write_film(
    path: Path,
    images: Iterable[np.ndarray],
    codec: str = "libx264",
    *,
    rate: float | Fraction = RATE,
    times: Iterable[float] | None = None,
    sound: bool = False,
    prepare: Callable[[Any], object] | None = None,
    form: str | None = None,
    options: dict[str, str] | None = None,
    interlaced: bool = False,
) -> Path:
    """Write images, uint8 [height, width, 3] in BGR, as a video; `prepare` sets up its stream.

    `times`, in seconds, replace those of the rate. With `sound`, a tone lasts as long as the video.
    `interlaced` takes even rows for the upper field and odd ones for the lower.
    """
    images = list(images)
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(
            codec, rate=Fraction(rate).limit_denominator(100_000), options=options or {}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if interlaced:
            stream.codec_context.flags |= INTERLACED_DCT | INTERLACED_ME
        if prepare is not None:
            prepare(stream)
        tone = (
            container.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000)
            if sound
            else None
        )
        time_base = Fraction(1, 1000) if times is not None else 1 / Fraction(rate).limit_denominator(100_000)
        if times is not None:
            stream.codec_context.time_base = time_base
        stamps = [round(t * 1000) for t in times] if times is not None else range(len(images))
        for stamp, image in zip(stamps, images, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "bgr24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(_of_fields(frame) if interlaced else frame))
        container.mux(stream.encode())
        if tone is not None:
            _write_tone(container, tone, len(images) / float(rate))
    return path


def _of_fields(frame: Any) -> Any:
    """Mark a frame as two fields, the upper one first, which encoders ask for."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    steps = [graph.add("format", "yuv420p"), graph.add("setfield", "tff"), graph.add("buffersink")]
    graph.link_nodes(source, *steps).configure()
    graph.push(frame)
    return graph.pull()


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    size = 1024
    for start in range(0, round(seconds * 48000), size):
        wave = np.sin(np.arange(start, start + size) * (2 * np.pi * 440 / 48000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[np.newaxis], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
