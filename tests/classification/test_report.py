"""The report of a run: the honest figure first, and nothing in it that a class's or a file's name could run."""

import re

import numpy as np
import pytest

from vistazo.classification import report
from vistazo.language import LANGUAGES, speaking
from vistazo.pictures.index import TEST, TRAIN, VALIDATION, Broken, Index

HOSTILE = "<script>alert(1)</script>"


def told(**changes):
    """A run on six pictures of two classes, one of two test pictures answered wrongly with 90 %."""
    index = Index(
        where=("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/ñandú & co.png"),
        label=np.array([0, 0, 0, 1, 1, 1]),
        split=np.array([TRAIN, VALIDATION, TEST, TRAIN, TRAIN, TEST]),
        group=np.arange(6),
        hash=np.array([f"{at:032x}" for at in range(6)]),
        classes=("camión", HOSTILE),
        source="/pictures",
        kind="folder",
    )
    figures = {
        "accuracy": 0.5,
        "accuracy_low": 0.0945,
        "accuracy_high": 0.9055,
        "n": 2,
        "macro_f1": 0.3333,
        "balanced_accuracy": 0.4321,
        "loss": 1.2,
        "single_view_accuracy": 1.0,
    }
    values = {
        "name": "run-1",
        "data": index,
        "part": "test",
        "labels": np.array([0, 1]),
        "pixels": np.zeros((2, 8, 8, 1), np.uint8),
        "probabilities": np.array([[0.8, 0.2], [0.9, 0.1]]),
        "figures": {"validation": None, "test": figures},
        "history": [
            {"epoch": 1, "train": {"loss": 2.0}, "validation": {"accuracy": 0.4, "loss": 2.1}},
            {"epoch": 2, "train": {"loss": 1.0}, "validation": {"accuracy": 0.5, "loss": 1.9}},
        ],
        "kept_epoch": 2,
        "reason": "all epochs done",
        "settings": {"seed": 7, "recipe": "quick"},
        "decided": {"model": "airbench", "arguments": {"classes": 2}, "batch": 3, "keep": "best"},
        "parameters": {"trainable": 10, "statistics": 2, "frozen": 1, "total": 13},
        "sentences": ["Groups: none.", "Parts: 80/10/10."],
        "broken": [Broken(-1, "b/broken.png", "cut short")],
        "environment": {"processor": "an abacus", "threads": 2},
        "seconds": 61.0,
    }
    return report.Told(**{**values, **changes})


def words(page):
    """What a reader sees, on one line."""
    visible = re.sub(r"<(style|script)[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible))


def test_the_figure_stands_with_its_part_its_interval_and_its_n():
    page = words(report.build(told()))
    assert "50.00%" in page
    assert "Accuracy on the test part" in page
    assert "95 % interval 9.45% to 90.55%, n = 2" in page
    assert "Pictures of this part were not trained on." in page


def test_a_figure_on_validation_says_that_it_leans_to_the_bright_side():
    figures = told().figures["test"]
    page = words(report.build(told(part="validation", figures={"validation": figures, "test": None},
                                   labels=np.array([0]), pixels=np.zeros((1, 8, 8, 1), np.uint8),
                                   probabilities=np.array([[0.8, 0.2]]))))  # fmt: skip
    assert "Validation chose the epoch, so this figure leans to the bright side" in page


def test_where_nothing_was_set_aside_it_says_that_nothing_was_measured():
    page = words(
        report.build(told(part="validation", probabilities=None, figures={"validation": None, "test": None}))
    )
    assert "nothing was measured" in page
    assert "Confusion matrix" not in page


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param("camión", id="classes"),
        pytest.param("43.21%", id="balanced accuracy beside the plain one"),
        pytest.param("ñandú &amp; co.png", id="file names of the mistakes"),
        pytest.param("90.0%", id="how sure it was of a mistake"),
        pytest.param("Parts: 80/10/10.", id="how the parts were made"),
        pytest.param("b/broken.png", id="what was left out"),
        pytest.param("cut short", id="why it was left out"),
        pytest.param("seed 7", id="settings"),
        pytest.param("batch 3", id="what the recipe decided"),
        pytest.param("an abacus", id="the machine"),
        pytest.param("1 min 01 s", id="the time"),
        pytest.param("13 (10 trainable, 2 running statistics, 1 frozen)", id="parameters, each kind"),
        pytest.param("all epochs done; kept: epoch 2", id="why it ended and which epoch was kept"),
    ],
)
def test_it_holds_what_a_reader_needs(expected):
    page = report.build(told())
    assert expected in page or expected in words(page)


def test_only_mistakes_are_shown_as_mistakes():
    assert report.build(told()).count("data:image/png;base64,") == 1
    right = report.build(told(probabilities=np.array([[0.8, 0.2], [0.1, 0.9]])))
    assert "data:image/png;base64," not in right
    assert "every picture of this part was answered rightly" in right


def test_hostile_names_stay_names():
    page = report.build(told(name=HOSTILE, broken=[Broken(-1, HOSTILE, HOSTILE)], sentences=[HOSTILE]))
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_needs_nothing_from_elsewhere():
    page = report.build(told())
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)""", page) == []
    assert "http-equiv" not in page or "refresh" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_written_in_both_languages(language):
    with speaking(language):
        page = report.build(told())
    assert f'lang="{language}"' in page
    assert "{" not in words(page)
