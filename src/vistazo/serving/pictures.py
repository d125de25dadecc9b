"""Pictures of requests, and how a classifier answers them together."""

import base64
import binascii
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import thread_time
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.errors import SourceError
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.stores import reason_of
from vistazo.serving.batching import SIZES
from vistazo.serving.bodies import Part, parse_json, parts_of
from vistazo.serving.endpoints import Asked, Read, hash_of
from vistazo.serving.refusing import Refused

__all__ = ["READS", "Pictures", "is_small"]

READS = ("image/*", "application/octet-stream", "multipart/form-data", "application/json")
_SMALL_FILE, _SMALL_SIDE = 16_384, 128  # bytes, pixels: what decodes in less time than a thread takes to wake
_HELD_UP = 0.008  # seconds of a batch that the event loop may be held up for
_FEW = 8  # pictures that a batch has to hold in that time, or a thread computes it
_MOMENT = 0.03  # seconds of the largest batch, up to which all 32 sizes take half a second to try
_LISTENING = 0.0001  # seconds a request takes from whoever reads and answers it, about
_CROWD = 1  # pictures let in at once in a crowd: whoever is in does not wait for another
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

Pixels = npt.NDArray[np.uint8]


class Pictures:
    """A classifier as the service asks it: `vistazo.serving.endpoints.Endpoint`.

    apart: whether it computes in a process of its own, where a long batch holds up no event loop. decodes: whether
    small pictures are decoded there too: by whichever of the two processes has less to do.
    """

    task = "classification"
    reads: tuple[str, ...] = READS

    def __init__(self, model: Any, digest: str, *, threads: int | None, apart: bool = False) -> None:
        self.model = model
        self.hash = hash_of(model, digest)
        self.classes: tuple[str, ...] | None = tuple(model.classes)
        self.explains, self.searches = hasattr(model, "explain"), hasattr(model, "search")
        self.inline = False
        self.most = SIZES[-1]
        self.least = _CROWD
        self._sizes: tuple[int, ...] = SIZES
        self._size: tuple[int, int, int] = tuple(model.size)
        self._threads, self._apart = threads, apart
        self.decodes = False
        self._computing = 0  # threads that a batch is computed with

    def facts(self) -> dict[str, Any]:
        """What a process that does not hold the model has to know of it, as JSON."""
        model = self.model
        return {
            "classes": list(model.classes),
            "size": list(model.size),
            "background": model.background,
            "hash": self.hash,
            "explains": self.explains,
            "searches": self.searches,
            "decodes": self.decodes,
            "most": self.most,
            "least": self.least,
        }

    # ------------------------------------------------------------ reading
    def light(self, body: bytes, media_type: str) -> bool:
        """A raw picture that is small by its bytes and, as its header says, by its pixels."""
        return media_type[:5] != "multi" and media_type[-4:] != "json" and is_small(body)

    def inputs(self, body: bytes, content_type: str, media_type: str, most: int) -> list[Part]:
        """The pictures in a body, undecoded."""
        if media_type == "multipart/form-data":
            return parts_of(body, content_type, most)
        if media_type == "application/json":
            return _in_json(parse_json(body), most)
        if media_type.startswith("image/") or media_type in ("", "application/octet-stream"):
            return [Part("picture", body, media_type)]
        raise Refused.wrong_type(READS, media_type, "image/jpeg")

    def read(self, inputs: list[Part], asked: Asked) -> Read:
        """Pictures decoded to the model's size."""
        height, width, channels = self._size
        found = Read()
        for part in inputs:
            try:
                pixels = decoding.decode(
                    part.data, height=height, width=width, channels=channels, background=self.model.background
                )
            except (SourceError, OSError, MemoryError) as error:
                found.unreadable.append({"file": part.name, "reason": reason_of(error)})
            else:
                found.items.append((part.name, pixels, asked.top))
        return found

    # ------------------------------------------------------------ answering
    def answer(self, items: Sequence[tuple[str, Pixels, int]]) -> list[list[dict[str, Any]]]:
        """One answer a picture, as `vistazo predict` gives it."""
        rows = self._probabilities([pixels for _, pixels, _ in items])
        names, tops = [one[0] for one in items], [one[2] for one in items]
        return [[one] for one in self.model.answers(names, rows, tops)]

    def _probabilities(self, pixels: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        count = len(pixels)
        size = next(one for one in self._sizes if one >= count)
        stacked = np.empty((size, *self._size), np.uint8)
        np.stack(pixels, out=stacked[:count])
        stacked[count:] = 0
        rows: npt.NDArray[np.float64] = self.model.probabilities(stacked)[:count]
        return rows

    def warm(self) -> None:
        """Settle where a batch is answered, how large it may be and with how many threads; then try every size once.

        A new size costs a network milliseconds once. So only sizes that were tried are computed: every one where that
        is a matter of a moment, else the powers of two, and a batch in between is filled up.
        """
        largest = SIZES[-1]
        self._use_threads(self._threads or 1)
        few, whole = self._seconds_of(_FEW), self._seconds_of(largest)
        self.decodes = self._apart and whole / largest < _LISTENING
        self.inline = few <= _HELD_UP
        if self.inline:
            if not self._apart:
                self.most = max(_FEW, min(largest, int(_HELD_UP * largest / whole)))
        else:
            if self._threads is None:
                from vistazo import platform

                self._use_threads(platform.physical_cores())
        if whole < _MOMENT:
            self._sizes = tuple(range(1, self.most + 1))
        if whole < 2:  # a network of seconds a batch is not held back by a new size
            for size in self._sizes:
                self._probabilities([np.zeros(self._size, np.uint8)] * size)

    def settle(self) -> None:
        """Threads are counted by each thread for itself."""
        self._use_threads(self._computing)

    def _seconds_of(self, size: int) -> float:
        """Of this thread's processor for a batch, the quickest of three; of one that takes long, the first.

        The clock on the wall would tell of whoever shares the machine at this moment.
        """
        blank = [np.zeros(self._size, np.uint8)] * size
        found = []
        for _ in range(3):
            began = thread_time()
            self._probabilities(blank)
            found.append(thread_time() - began)
            if found[-1] > 0.5:
                break
        return min(found)

    @property
    def _session(self) -> Any:
        """onnxruntime's, where it is a model of that."""
        return getattr(self.model, "session", None)

    def _use_threads(self, count: int) -> None:
        if self._session is not None:  # of onnxruntime, which takes the number when it is made
            if count != self._computing:
                from vistazo.engine.onnx_file import session_of

                path = self.model.path
                self.model = replace(self.model, session=session_of(path.read_bytes(), path, threads=count))
        elif torch := sys.modules.get("torch"):  # where the model needs it, it is there by now
            torch.set_num_threads(count)
        self._computing = count


def is_small(data: bytes) -> bool:
    """Whether a file is a PNG or JPEG of few bytes and, as its header says, of few pixels."""
    if len(data) >= _SMALL_FILE:
        return False
    if data[:16] == _PNG and len(data) > 24:
        width, height = struct.unpack(">II", data[16:24])
        return bool(0 < width <= _SMALL_SIDE and 0 < height <= _SMALL_SIDE)
    if data[:3] == b"\xff\xd8\xff":
        import simplejpeg

        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return False
        return bool(width <= _SMALL_SIDE and height <= _SMALL_SIDE)
    return False


def _in_json(told: Any, most: int) -> list[Part]:
    """The pictures of {"pictures": ["<base64>", ...]}; a data: address counts as what it holds."""
    texts = told.get("pictures") if isinstance(told, Mapping) else None
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise Refused(422, tr("The JSON body must be {example}.", example='{"pictures": ["<base64>", ...]}'))
    if len(texts) > most:
        raise Refused(413, tr("A request may have {n} inputs at most.", n=most))
    found = []
    for number, text in enumerate(texts, 1):
        if text[:5] == "data:":
            text = text.partition(",")[2]
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            sentence = tr("Picture {n} of the JSON body is not in base64.", n=number)
            raise Refused(422, sentence) from None
        found.append(Part(str(number), data, ""))
    return found
