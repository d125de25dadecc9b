"""Copies are found among pictures that are alike, whatever compressing and resizing did to them."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures import duplicates
from vistazo.pictures.duplicates import Pairs, clusters, families, near
from vistazo.pictures.shrinking import shrink


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


# ---------------------------------------------------------------- families
def test_a_family_holds_identical_and_near_copies_and_is_named_by_its_lowest_row(landscape):
    pictures = np.concatenate(
        [landscape[:40], landscape[5:7], copied(landscape[6:8], jpeg(70)), landscape[39:]]
    )
    small = shrink(pictures)
    hashes = np.array([picture.tobytes()[:32] for picture in pictures])
    family = families(small, hashes)
    expected = np.arange(len(pictures))
    expected[40:44] = 5, 6, 6, 7
    expected[44] = 39
    assert family[:45].tolist() == expected[:45].tolist()
    assert families(small, hashes, np.arange(6, 44)).tolist() == [*range(6, 40), 40, 6, 6, 7]


def test_one_place_seen_again_and_again_is_no_family_of_copies(landscape):
    """Else a fixed camera's pictures would all go to one part, and none be left to test."""
    random = np.random.default_rng(0)
    scene = np.clip(landscape[0].astype(int) + random.integers(-6, 7, (40, *landscape[0].shape)), 0, 255)
    pictures = np.concatenate([scene.astype(np.uint8), landscape[1:], scene[:1].astype(np.uint8)])
    hashes = np.array([*range(339), 0], dtype="S32")
    small = shrink(pictures)
    assert len(near(small).one) > 100
    assert families(small, hashes).tolist() == [*range(339), 0]
    few = np.array([*range(15), *range(40, 340)])
    assert families(small, hashes, few).tolist() == [0] * 15 + [*range(40, 339), 0]


def test_many_identical_ones_cost_a_single_comparison(landscape, monkeypatch):
    small = np.repeat(shrink(landscape[:50]), 20, axis=0)
    asked = []
    true = duplicates.near
    monkeypatch.setattr(duplicates, "near", lambda small, rows: asked.append(len(rows)) or true(small, rows))
    family = families(small, np.repeat(np.arange(50), 20).astype("S32"))
    assert asked == [50]
    assert (family == np.repeat(np.arange(50) * 20, 20)).all()


def test_pairs_that_come_again_and_again_are_kept_once(monkeypatch):
    monkeypatch.setattr(duplicates, "_WAITING", 10)
    several = [np.random.default_rng(at).integers(0, 30, 7) for at in range(9)]
    assert np.array_equal(duplicates._every_key(several), np.unique(np.concatenate(several)))
    assert len(duplicates._every_key([])) == 0
