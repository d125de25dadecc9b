"""Decoded pictures kept on disk: decoded once, then mapped into memory, by any process that asks for the same.

An entry is a folder: `entry.json` (what it holds), `keys` (16 bytes a picture, what tells it from any other without
reading it), `pixels` (uint8, one picture after the other), `hashes` (32 digits each) and `good` (1 where the picture
could be decoded). It is built in a folder of its own name and `.part`, under a lock, and goes on there after a kill;
it gets its name when all of it is on the disk. Nothing in it is needed: it may be deleted at any time.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.errors import DiskError
from vistazo.language import tr
from vistazo.pictures import decoding, scaling
from vistazo.pictures.decoding import Decoded, Loaded
from vistazo.pictures.entries import (
    SPARED,
    Entry,
    facts_of,
    folders,
    free,
    limit,
    locked,
    opened,
    places_of,
    room,
    root,
    size_in_words,
    sum_of,
    trim,
)
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import Arrays, Stamps, Store

__all__ = ["load"]

FORMAT = 1
SMALLEST = 4 << 20  # bytes of pixels: fewer are decoded again sooner than they are found
ENCODED = 64 << 20  # bytes of files: large photographs are worth keeping however few they are
HELD = 0.5  # of the free memory, which pictures may take that cannot be kept on disk
OFTEN = 5.0  # seconds between two notes of how far it is
TOLD = 10.0  # seconds between two sentences about it
PROVED = 4  # pictures that are decoded again when an entry is opened
Say = Callable[[str], None]


def load(
    store: Store,
    rows: NDArray[np.int64],
    *,
    height: int,
    width: int,
    channels: int,
    threads: int,
    background: str = decoding.WHITE,
    source: str = "",
    keep: bool = True,
    say: Say = lambda sentence: None,
) -> Loaded:
    """As `decoding.load`, from an entry where there is one; where there is none, one is built if `keep`.

    source: what people call these pictures. say: is told what takes long.
    Raises DiskError where the pictures fit neither into memory nor on the disk.
    """
    rows = np.asarray(rows, dtype=np.int64)
    needed = len(rows) * height * width * channels

    def decode() -> Loaded:
        return decoding.load(
            store,
            rows,
            height=height,
            width=width,
            channels=channels,
            threads=threads,
            background=background,
        )

    if isinstance(store, Arrays) and needed <= HELD * platform.free_memory():  # they are pixels already
        return decode()
    stamps = store.take(rows).stamps() if len(rows) else None
    if stamps is None or (needed < SMALLEST and stamps.size < ENCODED):
        return decode()
    wanted = _Wanted(store, rows, stamps, (height, width, channels), background, threads, source, say)
    try:
        found = wanted.find() or (wanted.build() if keep else None)
    except OSError as error:
        found, reason = None, platform.disk_failure(error)
        say(_not_kept(reason))
    if found is not None:
        return found
    if keep and needed > HELD * platform.free_memory():
        raise DiskError(
            tr(
                "These pictures take {needed} once decoded: more than the free memory ({memory}), and more than may be "
                "kept in {folder} ({room}). Free some space, or name a folder on a larger disk in VISTAZO_CACHE.",
                needed=size_in_words(needed),
                memory=size_in_words(platform.free_memory()),
                folder=platform.cache_folder(),
                room=size_in_words(room(root())),
            )
        )
    return decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# ---------------------------------------------------------------- one set of pictures
Twin = tuple[Entry, NDArray[np.int64]]


class _Wanted:
    """The pictures of `rows`, wanted at one size."""

    def __init__(
        self,
        store: Store,
        rows: NDArray[np.int64],
        stamps: Stamps,
        size: tuple[int, int, int],
        background: str,
        threads: int,
        source: str,
        say: Say,
    ) -> None:
        self.store, self.rows, self.keys, self.size = store, rows, stamps.keys, size
        self.background, self.threads, self.source, self.say = background, threads, source, say
        self.settings = {
            "format": FORMAT,
            "size": list(size),
            "background": background,
            # what decoders give may change with their version
            "decoders": {name: version(name) for name in scaling.decoders()},
        }
        digest = hashlib.blake2b(json.dumps(self.settings, sort_keys=True).encode(), digest_size=12)
        digest.update(np.ascontiguousarray(self.keys).tobytes())
        self.folder = root() / digest.hexdigest()

    def find(self) -> Loaded | None:
        """From the entry of exactly these pictures, or from one that holds them among others."""
        if self.folder.is_dir():
            found = self._open(self.folder)
            if found:
                return self._loaded(found, np.arange(len(self.rows)))
        for folder in folders(self.folder.parent):
            if folder.suffix == ".part" or not self._alike(folder):
                continue
            entry = self._open(folder)
            if entry is None:
                continue
            places, there = places_of(entry.keys, self.keys)
            if there.all():
                return self._loaded(entry, places)
        return None

    def build(self) -> Loaded | None:
        """Decode them into an entry, or go on where another process was killed at it; None where there is no room."""
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self.folder, wait=True, say=self.say):
            if not self.folder.is_dir():
                part = self.folder.with_suffix(".part")
                if not self._prepare(part):
                    return None
                try:
                    self._fill(part)
                except OSError:  # of writing; a full disk gets its room back
                    platform.take_away(part)
                    raise
                os.replace(part, self.folder)
        entry = self._open(self.folder)
        trim(self.folder.parent, spare=self.folder)
        return self._loaded(entry, np.arange(len(self.rows))) if entry else None

    def _alike(self, folder: Path) -> bool:
        facts = facts_of(folder)
        return facts is not None and facts.get("settings") == self.settings

    def _open(self, folder: Path) -> "Entry | None":
        """The entry, where it is whole and a few of its pictures still decode to the same pixels."""
        entry = Entry.open(folder, self.settings)
        if entry is None or not self._proved(entry):
            platform.take_away(folder)
            return None
        with contextlib.suppress(OSError):
            os.utime(folder / "entry.json")
        return entry

    def _proved(self, entry: "Entry") -> bool:
        places, there = places_of(entry.keys, self.keys)
        mine = np.flatnonzero(there)
        mine = mine[entry.good[places[mine]]]
        few = mine[:: max(1, len(mine) // PROVED)][:PROVED]
        again = Decoded.empty(len(few), *self.size, self.background)
        again.fill(self.store, self.rows[few])
        same = (again.pixels == entry.pixels[places[few]]).all(axis=(1, 2, 3))
        return bool((same & (again.hashes == entry.hashes[places[few]]) | ~again.good).all())

    def _loaded(self, entry: "Entry", places: NDArray[np.int64]) -> Loaded:
        """What `decoding.load` would give. What could not be decoded is tried again, and told in today's words."""
        good, hashes = entry.good[places], entry.hashes[places]
        broken: list[Broken] = []
        for at in np.flatnonzero(~good).tolist():
            one = Decoded.empty(1, *self.size, self.background)
            broken += one.fill(self.store, self.rows[at : at + 1])
            hashes[at] = one.hashes[0]
            if one.good[0]:  # it could not be read then, and can now
                entry.mend(int(places[at]), one)
                good[at] = True
        pictures = PictureArray(entry.pixels)
        whole = good.all() and len(places) == len(entry.pixels) and (np.diff(places) == 1).all()
        return Loaded(
            pictures if whole else pictures.take(places[good]), self.rows[good], hashes, tuple(broken)
        )

    # ------------------------------------------------------------ building
    def _prepare(self, part: Path) -> bool:
        """A folder to build in, with room on the disk for all of it; what a killed process left there is kept."""
        needed = len(self.rows) * (int(np.prod(self.size)) + 49)
        if part.is_dir() and not (self._alike(part) and _read(part / "keys") == self.keys.tobytes()):
            platform.take_away(part)
        begun = platform.taken(part) if part.is_dir() else 0
        if needed > limit(part.parent) or needed - begun > free(part.parent) - SPARED:
            trim(part.parent, spare=part, more=needed - begun)
            if needed > limit(part.parent) or needed - begun > free(part.parent) - SPARED:
                return False
        if not part.is_dir():
            part.mkdir(mode=0o700)
            platform.replace_file(part / "keys", (self.keys.tobytes(),))
            facts = {"settings": self.settings, "source": self.source, "pictures": len(self.rows)}
            platform.replace_file(part / "entry.json", (json.dumps(facts).encode(),))
        return True

    def _fill(self, part: Path) -> None:
        count, each = len(self.rows), int(np.prod(self.size))
        begin = int(_read(part / "done") or 0)
        twins = self._twins()
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context(opened(part / name)) for name in ("pixels", "hashes", "good")}
            for name, width in (("pixels", each), ("hashes", 32), ("good", 1)):
                files[name].truncate(count * width)

            def work(first: int, last: int) -> None:
                block = Decoded.empty(last - first, *self.size, self.background)
                self._decode(block, first, last, twins)
                for name, values in (
                    ("pixels", block.pixels),
                    ("hashes", block.hashes),
                    ("good", block.good),
                ):
                    data = values.tobytes()
                    platform.write_at(files[name].fileno(), data, first * len(data) // max(1, last - first))

            noted = told = began = time.monotonic()
            for done, _ in decoding.in_blocks(
                count, decoding.waiting(self.store, self.threads), work, begin=begin
            ):
                now = time.monotonic()
                if now - noted > OFTEN:
                    _note(part, files.values(), done)
                    noted = now
                if now - told > TOLD:
                    told = now
                    self._tell(done, (count - done) * (now - began) / max(1, done - begin))
            _note(part, files.values(), count)
        platform.replace_file(part / "sum", (sum_of(part).encode(),))

    def _tell(self, done: int, left: float) -> None:
        self.say(
            tr(
                "decoded {done} of {count} pictures; about {seconds} s to go, once and for all",
                done=f"{done:,}",
                count=f"{len(self.rows):,}",
                seconds=f"{max(1, round(left)):,}",
            )
        )

    def _decode(self, block: Decoded, first: int, last: int, twins: "list[Twin]") -> None:
        left = np.ones(last - first, dtype=np.bool_)
        for entry, places in twins:
            mine = np.flatnonzero(left & (places[first:last] >= 0))
            there = places[first:last][mine]
            block.pixels[mine], block.hashes[mine] = entry.pixels[there], entry.hashes[there]
            block.good[mine] = True
            left[mine] = False
        for at in np.flatnonzero(left).tolist():
            block.fill(self.store, self.rows[first + at : first + at + 1], at)

    def _twins(self) -> "list[Twin]":
        """Entries that hold some of these pictures already, and where; -1 for those they do not hold."""
        found = []
        for folder in folders(self.folder.parent):
            if folder.suffix != ".part" and self._alike(folder) and (entry := self._open(folder)):
                places, there = places_of(entry.keys, self.keys)
                there[there] = entry.good[places[there]]
                if there.any():
                    found.append((entry, np.where(there, places, -1)))
        return found


def _note(part: Path, files: Any, done: int) -> None:
    """All up to `done` is on the disk from here on."""
    for file in files:
        os.fsync(file.fileno())
    platform.replace_file(part / "done", (str(done).encode(),))


def _not_kept(reason: str) -> str:
    if reason == "full":
        return tr(
            "The disk of {folder} is full: decoded pictures are not kept.", folder=platform.cache_folder()
        )
    return tr("{folder} cannot be written: decoded pictures are not kept.", folder=platform.cache_folder())
