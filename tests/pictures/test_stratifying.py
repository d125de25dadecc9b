"""Parts of pictures with several labels: nothing leaks, and every label is in every part as far as it goes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.errors import TooFewExamples
from vistazo.pictures.index import Index
from vistazo.pictures.splits import assign, find_groups, require_trainable

PARTS = ("train", "validation", "test")


def index_of(labels, *, split=None, group=None, digest=None, where=None):
    labels = np.array(labels, dtype=bool)
    n, kinds = labels.shape
    return Index(
        where=tuple(where or [f"{at:05}.png" for at in range(n)]),
        label=np.full(n, -1),
        split=np.array([""] * n if split is None else split, dtype="U10"),
        group=np.array([-1] * n if group is None else group),
        hash=np.array([f"{at:032x}" for at in (range(n) if digest is None else digest)], dtype="S32"),
        classes=tuple(f"label {at}" for at in range(kinds)),
        source="/data",
        kind="manifest",
        labels=labels,
    )


def drawn(n, shares, seed=0):
    return np.random.default_rng(seed).random((n, len(shares))) < np.array(shares)


@st.composite
def indexes(draw):
    n, kinds = draw(st.integers(6, 60)), draw(st.integers(2, 5))
    labels = np.array(draw(st.lists(st.lists(st.booleans(), min_size=kinds, max_size=kinds), min_size=n,
                                    max_size=n)))  # fmt: skip
    labels[:kinds] |= np.eye(kinds, dtype=bool)
    group = draw(st.lists(st.integers(-1, n // 2), min_size=n, max_size=n))
    digest = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    return index_of(labels, group=group, digest=digest)


@given(indexes(), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_neither_a_group_nor_a_duplicate_straddles_two_parts_and_every_label_is_trained_on(index, seed):
    done = assign(index, seed=seed, group_by="auto")
    for column in (done.index.group, done.index.hash):
        for value in np.unique(column):
            assert len(set(done.index.split[column == value])) == 1
    assert done.index.labels[done.index.split == "train"].any(0).all()
    assert done.counts["out"] == 0


@given(indexes(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_changes_nothing(index, random):
    order = np.array(random.sample(range(len(index)), len(index)))
    first, second = (assign(one, seed=0, group_by="auto").index.split for one in (index, index.take(order)))
    np.testing.assert_array_equal(first[order], second)


@pytest.mark.parametrize("seed", range(5))
def test_each_part_has_its_tenth_of_every_label_rare_ones_too(seed):
    index = index_of(drawn(2000, (0.5, 0.3, 0.02, 0.01), seed))
    done = assign(index, seed=seed, group_by="auto")
    assert [done.counts[part] for part in PARTS] == [1600, 200, 200]
    for part in ("validation", "test"):
        share = done.index.counts(done.index.split == part) / index.labels.sum(0)
        assert share == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_three_pictures_with_a_label_are_enough_for_every_part(seed):
    labels = drawn(300, (0.5, 0.2, 0.0), seed)
    labels[[5, 77, 200], 2] = True
    split = assign(index_of(labels), seed=seed, group_by="auto").index.split
    assert set(split[labels[:, 2]]) == set(PARTS)


def test_of_two_pictures_with_a_label_one_trains_and_one_tests_and_it_is_told():
    labels = drawn(100, (0.5, 0.0))
    labels[[3, 9], 1] = True
    done = assign(index_of(labels), seed=0, group_by="none")
    assert sorted(done.index.split[[3, 9]]) == ["test", "train"]
    assert done.sentences[-1] == "Too few pictures or groups to be in every part: label 1."
    assert "divided by their rarest label first" in done.sentences[-2]


def test_another_seed_draws_other_pictures():
    index = index_of(drawn(200, (0.5, 0.3)))
    one, other = (assign(index, seed=seed, group_by="auto").index.split for seed in (0, 1))
    assert (one != other).any()


def test_an_official_test_part_stays_and_its_labels_influence_nothing():
    labels = drawn(300, (0.5, 0.3, 0.2))
    split = ["train"] * 240 + ["test"] * 60
    other = labels.copy()
    other[240:] = np.random.default_rng(1).permutation(labels[240:])
    one, two = (assign(index_of(each, split=split), seed=0, group_by="auto") for each in (labels, other))
    assert (one.index.split[240:] == "test").all()
    assert one.counts == {"train": 216, "validation": 24, "test": 60, "out": 0}
    np.testing.assert_array_equal(one.index.split, two.index.split)
    assert one.sentences == two.sentences


def test_training_pictures_identical_to_an_official_test_picture_are_left_out():
    split = ["train"] * 40 + ["test"] * 10
    done = assign(index_of(drawn(50, (0.5, 0.5)), split=split, digest=[*range(40), 0, 1, *range(42, 50)]),
                  seed=0, group_by="auto")  # fmt: skip
    assert np.flatnonzero(done.index.split == "out").tolist() == [0, 1]


def test_a_group_shared_with_an_official_part_is_trained_on():
    index = index_of(drawn(60, (0.5, 0.5)), split=["train"] * 50 + ["test"] * 10,
                     group=[7] * 10 + [-1] * 40 + [7] + [-1] * 9)  # fmt: skip
    assert (assign(index, seed=0, group_by="auto").index.split[:10] == "train").all()


def test_views_of_one_thing_stay_together_though_their_labels_differ():
    where = [f"thing{at}x_{view}.jpg" for at in range(40) for view in ("front", "back")]
    index = index_of(drawn(80, (0.5, 0.5)), where=where)
    groups, sentence = find_groups(index, group_by="auto")
    assert (groups.reshape(40, 2) == groups.reshape(40, 2)[:, :1]).all()
    assert "40 groups" in sentence


def test_what_cannot_be_learnt_is_refused_before_any_work():
    with pytest.raises(TooFewExamples, match=r"has one label only \('label 0'\).*a question of two classes"):
        require_trainable(index_of([[True], [False], [True]]))
    with pytest.raises(TooFewExamples, match=r"have fewer: label 1 \(in /data\)"):
        require_trainable(index_of([[True, False], [True, True], [False, False]]))
    test = ["", "", "", "test"]
    with pytest.raises(TooFewExamples, match="have fewer: label 1"):
        require_trainable(index_of([[1, 0], [1, 1], [0, 0], [1, 1]], split=test))
    require_trainable(index_of([[1, 0], [1, 1], [0, 1]]))


def test_a_label_with_nothing_left_to_train_on_is_named():
    split = ["train", "train", "validation", "validation"]
    index = index_of([[1, 0], [1, 0], [0, 1], [0, 1]], split=split)
    with pytest.raises(TooFewExamples, match=r"learn these classes from: label 1 \(in /data\)"):
        assign(index, seed=0, group_by="auto")
