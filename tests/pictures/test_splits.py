import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.errors import ConfigError, TooFewExamples
from vistazo.pictures.index import Index
from vistazo.pictures.splits import assign, find_groups, require_trainable


def index_of(where, label, *, split=None, group=None, digest=None, kind="folder"):
    n = len(where)
    classes = tuple(f"class {at}" for at in range(max(label, default=0) + 1))
    return Index(
        where=tuple(where),
        label=np.array(label),
        split=np.array([""] * n if split is None else split, dtype="U10"),
        group=np.array([-1] * n if group is None else group),
        hash=np.array([f"{at:032x}" for at in (range(n) if digest is None else digest)], dtype="S32"),
        classes=classes,
        source="/data",
        kind=kind,
    )


def plain(n, classes=2, **columns):
    return index_of([f"{at:05}.png" for at in range(n)], [at % classes for at in range(n)], **columns)


@st.composite
def indexes(draw):
    n = draw(st.integers(4, 60))
    label = [0, 1, *draw(st.lists(st.integers(0, 2), min_size=n - 2, max_size=n - 2))]
    group = draw(st.lists(st.integers(-1, n // 2), min_size=n, max_size=n))
    digest = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    return plain(n).replace(
        label=np.unique(label, return_inverse=True)[1],
        classes=tuple("abc"[: len(set(label))]),
        group=np.array(group),
        hash=np.array([f"{at:032x}" for at in digest], dtype="S32"),
    )


@given(indexes(), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_neither_a_group_nor_a_duplicate_ever_straddles_two_parts(index, seed):
    done = assign(index, seed=seed, group_by="auto")
    for column in (done.index.group, done.index.hash):
        for value in np.unique(column):
            assert len(set(done.index.split[column == value])) == 1
    assert set(done.index.label[done.index.split == "train"]) == set(index.label)
    assert sum(done.counts.values()) == len(index)
    assert done.counts["out"] == 0


@given(indexes(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_changes_nothing(index, random):
    order = np.array(random.sample(range(len(index)), len(index)))
    first, second = (assign(one, seed=0, group_by="auto").index.split for one in (index, index.take(order)))
    np.testing.assert_array_equal(first[order], second)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=12), st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_three_groups_are_enough_for_every_part(sizes, seed):
    group = np.repeat(np.arange(len(sizes)), sizes).tolist()
    label = [0] * len(group) + [1] * 3
    index = index_of([f"{at}.png" for at in range(len(label))], label, group=[*group, 100, 101, 102])
    split = assign(index, seed=seed, group_by="auto").index.split
    for one in (0, 1):
        assert set(split[index.label == one]) == {"train", "validation", "test"}


def test_parts_are_eighty_ten_ten_of_every_class():
    done = assign(plain(1000, 5), seed=1, group_by="auto")
    assert done.counts == {"train": 800, "validation": 100, "test": 100, "out": 0}
    for one in range(5):
        assert (done.index.split[done.index.label == one] == "test").sum() == 20
    assert "80/10/10 by class, seed 1: 800 to train, 100 to validate, 100 to test" in done.sentences[-1]


def test_another_seed_draws_other_pictures():
    one, other = (assign(plain(200), seed=seed, group_by="auto").index.split for seed in (0, 1))
    assert (one != other).any()


def test_a_new_picture_moves_few_of_the_others():
    before = assign(plain(400), seed=0, group_by="auto").index.split
    after = assign(plain(401), seed=0, group_by="auto").index.split[:400]
    assert (before != after).sum() <= 4


def test_of_two_pictures_one_trains_and_one_tests():
    done = assign(index_of(["a", "b", "c", "d"], [0, 0, 1, 1]), seed=0, group_by="none")
    assert done.counts == {"train": 2, "validation": 0, "test": 2, "out": 0}
    assert done.sentences[-1] == "Too few pictures or groups to be in every part: class 0, class 1."


def test_an_official_test_part_stays_and_validation_is_a_tenth_of_training():
    split = ["train"] * 200 + ["test"] * 50
    done = assign(plain(250, split=split), seed=0, group_by="auto")
    assert done.counts == {"train": 180, "validation": 20, "test": 50, "out": 0}
    assert (done.index.split[200:] == "test").all()


def test_the_shares_of_the_parts_can_be_said():
    done = assign(plain(1000, 5), seed=1, group_by="auto", shares=(0.16, 0.2))
    assert done.counts == {"train": 640, "validation": 160, "test": 200, "out": 0}
    assert "Parts: 64/16/20 by class, seed 1: 640 to train" in done.sentences[-1]
    split = ["train"] * 200 + ["test"] * 50
    done = assign(plain(250, split=split), seed=0, group_by="auto", shares=(0.2, 0.1))
    assert done.counts == {"train": 160, "validation": 40, "test": 50, "out": 0}
    assert "test is official; validation is 20% of training, by class, seed 0" in done.sentences[-1]
    split = ["train"] * 200 + ["validation"] * 50
    done = assign(plain(250, split=split), seed=0, group_by="auto", shares=(0.2, 0.3))
    assert done.counts == {"train": 140, "validation": 50, "test": 60, "out": 0}
    assert "validation is official; test is 30% of training" in done.sentences[-1]


def test_an_official_validation_part_stays():
    done = assign(plain(250, split=["train"] * 200 + ["validation"] * 50), seed=0, group_by="auto")
    assert done.counts == {"train": 180, "validation": 50, "test": 20, "out": 0}


def test_training_pictures_identical_to_an_official_test_picture_are_left_out_and_counted():
    split = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    digest = [*range(50), 0, 1, 2, 40, *range(60, 66)]
    done = assign(plain(60, split=split, digest=digest), seed=0, group_by="auto")
    assert np.flatnonzero(done.index.split == "out").tolist() == [0, 1, 2, 40]
    assert "Left out: 3 training pictures that are byte-identical to a test picture." in done.sentences
    assert "Left out: 1 validation pictures that are byte-identical to a test picture." in done.sentences
    assert done.counts["out"] == 4


def test_labels_of_an_official_test_part_influence_nothing_else():
    index = plain(300, 3, split=["train"] * 240 + ["test"] * 60)
    permuted = index.label.copy()
    permuted[240:] = np.random.default_rng(0).permutation(permuted[240:])
    one, other = (
        assign(index.replace(label=label), seed=0, group_by="auto") for label in (index.label, permuted)
    )
    np.testing.assert_array_equal(one.index.split, other.index.split)
    np.testing.assert_array_equal(one.index.group, other.index.group)
    assert one.sentences == other.sentences


def test_a_group_shared_with_an_official_part_is_trained_on_and_told():
    index = plain(60, split=["train"] * 50 + ["test"] * 10, group=[7] * 10 + [-1] * 40 + [7] + [-1] * 9)
    done = assign(index, seed=0, group_by="auto")
    assert (done.index.split[:10] == "train").all()
    assert any("10 training pictures belong to things seen" in sentence for sentence in done.sentences)


def test_a_class_whose_pictures_are_all_gone_is_named():
    index = plain(9).replace(classes=("class 0", "class 1", "gone"))
    with pytest.raises(TooFewExamples, match=r"learn these classes from: gone \(in /data\)"):
        assign(index, seed=0, group_by="auto")


def test_one_class_and_lonely_pictures_are_refused_before_any_work():
    with pytest.raises(TooFewExamples, match=r"one class only \('class 0'\)"):
        require_trainable(plain(5, 1))
    with pytest.raises(TooFewExamples, match=r"have fewer: class 1 \(in /data\)"):
        require_trainable(index_of(["a", "b", "c"], [0, 0, 1]))
    require_trainable(plain(4))


def views(*endings, classes=2, things=30):
    names = [f"c{c}/thing{t}x{end}.jpg" for c in range(classes) for t in range(things) for end in endings]
    return index_of(names, [int(name[1]) for name in names])


@pytest.mark.parametrize(
    "endings",
    [
        pytest.param(("_front", "_left", "_back"), id="views"),
        pytest.param(("_frente", "_Lado"), id="vistas"),
        pytest.param(("-1", "-2", "-3"), id="dashed numbers"),
        pytest.param(("", " (2)", " (3)"), id="copies of a file manager"),
        pytest.param(("_a", "_b"), id="letters"),
        pytest.param(("1", "2", "3"), id="trailing numbers"),
        pytest.param(("", "_front"), id="the thing itself and a view"),
    ],
)
def test_file_names_that_differ_in_a_view_are_one_thing(endings):
    index = views(*endings)
    groups, sentence = find_groups(index, group_by="auto")
    assert len(np.unique(groups)) == 60
    assert (groups.reshape(60, len(endings)) == groups.reshape(60, -1)[:, :1]).all()
    assert "60 groups" in sentence
    assert "group_by none turns this off" in sentence


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"{c}/{at:04}.jpg" for c in (0, 1) for at in range(100)], id="CIFAR"),
        pytest.param([f"{c}/cat.{at}.jpg" for c in (0, 1) for at in range(100)], id="numbered"),
        pytest.param([f"{c}/t{at % 9}_{at}.jpg" for c in (0, 1) for at in range(90)], id="nine groups"),
        pytest.param(
            [f"{c}/{chr(97 + at % 26)}{chr(97 + at // 26)}q.jpg" for c in (0, 1) for at in range(90)]
            + [f"{c}/one_{at}.jpg" for c in (0, 1) for at in range(9)],
            id="one group of 9 %",
        ),
    ],
)
def test_names_numbered_through_are_no_series(names):
    groups, sentence = find_groups(index_of(names, [int(name[0]) for name in names]), group_by="auto")
    assert len(np.unique(groups)) == len(names)
    assert sentence.startswith("Groups: none")


def test_a_manifest_column_wins_over_file_names():
    index = views("_a", "_b").replace(group=np.arange(120) // 4)
    groups, sentence = find_groups(index, group_by="auto")
    assert len(np.unique(groups)) == 30
    assert "manifest" in sentence
    assert len(np.unique(find_groups(index, group_by="none")[0])) == 120


def test_groups_by_folder_expression_and_time():
    names = [
        "x/p1/a.jpg",
        "x/p1/b.jpg",
        "y/p1/a.jpg",
        "y/p2/IMG_20240131_120000.jpg",
        "y/p2/IMG_20240131_120050.jpg",
    ]
    names += ["y/p2/IMG_20240131_120145.jpg", "y/p2/2024-01-31 12.09.00.jpg", "y/p2/IMG_20249999_990000.jpg"]
    index = index_of(names, [0, 0, 1, 1, 1, 1, 1, 1])
    assert find_groups(index, group_by="parent")[0].tolist() == [0, 0, 1, 2, 2, 2, 2, 2]
    assert find_groups(index, group_by=r"regex:/(p\d)/")[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    groups, sentence = find_groups(index, group_by="time:60s")
    assert groups.tolist() == [0, 1, 2, 3, 3, 3, 4, 5]
    assert sentence == "Groups: pictures taken together: 2; pictures without one, each for itself: 4."


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("patient", r"group_by is one of auto, none, parent, regex:…, time:60s, not 'patient'"),
        ("time:soon", "not 'time:soon'"),
        ("regex:(", r"regular expression '\(', which is malformed"),
        ("regex:zzz", "'regex:zzz' finds nothing"),
        ("time:1m", "'time:1m' finds nothing"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(group_by, message):
    with pytest.raises(ConfigError, match=message):
        find_groups(plain(4), group_by=group_by)


def test_the_hash_seed_of_python_changes_nothing():
    code = (
        "import hashlib; from test_splits import plain, assign;"
        "print(hashlib.md5(assign(plain(500), seed=3, group_by='auto').index.split.tobytes()).hexdigest())"
    )
    here = os.path.dirname(__file__)
    answers = set()
    for number in ("1", "2"):
        paths = os.pathsep.join([here, *sys.path])
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": paths}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        answers.add(done.stdout)
    assert len(answers) == 1
