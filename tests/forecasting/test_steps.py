"""Steps and calendars beside Python's own datetime."""

import datetime

import numpy as np
import pytest

from vistazo.forecasting import steps as time

EPOCH = datetime.date(1970, 1, 1)


def days(first, count):
    return np.datetime64(first) + np.arange(count)


def date(day):
    return EPOCH + datetime.timedelta(days=int(day))


@pytest.mark.parametrize("first", ["1899-12-28", "1968-01-01", "1999-06-01", "2023-01-01", "2099-11-01"])
def test_weekdays_and_months_are_those_of_datetime_over_years_with_leap_days(first):
    steps = time.steps_of(days(first, 1600), "day")
    codes = time.codes_of(steps, "day")
    assert codes.tolist() == [[date(one).weekday(), date(one).month - 1] for one in steps.tolist()]


def test_hours_have_the_hour_of_the_clock_and_the_weekday():
    dates = np.datetime64("1969-12-25T00", "h") + np.arange(24 * 800)
    codes = time.codes_of(time.steps_of(dates, "hour"), "hour")
    told = [datetime.datetime.fromisoformat(str(one) + ":00") for one in dates]
    assert codes.tolist() == [[one.hour, one.weekday()] for one in told]


def test_months_have_the_month_and_its_quarter():
    steps = np.arange(-30, 700)
    told = [(1970 + one // 12, one % 12) for one in steps.tolist()]
    assert time.codes_of(steps, "month").tolist() == [[month, month // 3] for _, month in told]
    assert [str(one) for one in time.dates_of(steps, "month")] == [f"{y}-{m + 1:02}-01" for y, m in told]


def test_weeks_begin_on_monday_and_hold_seven_days():
    every = days("1968-12-20", 5000)
    steps = time.steps_of(every, "week")
    for day, step in zip(every.tolist(), steps.tolist(), strict=True):
        monday = day - datetime.timedelta(days=day.weekday())
        assert time.dates_of(np.array([step]), "week").tolist() == [monday]


def test_the_week_of_the_year_counts_from_its_first_of_january_and_is_below_53():
    steps = time.steps_of(days("1990-01-01", 366 * 30), "week")
    codes = time.codes_of(steps, "week")
    mondays = time.dates_of(steps, "week").tolist()
    assert codes.tolist() == [[(one.timetuple().tm_yday - 1) // 7, one.month - 1] for one in mondays]
    assert codes[:, 0].max() == 52


@pytest.mark.parametrize("step", ["hour", "day", "week", "month"])
def test_a_step_becomes_a_date_and_the_same_step_again(step):
    steps = np.arange(-3000, 3000)
    assert (time.steps_of(time.dates_of(steps, step), step) == steps).all()
    assert all(
        (codes >= 0).all() and (codes < count).all()
        for codes, (_, count) in zip(time.codes_of(steps, step).T, time.CYCLES[step], strict=True)
    )


@pytest.mark.parametrize("step", ["hour", "day", "week", "month"])
def test_the_calendar_is_finite_bounded_and_of_its_width(step):
    told = time.calendar(np.arange(-2000, 2000), step)
    assert told.shape == (4000, time.TURNS)
    assert told.dtype == np.float32
    assert (np.abs(told) <= 1).all()


def test_the_turn_of_the_month_is_where_datetime_says_it_is():
    steps = time.steps_of(days("2019-11-01", 900), "day")
    told = time.calendar(steps, "day")
    dates = [date(one) for one in steps.tolist()]
    since = np.array([one.day for one in dates])
    until = np.array(
        [((one.replace(day=28) + datetime.timedelta(4)).replace(day=1) - one).days - 1 for one in dates]
    )
    np.testing.assert_allclose(told[:, 0], np.exp(-since / 3), rtol=1e-5)
    np.testing.assert_allclose(told[:, 1], np.exp(-until / 3), rtol=1e-5)
    year = 2 * np.pi * np.array([one.timetuple().tm_yday - 1 for one in dates]) / 365.25
    np.testing.assert_allclose(told[:, 6], np.sin(year), atol=1e-6)
    np.testing.assert_allclose(told[:, 7], np.cos(year), atol=1e-6)


# ---------------------------------------------------------------- recognising a step
def months(first, count):
    return (np.datetime64(first, "M") + np.arange(count)).astype("datetime64[s]")


@pytest.mark.parametrize(
    ("dates", "step"),
    [
        pytest.param(days("2022-01-01", 50), "day", id="days"),
        pytest.param(np.array([one for one in days("2022-01-01", 90) if one.item().weekday() < 5]), "day",
                     id="workdays"),
        pytest.param(np.array([one for one in days("2022-01-01", 90) if one.item().weekday() in (1, 4)]), "day",
                     id="Tuesdays and Fridays"),
        pytest.param(days("2022-01-03", 200)[::7], "week", id="Mondays"),
        pytest.param(days("2022-01-08", 200)[::7][[0, 1, 2, 5, 6, 7, 9, 12, 13, 14, 15]], "week",
                     id="Saturdays, some lost"),
        pytest.param(months("2020-01", 30), "month", id="first of months"),
        pytest.param(months("2020-02", 30) - np.timedelta64(86400, "s"), "month", id="last of months"),
        pytest.param(months("2021-01", 3), "month", id="with February"),
        pytest.param(np.datetime64("2022-01-01T00", "h") + np.arange(100), "hour", id="hours"),
        pytest.param(np.datetime64("2022-01-01T00", "h") + np.arange(0, 400, 8), "hour", id="three a day"),
        pytest.param(days("2022-01-01", 1), "day", id="one date"),
        pytest.param(days("2022-01-01", 0), "day", id="no date"),
    ],
)  # fmt: skip
def test_what_one_step_is_is_recognised(dates, step):
    assert time.recognise(dates) == step


def test_days_that_are_a_week_apart_by_chance_are_no_weeks():
    assert time.recognise(np.cumsum([0, 7, 8, 7, 9, 7, 8]).astype("datetime64[D]")) == "day"


# ---------------------------------------------------------------- the steps to come
def opening(first, count, is_open):
    return time.steps_of(np.array([one for one in days(first, count) if is_open(one.item())]), "day")


def sunday_number(day):
    return (day - datetime.date(2022, 1, 2)).days // 7


PATTERNS = {
    "closed on Sundays": lambda day: day.weekday() != 6,
    "closed at weekends": lambda day: day.weekday() < 5,
    "every fourth Sunday open": lambda day: day.weekday() != 6 or sunday_number(day) % 4 == 2,
    "Tuesdays alone": lambda day: day.weekday() == 1,
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("length", [200, 213, 420])
def test_days_to_come_follow_the_pattern_of_opening_days(name, length):
    is_open = PATTERNS[name]
    past = opening("2022-01-03", length, is_open)
    told = time.upcoming(past, 60, "day", closed=True)
    real = opening("2022-01-03", length + 600, is_open)
    assert told.tolist() == real[real > past[-1]][:60].tolist()


def test_a_single_holiday_makes_no_pattern():
    holiday = datetime.date(2022, 6, 24)
    past = opening("2022-01-03", 200, lambda day: day.weekday() != 6 and day != holiday)
    told = time.upcoming(past, 30, "day", closed=True)
    assert all(date(one).weekday() != 6 for one in told.tolist())
    assert len({date(one).weekday() for one in told.tolist()}) == 6
    assert told.tolist() == opening("2022-07-22", 36, lambda day: day.weekday() != 6)[: len(told)].tolist()


@pytest.mark.parametrize(
    ("past", "step", "closed"),
    [
        pytest.param(np.arange(100), "day", True, id="nothing absent"),
        pytest.param(np.array([0, 1, 2, 5, 6]), "day", True, id="too short for a pattern"),
        pytest.param(np.r_[np.arange(50), 90], "day", False, id="absent days are not closed ones"),
        pytest.param(np.r_[np.arange(50), 90], "week", True, id="weeks"),
        pytest.param(np.r_[np.arange(50), 90], "hour", True, id="hours"),
        pytest.param(np.arange(0, 5000, 97), "day", True, id="no pattern"),
    ],
)
def test_other_steps_simply_follow_one_another(past, step, closed):
    told = time.upcoming(past, 5, step, closed=closed)
    assert told.tolist() == (past[-1] + np.arange(1, 6)).tolist()


def test_no_steps_are_no_steps():
    past = opening("2022-01-03", 200, PATTERNS["closed on Sundays"])
    assert time.upcoming(past, 0, "day", closed=True).shape == (0,)


def test_a_shop_that_opens_from_nine_to_seven_is_not_expected_at_night():
    hours = np.concatenate([24 * day + np.arange(9, 20) for day in range(20000, 20060)])
    ahead = time.upcoming(hours, 22, "hour", closed=True)
    assert (ahead % 24).tolist() == 2 * list(range(9, 20))
