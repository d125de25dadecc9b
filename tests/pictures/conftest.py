"""Sources made for a test: pictures, folders, archives and IDX files."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures.sources import Source, read_source


def _picture(
    seed: int = 0, *, size: tuple[int, int] = (12, 10), mode: str = "RGB", form: str = "PNG"
) -> bytes:
    """An encoded picture of noise; size is (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(sink, form)
    return sink.getvalue()


def _write(root: Path, *names: str) -> Path:
    """Write a different picture under each of the names."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_picture(seed, form="JPEG" if name.endswith("jpg") else "PNG"))
    return root


def _read(source: Any, classes_file: Path | None = None) -> Source:
    return read_source(source, classes_file=classes_file)


def _table(source):
    """{where: (class, split)}"""
    index = source.index
    names = [*index.classes, None]
    return {where: (names[index.label[row]], str(index.split[row])) for row, where in enumerate(index.where)}


def _zip_of(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _tar_of(path, members, mode):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _archive_of(path, members, how):
    return _zip_of(path, members, how) if isinstance(how, int) else _tar_of(path, members, how)


def _idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _idx_folder(root, parts=(("train", 6), ("t10k", 4)), size=(3, 2), form="{}-{}-idx{}-ubyte", pack=False):
    root.mkdir(exist_ok=True)
    for part, n in parts:
        pictures = np.arange(n * np.prod(size), dtype=np.uint8).reshape(n, *size)
        for what, array in (("images", pictures), ("labels", (np.arange(n) % 2).astype(np.uint8))):
            name = form.format(part, what, array.ndim)
            (root / (name + ".gz" * pack)).write_bytes(gzip.compress(_idx(array)) if pack else _idx(array))
    return root


@pytest.fixture
def picture() -> Callable[..., Any]:
    return _picture


@pytest.fixture
def write() -> Callable[..., Any]:
    return _write


@pytest.fixture
def read() -> Callable[..., Any]:
    return _read


@pytest.fixture
def table() -> Callable[..., Any]:
    return _table


@pytest.fixture
def archive_of() -> Callable[..., Any]:
    return _archive_of


@pytest.fixture
def idx() -> Callable[..., Any]:
    return _idx


@pytest.fixture
def idx_folder() -> Callable[..., Any]:
    return _idx_folder


@pytest.fixture
def members() -> dict[str, bytes]:
    """What an archive holds: two classes of four pictures, in a wrapping folder."""
    return {f"raíz/{name}/{at}.png": _picture(at) for name in "ab" for at in range(4)}
