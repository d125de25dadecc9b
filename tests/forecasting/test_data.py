"""From a table to series: what is absent, doubled or wrong is said in one sentence, and nothing is guessed silently."""

import datetime
import itertools

import numpy as np
import pytest

from vistazo.config import build
from vistazo.errors import ConfigError, SourceError, TooFewExamples, VistazoError
from vistazo.forecasting import data
from vistazo.forecasting import steps as time
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Known, Panel
from vistazo.tables.reading import read_table

DAY0 = datetime.date(2022, 1, 3)  # a Monday


def day(number):
    return str(DAY0 + datetime.timedelta(days=number))


def step(number):
    return (DAY0 - datetime.date(1970, 1, 1)).days + number


@pytest.fixture
def panel_of(tmp_path):
    """The panel of a CSV file given as lines of cells, the first being the header."""
    numbers = itertools.count()

    def make(rows, columns=None, **settings):
        path = tmp_path / f"s{next(numbers)}.csv"
        path.write_text(
            "\n".join(",".join(str(cell) for cell in row) for row in rows) + "\n", encoding="utf-8"
        )
        config = build(ForecastingConfig, settings)
        table = read_table(path, config)
        return data.build(table, data.roles_of(table, config), config, columns)

    return make


def simple(count=30, **changes):
    rows = [[day(n), n + 1] for n in range(count)]
    for at, value in changes.items():
        rows[int(at[1:])][1] = value
    return [["date", "units"], *rows]


def said(panel):
    return "\n".join(panel.sentences)


# ---------------------------------------------------------------- which column is what
def test_the_only_dates_and_the_only_numbers_are_taken(panel_of):
    panel = panel_of(simple())
    assert panel.at.tolist() == [step(n) for n in range(30)]
    assert panel.values.tolist() == list(range(1, 31))
    assert (panel.names, panel.step, panel.closed, panel.ahead) == (("",), "day", False, {})
    assert said(panel).startswith("series: 1, 30 days from 2022-01-03 to 2022-02-01\n")


def test_columns_are_named_by_the_user_whatever_their_case(panel_of):
    rows = [["From", "To", "Única", "b"], *([day(n), day(n + 100), n, 2 * n] for n in range(20))]
    panel = panel_of(rows, date="to", value="UNICA")
    assert panel.at[0] == step(100)
    assert panel.values.tolist() == list(range(20))


ROWS = range(20)
BAD = {
    "no dates": (
        [["shop", "units"], *(["a", n] for n in ROWS)], {}, ConfigError,
        "No column holds dates (columns: shop, units). A series needs one; if it is there, name it with --date."),
    "two dates": (
        [["from", "to", "units"], *([day(n), day(n + 1), n] for n in ROWS)], {}, ConfigError,
        "Several columns hold dates (from, to): choose one with --date."),
    "no numbers": (
        [["date", "shop"], *([day(n), "ab"[n % 2]] for n in ROWS)], {}, ConfigError,
        "No column holds numbers to forecast (columns: date, shop). Name it with --value."),
    "several numbers": (
        [["date", "a", "b"], *([day(n), n, n] for n in ROWS)], {}, ConfigError,
        "Several columns hold numbers (a, b): choose what to forecast with --value."),
    "a date that is none": (
        [["date", "shop", "a"], *([day(n), "north", n] for n in ROWS)], {"date": "shop"}, ConfigError,
        "The column 'shop' holds no dates ('north'). Name the column of dates with --date."),
    "a value that is none": (
        [["date", "shop", "a"], *([day(n), "north", n] for n in ROWS)], {"value": "shop"}, ConfigError,
        "The column 'shop' holds no numbers ('north'). Choose what to forecast with --value."),
    "a column that is not there": (
        simple(), {"value": "unit"}, ConfigError,
        "The table has no column 'unit'. Did you mean 'units'? Its columns: date, units."),
    "the value known ahead": (
        simple(), {"value": "units", "known": "units"}, ConfigError,
        "The column 'units' is what is forecast: it cannot be --date, --series or --known too."),
    "the value naming the series": (
        simple(), {"value": "units", "series": "units"}, ConfigError,
        "The column 'units' is what is forecast: it cannot be --date, --series or --known too."),
    "dates known ahead": (
        [["date", "to", "units"], *([day(n), day(n + 1), n] for n in ROWS)], {"date": "date", "known": "to"},
        ConfigError,
        "The column 'to' holds dates; --known takes numbers and categories."),
    "doubled days": (
        [*simple(), [day(3), 99]], {}, ConfigError,
        "2022-01-06 stands in several rows (5 and 32): say what they become with --aggregate sum or --aggregate mean, "
        "or which series they belong to with --series."),
    "minutes": (
        [["when", "units"], *([f"2022-01-03 10:{n:02}", n] for n in ROWS)], {}, ConfigError,
        "The dates of 'when' have minutes, such as 2022-01-03 10:01:00. Say what one step is with --step day or --step "
        "hour, and what several rows of one step become with --aggregate sum or --aggregate mean."),
    "unreadable dates": (
        [["date", "units"], *([day(n) if n % 5 else "soon", n] for n in range(100))], {"date": "date"}, VistazoError,
        None),
    "a date's typo that filling would blow up": (
        [*simple(), ["0222-02-02", 5]], {"missing": "zero"}, SourceError,
        "From 0222-02-02 to 2022-02-01 there are "
        f"{(datetime.date(2022, 2, 1) - datetime.date(222, 2, 2)).days + 1} days but values for 31 only. "
        "Check the dates, or choose another "
        "--step."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_is_no_series_is_told_in_one_sentence(panel_of, name):
    rows, settings, kind, sentence = BAD[name]
    with pytest.raises(kind) as told:
        panel_of(rows, **settings)
    if sentence is not None:
        assert str(told.value) == sentence
    assert "\n" not in str(told.value)


def test_too_many_rows_without_a_date_name_the_first(panel_of):
    rows = [["date", "units"], *([day(n) if n not in (3, 4, 5, 6) else "", n] for n in range(40))]
    with pytest.raises(SourceError) as told:
        panel_of(rows)
    assert str(told.value) == (
        "4 of 40 rows have no date that can be read in 'date', the first is row 5. Mend them, or name another column "
        "with --date."
    )


def test_a_few_rows_without_a_date_are_left_out_and_named(panel_of):
    rows = [["date", "units"], *([day(n) if n not in (3, 50) else "", n] for n in range(100))]
    panel = panel_of(rows, missing="unknown")
    assert "rows without a date, left out: 2 (rows 5, 52)" in said(panel)
    assert "absent days: 2" in said(panel)
    assert np.isnan(panel.values).nonzero()[0].tolist() == [3, 50]


def test_a_column_without_a_value_is_a_sentence(panel_of):
    rows = [["date", "units", "price"], *([day(n), "", n] for n in range(20))]
    with pytest.raises(VistazoError, match=r"The column 'units' holds no (numbers|values)"):
        panel_of(rows, value="units")


def test_infinite_values_are_unknown_and_named(panel_of):
    panel = panel_of(simple(m4="inf", m9="-1e999"))
    assert np.isnan(panel.values).nonzero()[0].tolist() == [4, 9]
    assert "cells of 'units' that were not understood: 2 (row 6: inf; row 11: -1e999)" in said(panel)


def test_the_order_of_rows_changes_nothing(panel_of):
    rows = [
        ["date", "shop", "units"],
        *([day(n), shop, n + 100 * k] for n in range(20) for k, shop in enumerate("abc")),
    ]
    mixed = [rows[0], *(rows[one + 1] for one in np.random.default_rng(0).permutation(len(rows) - 1))]
    one, other = (panel_of(each, series="shop") for each in (rows, mixed))
    assert (one.names, one.starts.tolist(), one.at.tolist()) == (
        other.names,
        other.starts.tolist(),
        other.at.tolist(),
    )
    assert one.values.tolist() == other.values.tolist()


# ---------------------------------------------------------------- several rows of one day, several series
@pytest.mark.parametrize("how", ["sum", "mean"])
def test_rows_of_one_day_become_one_as_a_loop_makes_them(panel_of, how):
    generator = np.random.default_rng(1)
    lines = [[day(int(n)), "ab"[k], "" if lost else value] for n, k, value, lost in zip(
        generator.integers(0, 12, 200), generator.integers(0, 2, 200), generator.integers(0, 100, 200),
        generator.random(200) < 0.2, strict=True)]  # fmt: skip
    panel = panel_of([["date", "shop", "units"], *lines], series="shop", aggregate=how, missing="unknown")
    for k, shop in enumerate("ab"):
        rows = slice(panel.starts[k], panel.starts[k + 1])
        for at, value in zip(panel.at[rows], panel.values[rows], strict=True):
            own = [v for d, s, v in lines if s == shop and d == str(time.dates_of(at, "day")) and v != ""]
            assert (
                value == pytest.approx(sum(own) / (len(own) if how == "mean" else 1))
                if own
                else np.isnan(value)
            )
    assert f"200 rows became {len(panel)} days by {how}" in said(panel)


def test_ticket_lines_with_a_time_become_days_where_they_are_added_up(panel_of):
    rows = [["when", "units"], *([f"{day(n // 3)} {9 + n % 3}:{n % 60:02}", 1] for n in range(60))]
    panel = panel_of(rows, aggregate="sum")
    assert panel.step == "day"
    assert panel.values.tolist() == [3.0] * 20


def test_ticket_lines_become_hours_where_that_is_asked_for(panel_of):
    rows = [["when", "units"], *([f"2022-01-03 {n // 3:02}:{n % 3 * 20:02}", 1] for n in range(60))]
    panel = panel_of(rows, aggregate="sum", step="hour")
    assert panel.step == "hour"
    assert panel.values.tolist() == [3.0] * 20


def test_several_values_of_several_series_are_as_many_series(panel_of):
    rows = [["date", "shop", "x", "y"],
            *([day(n), shop, n + 10 * k, -n - 10 * k] for k, shop in enumerate("ab") for n in range(15))]  # fmt: skip
    panel = panel_of(rows, series="shop", value="x, y, x")
    assert panel.names == ("a · x", "a · y", "b · x", "b · y")
    each = np.split(panel.values, panel.starts[1:-1])
    assert [one.tolist() for one in each] == [
        list(range(15)), [-n for n in range(15)], list(range(10, 25)), [-n for n in range(10, 25)],
    ]  # fmt: skip


def test_series_may_be_numbered_and_rows_without_a_name_are_a_series_too(panel_of):
    rows = [["date", "shop", "units"], *([day(n), shop, n] for shop in (7, 12, "") for n in range(10))]
    panel = panel_of(rows, series="shop", value="units")
    assert set(panel.names) == {"7", "12", "(no name)"}
    assert np.diff(panel.starts).tolist() == [10, 10, 10]


def test_a_series_without_a_value_is_left_out_and_counted(panel_of):
    rows = [
        ["date", "shop", "units"],
        *([day(n), shop, "" if shop == "b" else n] for shop in "abc" for n in range(10)),
    ]
    panel = panel_of(rows, series="shop")
    assert panel.names == ("a", "c")
    assert panel.series_of().tolist() == [0] * 10 + [1] * 10
    assert "series without a value, left out: 1" in said(panel)


# ---------------------------------------------------------------- what is absent
def without_sundays(count=60, lost=()):
    return [["date", "units"], *([day(n), n + 1] for n in range(count) if n % 7 != 6 and n not in lost)]


def test_absent_days_are_taken_as_closed_and_that_is_said_with_the_other_ways(panel_of):
    panel = panel_of(without_sundays())
    assert panel.closed
    assert len(panel) == len(without_sundays()) - 1
    assert (
        "absent days: 8 (8 of them on a Sunday); they are taken as closed. If nothing was sold, say --missing zero; if "
        "the value was lost, --missing unknown" in said(panel)
    )
    assert "absent days: 8 (8 of them on a Sunday), closed" in said(
        panel_of(without_sundays(), missing="closed")
    )


@pytest.mark.parametrize(("missing", "filler"), [("zero", 0.0), ("unknown", np.nan)])
def test_absent_days_are_filled_where_that_is_asked_for(panel_of, missing, filler):
    panel = panel_of(without_sundays(lost=(20, 21, 22)), missing=missing)
    expected = [filler if n % 7 == 6 or n in (20, 21, 22) else n + 1.0 for n in range(60)]
    assert panel.at.tolist() == [step(n) for n in range(60)]
    np.testing.assert_array_equal(panel.values, expected)
    assert not panel.closed


def test_absent_days_between_two_series_are_none(panel_of):
    rows = [["date", "shop", "units"], *([day(n + 300 * k), "ab"[k], n] for k in range(2) for n in range(10))]
    panel = panel_of(rows, series="shop", missing="zero")
    assert len(panel) == 20
    assert "absent" not in said(panel)


def test_a_series_begins_at_its_first_value_and_ends_at_its_last(panel_of):
    panel = panel_of(simple(30, m0="", m1="", m12="", m28="", m29=""))
    assert panel.at.tolist() == [step(n) for n in range(2, 28)]
    assert np.isnan(panel.values).nonzero()[0].tolist() == [10]
    assert panel.ahead[0][0].tolist() == [step(28), step(29)]


def test_steps_absent_before_and_after_a_row_are_counted_to_three(panel_of):
    kept = [0, 1, 3, 6, 10, 20, 21]
    panel = panel_of([["date", "units"], *([day(n), n] for n in kept)], missing="closed", step="day")
    assert panel.gaps().tolist() == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 3], [3, 0], [0, 0]]


def test_the_day_after_the_last_is_foreseen_from_the_pattern_of_opening_days(panel_of):
    friday, saturday = without_sundays(54), without_sundays(55)
    assert panel_of(friday).gaps()[-1].tolist() == [0, 0]
    assert panel_of(saturday).gaps()[-1].tolist() == [0, 1]
    assert panel_of([*saturday, [day(55), ""]]).gaps()[-1].tolist() == [0, 0], "the table names a Sunday"


def test_gaps_of_several_series_do_not_run_into_one_another(panel_of):
    rows = [
        ["date", "shop", "units"],
        *([day(n + 40 * k), "ab"[k], n] for k in range(2) for n in range(30) if n % 7 != 6),
    ]
    panel = panel_of(rows, series="shop")
    gaps = panel.gaps()
    assert gaps[panel.starts[1]].tolist() == [0, 0]
    assert gaps[panel.starts[1] - 1, 1] == 0


# ---------------------------------------------------------------- columns known ahead
def test_known_numbers_stay_numbers_and_categories_become_one_feature_each(panel_of):
    rows = [
        ["date", "units", "price", "weather"],
        *([day(n), n, n / 2, ["sun", "rain"][n % 2]] for n in range(20)),
    ]
    panel = panel_of(rows, value="units", known="price, weather")
    assert panel.columns == (Known("price", ()), Known("weather", ("rain", "sun")))
    assert panel.known.tolist() == [[n / 2, float(n % 2 == 1), float(n % 2 == 0)] for n in range(20)]


def test_rows_after_the_last_value_are_kept_for_the_forecast(panel_of):
    rows = [["date", "units", "promo"], *([day(n), n if n < 20 else "", n % 3] for n in range(25))]
    panel = panel_of(rows, value="units", known="promo")
    assert len(panel) == 20
    at, known = panel.ahead[0]
    assert at.tolist() == [step(n) for n in range(20, 25)]
    assert known.tolist() == [[n % 3] for n in range(20, 25)]


def test_features_of_an_earlier_table_keep_their_meaning(panel_of):
    rows = [["date", "units", "weather"], *([day(n), n, ["hail", "sun"][n % 2]] for n in range(20))]
    panel = panel_of(
        rows, columns=(Known("weather", ("rain", "snow", "sun")),), value="units", known="weather"
    )
    assert panel.known.tolist() == [[0, 0, float(n % 2)] for n in range(20)]


# ---------------------------------------------------------------- pieces
@pytest.fixture
def ragged():
    """Series of 12, 3 and 20 days with holes."""
    generator = np.random.default_rng(0)
    sizes = [12, 3, 20]
    at = np.concatenate([100 + np.cumsum(generator.integers(1, 3, size)) for size in sizes])
    values = generator.normal(size=35)
    values[[1, 4, 13, 20, 34]] = np.nan
    return Panel(("a", "b", "c"), np.r_[0, np.cumsum(sizes)], at, values, np.arange(35, dtype=np.float32)[:, None],
                 {2: (np.array([500]), np.ones((1, 1), np.float32))}, (Known("k", ()),), "day", True, ())  # fmt: skip


@pytest.mark.parametrize(("window", "horizon"), list(itertools.product([1, 2, 3, 7], [1, 2, 5])))
def test_windows_begin_wherever_their_past_and_their_horizon_fit_in_one_series(ragged, window, horizon):
    series = ragged.series_of()
    expected = [
        row for row in range(len(ragged))
        if row - window >= 0 and row + horizon <= len(ragged)
        and len(set(series[row - window : row + horizon].tolist())) == 1
    ]  # fmt: skip
    assert data.origins(ragged, window=window, horizon=horizon).tolist() == expected


@pytest.mark.parametrize("step", ["day", "hour", "week", "month"])
def test_the_season_before_is_the_latest_row_of_the_series_with_the_same_season(ragged, step):
    panel = Panel(
        ragged.names,
        ragged.starts,
        ragged.at,
        ragged.values,
        ragged.known,
        {},
        ragged.columns,
        step,
        True,
        (),
    )
    codes, series = time.codes_of(panel.at, step)[:, 0], panel.series_of()
    expected = [
        max((b for b in range(row) if codes[b] == codes[row] and series[b] == series[row]), default=-1)
        for row in range(len(panel))
    ]
    assert data.season_before(panel).tolist() == expected


def test_unknown_values_take_the_season_before_or_else_the_row_before(ragged):
    filled, before = ragged.filled(), data.season_before(ragged)
    there = ~np.isnan(ragged.values)
    assert (filled[there] == ragged.values[there]).all()
    for row in np.flatnonzero(~there):
        assert filled[row] == (filled[before[row]] if before[row] >= 0 else filled[row - 1])


def test_a_filled_value_comes_from_the_past_alone(ragged):
    # Series b begins with an unknown value only where a panel was cut; `build` never gives one.
    whole = Panel(
        ragged.names,
        ragged.starts,
        ragged.at,
        np.where(np.arange(35) == 13, 0.5, ragged.values),
        ragged.known,
        {},
        ragged.columns,
        "day",
        True,
        (),
    )
    before = whole.filled()
    for row in range(35):
        values = whole.values.copy()
        values[row:] = 1e6
        values[12] = whole.values[12]
        changed = Panel(
            whole.names, whole.starts, whole.at, values, whole.known, {}, whole.columns, "day", True, ()
        )
        after = changed.filled()
        assert (after[:row] == before[:row]).all()


def test_series_are_taken_alone_with_all_that_is_theirs(ragged):
    panel = ragged.only(np.array([2, 0]))
    assert panel.names == ("c", "a")
    assert panel.starts.tolist() == [0, 20, 32]
    assert panel.at.tolist() == [*ragged.at[15:], *ragged.at[:12]]
    assert panel.known[:, 0].tolist() == [*range(15, 35), *range(12)]
    assert list(panel.ahead) == [0]


def test_the_tail_is_the_last_rows_of_each_series(ragged):
    panel = ragged.tail(5)
    assert panel.starts.tolist() == [0, 5, 8, 13]
    assert panel.known[:, 0].tolist() == [*range(7, 12), 12, 13, 14, *range(30, 35)]
    assert list(panel.ahead) == [2]
    assert ragged.tail(100).at.tolist() == ragged.at.tolist()


def test_a_panel_whose_parts_do_not_fit_cannot_be_made(ragged):
    with pytest.raises(ValueError, match="rows of a panel differ in number"):
        Panel(
            ragged.names, ragged.starts, ragged.at[1:], ragged.values, ragged.known, {}, (), "day", True, ()
        )
    with pytest.raises(ValueError, match="one start a series"):
        Panel(("a",), ragged.starts, ragged.at, ragged.values, ragged.known, {}, (), "day", True, ())


def test_a_table_of_thousands_of_short_series_is_read(panel_of):
    rows = [["date", "shop", "units"], *([day(n), f"s{k}", n + k] for k in range(1000) for n in range(5))]
    panel = panel_of(rows, series="shop")
    assert len(panel.names) == 1000


def test_an_empty_table_is_too_few_examples(panel_of):
    with pytest.raises(TooFewExamples):
        panel_of([["date", "units"]], header="yes")
