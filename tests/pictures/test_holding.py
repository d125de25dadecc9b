"""Pictures in memory or in a file: what is asked for, in the order it is asked for."""

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


def test_blocks_are_small_however_many_pictures_there_are(monkeypatch, pixels):
    monkeypatch.setattr("vistazo.pictures.holding.BLOCK", 900)
    assert [len(one) for one in PictureArray(pixels).blocks()] == [10] * 5
