"""Parts: shares by class, groups and copies in one part, nothing later in training than in the test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.errors import TooFewExamples
from vistazo.tabular import splits
from vistazo.tabular.given import table_of


def alone(rows):
    return np.arange(rows)


def divided(groups, strata, seed=0, test=0.1, validation=0.1, same=None):
    return splits.divide(
        groups,
        alone(len(strata)) if same is None else same,
        strata,
        test=test,
        validation=validation,
        seed=seed,
        named="",
    ).parts


def test_every_class_has_its_share_in_every_part():
    strata = np.repeat([0, 1, 2], [500, 300, 200])
    parts = divided(alone(1000), strata)
    for stratum, rows in ((0, 500), (1, 300), (2, 200)):
        for part in ("validation", "test"):
            assert ((parts == part) & (strata == stratum)).sum() == pytest.approx(rows / 10, abs=1)


def test_the_seed_decides_and_nothing_else():
    strata = np.zeros(100, dtype=int)
    assert (divided(alone(100), strata) == divided(alone(100), strata)).all()
    assert (divided(alone(100), strata) != divided(alone(100), strata, seed=1)).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 40), st.integers(0, 2)), min_size=10, max_size=120),
    st.integers(0, 3),
)
def test_neither_a_group_nor_a_copy_ever_straddles(rows, seed):
    groups, same, strata = (np.array(column) for column in zip(*rows, strict=True))
    parts = divided(groups, strata, seed, same=same)
    for key in (groups, same):
        for value in np.unique(key):
            assert len(set(parts[key == value])) == 1
    for stratum in np.unique(strata):
        assert ((parts == "train") & (strata == stratum)).any()


def test_groups_fill_the_parts_about_as_asked():
    groups = np.repeat(np.arange(60), 10)
    parts = divided(groups, np.tile([0, 1], 300))
    assert 30 <= (parts == "test").sum() <= 90
    assert 30 <= (parts == "validation").sum() <= 90


def test_fewer_than_ten_rows_are_all_learnt_from():
    found = splits.divide(
        alone(4), alone(4), np.array([0, 1, 1, 0]), test=0.1, validation=0.1, seed=0, named=""
    )
    assert set(found.parts) == {"train"}
    assert "only 4 rows" in found.sentences[0]


# ---------------------------------------------------------------- copies
def columns(**given_columns):
    return table_of(given_columns).columns


def test_rows_are_hashed_by_their_values_and_not_by_their_codes():
    one = splits.row_hashes(columns(a=[1.0, -0.0, float("nan")], b=["x", "y", ""]))
    other = splits.row_hashes(columns(a=[0.0, float("nan"), 1.0], b=["y", "", "x"]))
    assert one.tolist() == other[[2, 0, 1]].tolist()
    assert len(set(one.tolist())) == 3


def test_copies_stay_together_where_rows_do_not_repeat_by_chance():
    values = np.random.default_rng(0).normal(0, 1, 50)
    cells = columns(a=[*values, *values[:10]], b=[*values * 2, *values[:10] * 2])
    same, told = splits.copies(cells, splits.row_hashes(cells))
    assert (same[:10] == same[50:]).all()
    assert "10" in told


def test_where_rows_must_repeat_a_repeated_row_is_no_copy():
    cells = columns(a=[0, 0, 1, 1] * 25, b=[0, 1, 0, 1] * 25)
    same, told = splits.copies(cells, splits.row_hashes(cells))
    assert len(set(same)) == 100
    assert "is to be expected" in told


# ---------------------------------------------------------------- order and named parts
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=20, max_size=100))
def test_nothing_in_training_is_as_late_as_what_comes_after(moments):
    values = np.array(moments, dtype=float)
    try:
        parts = splits.by_order(values, test=0.1, validation=0.1, name="day").parts
    except TooFewExamples:
        assert np.sort(values)[round(0.9 * len(values))] == values.min()
        return
    order = [values[parts == part] for part in ("train", "validation", "test")]
    for early, late in ((0, 1), (1, 2), (0, 2)):
        if len(order[early]) and len(order[late]):
            assert order[early].max() < order[late].min()


def test_rows_without_a_moment_are_in_no_part():
    values = np.arange(30.0)
    values[3] = np.nan
    found = splits.by_order(values, test=0.1, validation=0.1, name="day")
    assert found.parts[3] == "out"
    assert "left out, because they have no 'day': 1 rows" in found.sentences[0]
    assert found.parts[-1] == "test"


def test_named_parts_are_kept_and_copies_of_test_rows_left_out():
    given_parts = np.array(["train"] * 20 + ["test"] * 5 + [""])
    units = np.arange(26)
    units[0] = units[20]
    found = splits.keep_to_named(
        given_parts, units, name="split", strata=np.zeros(26, dtype=int), validation=0.1, seed=0
    )
    assert (found.parts[20:25] == "test").all()
    assert found.parts[0] == found.parts[25] == "out"
    assert (found.parts == "validation").sum() == 2
    assert any("they repeat rows of a later part: 1" in sentence for sentence in found.sentences)
    with pytest.raises(TooFewExamples, match="names no row 'train'"):
        splits.keep_to_named(
            np.array(["test"] * 20), alone(20), name="split", strata=alone(20), validation=0.1, seed=0
        )
