"""The page of a search and its tables: whole whatever the trials are, and nothing in a name can act."""

import csv
import io
import math
import random
import re
from dataclasses import replace

import pytest
from defusedxml import ElementTree

from vistazo.engine import search_axes, search_charts, search_report
from vistazo.engine.reports import Section, Text
from vistazo.engine.search import Space, Study, Trial
from vistazo.engine.search_report import COLUMNS, as_csv, build, summary
from vistazo.language import speaking

HOSTILE = '"><script>alert(1)</script>\x1b\u202e'


def made(
    trials: int,
    names: int = 3,
    *,
    fails: float = 0.0,
    metric: str = "accuracy",
    holes: bool = False,
    states: tuple[str, ...] = ("done", "stopped"),
) -> Study:
    """A study by chance; the recipe is its first trial."""
    draw = random.Random(trials + names)
    space: dict[str, Space] = {}
    for at in range(names):
        space[f"név{at}"] = (
            Space("float", 1e-4, 1e-1, log=True),
            Space("choice", choices=("adam", "señal", HOSTILE)),
            Space("int", 8, 64, step=8),
        )[at % 3]
    found = []
    for number in range(trials):
        values = {
            name: draw.choice(one.choices) if one.choices else draw.uniform(one.low, one.high) if one.kind == "float"
            else draw.randrange(8, 65, 8) for name, one in space.items()
        }  # fmt: skip
        failed = draw.random() < fails
        length = draw.choice((1, 2, 7, 20))
        curve: tuple[float | None, ...] = tuple(draw.uniform(0.5, 0.9) for _ in range(length))
        if holes:
            curve = tuple(
                None if draw.random() < 0.3 else math.nan if draw.random() < 0.3 else one for one in curve
            )
        real = [one for one in curve if one is not None and math.isfinite(one)]
        figure = None if failed or not real else (min if metric == "loss" else max)(real)
        state = "failed" if failed else draw.choice(states)
        origin, reason = "sampled" if number else "recipe", HOSTILE if failed else ""
        found.append(Trial(number, values, state, curve, length, 1.5 * length, figure, origin, reason))
    lower = metric == "loss"
    known = [one for one in found if one.figure is not None]
    best = min(known, key=lambda one: one.figure if lower else -one.figure).number if known else None
    epochs = sum(one.epochs for one in found)
    return Study(metric, lower, space, tuple(found), "tpe", "asha", 20, 3, 2.0 * epochs, epochs, best)


def page(study: Study, **more: object) -> str:
    given = {"title": f"búsqueda {HOSTILE}", "metric_title": "validation accuracy", "examples": 3000}
    return build(
        study, **{**given, "settings": {"recipe": HOSTILE}, "environment": {"device": "cpu"}, **more}
    )  # type: ignore[arg-type]


CASES = {
    "one trial": made(1, 1),
    "one name": made(30, 1),
    "twelve names": made(40, 12),
    "all failed": made(8, fails=1.1),
    "some failed": made(40, fails=0.3),
    "five hundred": made(500, 4),
    "without trials": made(0),
    "holes": made(40, holes=True),
    "a loss": made(40, metric="loss"),
    "still running": made(20, states=("running", "waiting", "stopped")),
}


@pytest.mark.parametrize("study", CASES.values(), ids=CASES)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_search_has_a_page_that_is_whole_and_cannot_act(study: Study, language: str):
    with speaking(language):
        text = page(study)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert not re.search(r"[=\s\"](nan|inf)[\s\"LMh.]", text)  # no NaN in a path
    for drawing in re.findall(r"<svg viewBox.*?</svg>", text, re.S):
        ElementTree.fromstring(drawing)


@pytest.mark.parametrize("study", CASES.values(), ids=CASES)
def test_the_summary_is_short_and_names_the_next_command(study: Study):
    lines = summary(study, metric_title="validation accuracy", examples=3000, next_command="vistazo train a")
    assert len(lines) <= 8
    assert lines[-1] == "next:   vistazo train a"


def test_the_first_trials_are_shown_and_the_others_folded():
    text = page(made(500, 4))
    assert "<summary>480 more trials</summary>" in text
    assert text.count('scope="row"') >= 500
    assert "<details" not in page(made(20))


def of(figures: list[float], *, epochs: tuple[int, int] = (20, 20), stopped: bool = False) -> Study:
    """The recipe with the first figure, others with the rest."""
    trials = [
        Trial(n, {"rate": 0.1}, "stopped" if stopped and not n else "done", (one,) * epochs[bool(n)], epochs[bool(n)],
              3.0, one, "sampled" if n else "recipe")
        for n, one in enumerate(figures)
    ]  # fmt: skip
    best = max(range(len(figures)), key=figures.__getitem__)
    space = {"rate": Space("float", 0.01, 1.0, log=True)}
    return Study("accuracy", False, space, tuple(trials), "tpe", "asha", 20, 3, 60.0, 40, best)


def test_a_difference_within_chance_is_called_so_and_a_large_one_is_not():
    small = "\n".join(summary(of([0.940, 0.945]), metric_title="a", examples=3000))
    large = "\n".join(summary(of([0.900, 0.960]), metric_title="a", examples=3000))
    assert "0.50 points more, which may be chance in 3,000 pictures" in small
    assert "6.00 points more, which chance in 3,000 pictures does not explain" in large


def test_the_same_difference_needs_more_to_be_clear_among_many_trials():
    few, many = of([0.940, 0.953]), of([0.940, 0.953, *[0.94] * 300])
    assert "does not explain" in "\n".join(summary(few, metric_title="a", examples=3000))
    assert "may be chance" in "\n".join(summary(many, metric_title="a", examples=3000))


def test_the_best_of_many_is_said_to_lean_upwards():
    told = "\n".join(summary(of([0.94, 0.945, 0.93]), metric_title="a", examples=3000))
    assert "The figure of the best of 3 leans upwards" in told


def test_a_recipe_that_wins_a_recipe_without_figure_and_one_stopped_early_are_told():
    assert "No trial was better than the recipe" in "\n".join(
        summary(of([0.95, 0.9]), metric_title="a", examples=9)
    )
    alone = of([0.95, 0.96])
    lost = Study(**{**vars(alone), "trials": alone.trials[1:], "best": 1})
    assert "nothing to compare" in "\n".join(summary(lost, metric_title="a", examples=9))
    early = "\n".join(summary(of([0.9, 0.95], epochs=(2, 20), stopped=True), metric_title="a", examples=9))
    assert "stopped early, so it might have come nearer" in early


def test_where_all_failed_the_first_reason_is_told():
    told = summary(CASES["all failed"], metric_title="a", examples=9)
    assert any(line.startswith("No trial gave a figure. The first reason:") for line in told)


def test_few_trials_say_that_importance_cannot_be_told():
    assert re.search("That cannot be told from [1-5] trials: it takes at least 12", page(made(5)))


def test_sections_of_the_task_stand_after_the_first():
    text = page(made(12), sections=[Section("On the test part", [Text("once")])])
    assert text.index("On the test part") < text.index("The trials")


# ---------------------------------------------------------------- trials.csv
def test_the_table_has_a_line_a_trial_with_all_digits():
    study = made(40, 4, fails=0.2, holes=True)
    rows = list(csv.DictReader(io.StringIO(as_csv(study))))
    assert list(rows[0]) == [*COLUMNS, *(f"value.{name}" for name in study.space)]
    assert [int(row["number"]) for row in rows] == list(range(40))
    for row, one in zip(rows, study.trials, strict=True):
        assert (float(row["figure"]) if row["figure"] else None) == one.figure
        assert row["reason"] == one.reason
        assert row["value.név1"] == one.values["név1"]
        assert float(row["value.név0"]) == one.values["név0"]


def test_the_table_is_the_same_in_every_language():
    with speaking("es"):
        spanish = as_csv(made(10))
    assert spanish == as_csv(made(10))


# ---------------------------------------------------------------- drawings
def test_a_logarithmic_axis_is_one_and_values_without_logarithm_stand_below_it():
    axis = search_axes.values_axis(Space("float", 1e-4, 1e-2, log=True), [1e-3])
    assert [axis.place(one) for one in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert [word for _, word in axis.labels] == ["0.0001", "0.001", "0.01"]
    with_none = search_axes.values_axis(Space("float", 1e-4, 1e-2, log=True), [0.0, 1e-3])
    assert with_none.place(0.0) == 0.0 < with_none.place(1e-4) < with_none.place(1e-2)


def test_choices_are_evenly_spaced_in_their_order_and_one_outside_them_follows():
    axis = search_axes.values_axis(Space("choice", choices=("b", "a")), ["a", "zéro"])
    assert [(round(at, 3), word) for at, word in axis.labels] == [(0.167, "b"), (0.5, "a"), (0.833, "zéro")]


def test_a_value_of_the_recipe_outside_the_space_is_on_its_axis():
    axis = search_axes.values_axis(Space("int", 8, 16), [32, 8])
    assert (axis.place(8), axis.place(32)) == (0.0, 1.0)


def test_one_wild_trial_does_not_press_the_others_into_a_line():
    study = of([0.90, 0.91, 0.92, 0.93, 0.94, 0.01])
    axis = search_axes.figure_axis(study, [0.01, 0.94])
    assert axis.outside(0.01)
    assert axis.place(0.94) - axis.place(0.90) > 0.3


def test_the_best_trials_have_the_last_colour_and_equal_ones_the_same():
    found = search_charts.legend(of([0.1, 0.2, 0.3, 0.4, 0.5, 0.5]))
    assert [step for step, _ in found] == [5, 4, 3, 2, 1]
    assert found[0][1] == "50.00%"


def test_a_value_is_told_as_it_is_typed():
    told = [search_report.typed(one) for one in (1e-5, 0.003, 64, "adam", 0.30000000000000004)]
    assert told == ["1e-5", "0.003", "64", "adam", "0.3"]


def test_a_trial_without_a_value_has_a_place_of_its_own_and_is_drawn_whole():
    """The recipe may leave a setting to itself, so its value is not known."""
    whole = of([0.5, 0.6])
    bare = Study(**{**vars(whole), "trials": (replace(whole.trials[0], values={}), whole.trials[1])})
    assert ">not set<" in search_charts.parallel(bare, "a")
    assert ">not set<" not in search_charts.parallel(whole, "a")
    assert len(re.findall(r'class="try recipe" d="M[\d.]+ 352.0L', search_charts.parallel(bare, "a"))) == 1


def test_which_epoch_counts_is_said_as_the_trials_have_it():
    best = of([0.5, 0.6])
    last = Study(**{**vars(best), "trials": (best.trials[0], replace(best.trials[1], curve=(0.9, 0.6)))})
    assert "The figure of a trial is the best of its curve." in page(best)
    assert "The figure of a trial is that of its last epoch." in page(last)


def test_a_curve_of_one_epoch_is_a_dot():
    drawn, _ = search_charts.curves(of([0.5, 0.6], epochs=(1, 20)))
    assert drawn.count(" alone") == 1
