"""Bytes to uint8 pixels, fast and safe, by one rule in training and in prediction.

The rule of size: a picture whose proportion (width to height) is within 10 % of the wanted one is stretched
to it. Any other is cut around its centre to the wanted proportion first. Scaling is bilinear with
antialiasing (each pixel is the mean of all the pixels under it), first down, then across. A picture that has
the wanted size already keeps its exact pixels.
"""

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, SourceError, TooManyBroken
from vistazo.language import tr
from vistazo.pictures import scaling
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import Arrays, Pixels, Store, reason_of
from vistazo.pictures.strokes import DRAWING, SIDE, render
from vistazo.pictures.video import Footage

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "ALIKE",
    "WHITE",
    "Decoded",
    "Loaded",
    "UndecodablePicture",
    "content_hash",
    "decode",
    "dimensions",
    "in_blocks",
    "load",
    "stored",
    "stored_size",
    "survey",
    "upright",
    "waiting",
    "window",
]

Result = TypeVar("Result")

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
WHITE = "white"
MOST_PIXELS = 80_000_000  # below Pillow's own alarm of 89.5 million
MOST_RAW_BYTES = (
    200_000_000  # of a picture that cannot be shrunk while it is decoded; twice that while it is scaled
)
MOST_SCAN_PIXELS = (
    1_000_000_000  # a progressive JPEG walks over all its pixels once a scan; cameras write 10 scans
)
ALIKE = 1.1  # proportions closer than this are stretched
_ORIENTATION = 0x0112
_CHUNK = 64
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")  # ISO/IEC 23008-12, annex B


class UndecodablePicture(SourceDamaged):
    """Bytes that hold no picture we can decode; its text is a short reason."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `load` read.

    pixels: those that could be decoded, (good, height, width, channels).  rows: (good,) the row of each.
    hashes: 'S32' (asked,), of every row that was asked for, empty where nothing could be read.
    broken: the rows that could not be decoded, with their reasons.
    """

    pixels: PictureArray
    rows: NDArray[np.int64]
    hashes: NDArray[np.bytes_]
    broken: tuple[Broken, ...]


# ---------------------------------------------------------------- one picture
def decode(
    data: bytes | Pixels, *, height: int, width: int, channels: int, background: str = WHITE
) -> Pixels:
    """The picture as uint8 (height, width, channels), by the rule of size above.

    data: an encoded picture of one of FORMATS, a drawing (`strokes`), which is rendered at that size, or pixels (h, w)
        or (h, w, 1 to 4 channels).
    channels: 1 (grey) or 3 (RGB). background: the colour that transparency is laid over, '#rrggbb' or a name of CSS.
    Of an animation the first frame counts.
    Raises UndecodablePicture.
    """
    if isinstance(data, np.ndarray):
        return _decode_pixels(data, height, width, channels, background)
    if not data:
        raise UndecodablePicture(tr("the file is empty"))
    if data[:3] == b"\xff\xd8\xff":
        pixels = _decode_jpeg(data, height, width, channels)
        if pixels is not None:
            return pixels
    if data.startswith(DRAWING):
        return _decode_pixels(_drawn(data, max(height, width)), height, width, channels, background)
    with _opened(data) as image:
        return _decode_image(image, height, width, channels, background)


def _drawn(data: bytes, side: int) -> Pixels:
    try:
        return render(data, side)
    except SourceDamaged as error:
        raise UndecodablePicture(str(error)) from error


def stored(data: bytes) -> tuple[Pixels, int]:
    """The whole picture as its file stores it, and the camera's turn, 1 to 8, which `upright` undoes.

    The pixels are uint8 (height, width, channels): 1 channel of grey, 3 of colour, 4 with transparency.
    Raises UndecodablePicture.
    """
    if data[:3] == b"\xff\xd8\xff" and (pixels := _stored_jpeg(data)) is not None:
        return pixels, _jpeg_orientation(data)
    with _opened(data) as image:
        width, height = image.size
        _refuse_large(height, width, 3 * height * width)
        turn = _orientation(image)
        pixels = np.asarray(_plain(_eight_bits(image), 3))
    return (pixels[:, :, None] if pixels.ndim == 2 else pixels), turn


def _stored_jpeg(data: bytes) -> Pixels | None:
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours in ("CMYK", "YCCK"):
            return None
        _refuse_large(height, width, 3 * height * width)
        _refuse_scans(data, height * width)
        pixels: Pixels = simplejpeg.decode_jpeg(data, "GRAY" if colours == "Gray" else "RGB")
    except ValueError:
        return None
    return pixels


def stored_size(data: bytes) -> tuple[int, int, int]:
    """(width, height, the camera's turn) as the first bytes of a picture's file say. Raises UndecodablePicture."""
    with _opened(data) as image:
        return (*image.size, _orientation(image))


def _decode_pixels(pixels: Pixels, height: int, width: int, channels: int, background: str) -> Pixels:
    shaped = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if shaped.ndim != 3 or shaped.shape[2] not in (1, 2, 3, 4) or shaped.dtype != np.uint8 or not shaped.size:
        raise UndecodablePicture(tr("an array of shape {shape} is no picture", shape=pixels.shape))
    if shaped.shape == (height, width, channels):
        return shaped
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[shaped.shape[2]]
    plain = shaped[:, :, 0] if mode == "L" else shaped
    image = _pillow().fromarray(np.ascontiguousarray(plain))
    return _fit(image, height, width, channels, background)


def _decode_jpeg(data: bytes, height: int, width: int, channels: int) -> Pixels | None:
    """By libjpeg-turbo, at the smallest DCT scale no smaller than wanted; None where Pillow has to try."""
    import simplejpeg

    try:
        full_height, full_width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours in ("CMYK", "YCCK"):  # Adobe writes them inverted, and only Pillow knows
            return None
        _refuse_large(full_height, full_width, 0)
        if full_height * full_width > MOST_PIXELS // 80:
            _refuse_scans(data, full_height * full_width)
        orientation = _jpeg_orientation(data)
        across, down = (height, width) if orientation > 4 else (width, height)
        same = (full_height, full_width) == (down, across)
        mode = "GRAY" if channels == 1 else "RGB" if same else scaling.colour_mode()
        pixels: Pixels = simplejpeg.decode_jpeg(data, mode, min_height=down, min_width=across)
    except ValueError:
        return None
    if pixels.shape[:2] != (down, across):
        box = window((pixels.shape[1], pixels.shape[0]), down, across)
        pixels = scaling.scaled(pixels, down, across, box)
    return upright(pixels[:, :, :channels], orientation)


def _jpeg_orientation(data: bytes) -> int:
    if not _has_exif(data):  # opening with Pillow costs 5 times the decoding of a small picture
        return 1
    try:
        with _open(data) as image:
            return _orientation(image)
    except Exception:  # Exif that cannot be read turns nothing
        return 1


def _has_exif(data: bytes) -> bool:
    """Whether a segment before the first scan holds Exif. Source: ITU-T T.81, annex B."""
    at = 2
    while data[at : at + 1] == b"\xff" and at < len(data) - 4:
        marker = data[at + 1]
        if marker == 0xDA:  # the first scan
            return False
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return True
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _refuse_large(height: int, width: int, raw_bytes: int) -> None:
    if height * width > MOST_PIXELS or raw_bytes > MOST_RAW_BYTES:
        raise UndecodablePicture(
            tr("it has too many pixels ({width} × {height})", width=width, height=height)
        )


def _refuse_scans(data: bytes, pixels: int) -> None:
    scans = data.count(b"\xff\xda")
    if scans * pixels > MOST_SCAN_PIXELS:
        raise UndecodablePicture(tr("it is built to take long ({scans} scans)", scans=scans))


@cache
def _pillow() -> ModuleType:
    import warnings

    from PIL import Image

    # once for the process: catch_warnings is not safe in threads
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of damage we name or read past
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    _reads_heic()
    return Image


@cache
def _formats() -> tuple[str, ...]:
    """FORMATS, and those that this machine's Pillow can read besides."""
    from PIL import features

    avif = ("AVIF",) if features.check("avif") else ()
    return (*FORMATS, *avif, *(("HEIF",) if _reads_heic() else ()))


@cache
def _reads_heic() -> bool:
    """Whether pictures of telephones can be read: with the extra `heif`, which is told to Pillow here."""
    try:
        import pi_heif  # decodes alone; pillow-heif brings an encoder under the GPL
    except ImportError:
        return False
    pi_heif.register_heif_opener(thumbnails=False)
    return True


def _open(data: bytes) -> "Image":
    """The picture, its header read and its size within limits."""
    pillow = _pillow()
    try:
        image: Image = pillow.open(io.BytesIO(data), formats=_formats())
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        raise UndecodablePicture(tr("it has too many pixels")) from error
    except pillow.UnidentifiedImageError as error:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC and not _reads_heic():
            raise UndecodablePicture(tr("it is a HEIC picture: pip install vistazo[heif]")) from error
        raise UndecodablePicture(tr("it is no picture in a known format")) from error
    width, height = image.size
    depth = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "I;16": 2, "I;16B": 2, "I;16L": 2}.get(image.mode, 4)
    _refuse_large(height, width, 0 if image.format == "JPEG" else height * width * depth)
    if image.format == "JPEG":
        _refuse_scans(data, height * width)
    return image


@contextmanager
def _opened(data: bytes) -> "Iterator[Image]":
    """The picture; whatever goes wrong with it inside the block is an UndecodablePicture."""
    try:
        with _open(data) as image:
            yield image
    except UndecodablePicture:
        raise
    except Exception as error:  # Pillow's readers raise whatever their parsing trips over
        raise UndecodablePicture(tr("it is damaged or cut short")) from error


def _orientation(image: "Image") -> int:
    """The camera's turn, 1 to 8; 1 where Exif is missing or damaged, and for TIFF, which Pillow turns itself.

    Raises what Pillow does for a PNG whose pixels are damaged.
    """
    if image.format == "TIFF":
        return 1
    if image.format == "PNG":
        image.load()  # Exif may stand behind the pixels; damage met there is not to be taken for that of Exif
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Exif that cannot be read turns nothing
        return 1
    return value if value in range(1, 9) else 1


def _decode_image(image: "Image", height: int, width: int, channels: int, background: str) -> Pixels:
    orientation = _orientation(image)
    down, across = (width, height) if orientation > 4 else (height, width)
    image.draft(
        "L" if channels == 1 and image.mode == "L" else None, (across, down)
    )  # JPEG shrinks while decoding
    return upright(_fit(_eight_bits(image), down, across, channels, background), orientation)


def _eight_bits(image: "Image") -> "Image":
    if image.mode.startswith("I"):  # 16 bits a pixel, under several names
        levels = np.asarray(image).clip(0, 65535)
        grey = (levels >> 8).astype(np.uint8)
        clear = image.info.get("transparency")  # the one level that is transparent, in a PNG
        if isinstance(clear, int):
            grey = np.stack([grey, np.where(levels == clear, 0, 255).astype(np.uint8)], axis=-1)
        return _pillow().fromarray(grey)  # type: ignore[no-any-return]
    if image.mode == "F":
        raise UndecodablePicture(tr("pixels of 32 bits with a fraction are not supported"))
    return image


def _plain(image: "Image", channels: int) -> "Image":
    """The picture in grey, in colour, or in colour with transparency."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if channels == 1 or image.mode in ("1", "L") else "RGB")


def _fit(image: "Image", height: int, width: int, channels: int, background: str) -> Pixels:
    """The picture at that size, by the rule at the top; transparency over the background."""
    pillow = _pillow()
    image = _plain(image, channels)
    if image.size != (width, height):
        image = scaling.by_pillow(image, height, width, window(image.size, height, width))
    if image.mode == "RGBA":
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, background), image)
    return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(height, width, channels)


def window(size: tuple[int, int], height: int, width: int) -> tuple[float, float, float, float]:
    """The part of a picture of that (width, height) that is kept by the rule above: left, top, right, bottom."""
    there_width, there_height = size
    ratio = (there_width * height) / (there_height * width)
    if 1 / ALIKE < ratio < ALIKE:
        return 0, 0, there_width, there_height
    shown_width, shown_height = (
        (there_width / ratio, there_height) if ratio > 1 else (there_width, there_height * ratio)
    )
    left, top = (there_width - shown_width) / 2, (there_height - shown_height) / 2
    return left, top, left + shown_width, top + shown_height


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the camera's turn. Source: Exif 2.32, tag 274: 5 to 8 swap rows and columns."""
    if orientation > 4:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def dimensions(data: bytes | Pixels) -> tuple[int, int]:
    """(height, width) of a whole picture, upright, read from its header. Raises UndecodablePicture."""
    if isinstance(data, np.ndarray):
        return data.shape[0], data.shape[1]
    if data.startswith(DRAWING):
        return SIDE, SIDE
    if data[:3] == b"\xff\xd8\xff":
        import simplejpeg

        with suppress(ValueError):  # Pillow is 20 times slower, and reads more kinds
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            _refuse_large(height, width, 0)
            return (width, height) if _jpeg_orientation(data) > 4 else (height, width)
    with _opened(data) as image:
        width, height = image.size
        return (width, height) if _orientation(image) > 4 else (height, width)


# ---------------------------------------------------------------- many pictures
def survey(store: Store, rows: NDArray[np.int64], *, most: int, seed: int) -> tuple[int, int, int]:
    """(height, width, channels) of a typical picture: medians over a sample of at most `most` of `rows`.

    1 channel where every sampled picture is grey, else 3.
    Raises TooManyBroken where none of them can be decoded.
    """
    if isinstance(store, Arrays) and store.shape[2] == 1:
        return store.shape
    rows = store.typical(rows) if isinstance(store, Footage) else rows
    sample = np.random.default_rng(seed).permutation(rows)[:most]
    sizes: list[tuple[int, int]] = []
    colour = False
    reason = tr("there are no pictures")
    for row in np.sort(sample).tolist():
        try:
            data = store.read(row)
            size = dimensions(data)
            # One picture in colour settles it: to decode 200 of 12 megapixels would take 10 s.
            colour = colour or not _is_grey(data)
        except (SourceError, OSError, MemoryError) as error:
            reason = f"{store.name(row)}: {reason_of(error)}"
            continue
        sizes.append(size)
    if not sizes:
        raise TooManyBroken(
            tr("None of {n} pictures can be read; the last: {reason}.", n=len(sample), reason=reason)
        )
    height, width = np.median(np.array(sizes), axis=0).astype(int).tolist()
    return height, width, 3 if colour else 1


def _is_grey(data: bytes | Pixels) -> bool:
    small = decode(data, height=64, width=64, channels=3)
    return bool((small[:, :, 0] == small[:, :, 1]).all() and (small[:, :, 1] == small[:, :, 2]).all())


def load(
    store: Store,
    rows: NDArray[np.int64],
    *,
    height: int,
    width: int,
    channels: int,
    threads: int,
    background: str = WHITE,
) -> Loaded:
    """Read, hash and decode `rows` in one pass, in threads.

    A hash is of the encoded bytes (SHA-256, 16 bytes of it), or of shape and pixels where the store holds pixels.
    A picture that cannot be decoded is listed and left out. Never raises for a picture.
    """
    rows = np.asarray(rows, dtype=np.int64)
    if isinstance(store, Arrays) and store.shape == (height, width, channels):
        with suppress(SourceError, OSError):  # of a file that was cut, each picture is asked for
            pixels = store.block(rows)
            return Loaded(PictureArray(pixels), rows, _hashes(pixels), ())
    found = Decoded.empty(len(rows), height, width, channels, background)
    broken: list[Broken] = []
    for _, faults in in_blocks(
        len(rows), waiting(store, threads), lambda first, last: found.fill(store, rows[first:last], first)
    ):
        broken += faults
    pictures = PictureArray(found.pixels)
    return Loaded(
        pictures.take(np.flatnonzero(found.good)) if broken else pictures,
        rows[found.good],
        found.hashes,
        tuple(broken),
    )


@dataclass(frozen=True, eq=False)
class Decoded:
    """Room for pictures that are being decoded. pixels: (n, height, width, channels). hashes: 'S32'. good: bool.

    background: what transparency is laid over.
    """

    pixels: Pixels
    hashes: NDArray[np.bytes_]
    good: NDArray[np.bool_]
    background: str

    @classmethod
    def empty(cls, count: int, height: int, width: int, channels: int, background: str = WHITE) -> "Decoded":
        """Room for so many."""
        pixels = np.empty((count, height, width, channels), dtype=np.uint8)
        return cls(pixels, np.zeros(count, dtype="S32"), np.zeros(count, dtype=np.bool_), background)

    def fill(self, store: Store, rows: NDArray[np.int64], first: int = 0) -> list[Broken]:
        """Read, hash and decode `rows` to here, from place `first` on; what cannot be decoded comes back."""
        height, width, channels = self.pixels.shape[1:]
        broken = []
        for at, row in enumerate(rows.tolist(), first):
            try:
                data = store.read(row)
                self.hashes[at] = content_hash(data)
                self.pixels[at] = decode(
                    data, height=height, width=width, channels=channels, background=self.background
                )
                self.good[at] = True
            except (SourceError, OSError, MemoryError) as error:
                broken.append(Broken(row, store.name(row), reason_of(error)))
        return broken


def waiting(store: Store, threads: int) -> int:
    """Threads that read a store: more than decode where answers come from far away."""
    return max(threads, getattr(store, "threads", 1))


def in_blocks(
    count: int, threads: int, work: Callable[[int, int], Result], *, begin: int = 0
) -> Iterator[tuple[int, Result]]:
    """`work(first, last)` on 0..count-1 in blocks, in threads; (last, what it gave) in order, as it comes.

    begin: where to begin. Where the caller stops, or is stopped, what has not begun does not begin.
    """
    # Few pictures in small blocks, or one thread would wait for the other's last 64 photographs.
    block = max(1, min(_CHUNK, (count - begin) // (8 * threads)))
    edges = iter(range(begin, count, block))
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[tuple[int, Future[Result]]] = deque()
        try:
            while True:
                for first in islice(edges, 4 * threads - len(begun)):
                    last = min(first + block, count)
                    begun.append((last, pool.submit(work, first, last)))
                if not begun:
                    return
                last, done = begun.popleft()
                yield last, done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def content_hash(data: bytes | Pixels) -> bytes:
    """32 hexadecimal digits of what a picture holds: of its encoded bytes, or of the shape and values of its pixels."""
    if isinstance(data, np.ndarray):
        shaped = data[:, :, None] if data.ndim == 2 else data
        return bytes(_hashes(shaped[None])[0])
    # Processors of the last years have an instruction for it: 1.8 GB/s, and blake2b 0.9.
    return hashlib.sha256(data, usedforsecurity=False).hexdigest()[:32].encode()


def _hashes(pixels: Pixels) -> NDArray[np.bytes_]:
    """(n,) hashes of contiguous pictures (n, height, width, channels)."""
    size = int(np.prod(pixels.shape[1:]))
    shape = np.array(pixels.shape[1:], dtype="<u4").tobytes()
    flat = np.ascontiguousarray(pixels).reshape(-1).data
    blake2b = hashlib.blake2b
    return np.array(
        [
            blake2b(flat[first : first + size], digest_size=16, person=shape).hexdigest()
            for first in range(0, len(flat), size)
        ],
        dtype="S32",
    )
