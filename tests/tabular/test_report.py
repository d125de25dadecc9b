"""The report: one page that begins with the honest figure and its baselines, and warns where it must."""

import numpy as np


def test_the_page_of_a_run_on_classes(flower_run):
    page = (flower_run.run / "report.html").read_text(encoding="utf-8")
    for words in (
        "Accuracy on the test part",
        "always answering the most common class would give 33.3%",
        "Class by class",
        "What the answers go by",
        "rise of the log loss",
        "The worst mistakes, explained",
        "parts: 80/10/10 at random, seed 0",
        "río",
    ):
        assert words in page, words
    assert "<script" not in page


def test_the_page_of_a_run_on_numbers(house_run):
    page = (house_run.run / "report.html").read_text(encoding="utf-8")
    for words in (
        "Mean absolute error on the test part",
        "always answering the median",
        "error at most",
        "80% interval",
    ):
        assert words in page, words


def test_a_suspect_stands_at_the_top_of_the_page_and_is_told_while_training(learn, in_tmp, capsys):
    random = np.random.default_rng(0)
    x, z = random.normal(0, 1, (2, 80))
    y = ["yes" if one > 0 else "no" for one in x + z]
    result = learn({"x": x, "z": z, "leak <b>": [f"{one}!" for one in y], "y": y}, target="y", quiet=False)
    assert "SUSPECT, left out: 'leak <b>'" in capsys.readouterr().err
    page = (result.run / "report.html").read_text(encoding="utf-8")
    assert page.index("SUSPECT") < page.index("Learning curves")
    assert "leak &lt;b&gt;" in page and "leak <b>" not in page


def test_nothing_measured_is_said(learn, in_tmp):
    result = learn({"a": [1, 2, 3, 4], "y": ["p", "q", "p", "q"]}, target="y")
    assert "nothing was measured" in (result.run / "report.html").read_text(encoding="utf-8")
