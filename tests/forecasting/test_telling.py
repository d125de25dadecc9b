import subprocess
import sys

import pytest

from vistazo.forecasting import telling
from vistazo.language import speaking


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (-0.5, "-0.5000"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (-123.4, "-123.4"),
        (1234.6, "1,235"),
        (1e7, "10,000,000"),
    ],
)
def test_amounts_have_about_four_figures(value, told):
    assert telling.amount(value) == told


def test_amounts_are_written_as_spanish_writes_them():
    with speaking("es"):
        assert telling.amount(12345.6) == "12\u00a0346"
        assert telling.amount(1.5) == "1,50"


def figures(mae, **rules):
    best = min(rules, key=rules.get) if rules else None
    return {"mae": mae, "coverage": 0.8, "n": 70, "best_baseline": best,
            "baselines": {name: {"mae": one, "rmse": one} for name, one in rules.items()}}  # fmt: skip


def test_a_better_baseline_is_named_as_better():
    assert telling.measured(figures(2.0, **{"last value": 1.0})) == (
        "mean absolute error 2.00, 80.0% of the values inside the 80 % interval (70 forecasts); "
        "a baseline is better: last value 1.00"
    )
    assert telling.measured(figures(1.0, **{"last value": 2.0, "ridge": 1.5})).endswith(
        "; best baseline: ridge 1.50"
    )


def test_a_perfect_baseline_is_better_too():
    assert telling.measured(figures(0.5, ridge=0.0)).endswith("a baseline is better: ridge 0.0000")


def test_figures_without_baselines_or_values_are_told_all_the_same():
    assert telling.measured({"mae": 2.0, "coverage": None, "n": 3}).endswith("(3 forecasts)")
    assert "–" in telling.measured({"mae": None, "coverage": None, "n": 0})


def test_one_line_tells_one_step():
    answer = {"series": "", "date": "2022-01-03", "value": 12.34, "low": 10.0, "high": 15.0}
    assert telling.answered(answer) == "2022-01-03\t12.3\t(10.0 to 15.0)"
    assert telling.answered({**answer, "series": "mall"}).startswith("mall\t2022-01-03")


def test_an_evaluation_is_told_step_by_step_and_ends_with_what_to_do():
    told = {"windows": 4, "metrics": {"mae": 2.0, "coverage": 0.75, "n": 8}, "by_horizon": [1.0, None]}
    lines = telling.evaluated(told)
    assert lines[0].startswith("windows: 4; mean absolute error 2.00, 75.0%")
    assert lines[1:3] == ["  1 ahead: 1.00", "  2 ahead: –"]
    assert lines[-1].startswith("next:   vistazo predict")


def test_what_to_do_after_training_is_to_predict():
    assert telling.next_command("'my runs/s-1'") == "next:   vistazo predict 'my runs/s-1'"


def test_telling_needs_no_torch():
    code = "import sys, vistazo.forecasting.telling; print({'torch'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
