"""Slices that nobody labelled."""

import numpy as np
import pytest
from scipy import stats

from vistazo.classification.evaluating import slices
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Index


def index_of(where, labels, classes=("cat", "dog"), **columns):
    n = len(where)
    plain = {"split": [""] * n, "group": [-1] * n, "hash": [b""] * n, "source": "/s", "kind": "folder"}
    return Index(tuple(where), np.array(labels), classes=classes, **{**plain, **columns})


def test_dark_pictures_that_are_answered_wrongly_are_found_and_nothing_else():
    rng = np.random.default_rng(0)
    dark = np.arange(400) % 4 == 0
    pixels = rng.integers(120, 140, (400, 8, 8, 3)).astype(np.uint8)
    pixels[dark] = rng.integers(20, 30, (100, 8, 8, 3))
    right = rng.random(400) < np.where(dark, 0.4, 0.9)
    found = slices.examine(right, slices.of_pixels(PictureArray(pixels)))
    first = next(one for one in found if one.kind == "light")
    assert first.finding and first.n == 100 and first.high < 40
    assert first.accuracy == pytest.approx(right[dark].mean()) and first.rest == pytest.approx(
        right[~dark].mean()
    )
    assert first.share_low < first.accuracy < first.share_high
    table = [[right[dark].sum(), (~right[dark]).sum()], [right[~dark].sum(), (~right[~dark]).sum()]]
    assert first.p == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)


def test_chance_is_no_finding():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        columns = {str(at): slices.numbers(rng.random(300)) for at in range(6)}
        found += any(one.finding for one in slices.examine(rng.random(300) < 0.8, columns))
    assert found <= 6  # of 40 data sets; without care for their number nearly all would have one


def test_quarters_are_even_and_equal_values_stay_together():
    column = slices.numbers(np.arange(100.0))
    assert np.bincount(column.code).tolist() == [25, 25, 25, 25]
    together = slices.numbers(np.r_[np.zeros(70), np.arange(1, 31.0)])
    assert len(set(together.code[:70].tolist())) == 1
    assert slices.numbers(np.ones(100)) is None
    assert slices.numbers(np.arange(20.0)) is None
    unknown = slices.numbers(np.r_[np.full(50, np.nan), np.arange(100.0)])
    assert (unknown.code[:50] == -1).all() and (unknown.code[50:] >= 0).all()


def test_a_folder_is_a_slice_but_not_that_of_a_class_or_a_part():
    where = [
        f"train/{place}/{name}/{at}.jpg"
        for place in ("lab", "field")
        for name in ("cat", "dog")
        for at in range(12)
    ]
    index = index_of(where, [0, 1] * 24)
    found = slices.of_index(index, np.arange(48))
    assert [name for name, _, _ in found["folder"].slices] == ["field", "lab"]
    plain = index_of([f"train/{name}/{at}.jpg" for name in ("cat", "dog") for at in range(12)], [0, 1] * 12)
    assert slices.of_index(plain, np.arange(24)) == {}


def test_groups_are_slices_where_they_are_large_enough():
    index = index_of(
        [f"{at}.jpg" for at in range(40)], [0, 1] * 20, group=[7] * 15 + [9] * 20 + list(range(20, 25))
    )
    found = slices.of_index(index, np.arange(40))["group"]
    assert [name for name, _, _ in found.slices] == ["0.jpg", "15.jpg"]
    assert (found.code[35:] == -1).all()


def test_the_size_of_the_originals_is_a_slice():
    index = index_of([f"{at}.jpg" for at in range(80)], [0, 1] * 40)
    area = np.repeat([100.0, 400.0, 900.0, 1600.0], 20)
    found = slices.of_index(index, np.arange(80), area)["pixels of the original"]
    assert [ends for _, *ends in found.slices] == [[100, 100], [400, 400], [900, 900], [1600, 1600]]
