"""Copies are found among pictures that are alike, whatever compressing and resizing did to them."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures import duplicates
from vistazo.pictures.duplicates import SMALL_COLOUR, SMALL_GREY, Pairs, clusters, near, shrink


@pytest.fixture(scope="module")
def landscape(photographs):
    return photographs(300, height=48, width=64)


def copied(pictures, change):
    """Copies as a person makes them, brought to the size of the others as a reader does."""
    height, width = pictures.shape[1:3]
    found = []
    for pixels in pictures:
        image = change(Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        found.append(np.asarray(image).reshape(pictures.shape[1:]))
    return np.stack(found)


def jpeg(quality):
    def change(image):
        sink = io.BytesIO()
        image.save(sink, "JPEG", quality=quality)
        return Image.open(sink)

    return change


def scaled(share, how=Image.Resampling.BICUBIC):
    return lambda image: image.resize([max(1, round(side * share)) for side in image.size], how)


CHANGES = [
    pytest.param(jpeg(50), id="JPEG 50"),
    pytest.param(jpeg(95), id="JPEG 95"),
    pytest.param(scaled(0.5), id="half"),
    pytest.param(scaled(0.7, Image.Resampling.LANCZOS), id="0.7"),
    pytest.param(scaled(2), id="twice"),
    pytest.param(lambda image: jpeg(60)(scaled(0.6)(image)), id="0.6 and JPEG 60"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_nearly_every_copy_of_a_photograph_is_found_and_nothing_else(landscape, change):
    chosen = np.arange(0, 300, 3)
    pairs = near(shrink(np.concatenate([landscape, copied(landscape[chosen], change)])))
    right = {(row, 300 + at) for at, row in enumerate(chosen.tolist())}
    found = set(zip(pairs.one.tolist(), pairs.other.tolist(), strict=True))
    assert len(found & right) >= 95
    assert found - right == set()


def test_photographs_of_32_pixels_are_told_apart_too(photographs):
    pictures = photographs(200, height=32, width=32, seed=1)
    small = copied(pictures[:100], lambda image: jpeg(60)(scaled(0.5)(image)))
    pairs = near(shrink(np.concatenate([pictures, small])))
    assert np.sum(pairs.other - pairs.one == 200) >= 95
    assert len(pairs.one) == np.sum(pairs.other - pairs.one == 200)


def test_many_pictures_give_what_few_do(landscape, monkeypatch):
    """Beyond some thousands not every pair is looked at, and the copies are found all the same."""
    pictures = np.concatenate([landscape, copied(landscape[:100], jpeg(60))])
    whole = near(shrink(pictures))
    monkeypatch.setattr(duplicates, "EVERY", 100)
    some = near(shrink(pictures))
    assert (
        len(set(zip(some.one, some.other, strict=True)) & set(zip(whole.one, whole.other, strict=True))) >= 97
    )
    assert len(some.one) <= len(whole.one)


def test_a_hundred_copies_of_one_picture_are_one_cluster(landscape, monkeypatch):
    monkeypatch.setattr(duplicates, "EVERY", 100)
    copies = np.concatenate([copied(landscape[:1], jpeg(quality)) for quality in range(50, 95)])
    small = shrink(np.concatenate([landscape, copies]))
    cluster = clusters(near(small), len(small))
    assert (cluster[300:] == 0).mean() > 0.95
    assert (cluster[1:300] == -1).all()


def test_the_same_thing_in_another_colour_is_no_copy(landscape):
    recoloured = landscape[:50].astype(int)
    recoloured[..., 0] += 40
    recoloured[..., 2] -= 40
    recoloured = np.clip(recoloured, 0, 255).astype(np.uint8)
    assert len(near(shrink(np.concatenate([landscape, recoloured]))).one) == 0


def test_plain_pictures_are_no_copies():
    random = np.random.default_rng(0)
    plain = np.full((40, 32, 32, 3), 120) + random.integers(-1, 2, (40, 32, 32, 3))
    assert len(near(shrink(plain.astype(np.uint8))).one) == 0


def test_clothes_are_alike_and_no_copies_but_their_copies_are(clothes):
    pictures = clothes[0][..., None]
    assert len(near(shrink(pictures)).one) == 0
    pairs = near(shrink(np.concatenate([pictures, copied(pictures[:100], jpeg(75))])))
    assert np.sum(pairs.other - pairs.one == 400) >= 90
    assert np.sum(pairs.other - pairs.one != 400) == 0


def test_digits_are_alike_and_hardly_any_is_taken_for_a_copy(real_data):
    with gzip.open(real_data / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28, 1)
    pairs = near(shrink(digits))
    assert len(np.unique([pairs.one, pairs.other])) <= 0.001 * len(digits)


# ---------------------------------------------------------------- small pictures
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


def test_how_pictures_are_divided_into_blocks_changes_nothing(landscape, monkeypatch):
    whole = shrink(landscape[:40])
    monkeypatch.setattr(duplicates, "_BLOCK", 10_000)
    assert np.array_equal(shrink(landscape[:40]), whole)


# ---------------------------------------------------------------- clusters
def test_clusters_join_pairs_and_leave_the_rest_alone():
    pairs = Pairs(np.array([5, 1, 0, 6]), np.array([9, 2, 1, 8]), 0.6)
    assert clusters(pairs, 10).tolist() == [0, 0, 0, -1, -1, 5, 6, -1, 6, 5]


def test_a_long_chain_is_one_cluster():
    order = np.random.default_rng(0).permutation(1000)
    one, other = np.minimum(order[:-1], order[1:]), np.maximum(order[:-1], order[1:])
    assert (clusters(Pairs(one, other, 0.6), 1000) == 0).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_none_one_and_two_pictures(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 20, 20, 1), dtype=np.uint8)
    pairs = near(shrink(pixels))
    assert len(pairs.one) == 0
    assert clusters(pairs, count).tolist() == [-1] * count
