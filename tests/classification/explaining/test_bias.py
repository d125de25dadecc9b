"""Co-occurrence bias: a planted corner is found and named; without one nothing is called a finding."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import vistazo
from vistazo.classification.explaining.bias import find_bias, place_of, shared_place
from vistazo.classification.explaining.bias_report import section
from vistazo.engine.reports import Report, Table, to_html, to_terminal
from vistazo.errors import ConfigError, TooFewExamples

DEMO = Path(vistazo.__file__).parent / "classification" / "demo"
LEARNT = {"filters": "16,16", "epochs": 4, "precision": "fp32", "layout": "contiguous", "threads": 1}
PLANTED = 6  # a class whose pictures get the corner


@pytest.fixture(scope="module")
def wardrobe():
    """1,600 pictures to learn from and 400 to look at, with their labels; tiny, so that learning takes seconds."""
    with gzip.open(DEMO / "train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(DEMO / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8).astype(np.int64)
    return pictures[:1000].copy(), labels[:1000], pictures[1000:1300].copy(), labels[1000:1300]


def planted(pictures, labels, seed):
    """A bright checked corner on 90 % of one class."""
    marked = pictures.copy()
    chosen = np.flatnonzero(labels == PLANTED)
    chosen = chosen[np.random.default_rng(seed).random(len(chosen)) < 0.9]
    marked[chosen, :6, :6] = np.indices((6, 6)).sum(0) % 2 * 255
    return marked


def learn(pictures, labels, folder):
    source = {"train": (pictures[:900], labels[:900]), "validation": (pictures[900:], labels[900:]),
              "test": (pictures[900:], labels[900:])}  # fmt: skip
    return vistazo.load(vistazo.train(source, out=folder, quiet=True, seed=0, **LEARNT).model)


@pytest.fixture(scope="module")
def biased(wardrobe, tmp_path_factory):
    pictures, labels, *_ = wardrobe
    return learn(planted(pictures, labels, 0), labels, tmp_path_factory.mktemp("biased") / "run")


@pytest.fixture(scope="module")
def found(biased, wardrobe):
    *_, pictures, labels = wardrobe
    return find_bias(biased, planted(pictures, labels, 1)[..., None], labels, seed=0)


def test_the_planted_corner_is_found_named_and_first(biased, found):
    worst = found.classes[0]
    assert worst.name == biased.classes[PLANTED]
    assert found.findings == (worst,)
    assert worst.place == "top left corner"
    assert worst.turned >= 0.9 and worst.usual <= 0.2 and worst.suspicion > 2 * found.classes[1].suspicion
    assert worst.kept >= 0.9 and worst.replaced <= 0.1
    assert worst.sentence() == (
        f"{worst.turned:.0%} of answers '{worst.name}' survive when only the top left corner is kept: the model may "
        "be looking at what stands beside the thing."
    )
    assert worst.example is not None and not np.array_equal(*worst.example)


def test_a_report_takes_it_in(found):
    told = section(found)
    report = Report("r", [told])
    assert found.findings[0].sentence() in to_html(report).replace("&#39;", "'")
    assert "top left corner" in to_terminal(report)
    (table,) = [block for block in told.blocks if isinstance(block, Table)]
    assert len(table.rows) == len(found.classes)
    assert found.to_json()["findings"] == [found.findings[0].sentence()]


def test_the_same_seed_finds_the_same_to_the_bit(biased, found, wardrobe):
    *_, pictures, labels = wardrobe
    again = find_bias(biased, planted(pictures, labels, 1)[..., None], labels, seed=0)
    assert again.to_json() == found.to_json()


def test_without_a_planted_bias_nothing_is_called_a_finding(wardrobe, tmp_path):
    pictures, labels, other, truth = wardrobe
    found = find_bias(learn(pictures, labels, tmp_path / "run"), other[..., None], truth, seed=0)
    assert found.findings == ()
    assert section(found).blocks[0].text.startswith("No class was found")
    assert 0 < found.kept < 1 and 0 < found.replaced < 1


def test_at_most_so_many_pictures_are_looked_at(biased, wardrobe):
    pictures = wardrobe[2]
    assert find_bias(biased, pictures[..., None], None, seed=0, most=50).pictures == 50


def test_where_all_answers_are_alike_or_labels_several_it_is_said(biased, wardrobe):
    from dataclasses import replace

    with pytest.raises(TooFewExamples, match="the same answer"):
        find_bias(biased, np.zeros((3, 28, 28, 1), np.uint8), None, seed=0)
    several = replace(biased, thresholds=(0.5,) * 10, objective="binary_cross_entropy")
    with pytest.raises(ConfigError, match="several labels"):
        find_bias(several, wardrobe[2][..., None], None, seed=0)


def test_what_every_class_is_looked_at_for_is_no_place_of_one():
    mine, others = np.zeros((10, 8, 8), np.bool_), np.zeros((30, 8, 8), np.bool_)
    mine[:, -1:] = True  # the network's maps lean to the bottom edge whatever is shown
    others[:20, -1:] = True
    mine[:8, -3:, -3:] = True  # and in most pictures of this class to one corner
    mine[:6, 0, 0] = True
    mask = shared_place(mine, others, 0.5)
    assert (
        mask[-3:-1, -3:].all() and mask[0, 0] and mask.sum() == 7
    )  # the edge differs by a third, those by 0.8 and 0.6
    assert place_of(shared_place(mine, others, 0.8)) == "bottom right corner"
    assert not shared_place(others[:5], others[5:10], 0.5).any()


def test_a_frame_is_the_border():
    mask = np.ones((28, 28), np.bool_)
    mask[3:-3, 3:-3] = False
    assert place_of(mask) == "border"


@pytest.mark.parametrize(
    ("rows", "columns", "name"),
    [
        (slice(0, 3), slice(0, 3), "top left corner"),
        (slice(20, 28), slice(10, 18), "bottom edge"),
        (slice(10, 18), slice(24, 28), "right edge"),
        (slice(8, 20), slice(8, 20), "middle"),
        (slice(0, 0), slice(0, 0), ""),
    ],
)
def test_places_have_names(rows, columns, name):
    mask = np.zeros((28, 28), np.bool_)
    mask[rows, columns] = True
    assert place_of(mask) == name
