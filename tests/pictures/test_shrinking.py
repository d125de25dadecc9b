import numpy as np
import pytest

from vistazo.pictures import shrinking
from vistazo.pictures.shrinking import SMALL_COLOUR, SMALL_GREY, shrink


def test_a_small_picture_is_the_mean_of_equal_fields():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 1), dtype=np.uint8)
    expected = pixels[..., 0].reshape(3, 16, 2, 16, 3).mean((2, 4))
    found = shrink(pixels).reshape(3, 16, 16).transpose(0, 2, 1)  # columns come before rows
    assert found.shape == (3, 16, 16)
    assert np.abs(found - expected).max() <= 1.0


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (28, 28), (37, 53), (224, 224)])
def test_any_size_becomes_a_small_picture_and_a_flat_one_stays_what_it_is(size):
    grey = np.full((2, *size, 1), 77, np.uint8)
    assert (shrink(grey) == 77).all()
    assert shrink(grey).shape == (2, SMALL_GREY)
    colour = np.tile(np.array([200, 100, 50], np.uint8), (2, *size, 1))
    small = shrink(colour)
    assert small.shape == (2, SMALL_COLOUR)
    light = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert np.abs(small[:, :256] - light).max() <= 1
    assert np.abs(small[:, 256:320] - (128 + (50 - light) / 2)).max() <= 1.5
    assert np.abs(small[:, 320:] - (128 + (200 - light) / 2)).max() <= 1.5


def test_white_and_black_do_not_overflow():
    for value in (0, 255):
        assert (shrink(np.full((1, 40, 40, 3), value, np.uint8))[:, :256] == value).all()


def test_how_pictures_are_divided_into_blocks_changes_nothing(photographs, monkeypatch):
    pictures = photographs(40)
    whole = shrink(pictures)
    monkeypatch.setattr(shrinking, "_BLOCK", 10_000)
    assert np.array_equal(shrink(pictures), whole)
