"""Pictures in memory or in a file: what is asked for, in the order it is asked for."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from vistazo.pictures.holding import PictureArray


@pytest.fixture(params=["memory", "file"])
def pixels(request, tmp_path):
    made = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    if request.param == "memory":
        return made
    made.tofile(tmp_path / "pixels")
    return np.memmap(tmp_path / "pixels", np.uint8, "r", shape=made.shape)


def test_what_is_asked_for_comes_in_order(pixels):
    whole = PictureArray(pixels)
    rows = np.array([4, 49, 0, 4])
    some = whole.take(rows)
    assert (len(whole), len(some)) == (50, 4)
    assert some.shape == (4, 6, 5, 3)
    assert some.nbytes == 4 * 90
    assert (some[:] == pixels[rows]).all()
    assert (some[1:3] == pixels[[49, 0]]).all()
    assert (some[2] == pixels[0]).all()
    assert (some.take(np.array([1, 0]))[:] == pixels[[49, 4]]).all()
    assert (np.concatenate(list(whole.blocks())) == pixels).all()
    assert (whole[np.array([3, 1])] == pixels[[3, 1]]).all()
    assert len(whole.take(np.zeros(0, np.int64))[:]) == 0


def test_a_file_says_so_and_advice_changes_nothing(pixels):
    whole = PictureArray(pixels)
    assert whole.mapped == isinstance(pixels, np.memmap)
    assert whole.take(np.arange(3)).mapped == whole.mapped
    whole.soon(np.arange(50))
    whole.take(np.arange(49, -1, -1)).soon(np.array([0, 3, 49]))
    whole.soon(np.zeros(0, np.int64))
    assert (whole[:] == pixels).all()


def test_what_is_read_here_and_there_is_what_was_asked_for(pixels):
    whole = PictureArray(pixels)
    whole.scattered()
    assert (whole[::-2] == pixels[::-2]).all()
    assert (whole.take(np.array([9, 2, 40]))[1:] == pixels[[2, 40]]).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_around_pictures_that_are_read_here_and_there_nothing_is_read(tmp_path):
    count, each = 20_000, 32 * 32 * 3
    path = tmp_path / "pixels"
    with path.open("wb") as file:
        for _ in range(20):
            np.random.default_rng(0).integers(0, 256, count // 20 * each, dtype=np.uint8).tofile(file)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    pictures = PictureArray(np.memmap(path, np.uint8, "r", shape=(count, 32, 32, 3)))
    pictures.scattered()

    def read() -> int:
        lines = Path("/proc/self/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))

    before = read()
    assert pictures[np.arange(1_000, count, 1_900)].shape == (10, 32, 32, 3)
    assert read() - before < 512 << 10  # 128 KB and more are read ahead otherwise, for each


def test_blocks_are_small_however_many_pictures_there_are(monkeypatch, pixels):
    monkeypatch.setattr("vistazo.pictures.holding.BLOCK", 900)
    assert [len(one) for one in PictureArray(pixels).blocks()] == [10] * 5
