import numpy as np
import pytest
import torch

from vistazo.pictures.augmentation import Padded, flip_side, shifts


def pictures(n=6, height=7, width=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_shift_is_the_window_of_the_mirrored_picture_that_numpy_gives(reach, channels):
    pixels = pictures(channels=channels)
    height, width = pixels.shape[1:3]
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    store = Padded(pixels, reach=reach, device="cpu")
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            rows = torch.tensor([5, 0, 3, 3])
            found = store.take(rows, torch.tensor([[down, right]] * 4))
            expected = padded[rows.numpy(), down : down + height, right : right + width]
            assert found.dtype == torch.uint8
            np.testing.assert_array_equal(found.numpy(), expected.transpose(0, 3, 1, 2))


def test_each_picture_has_a_shift_of_its_own():
    pixels = pictures()
    store = Padded(pixels, reach=2, device="cpu")
    moves = torch.tensor([[0, 4], [2, 2], [4, 1]])
    found = store.take(torch.tensor([2, 0, 5]), moves)
    for at, (row, move) in enumerate(zip((2, 0, 5), moves, strict=True)):
        assert torch.equal(found[at], store.take(torch.tensor([row]), move[None])[0])


def test_without_shifts_and_at_the_middle_one_pictures_are_as_they_came():
    pixels = pictures()
    store = Padded(pixels, reach=3, device="cpu")
    rows = torch.arange(6)
    for moves in (None, torch.full((6, 2), 3)):
        np.testing.assert_array_equal(store.take(rows, moves).numpy(), pixels.transpose(0, 3, 1, 2))


def test_what_is_taken_can_be_written_on_without_touching_the_pictures():
    pixels = pictures()
    store = Padded(pixels, reach=1, device="cpu")
    store.take(torch.arange(6), None).zero_()
    np.testing.assert_array_equal(store.take(torch.arange(6), None).numpy(), pixels.transpose(0, 3, 1, 2))


def test_shifts_are_uniform_within_reach_and_a_pure_function_of_seed_and_epoch():
    found = shifts(25_000, reach=2, seed=1, epoch=3)
    assert found.shape == (25_000, 2)
    counts = torch.bincount(found[:, 0] * 5 + found[:, 1], minlength=25)
    assert len(counts) == 25
    assert counts.min() > 800  # of 1000 expected, standard deviation 31
    assert counts.max() < 1200
    torch.manual_seed(99)
    assert torch.equal(shifts(25_000, reach=2, seed=1, epoch=3), found)
    for seed, epoch in ((1, 4), (2, 3)):
        assert not torch.equal(shifts(25_000, reach=2, seed=seed, epoch=epoch), found)


def test_every_picture_changes_sides_every_epoch():
    sides = [flip_side(2000, seed=1, epoch=epoch) for epoch in range(6)]
    for one, next_one in zip(sides, sides[1:], strict=False):
        assert torch.equal(one, ~next_one)
    assert 900 < int(sides[0].sum()) < 1100
    assert not torch.equal(flip_side(2000, seed=2, epoch=0), sides[0])
