"""Folds: every picture is tested once, groups and copies stay together, every class is everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.errors import ConfigError, TooFewExamples
from vistazo.pictures import folds
from vistazo.pictures.index import Index


def index_of(label, *, split=None, group=None, digest=None, where=None):
    n = len(label)
    return Index(
        where=tuple(where or (f"{at:05}.png" for at in range(n))),
        label=np.array(label),
        split=np.array([""] * n if split is None else split, dtype="U10"),
        group=np.array([-1] * n if group is None else group),
        hash=np.array([f"{at:032x}" for at in (range(n) if digest is None else digest)], dtype="S32"),
        classes=tuple(f"class {at}" for at in range(max(label, default=0) + 1)),
        source="/data",
        kind="arrays",
    )


@st.composite
def indexes(draw):
    """Pictures with groups, copies, an official test part now and then, and classes of very different sizes."""
    n = draw(st.integers(12, 70))
    label = [0, 1, *draw(st.lists(st.sampled_from([0, 0, 0, 1, 1, 2]), min_size=n - 2, max_size=n - 2))]
    label = np.unique(label, return_inverse=True)[1].tolist()
    group = draw(st.lists(st.integers(-1, 2 * n), min_size=n, max_size=n))
    digest = draw(st.lists(st.integers(0, 3 * n), min_size=n, max_size=n))
    split = draw(st.lists(st.sampled_from(["", "", "", "", "test"]), min_size=n, max_size=n))
    return index_of(label, group=group, digest=digest, split=split if draw(st.booleans()) else None)


def drawn(index, count, seed=0):
    """The folds, or None where a class is too small for them."""
    try:
        return folds.draw(index, folds=count, seed=seed, group_by="auto")
    except TooFewExamples as error:
        assert "'class " in str(error) or "'label " in str(error)
        return None


# ---------------------------------------------------------------- what always holds
@given(indexes(), st.integers(2, 5), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_every_picture_outside_an_official_test_part_is_tested_exactly_once(index, count, seed):
    found = drawn(index, count, seed)
    if found is None:
        return
    official = index.split == "test"
    copies = np.isin(index.hash, index.hash[official])
    assert (found.number[official | copies] == -1).all()
    assert (found.number[~official & ~copies] >= 0).all()
    tested = np.zeros(len(index), dtype=int)
    for at in range(1, count + 1):
        parts = folds.divide(index, fold=f"{at}/{count}", seed=seed, group_by="auto").index.split
        tested += parts == "test"
        assert (parts[official | copies] == "out").all()
        assert ((parts == "test") == (found.number == at - 1)).all()
    assert tested.tolist() == (~official & ~copies).astype(int).tolist()


@given(indexes(), st.integers(2, 4), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_groups_and_copies_are_whole_in_every_run(index, count, seed):
    if drawn(index, count, seed) is None:
        return
    for fold in (*(f"{at}/{count}" for at in range(1, count + 1)), "all"):
        done = folds.divide(index, fold=fold, seed=seed, group_by="auto").index
        used = np.isin(done.split, ("train", "validation", "test"))
        if fold == "all":
            used &= done.split != "test"  # an official part may share a group, and that is said
        for column in (done.group, done.hash):
            for value in np.unique(column[used]):
                assert len(set(done.split[used & (column == value)])) == 1
        assert set(done.label[done.split == "train"]) == set(range(len(index.classes)))


@given(indexes(), st.integers(2, 4), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(index, count, random):
    found = drawn(index, count)
    if found is None:
        return
    order = list(range(len(index)))
    random.shuffle(order)
    again = drawn(index.take(np.array(order)), count)
    assert again.number.tolist() == found.number[order].tolist()


@given(st.lists(st.integers(0, 3), min_size=30, max_size=90), st.integers(2, 6), st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_without_groups_folds_hold_equal_numbers_of_each_class(label, count, seed):
    label = np.unique(label, return_inverse=True)[1]
    if np.bincount(label).min() < count:
        return
    number = drawn(index_of(label.tolist()), count, seed).number
    for one in np.unique(label):
        each = np.bincount(number[label == one], minlength=count)
        assert each.max() - each.min() <= 1
    each = np.bincount(number, minlength=count)
    assert each.max() - each.min() <= len(np.unique(label))


def test_with_groups_the_classes_are_spread_nearly_evenly():
    random = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], (60, 90, 150))
    group = np.concatenate([10 * 1000 * at + random.integers(0, 20, n) for at, n in enumerate((60, 90, 150))])
    number = drawn(index_of(label.tolist(), group=group.tolist()), 5).number
    for one, n in enumerate((60, 90, 150)):
        each = np.bincount(number[label == one], minlength=5)
        assert each.max() - each.min() <= 0.1 * n / 5 + max(np.bincount(group[label == one]))
        assert each.min() > 0.5 * n / 5


def test_groups_of_several_classes_are_spread_too():
    """Twenty things photographed in two states: each thing is a group with a picture of either class."""
    label = [0, 1] * 20
    group = [at // 2 for at in range(40)]
    number = drawn(index_of(label, group=group), 5).number
    assert np.bincount(number).tolist() == [8] * 5


def test_another_seed_deals_otherwise_and_the_same_one_alike():
    index = index_of([at % 2 for at in range(60)])
    one, again, other = (drawn(index, 3, seed).number.tolist() for seed in (0, 0, 1))
    assert one == again != other


# ---------------------------------------------------------------- several labels a picture
def labelled(labels, **more):
    """Pictures with these labels, (rows, labels) of 0 and 1."""
    labels = np.array(labels, dtype=bool)
    names = tuple(f"label {at}" for at in range(labels.shape[1]))
    plain = index_of([0] * len(labels), **more)
    return plain.replace(label=np.full(len(labels), -1), labels=labels, classes=names)


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_every_label_is_in_every_fold_and_pictures_without_any_are_dealt_out_too(seed, count):
    """Five labels from rare to common, on top of one another, and many pictures without any."""
    random = np.random.default_rng(seed)
    labels = random.random((80, 5)) < [0.05, 0.1, 0.2, 0.3, 0.5]
    labels[:count] |= np.eye(5, dtype=bool)[random.integers(0, 5, count)]
    index = labelled(labels)
    if labels.sum(0).min() < count:
        assert drawn(index, count) is None
        return
    number = drawn(index, count, seed % 7).number
    each = np.array([labels[number == at].sum(0) for at in range(count)])
    assert each.min() >= 1
    assert np.bincount(number).tolist() == np.bincount(number, minlength=count).tolist()
    bare = np.bincount(number[~labels.any(1)], minlength=count)
    assert bare.max() - bare.min() <= 1
    for at in range(1, count + 1):
        parts = folds.divide(index, fold=f"{at}/{count}", seed=seed % 7, group_by="auto").index.split
        assert ((parts == "test") == (number == at - 1)).all()
        assert labels[parts == "train"].any(0).all()
    order = random.permutation(len(index))
    assert drawn(index.take(order), count, seed % 7).number.tolist() == number[order].tolist()


def test_folds_of_several_labels_share_each_label_out_nearly_evenly():
    labels = np.random.default_rng(0).random((300, 6)) < [0.04, 0.1, 0.2, 0.3, 0.4, 0.5]
    number = drawn(labelled(labels), 5).number
    for at in range(6):
        each = np.bincount(number[labels[:, at]], minlength=5)
        assert each.max() - each.min() <= 2 + 0.1 * labels[:, at].sum() / 5
    sizes = np.bincount(number)
    assert sizes.max() - sizes.min() <= 4


def test_a_label_of_too_few_pictures_is_named_with_its_own_number():
    index = labelled([[1, 0]] * 20 + [[0, 1]] * 2 + [[0, 0]] * 5, group=range(27))
    says = r"every label .* and 'label 1' is on 2: use fewer folds"
    with pytest.raises(TooFewExamples, match=says):
        folds.draw(index, folds=3, seed=0, group_by="auto")
    with pytest.raises(TooFewExamples, match=says):
        folds.divide(index, fold="1/3", seed=0, group_by="auto")
    assert folds.most_folds(index) == 2


def test_all_learns_from_pictures_of_several_labels_and_an_official_part_tests_them():
    labels = [[1, 0], [0, 1], [1, 1], [0, 0]] * 10
    split = [""] * 32 + ["test"] * 8
    done = folds.divide(labelled(labels, split=split), fold="all", seed=0, group_by="auto")
    assert done.counts["test"] == 8
    assert done.counts["out"] == 0


# ---------------------------------------------------------------- the run on all pictures
def test_all_trains_on_every_picture_and_tests_none():
    index = index_of([at % 2 for at in range(60)])
    done = folds.divide(index, fold="all", seed=0, group_by="auto")
    assert done.counts == {"train": 54, "validation": 6, "test": 0, "out": 0}
    assert "54 to train, 6 to validate, 0 to test" in done.sentences[-1]


def test_all_is_tested_on_an_official_part_and_names_shared_groups():
    split = ["", ""] * 25 + ["test", "test"] * 5
    index = index_of([at % 2 for at in range(60)], split=split, group=[*range(50), 0, *range(100, 109)])
    done = folds.divide(index, fold="all", seed=0, group_by="auto")
    assert done.counts["test"] == 10
    assert (done.index.split[:50] != "test").all()
    assert any("Your own parts share groups: 1 training pictures" in one for one in done.sentences)


def test_an_official_validation_part_is_dealt_out_with_the_rest():
    split = [""] * 50 + ["validation"] * 10
    found = drawn(index_of([at % 2 for at in range(60)], split=split), 5)
    assert (found.number >= 0).all()
    assert any("own validation part is dealt out" in one for one in found.sentences)


def test_validation_is_a_tenth_of_what_is_not_tested():
    done = folds.divide(index_of([at % 2 for at in range(400)]), fold="2/5", seed=0, group_by="auto")
    assert done.counts == {"train": 288, "validation": 32, "test": 80, "out": 0}


# ---------------------------------------------------------------- what is refused
def test_more_folds_than_a_class_has_groups_names_the_class_and_the_number():
    index = index_of([0] * 20 + [1] * 6, group=[*range(20), 30, 30, 31, 31, 32, 32])
    with pytest.raises(TooFewExamples, match=r"'class 1' has 3: use --folds 3 or fewer"):
        folds.draw(index, folds=4, seed=0, group_by="auto")
    assert folds.draw(index, folds=3, seed=0, group_by="auto").number.max() == 2


def test_a_class_of_one_group_allows_no_folds():
    index = index_of([0] * 20 + [1] * 6, group=[*range(20), *[30] * 6])
    with pytest.raises(TooFewExamples, match=r"'class 1' has 1: add pictures, or leave out --folds"):
        folds.draw(index, folds=2, seed=0, group_by="auto")


def test_a_source_that_names_all_parts_leaves_nothing_to_fold():
    split = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    with pytest.raises(ConfigError, match="/data names its training, validation and test parts itself"):
        folds.draw(index_of([at % 2 for at in range(60)], split=split), folds=3, seed=0, group_by="auto")


def test_the_most_folds_are_the_groups_of_the_smallest_class():
    index = index_of([0] * 20 + [1] * 6, group=[*range(20), 30, 30, 31, 31, 32, 32])
    assert folds.most_folds(index) == 3
    assert folds.most_folds(index.replace(split=np.array([""] * 24 + ["out"] * 2))) == 2
