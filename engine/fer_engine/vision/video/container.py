"""Reads the frames of a video, a file or a stream, through PyAV and its FFmpeg."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import Any, Protocol

from fer_engine.errors import FerError
from fer_engine.vision.library import pyav
from fer_engine.vision.video.display import Display
from fer_engine.vision.video.frame import Frame

# A video may end a little before the length that its container states: that is rounded, or counts frames that
# decoders do not show.
UNCERTAIN_FRAMES = 3
UNCERTAIN_SHARE = 0.01
# Containers that state their length. Of the others FFmpeg guesses it, by the bit rate for example.
STATE_LENGTH = ("mov,mp4", "matroska,webm", "avi", "asf", "flv", "nut", "mxf")
USUAL_RATE = 25.0  # frames a second, where no rate is stated
FAILURES = 50  # errors of the container in a row, after which the rest is given up
NEAR_DAMAGE = 32  # frames; decoders give them in another order than errors, by up to so many
GAP = 1.5  # in frame durations: a longer step beside damage is a gap
# A file must not make FFmpeg open others, as a playlist would.
FILE_OPTIONS = {"protocol_whitelist": "none"}
# For HTTP. The others know no such options and ignore them.
STREAM_OPTIONS = {
    "rtsp_flags": "prefer_tcp",  # over UDP, what is lost in between becomes smeared frames
    "reconnect": "1",
    "reconnect_streamed": "1",
    "reconnect_on_network_error": "1",
    "reconnect_delay_max": "5",
}
STREAM_SECONDS = 10.0  # without an answer a stream has broken off


class ByteSource(Protocol):
    """An open binary file. One that is seekable also has `seek` and `tell`."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seekable(self) -> bool: ...


class UnopenedError(FerError):
    """A video that cannot be opened or reached."""


@contextlib.contextmanager
def opened(source: str | ByteSource, problem: str, advice: str, form: str | None = None) -> Iterator[Any]:
    """Open a container of videos, and close it at the end.

    Args:
        source: A URL, or a file, whose name FFmpeg does not see: not to guess by it, nor to read it as a URL.
        problem: What to say where it cannot be opened; FFmpeg's reason and the `advice` follow.
        advice: How to put it right.
        form: FFmpeg's name of the format; None to recognize it by its content.

    Raises:
        UnopenedError: it cannot be opened.
    """
    av = pyav()
    try:
        if isinstance(source, str):
            container = av.open(
                source, format=form, options=STREAM_OPTIONS, timeout=STREAM_SECONDS, metadata_errors="replace"
            )
        else:
            container = av.open(
                _nameless(source), format=form, options=FILE_OPTIONS, metadata_errors="replace"
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnopenedError(f"{problem} ({reason}): {advice}") from error
    with container:
        yield container


def video_stream(container: Any, name: str) -> Any:
    """Return the stream of a container that a player would show.

    Raises:
        FerError: there is none, or FFmpeg lacks its decoder.
    """
    from av.stream import Disposition

    # The cover of a song is stored as a video of one frame.
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    if not films:
        raise FerError(f"{name} holds no video, only sound or data: give a file with images")
    stream = best if best in films else films[0]
    if stream.codec_context is None:
        raise FerError(f"{name} holds a video that this PyAV cannot decode: convert it to H.264 or VP9")
    return stream


class VideoReader:
    """Reads the frames of an open container once.

    Frames that are damaged, or cannot be decoded, are left out and counted. Those before the first whole one
    do not count: a recording may begin anywhere.

    Args:
        container: As `opened` gives it.
        name: The source's name in frames and errors.
        max_pixels: Largest width x height of a frame, as stored and as shown.
        live: Give each frame as soon as it comes; decoding on several cores delays it.
    """

    def __init__(self, container: Any, name: str, max_pixels: int, *, live: bool = False) -> None:
        self.count = 0
        self._container = container
        self._name = name
        self._stream = video_stream(container, name)
        self._stream.thread_type = "SLICE" if live else "AUTO"
        self._display = Display(self._stream, name, max_pixels)
        self._step = 1 / float(self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE)
        self._start = _seconds(self._stream, self._stream.start_time)
        self._time_ms = 0.0
        self._ends: dict[int, float] = {}  # of each stream, in seconds
        self._errors = 0
        self._gaps = 0
        self._near_damage = 0
        self._last: float | None = None  # time of the last whole frame, in seconds

    def frames(self) -> Generator[Frame, None, None]:
        """Yield the frames. The time of each is the container's timestamp.

        Where it is missing or not later than the one before, it is computed from the stated frame rate.
        """
        for decoded in self._decoded():
            for shown in self._display.show(decoded):
                yield self._frame(shown)
        for shown in self._display.rest():
            yield self._frame(shown)

    def check_whole(self) -> None:
        """Raise FerError if there was no frame, frames were left out, or the end is missing."""
        if not self.count:
            raise FerError(f"no frame of {self._name} can be decoded: it is damaged or empty, record it anew")
        lost = max(self._errors, self._gaps)
        damage = f"{lost} frames are damaged and left out" if lost else ""
        stated, reached = self._lengths()
        if reached < stated - max(UNCERTAIN_FRAMES * self._usual_step(), UNCERTAIN_SHARE * stated):
            raise FerError(
                f"{self._name} breaks off after frame {self.count - 1}, at {reached:.2f} s of {stated:.2f} s"
                f"{', and ' * bool(damage)}{damage}: what was decoded up to there is done; copy or record "
                "the file anew for the rest"
            )
        if damage:
            raise FerError(
                f"of {self._name} {damage}: the other {self.count} are done; copy or record the file anew "
                "for the rest"
            )

    def _frame(self, shown: Any) -> Frame:
        stamp = 0.0
        if shown.time is not None:
            self._start = shown.time if self._start is None else self._start
            stamp = (shown.time - self._start) * 1000
        if stamp > self._time_ms:
            self._time_ms = stamp
        elif self.count:
            self._time_ms += self._step * 1000
        self.count += 1
        return Frame(self._name, self.count - 1, self._time_ms, shown.to_ndarray())

    def _decoded(self) -> Iterator[Any]:
        for packet in self._packets():
            if packet is not None and packet.is_corrupt:  # the container of a transport stream knows
                self._note_damage(0)
            try:
                ready = self._stream.decode(packet)
            except pyav().FFmpegError:
                self._note_damage(1)
                continue
            for frame in ready:
                if frame.time_base is None:  # of those that come at the end
                    frame.time_base = self._stream.time_base
                if frame.is_corrupt:
                    self._note_damage(1)
                else:
                    self._note_gap(frame.time)
                    yield frame

    def _usual_step(self) -> float:
        """Return the seconds of a frame; the stated rate may be only the unit of the timestamps."""
        return max(self._step, self._time_ms / 1000 / max(self.count, 1))

    def _note_damage(self, lost: int) -> None:
        if self._last is not None:
            self._near_damage = NEAR_DAMAGE
            self._errors += lost

    def _note_gap(self, seconds: float | None) -> None:
        """Count the frames that are missing before one, where there was damage."""
        if self._near_damage and self._last is not None and seconds is not None:
            self._near_damage -= 1
            steps = (seconds - self._last) / self._usual_step()
            self._gaps += round(steps) - 1 if steps > GAP else 0
        self._last = self._start or 0.0 if seconds is None else seconds

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the video, then None, which empties the decoder."""
        av = pyav()
        failures = 0
        while failures < FAILURES:
            try:
                for packet in self._container.demux():
                    failures = 0
                    if packet.pts is not None:
                        end = _seconds(packet, packet.pts + (packet.duration or 0)) or 0.0
                        self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))
                    if packet.stream_index == self._stream.index and packet.size:
                        yield packet
                break
            except av.EOFError:
                break
            except (av.FFmpegError, OSError):
                failures += 1
        yield None

    def _lengths(self) -> tuple[float, float]:
        """Return the length that the container states, or 0, and the one that was reached, in seconds."""
        if not self._container.format.name.startswith(STATE_LENGTH) or not self._ends:
            return 0.0, 0.0
        if self._stream.duration:
            stated = _seconds(self._stream, self._stream.duration) or 0.0
            if self._container.format.name == "avi":  # FFmpeg shortens the length of a file that is cut
                stated = self._stream.frames * self._step
            return stated, self._ends.get(self._stream.index, 0.0) - (self._start or 0.0)
        # The length of the longest stream, which may be the sound.
        stated = (self._container.duration or 0) / 1e6
        return stated, max(self._ends.values()) - (self._container.start_time or 0) / 1e6


def _seconds(timed: Any, stamp: int | None) -> float | None:
    return None if stamp is None or timed.time_base is None else float(stamp * timed.time_base)


def _nameless(file: Any) -> Any:
    names = ("read", "seekable", "seek", "tell") if file.seekable() else ("read", "seekable")
    return SimpleNamespace(**{name: getattr(file, name) for name in names})
