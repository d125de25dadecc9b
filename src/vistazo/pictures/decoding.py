"""Bytes to uint8 pixels, fast and safe, by one rule in training and in prediction.

The rule of size: a picture whose proportion (width to height) is within 10 % of the wanted one is stretched
to it. Any other is cut around its centre to the wanted proportion first. Scaling is bilinear with
antialiasing (each pixel is the mean of all the pixels under it). A picture that has the wanted size already
keeps its exact pixels.
"""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, SourceError, TooManyBroken
from vistazo.language import tr
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import Arrays, Pixels, Store, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Loaded", "UndecodablePicture", "content_hash", "decode", "dimensions", "load", "survey"]

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
MOST_PIXELS = 80_000_000  # below Pillow's own alarm of 89.5 million
MOST_RAW_BYTES = (
    200_000_000  # of a picture that cannot be shrunk while it is decoded; twice that while it is scaled
)
MOST_SCAN_PIXELS = (
    1_000_000_000  # a progressive JPEG walks over all its pixels once a scan; cameras write 10 scans
)
ALIKE = 1.1  # proportions closer than this are stretched
_EXIF_WITHIN = 1 << 18  # JPEG metadata stand at the front
_ORIENTATION = 0x0112
_CHUNK = 64


class UndecodablePicture(SourceDamaged):
    """Bytes that hold no picture we can decode; its text is a short reason."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `load` read.

    pixels: uint8 (good, height, width, channels).  rows: (good,) the row of each.
    hashes: 'S32' (asked,), of every row that was asked for, empty where nothing could be read.
    broken: the rows that could not be decoded, with their reasons.
    """

    pixels: Pixels
    rows: NDArray[np.int64]
    hashes: NDArray[np.bytes_]
    broken: tuple[Broken, ...]


# ---------------------------------------------------------------- one picture
def decode(data: bytes | Pixels, *, height: int, width: int, channels: int) -> Pixels:
    """The picture as uint8 (height, width, channels), by the rule of size above.

    data: an encoded picture of one of FORMATS, or pixels (h, w) or (h, w, 1 to 4 channels).
    channels: 1 (grey) or 3 (RGB). Transparency is laid over white; of an animation the first frame counts.
    Raises UndecodablePicture.
    """
    if isinstance(data, np.ndarray):
        return _decode_pixels(data, height, width, channels)
    if not data:
        raise UndecodablePicture(tr("the file is empty"))
    if data[:3] == b"\xff\xd8\xff":
        pixels = _decode_jpeg(data, height, width, channels)
        if pixels is not None:
            return pixels
    with _opened(data) as image:
        return _decode_image(image, height, width, channels)


def _decode_pixels(pixels: Pixels, height: int, width: int, channels: int) -> Pixels:
    shaped = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if shaped.ndim != 3 or shaped.shape[2] not in (1, 2, 3, 4) or shaped.dtype != np.uint8 or not shaped.size:
        raise UndecodablePicture(tr("an array of shape {shape} is no picture", shape=pixels.shape))
    if shaped.shape == (height, width, channels):
        return shaped
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[shaped.shape[2]]
    plain = shaped[:, :, 0] if mode == "L" else shaped
    image = _pillow().fromarray(np.ascontiguousarray(plain))
    return _fit(image, height, width, channels)


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
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, "GRAY" if channels == 1 else "RGB", min_height=down, min_width=across
        )
    except ValueError:
        return None
    if pixels.shape[:2] != (down, across):
        plain = pixels[:, :, 0] if channels == 1 else pixels
        pixels = _fit(_pillow().fromarray(plain), down, across, channels)
    return _upright(pixels, orientation)


def _jpeg_orientation(data: bytes) -> int:
    if (
        b"Exif\0\0" not in data[:_EXIF_WITHIN]
    ):  # opening with Pillow costs 5 times the decoding of a small picture
        return 1
    try:
        with _open(data) as image:
            return _orientation(image)
    except Exception:  # Exif that cannot be read turns nothing
        return 1


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
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    return Image


def _open(data: bytes) -> "Image":
    """The picture, its header read and its size within limits."""
    pillow = _pillow()
    try:
        image: Image = pillow.open(io.BytesIO(data), formats=FORMATS)
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        raise UndecodablePicture(tr("it has too many pixels")) from error
    except pillow.UnidentifiedImageError as error:
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
    """The camera's turn, 1 to 8; 1 where Exif is missing or damaged, and for TIFF, which Pillow turns itself."""
    if image.format == "TIFF":
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Exif that cannot be read turns nothing
        return 1
    return value if value in range(1, 9) else 1


def _decode_image(image: "Image", height: int, width: int, channels: int) -> Pixels:
    orientation = _orientation(image)
    down, across = (width, height) if orientation > 4 else (height, width)
    image.draft(
        "L" if channels == 1 and image.mode == "L" else None, (across, down)
    )  # JPEG shrinks while decoding
    if image.mode.startswith("I"):  # 16 bits a pixel, under several names
        levels = np.asarray(image).clip(0, 65535) >> 8
        image = _pillow().fromarray(levels.astype(np.uint8))
    elif image.mode == "F":
        raise UndecodablePicture(tr("pixels of 32 bits with a fraction are not supported"))
    return _upright(_fit(image, down, across, channels), orientation)


def _fit(image: "Image", height: int, width: int, channels: int) -> Pixels:
    """The picture at that size, by the rule at the top; transparency over white."""
    pillow = _pillow()
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif channels == 1 or image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize(
            (width, height), pillow.Resampling.BILINEAR, box=_window(image.size, height, width)
        )
    if image.mode == "RGBA":
        white = pillow.new("RGBA", image.size, "white")
        image = pillow.alpha_composite(white, image)
    return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(height, width, channels)


def _window(size: tuple[int, int], height: int, width: int) -> tuple[float, float, float, float]:
    """The part of a picture that is shown: left, top, right, bottom."""
    there_width, there_height = size
    ratio = (there_width * height) / (there_height * width)
    if 1 / ALIKE < ratio < ALIKE:
        return 0, 0, there_width, there_height
    shown_width, shown_height = (
        (there_width / ratio, there_height) if ratio > 1 else (there_width, there_height * ratio)
    )
    left, top = (there_width - shown_width) / 2, (there_height - shown_height) / 2
    return left, top, left + shown_width, top + shown_height


def _upright(pixels: Pixels, orientation: int) -> Pixels:
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
    if isinstance(data, bytes) and data[:3] == b"\xff\xd8\xff":
        import simplejpeg

        with suppress(ValueError):  # Pillow is 20 times slower, and reads more kinds
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            return (width, height) if _jpeg_orientation(data) > 4 else (height, width)
    return _size(data)


# ---------------------------------------------------------------- many pictures
def survey(store: Store, rows: NDArray[np.int64], *, most: int, seed: int) -> tuple[int, int, int]:
    """(height, width, channels) of a typical picture: medians over a sample of at most `most` of `rows`.

    1 channel where every sampled picture is grey, else 3.
    Raises TooManyBroken where none of them can be decoded.
    """
    if isinstance(store, Arrays) and store.shape[2] == 1:
        return store.shape
    sample = np.random.default_rng(seed).permutation(rows)[:most]
    sizes: list[tuple[int, int]] = []
    colour = False
    reason = tr("there are no pictures")
    for row in np.sort(sample).tolist():
        try:
            data = store.read(row)
            size = _size(data)
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


def _size(data: bytes | Pixels) -> tuple[int, int]:
    if isinstance(data, np.ndarray):
        return data.shape[0], data.shape[1]
    with _opened(data) as image:
        width, height = image.size
        return (width, height) if _orientation(image) > 4 else (height, width)


def _is_grey(data: bytes | Pixels) -> bool:
    small = decode(data, height=64, width=64, channels=3)
    return bool((small[:, :, 0] == small[:, :, 1]).all() and (small[:, :, 1] == small[:, :, 2]).all())


def load(
    store: Store, rows: NDArray[np.int64], *, height: int, width: int, channels: int, threads: int
) -> Loaded:
    """Read, hash and decode `rows` in one pass, in threads.

    A hash is blake2b (16 bytes) of the encoded bytes, or of shape and pixels where the store holds pixels.
    A picture that cannot be decoded is listed and left out. Never raises for a picture.
    """
    if isinstance(store, Arrays) and store.shape == (height, width, channels):
        pixels = store.block(rows)
        return Loaded(pixels, np.asarray(rows, dtype=np.int64), _hashes(pixels), ())
    pixels = np.empty((len(rows), height, width, channels), dtype=np.uint8)
    hashes = np.zeros(len(rows), dtype="S32")
    good = np.zeros(len(rows), dtype=bool)

    # Few pictures in small chunks, or one thread would wait for the other's last 64 photographs.
    chunk = max(1, min(_CHUNK, len(rows) // (8 * threads)))

    def work(first: int) -> list[Broken]:
        broken = []
        for at in range(first, min(first + chunk, len(rows))):
            row = int(rows[at])
            try:
                data = store.read(row)
                hashes[at] = content_hash(data)
                pixels[at] = decode(data, height=height, width=width, channels=channels)
                good[at] = True
            except (SourceError, OSError, MemoryError) as error:
                broken.append(Broken(row, store.name(row), reason_of(error)))
        return broken

    with ThreadPoolExecutor(threads) as pool:
        broken = tuple(fault for faults in pool.map(work, range(0, len(rows), chunk)) for fault in faults)
    if broken:
        pixels = pixels[good]
    return Loaded(pixels, np.asarray(rows, dtype=np.int64)[good], hashes, broken)


def content_hash(data: bytes | Pixels) -> bytes:
    """32 hexadecimal digits of what a picture holds: of its encoded bytes, or of the shape and values of its pixels."""
    if isinstance(data, np.ndarray):
        shaped = data[:, :, None] if data.ndim == 2 else data
        return bytes(_hashes(shaped[None])[0])
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


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
