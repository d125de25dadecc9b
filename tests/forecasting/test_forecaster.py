"""A trained forecaster: it goes on with its series, refuses what it cannot mean, and a forged file is a damaged one."""

import copy
import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import vistazo
from vistazo import bundle, language
from vistazo.errors import BundleDamaged, SourceError, TooFewExamples, UsageError, VistazoError
from vistazo.forecasting import metrics
from vistazo.forecasting.forecaster import open_model, with_interval

SHOPS = ("kiosk", "mall", "market")
DAYS = 90
HORIZON = 4


def value(k, n):
    noise = np.random.default_rng((k, n)).normal()
    return round(30**k * (20 + 5 * (n % 7) + 30 * promo(n) + noise), 2)


def promo(n):
    return int(n % 5 == 2)


def lines(first, last, shops=SHOPS, ahead=0):
    """Rows of the days `first` to `last` - 1, Sundays closed, and `ahead` days to come whose promotions are known."""
    start = np.datetime64("2022-01-03")
    for k, shop in enumerate(SHOPS):
        if shop in shops:
            yield from (
                f"{start + n},{shop},{value(k, n)},{promo(n)}" for n in range(first, last) if n % 7 != 6
            )
            yield from (f"{start + n},{shop},,{promo(n)}" for n in range(last, last + ahead) if n % 7 != 6)


def write(path, rows, header="date,shop,units,promo"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    source = write(folder / "s.csv", lines(0, DAYS, ahead=3))
    with language.speaking("en"):
        return vistazo.train(
            source, task="forecasting", out=folder / "run", quiet=True, threads=1, epochs=5, window=6, horizon=HORIZON,
            origins=2, series="shop", value="units", known="promo",
        ).run  # fmt: skip


@pytest.fixture(scope="module")
def model(run):
    return vistazo.load(run)


def by_series(answers):
    found = {}
    for one in answers:
        assert one.keys() == {"series", "date", "value", "low", "high"}
        assert one["low"] <= one["value"] <= one["high"]
        found.setdefault(one["series"], []).append(one)
    return found


def open_days(first, count):
    days = np.datetime64("2022-01-03") + np.array(
        [n for n in range(first, first + 2 * count + 7) if n % 7 != 6]
    )
    return [str(one) for one in days[:count]]


# ---------------------------------------------------------------- going on
def test_without_a_file_the_steps_after_the_training_data_are_told(run, model):
    found = by_series(model.predict())
    assert tuple(found) == SHOPS
    for answers in found.values():
        assert [one["date"] for one in answers] == open_days(DAYS, HORIZON)
    told = json.loads((run / "metrics.json").read_text())["forecast"]
    assert [one["date"] for one in told] == [one["date"] for one in model.predict()]
    np.testing.assert_allclose(
        [one["value"] for one in told], [one["value"] for one in model.predict()], rtol=1e-5
    )


def test_the_training_file_itself_gives_the_same_forecast(model, tmp_path):
    source = write(tmp_path / "s.csv", lines(0, DAYS, ahead=3))
    for one, other in zip(model.predict(), model.predict(source), strict=True):
        assert (one["series"], one["date"]) == (other["series"], other["date"])
        assert one["value"] == pytest.approx(other["value"], rel=1e-5)


def test_a_newer_file_is_gone_on_from_its_own_end(model, tmp_path):
    source = write(tmp_path / "s.csv", lines(40, DAYS + 20))
    for answers in by_series(model.predict(source)).values():
        assert [one["date"] for one in answers] == open_days(DAYS + 20, HORIZON)


@pytest.mark.parametrize("shops", [("market",), ("mall",), ("kiosk", "market")])
def test_a_file_with_some_of_the_series_gives_what_a_file_with_all_gives(model, tmp_path, shops):
    whole = by_series(model.predict(write(tmp_path / "all.csv", lines(30, DAYS))))
    some = by_series(model.predict(write(tmp_path / "some.csv", lines(30, DAYS, shops))))
    assert tuple(some) == shops
    for shop in shops:
        for name in ("value", "low", "high"):
            np.testing.assert_allclose(
                [one[name] for one in some[shop]], [one[name] for one in whole[shop]], rtol=1e-5
            )


def test_what_is_known_of_the_days_to_come_changes_the_forecast(model, tmp_path):
    start = np.datetime64("2022-01-03") + DAYS
    found = []
    for promotion in (0, 1):
        rows = [*lines(30, DAYS, ("kiosk",)), f"{start},kiosk,,{promotion}"]
        found.append(next(iter(model.predict(write(tmp_path / f"{promotion}.csv", rows)))))
    assert found[0]["date"] == found[1]["date"] == str(start)
    assert found[1]["value"] > found[0]["value"] + 10, "a promotion sells thirty more"


def test_more_steps_than_the_horizon_feed_forecasts_back(model):
    short, long = by_series(model.predict(steps=HORIZON)), by_series(model.predict(steps=11))
    for shop in SHOPS:
        assert long[shop][:HORIZON] == short[shop]
        assert [one["date"] for one in long[shop]] == open_days(DAYS, 11)
    assert {len(one) for one in by_series(model.predict(steps=2)).values()} == {2}


def test_far_more_steps_than_the_horizon_are_refused(model):
    with pytest.raises(UsageError, match=f"{100 * HORIZON} steps can be forecast at most"):
        list(model.predict(steps=100 * HORIZON + 1))


def test_values_below_zero_in_a_newer_file_give_a_forecast_all_the_same(model, tmp_path):
    rows = [
        one.replace(",kiosk,", ",kiosk,-", 1) if n % 9 == 0 else one for n, one in enumerate(lines(30, DAYS))
    ]
    for one in model.predict(write(tmp_path / "s.csv", rows)):
        assert np.isfinite([one["value"], one["low"], one["high"]]).all()


# ---------------------------------------------------------------- what cannot be meant
def test_a_lost_column_is_one_sentence(model, tmp_path):
    source = write(tmp_path / "s.csv", [one.rsplit(",", 2)[0] for one in lines(30, DAYS)], "date,shop")
    with pytest.raises(SourceError) as told:
        list(model.predict(source))
    assert str(told.value) == (
        f"{source} lacks the columns units, promo, which the model was trained with (it has: date, shop)."
    )


def test_one_lost_column_is_told_as_one(model, tmp_path):
    source = write(tmp_path / "s.csv", [one.rsplit(",", 1)[0] for one in lines(30, DAYS)], "date,shop,units")
    with pytest.raises(SourceError, match="lacks the column promo, which"):
        list(model.predict(source))
    with language.speaking("es"), pytest.raises(SourceError, match="le falta la columna promo, con la que"):
        list(model.predict(source))


def test_an_unknown_series_is_one_sentence(model, tmp_path):
    rows = [one.replace(",mall,", ",airport,") for one in lines(30, DAYS)]
    with pytest.raises(SourceError) as told:
        list(model.predict(write(tmp_path / "s.csv", rows)))
    assert str(told.value) == (
        "The series 'airport' is not one that the model was trained on (kiosk, mall, market)."
    )


def test_too_few_steps_to_go_on_from_are_one_sentence(model, tmp_path):
    with pytest.raises(
        TooFewExamples, match="'kiosk' has fewer than the 6 steps that the model needs to go on"
    ):
        list(model.predict(write(tmp_path / "s.csv", lines(DAYS - 4, DAYS))))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param(
            [one.replace(f",{one.split(',')[2]},", ",many,") for one in lines(0, 30)],
            "holds no numbers",
            id="words",
        ),
        pytest.param(
            [one.replace(f",{one.split(',')[2]},", ",,") for one in lines(0, 30)],
            "holds no numbers",
            id="nothing",
        ),
        pytest.param(
            ["soon," + one.split(",", 1)[1] for one in lines(0, 30)], "holds no dates", id="no dates"
        ),
    ],
)
def test_columns_that_hold_something_else_are_one_sentence(model, tmp_path, rows, says):
    with pytest.raises(VistazoError, match=says):
        list(model.predict(write(tmp_path / "s.csv", rows)))


def test_of_several_files_one_that_cannot_be_read_does_not_stop_the_others(model, tmp_path):
    good, bad = write(tmp_path / "good.csv", lines(30, DAYS)), tmp_path / "bad.csv"
    bad.write_text("")
    answers = list(model.predict([bad, good]))
    assert answers[0]["file"] == str(bad)
    assert "is empty" in answers[0]["reason"]
    assert len(answers) == 1 + 3 * HORIZON


# ---------------------------------------------------------------- dates that can be read in two ways
def turned(path, rows, form):
    """A table whose dates are written as dd/mm/yyyy or mm/dd/yyyy."""
    cells = [one.split(",", 1) for one in rows]
    days = [np.datetime64(day).item().strftime(form) for day, _ in cells]
    return write(path, [f"{day},{rest}" for day, (_, rest) in zip(days, cells, strict=True)])


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y"])
def test_days_that_may_be_months_are_read_as_the_training_dates_were(form, tmp_path):
    source = turned(tmp_path / "s.csv", lines(0, DAYS), form)
    run = vistazo.train(
        source, task="forecasting", out=tmp_path / "run", quiet=True, threads=1, epochs=1, window=6,
        horizon=HORIZON, origins=1, series="shop", value="units", known="promo",
    ).run  # fmt: skip
    model = vistazo.load(run)
    early = list(lines(32, 41))  # of February: days and months up to 12
    answers = list(model.predict(turned(tmp_path / "new.csv", early, form)))
    assert answers == list(model.predict(write(tmp_path / "plain.csv", early)))


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y"])
def test_where_training_shows_no_order_the_one_that_goes_on_from_the_end_is_taken(model, form, tmp_path):
    newer = list(lines(DAYS, DAYS + 10))  # 3 to 12 April; read the other way, one day of each month
    answers = list(model.predict(turned(tmp_path / "new.csv", newer, form)))
    assert answers == list(model.predict(write(tmp_path / "plain.csv", newer)))


def test_an_order_that_nothing_tells_is_one_sentence_without_an_option(verb, model, run, tmp_path):
    early = turned(tmp_path / "new.csv", lines(58, 67), "%d/%m/%Y")  # March, before the end of the series
    told = verb("predict", run, early)
    assert told.code == 1
    assert "'02/03/2022' may begin with the day or with the month" in told.err
    assert "Write them as year, month and day" in told.err
    assert "--" not in told.err


# ---------------------------------------------------------------- measuring
def test_rows_that_were_trained_on_prove_nothing(model, tmp_path):
    for last in (DAYS, DAYS + HORIZON - 1):
        source = write(tmp_path / f"{last}.csv", lines(0, last))
        with pytest.raises(
            TooFewExamples, match="where the training data ended: steps that were trained on prove nothing"
        ):
            model.evaluate(source)


def test_only_windows_after_the_training_data_are_measured(model, tmp_path):
    # 90 to 99 without day 90 (n % 7 == 6 is a Sunday: 90 % 7 == 6 is one) and 97: eight days open.
    days = [n for n in range(DAYS, 100) if n % 7 != 6]
    told = model.evaluate(write(tmp_path / "s.csv", lines(0, 100)))
    assert told["windows"] == 3 * (len(days) - HORIZON + 1)
    assert told["part"] == "new"
    assert len(told["by_horizon"]) == HORIZON
    assert told["metrics"]["n"] == told["windows"] * HORIZON


def test_measured_errors_are_those_of_the_forecasts(model, tmp_path):
    days = [n for n in range(DAYS, 100) if n % 7 != 6][:HORIZON]
    known = [f"{np.datetime64('2022-01-03') + n},{shop},,{promo(n)}" for shop in SHOPS for n in days]
    answers = list(model.predict(write(tmp_path / "ahead.csv", [*lines(0, DAYS), *known])))
    real = np.array([value(k, n) for k in range(3) for n in days])
    told = model.evaluate(write(tmp_path / "s.csv", lines(0, days[-1] + 1)))
    assert told["windows"] == 3
    errors = np.abs(np.array([one["value"] for one in answers]) - real)
    assert told["metrics"]["mae"] == pytest.approx(errors.mean(), rel=1e-4)


# ---------------------------------------------------------------- the command line
def test_predict_writes_tables_and_a_drawing(verb, run, in_tmp):
    for name in ("a.csv", "a.parquet", "a.svg"):
        said = verb("predict", run, "--out", name, "--steps=6")
        assert said.code == 0, said.err
    head, *rows = (in_tmp / "a.csv").read_text(encoding="utf-8-sig").splitlines()
    assert head == "series,date,value,low,high,reason"
    assert len(rows) == 18
    assert (in_tmp / "a.svg").read_text(encoding="utf-8").startswith("<svg")


def test_predict_and_evaluate_tell_one_json_object(verb, run, in_tmp):
    write(in_tmp / "s.csv", lines(0, 100))
    assert len(verb("predict", run, "--json").json["predictions"]) == 3 * HORIZON
    told = verb("evaluate", run, "s.csv", "--json").json
    assert told["task"] == "forecasting"
    assert told["metrics"]["mae"] > 0


# ---------------------------------------------------------------- intervals
def test_an_interval_holds_its_own_forecast_whatever_the_correction():
    scaled = np.array([[[-1.0, 0.0, 1.0]]])
    for below, above, expected in ((0.5, 0.25, (-1.5, 0.0, 1.25)), (-3.0, -3.0, (0.0, 0.0, 0.0))):
        found = with_interval(scaled, np.array([[below, above]]))
        assert tuple(float(one[0, 0]) for one in found) == expected


def test_a_kept_interval_is_about_as_wide_as_the_misses_it_was_corrected_by(run, model):
    widths = [one["high"] - one["low"] for one in by_series(model.predict())["kiosk"]]
    assert 0 < min(widths) <= max(widths) < 60
    assert metrics.LEVEL == 0.8


# ---------------------------------------------------------------- a forged file
@pytest.fixture(scope="module")
def contents(run):
    return bundle.load(run / "model.vistazo")


def opened(found, path):
    """Open a model of these contents and let it answer; BundleDamaged alone may keep it from that."""
    try:
        answers = list(open_model(found, path).predict())
    except BundleDamaged as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)[:200]
        return None
    return answers


def test_the_contents_as_they_are_open(contents, run):
    assert len(opened(contents, run)) == 3 * HORIZON


def places(value, path=()):
    """Every place in nested JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from places(one, (*path, key))


STRANGE = (
    None, True, False, 0, 1, -1, 2, 7, 10**6, 10**30, 0.5, float("inf"), float("nan"), "", "day", "week", "x", [], {},
    [[]], [1, 2], ["a"], {"0": [1]}, [[0.0, 0.0]], [["k", []]], "vistazo", ["__import__('os')"],
)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_forged_facts_are_a_damaged_file_or_a_working_one(contents, run, seed):
    draw = random.Random(seed)
    for _ in range(25):
        parts = {
            name: copy.deepcopy(getattr(contents, name)) for name in ("facts", "arguments", "preprocessing")
        }
        for _ in range(draw.randint(1, 2)):
            place = draw.choice([one for one in places(parts) if len(one) > 1])
            owner = parts
            for key in place[:-1]:
                owner = owner[key]
            if isinstance(owner, dict) and draw.random() < 0.3:
                del owner[place[-1]]
            else:
                owner[place[-1]] = copy.deepcopy(draw.choice(STRANGE))
        answers = opened(replace(contents, **parts), run)
        if answers is not None:
            assert all(isinstance(one["value"], float) for one in answers)


@pytest.mark.parametrize("name", ["tides", "os.system", "../x", ""])
def test_a_network_that_is_not_registered_is_a_damaged_file(contents, run, name):
    with pytest.raises(BundleDamaged):
        open_model(replace(contents, model=name), run)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("history.at", lambda one: one.flip(0)),
        ("history.at", lambda one: one * 10**12),
        ("history.at", lambda one: one.float()),
        ("history.at", lambda one: one[:-1]),
        ("history.at", lambda one: one[:, None]),
        ("history.starts", lambda one: one + 1),
        ("history.starts", lambda one: one.flip(0)),
        ("history.starts", lambda one: torch.tensor([0, 1, 2, int(one[-1])])),
        ("history.starts", lambda one: torch.tensor([0, 10**9, 2, int(one[-1])])),
        ("history.values", lambda one: one * float("inf")),
        ("history.values", lambda one: one.float()),
        ("history.known", lambda one: one[:, :0]),
        ("history.known", lambda one: torch.cat([one, one], 1)),
        ("history.known", lambda one: one / 0.0),
        ("history.centre", lambda one: one * float("nan")),
        ("history.centre", lambda one: one[:1]),
        ("history.spread", lambda one: one * 0),
        ("history.spread", lambda one: -one),
        ("profile.weights", lambda one: one[:, :3]),
        ("profile.weights", lambda one: one * float("nan")),
        ("profile.offsets", lambda one: torch.cat([one, one])),
        ("profile.own", lambda one: one[:, :1]),
        ("profile.own", lambda one: one * float("inf") * 0),
        ("profile.own", lambda one: one.double()),
        ("head.weight_MIO", lambda one: one[:1]),
        ("head.weight_MIO", lambda one: one.flatten()),
    ],
)  # fmt: skip
def test_forged_tensors_are_a_damaged_file(contents, run, name, change):
    tensors = {**contents.tensors, name: change(contents.tensors[name]).contiguous()}
    with pytest.raises(BundleDamaged):
        open_model(replace(contents, tensors=tensors), run)


@pytest.mark.parametrize(
    "lost", ["history.at", "history.known", "history.centre", "profile.offsets", "profile.level"]
)
def test_a_lost_tensor_is_a_damaged_file(contents, run, lost):
    tensors = {name: one for name, one in contents.tensors.items() if name != lost}
    with pytest.raises(BundleDamaged):
        open_model(replace(contents, tensors=tensors), run)
