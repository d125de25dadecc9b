"""The frames of a video: when each is shown, and the decoding of those that are wanted.

A video is read twice. The first time it is demuxed: that tells when each frame is shown and decodes none. The second
time frames are decoded, from the one before or from the last key frame, whichever is nearer, so that whoever asks in
their order decodes each video once.
"""

import math
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.errors import MissingExtra, SourceDamaged
from vistazo.language import tr
from vistazo.pictures.stores import Pixels

__all__ = ["Cinema", "Film", "decoder", "film_of", "plain"]

MOST_PIXELS = 80_000_000  # of a frame, as of a picture
MOST_FRAMES = 50_000_000  # of a video: more is a lie, or nine days
OPEN = 8  # videos that are kept open between two frames
SEEKING = 12  # frames that take as long to decode as a key frame to find
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"
_EXACT = frozenset(
    {"h264", "mpeg4", "mpeg2video", "mpeg1video"}
)  # where what nobody refers to can be left out
_COVER = 0x400  # AV_DISPOSITION_ATTACHED_PIC


def decoder() -> Any:
    """PyAV. Raises MissingExtra."""
    try:
        import av
        import av.error
        import av.logging
    except ImportError:
        raise MissingExtra(tr("Videos need PyAV: pip install 'vistazo[video]'.")) from None
    return av


# ---------------------------------------------------------------- when frames are shown
@dataclass(frozen=True)
class Film:
    """When the frames of a video are shown.

    shown: the time stamp of every frame, ascending; its number where the file has no time stamps.
    keys: those that decoding can begin with. unit: seconds of a time stamp. counted: whether they are numbers.
    """

    path: Path
    shown: tuple[int, ...]
    keys: tuple[int, ...]
    unit: Fraction
    counted: bool

    def moments(self, every: float) -> dict[str, int]:
        """{seconds: time stamp of the frame that is seen then}, from 0 on; no frame twice."""
        step = Fraction(every).limit_denominator(10**6)
        last = (self.shown[-1] - self.shown[0]) * self.unit
        found: dict[str, int] = {}
        before = None
        for number in range(min(int(last / step), MOST_FRAMES) + 1):
            stamp = self.at(number * step)
            if stamp != before:
                found[plain(number * step)] = before = stamp
        return found

    def key(self, stamp: int) -> int:
        """The last time stamp at or before `stamp` that decoding can begin with."""
        at = bisect_right(self.keys, stamp) - 1
        return self.keys[at] if at >= 0 and not self.counted else self.shown[0]

    def at(self, seconds: Fraction) -> int:
        """The time stamp of the frame that is seen at that second."""
        due = self.shown[0] + seconds / self.unit
        return self.shown[max(0, bisect_right(self.shown, due) - 1)]


def plain(seconds: Fraction) -> str:
    """Seconds as text: '2.5', '10', never '1e+05'."""
    return f"{float(seconds):.6f}".rstrip("0").rstrip(".")


def _opened(path: Path) -> Any:
    """The container, of a known kind and alone: a playlist named .mp4 must not open other files or addresses."""
    if not path.stat().st_size:
        raise SourceDamaged(tr("the file is empty"))
    av = decoder()
    av.logging.set_level(None)  # libav writes its complaints to standard error
    try:
        return av.open(
            str(path),
            options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS},
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise SourceDamaged(tr("it is no video in a known format, or cut short")) from error


def _stream(container: Any) -> Any:
    """The moving pictures of a container; the cover of a song is none."""
    for stream in container.streams.video:
        if not int(stream.disposition) & _COVER:
            context = stream.codec_context
            if context is None:
                raise SourceDamaged(tr("its kind of compression is not known"))
            if context.width * context.height > MOST_PIXELS:
                raise SourceDamaged(tr("it has too many pixels"))
            context.thread_count = 1  # rows are read in threads already
            return stream
    raise SourceDamaged(tr("it holds no moving pictures"))


def film_of(path: Path) -> Film:
    """When the frames of a video are shown. Raises SourceDamaged, OSError, MissingExtra."""
    av = decoder()
    shown: list[int | None] = []
    keys = []
    with _opened(path) as container:
        stream = _stream(container)
        unit, rate = stream.time_base, stream.average_rate or stream.guessed_rate
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:  # edit lists cut frames off that are still stored
                    shown.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
                if len(shown) > MOST_FRAMES:
                    raise SourceDamaged(tr("it is longer than any video"))
        except (av.error.FFmpegError, ValueError) as error:  # cut short: what is there is used
            if not shown:
                raise SourceDamaged(tr("it is damaged or cut short")) from error
    if not shown:
        raise SourceDamaged(tr("it has no frames"))
    if None in shown or not unit:
        return Film(path, tuple(range(len(shown))), (0,), 1 / Fraction(rate or 25), counted=True)
    stamps = sorted({stamp for stamp in shown if stamp is not None})
    return Film(
        path, tuple(stamps), tuple(sorted(key for key in keys if key is not None)), Fraction(unit), False
    )


# ---------------------------------------------------------------- decoding
class _Player:
    """One open video, somewhere on its way."""

    def __init__(self, film: Film, wanted: frozenset[int]) -> None:
        self.film, self._wanted = film, wanted
        self._container: Any = None
        self._waiting: deque[tuple[int, Any]] = deque()
        self.before = (
            math.inf
        )  # the time stamp of the last frame that was passed; no frame comes after this one

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None

    def _begin(self, key: int | None) -> None:
        """Decode from a key frame on, or from the very start of the file, opened anew."""
        if self._container is None or key is None:
            self.close()
            self.before = math.inf  # should it not open
            self._container = _opened(self.film.path)
            self._stream = _stream(self._container)
        if key is not None:
            self._container.seek(key, stream=self._stream, backward=True, any_frame=False)
        self._frames = self._decoded()
        self._waiting.clear()
        self.before = -math.inf

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        """(time stamp, frame), in the order they are shown. What cannot be decoded is left out."""
        av, context = decoder(), self._stream.codec_context
        thrifty = context.name in _EXACT and not self.film.counted
        packets, number = self._container.demux(self._stream), 0
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, ValueError):
                return
            if packet is None:
                return
            if thrifty:  # a third of the time: what nobody refers to and nobody wants is not decoded
                context.skip_frame = "DEFAULT" if packet.pts in self._wanted else "NONREF"
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                continue
            for frame in frames:
                stamp = number if self.film.counted else frame.pts
                number += 1
                if stamp is not None:
                    yield stamp, frame

    def nearer(self, stamp: int) -> bool:
        """Whether going on is shorter than beginning at the last key frame before `stamp`."""
        if self.before >= stamp:
            return False
        shown = self.film.shown
        between = bisect_right(shown, self.film.key(stamp)) - bisect_right(shown, self.before)
        return between <= SEEKING

    def frame(self, stamp: int, *, going_on: bool) -> Pixels:
        """The frame of that time stamp, upright. Raises SourceDamaged where it cannot be decoded."""
        if not going_on:
            key = self.film.key(stamp)
            self._begin(key if key != self.film.shown[0] else None)
        found = self._find(stamp)
        if found is None and not going_on:  # an index that is wrong led behind the frame
            self._begin(None)
            found = self._find(stamp)
        if found is None:
            raise SourceDamaged(tr("this moment of the video is damaged"))
        return _upright(found)

    def _find(self, stamp: int) -> Any:
        """The decoded frame; None where another follows the one before it."""
        while True:
            if not self._waiting:
                one = next(self._frames, None)
                if one is None:
                    return None
                self._waiting.append(one)
            if self._waiting[0][0] > stamp:
                return None
            self.before, frame = self._waiting.popleft()
            if self.before == stamp:
                return frame


def _upright(frame: Any) -> Pixels:
    """uint8 (height, width, 3), turned as the camera's display matrix says."""
    if frame.width * frame.height > MOST_PIXELS:
        raise SourceDamaged(tr("it has too many pixels"))
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


class Cinema:
    """Videos that several threads take frames of.

    moments: {video: {seconds: time stamp}}, the frames that can be asked for.
    """

    def __init__(self, films: Mapping[str, Film], moments: Mapping[str, Mapping[str, int]]) -> None:
        self._films, self.moments = films, moments
        self._wanted = {name: frozenset(one.values()) for name, one in moments.items()}
        self._idle: list[_Player] = []
        self._lock = threading.Lock()

    def read(self, name: str, at: str) -> Pixels:
        """The frame of a video at that second. Raises SourceDamaged, OSError."""
        stamp, film = self.moments[name][at], self._films[name]
        with self._lock:
            # The one that is nearest before the frame; else any of this video, to be set to a key frame.
            own = sorted((one for one in self._idle if one.film is film), key=lambda one: one.before)
            ready = [one for one in own if one.nearer(stamp)]
            player = ready[-1] if ready else own[0] if own else None
            if player:
                self._idle.remove(player)
        player = player or _Player(film, self._wanted[name])
        try:
            return player.frame(stamp, going_on=bool(ready))
        finally:
            with self._lock:
                self._idle.append(player)
                closing = self._idle[:-OPEN]
                del self._idle[:-OPEN]
            for one in closing:
                one.close()
