"""The page of a run and the drawing of a forecast: honest in words, whole as a file, and never executed."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from defusedxml import ElementTree

from vistazo.forecasting import report
from vistazo.forecasting import steps as time
from vistazo.forecasting.drawing import draw
from vistazo.language import speaking

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\x00"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags and text, and insists that every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def answers(step="day", series="", count=3):
    dates = time.dates_of(
        time.steps_of(np.array(["2022-03-01"], "datetime64[s]"), step) + np.arange(count), step
    )
    return [{"series": series, "date": str(one).replace("T", " "), "value": 5.0 + n, "low": 4.0, "high": 9.0}
            for n, one in enumerate(dates)]  # fmt: skip


def made(step="day", mae=2.0, best=3.0, coverage=0.8, **changes):
    first = time.steps_of(np.array(["2022-01-03"], "datetime64[s]"), step)
    at = first + np.arange(30)
    figures = {
        "mae": mae, "rmse": 2.5, "bias": 0.0, "coverage": coverage, "n": 40, "windows": 20, "best_baseline": "ridge",
        "baselines": {"ridge": {"mae": best, "rmse": 4.0}, "last value": {"mae": 9.0, "rmse": 9.0}},
    }  # fmt: skip
    line_dates = np.concatenate([time.dates_of(at[-4:], step), time.dates_of(at[-1:] + 1, step)])
    line = np.arange(5.0)
    told = report.Told(
        name="run-1",
        step=step,
        closed=True,
        part="test",
        figures={"validation": None, "test": figures},
        real=np.ones((20, 2)),
        told=np.full((20, 2), 2.0),
        codes=time.codes_of(np.repeat(at[:20], 2), step)[:, 0].reshape(20, 2),
        baseline=np.full((20, 2), 4.0),
        past=(time.dates_of(at, step), np.where(at % 9 == 0, np.nan, 3.0)),
        line=(line_dates, line, line - 1, line + 1),
        ahead=answers(step),
        series=[""],
        value_name="units",
        history=[
            {"epoch": 1, "train": {"loss": 0.5}, "validation": {"mae": 3.0}},
            {"epoch": 2, "train": {"loss": 0.4}, "validation": {"mae": 2.0}},
        ],
        settings={"window": 7},
        decided={
            "model": "tide",
            "arguments": {},
            "moments": [["test", int(at[10]), int(at[-1])]],
            "epochs": 2,
            "scaler": "standard",
            "log": True,
            "known_scale": [[], []],
        },
        parameters={"total": 64},
        sentences=["series: 1, 30 days"],
        environment={"torch": "2"},
        seconds=3.0,
    )
    return replace(told, **changes)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("step", ["hour", "day", "week", "month"])
def test_the_page_is_whole_for_every_step_in_both_languages(step, language):
    with speaking(language):
        text = report.build(made(step))
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object", "form"} == set()
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    assert len(re.findall(r"<svg", text)) >= 3


def test_the_headline_names_the_error_the_best_rule_and_the_gain():
    words = " ".join(Page(report.build(made(mae=2.0, best=3.0))).words)
    assert "Mean absolute error on the test part" in words
    assert "The best simple rule, ridge, errs by 3.00: the network is 33.3% better." in words
    assert "80.0% of the values lay inside their 80 % interval. n = 40." in words


@pytest.mark.parametrize(("mae", "best"), [(3.0, 2.0), (2.0, 2.0), (1.0, 0.0)])
def test_a_network_that_is_no_better_is_said_to_be_none(mae, best):
    words = " ".join(Page(report.build(made(mae=mae, best=best))).words)
    assert "the network is NOT better. Trust the rule more." in words


def test_a_share_that_nothing_proves_is_not_told():
    words = " ".join(Page(report.build(made(coverage=None))).words)
    assert "lay inside" not in words
    assert "n = 40." in words


def test_nothing_measured_is_said():
    empty = np.zeros((0, 2))
    told = made(part="validation", figures={"validation": None, "test": None}, real=empty, told=empty, baseline=empty,
                codes=empty.astype(int))  # fmt: skip
    assert "Nothing was measured: the series is too short." in " ".join(Page(report.build(told)).words)


def test_errors_are_told_by_weekday():
    table = " ".join(Page(report.build(made())).words)
    for name in ("Monday", "Sunday"):
        assert name in table


def test_hostile_names_are_shown_and_execute_nothing():
    told = made(name=HOSTILE, value_name=HOSTILE, series=[HOSTILE, "b"], ahead=answers(series=HOSTILE),
                sentences=[HOSTILE], settings={"value": HOSTILE})  # fmt: skip
    text = report.build(told)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert any("<script>alert(1)</script>" in words for words in page.words)
    assert "49" not in "".join(word for word in page.words if "alert" in word)


def test_the_steps_to_come_stand_in_a_table_with_their_series():
    several = [*answers(series="a"), *answers(series="b")]
    words = Page(report.build(made(series=["a", "b"], ahead=several))).words
    assert words.count("2022-03-02") == 2
    assert "a" in words and "b" in words


# ---------------------------------------------------------------- the drawing
@pytest.mark.parametrize("step", ["hour", "day", "month"])
def test_a_drawing_is_an_svg_file_of_its_own_inside_its_frame(step):
    drawing = ElementTree.fromstring(draw(answers(step, series="mall <&>", count=12)))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, width, height = map(float, drawing.get("viewBox").split())
    paths = " ".join(one.get("d") for one in drawing.iter("{http://www.w3.org/2000/svg}path")
                     if one.get("class").split()[0] in ("line", "band"))  # fmt: skip
    points = [tuple(map(float, one)) for one in re.findall(r"(-?[\d.]+) (-?[\d.]+)", paths)]
    assert len(points) >= 12 * 3
    assert all(0 <= across <= width and 0 <= down <= height for across, down in points)


def test_a_drawing_shows_the_first_series_alone():
    one = draw(answers(series="a"))
    assert draw([*answers(series="a"), *answers(series="b")]) == one


def test_hostile_series_cannot_leave_the_drawing():
    text = draw(answers(series=HOSTILE)).decode()
    tags = {one.tag.rsplit("}", 1)[-1] for one in ElementTree.fromstring(text).iter()}
    assert tags & {"script", "img", "foreignObject", "a"} == set()


def test_one_answer_can_be_drawn_and_none_cannot():
    assert draw(answers(count=1)).startswith(b"<svg")
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([])


def test_the_picture_of_a_forecast_begins_with_the_last_weeks():
    dates = np.arange("2024-01-01", "2024-02-01", dtype="datetime64[D]")
    alone = ElementTree.fromstring(draw(answers()))
    whole = ElementTree.fromstring(draw(answers(), (dates, np.linspace(5, 9, len(dates)))))

    def lines(drawing):
        return [one for one in drawing.iter() if one.get("class") == "line"]

    assert (len(lines(alone)), len(lines(whole))) == (1, 2)
    assert lines(whole)[0].get("d").count("L") == len(dates) - 1
