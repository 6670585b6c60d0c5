"""Carries the sound of a video over to its annotated copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from fer_engine.errors import FerError
from fer_engine.vision.library import pyav
from fer_engine.vision.video.container import opened

# By suffix: the codecs that players expect in such a file, whose packets are copied; the encoder for others.
CODECS = {
    ".mp4": (("aac", "mp3", "ac3", "eac3", "alac", "opus"), "aac"),
    ".webm": (("opus", "vorbis"), "libopus"),
    ".avi": (("mp3", "ac3", "pcm_s16le"), "pcm_s16le"),
}


@final
class Sound:
    """The sound of a video file, written to a container beside the images; times count from the first image.

    Args:
        source: An open container of PyAV with sound.
        target: The container that is written.
        suffix: The suffix of the file that is written.
    """

    def __init__(self, source: Any, target: Any, suffix: str) -> None:
        copied, encoder = CODECS[suffix]
        self._target = target
        self._input = source.streams.best("audio")
        images = source.streams.best("video")
        start = images.start_time if images is not None and images.start_time is not None else None
        self._start = 0.0 if start is None else float(start * images.time_base)
        self._copies = self._input.codec_context.name in copied
        if self._copies:
            self._output = target.add_stream_from_template(self._input)
        else:
            self._output = target.add_stream(encoder, rate=48000)  # a rate that each of the encoders takes
        self._packets = self._read(source)
        self._waiting: Any = None

    def write_until(self, seconds: float) -> None:
        """Write what sounds before a time."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = packet
            if float(packet.pts * packet.time_base) - self._start >= seconds:
                return
            self._write(packet)
            self._waiting = None

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if not self._copies:
            self._target.mux(self._output.encode(None))

    def _read(self, source: Any) -> Iterator[Any]:
        with contextlib.suppress(pyav().FFmpegError):  # of a damaged file, told by who reads its images
            for packet in source.demux(self._input):
                if packet.pts is not None and float(packet.pts * packet.time_base) >= self._start:
                    yield packet

    def _write(self, packet: Any) -> None:
        offset = round(self._start / packet.time_base)
        if self._copies:
            packet.pts -= offset
            packet.dts = packet.pts  # the packets of sound are in order
            packet.stream = self._output
            self._target.mux(packet)
            return
        with contextlib.suppress(pyav().InvalidDataError):
            for frame in packet.decode():
                if frame.pts is not None:
                    frame.pts -= round(self._start / frame.time_base)
                self._target.mux(self._output.encode(frame))


@contextlib.contextmanager
def sound_of(path: Path | None) -> Iterator[Any]:
    """Open a file for its sound; gives None where there is none."""
    with contextlib.ExitStack() as stack:
        source = None
        if path is not None:
            with contextlib.suppress(FerError, OSError):  # an animated image
                file = stack.enter_context(path.open("rb"))
                source = stack.enter_context(opened(file, f"{path} has no sound", ""))
        has_sound = source is not None and source.streams.best("audio") is not None
        yield source if has_sound else None
