import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.errors import UnknownName
from vistazo.tables.preparing import Categories, Scaler, proportional, scalers

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


# ---------------------------------------------------------------- scalers
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # by hand, of 1, 2, 3, 4 and 10: mean 4, variance 10, median 3, quartiles 2 and 4
        ("min-max", [-1, -7 / 9, -5 / 9, -3 / 9, 1]),
        ("standard", [-3 / 10**0.5, -2 / 10**0.5, -1 / 10**0.5, 0, 6 / 10**0.5]),
        ("robust", [-1, -0.5, 0, 0.5, 3.5]),
        ("robust-q1", [-0.5, 0, 0.5, 1, 4]),
        ("none", [1, 2, 3, 4, 10]),
    ],
)
def test_each_scaler_does_what_its_name_says(kind, expected):
    numbers = np.array([1.0, np.nan, 2, 3, 4, 10])
    scaled = scalers[kind](numbers).transform(numbers)
    np.testing.assert_allclose(scaled[~np.isnan(numbers)], expected, rtol=1e-12, atol=1e-15)
    assert np.isnan(scaled[1])


@pytest.mark.parametrize("kind", list(scalers))
@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([], id="none at all"),
        pytest.param([np.nan, np.nan], id="all missing"),
        pytest.param([5.0], id="one"),
        pytest.param([0.1] * 10, id="constant, whose mean is rounded"),
        pytest.param([0.0] * 99 + [1e6], id="nearly constant"),
        pytest.param([-1.7e308, 1.7e308], id="as large as floats are"),
        pytest.param([5e-324, 0.0], id="as small as floats are"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_no_scaler_divides_by_zero_or_overflows(kind, numbers):
    values = np.array(numbers)
    scaler = scalers[kind](values)
    scaled = scaler.transform(values[~np.isnan(values)])
    assert np.isfinite(scaled).all()
    if len(set(scaled)) == 1 and kind != "none":
        assert abs(scaled[0]) < 1e-12


def test_a_constant_column_has_spread_one():
    assert [scalers[kind](np.full(7, 0.1)).spread for kind in scalers] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("kind", list(scalers))
@given(numbers=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_scaling_and_back_gives_the_numbers(kind, numbers):
    values = np.array(numbers)
    scaler = scalers[kind](values)
    size = max(np.abs(values).max(), 1e-300)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-9, atol=1e-9 * size)


@pytest.mark.parametrize("kind", list(scalers))
@given(numbers=st.lists(FINITE, max_size=20))
def test_a_scaler_survives_json_to_the_last_bit(kind, numbers):
    scaler = scalers[kind](np.array(numbers, dtype=np.float64))
    again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert (again.kind, again.centre, again.spread) == (scaler.kind, scaler.centre, scaler.spread)


def test_a_scaler_of_many_series_scales_each_by_its_own():
    scaler = Scaler("standard", np.array([[1.0], [10.0]]), np.array([[2.0], [5.0]]))
    again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    numbers = np.array([[1.0, 3.0], [10.0, 0.0]])
    assert again.transform(numbers).tolist() == [[0, 1], [0, -2]]
    assert again.inverse(again.transform(numbers)).tolist() == numbers.tolist()


@pytest.mark.parametrize("kind", list(scalers))
def test_a_scaler_refuses_infinity_and_tables(kind):
    with pytest.raises(ValueError, match="infinite"):
        scalers[kind](np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match=r"\(numbers,\)"):
        scalers[kind](np.zeros((2, 2)))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "standard", "centre": 0},
        {"kind": "magic", "centre": 0, "spread": 1},
        {"kind": "standard", "centre": 0, "spread": 0},
        {"kind": "standard", "centre": 0, "spread": -1},
        {"kind": "standard", "centre": float("nan"), "spread": 1},
        {"kind": "standard", "centre": 0, "spread": float("inf")},
        {"kind": "standard", "centre": [0, 1], "spread": 1},
        {"kind": "standard", "centre": "x", "spread": 1},
        {"kind": "standard", "centre": None, "spread": 1},
        {"kind": "standard", "centre": [[0], [1, 2]], "spread": 1},
    ],
)
def test_a_forged_scaler_is_refused(values):
    with pytest.raises(ValueError):
        Scaler.from_json(values)


def test_an_unknown_scaler_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="no scaler 'minmax'. Did you mean 'min-max'"):
        scalers["minmax"]


COLUMNS = np.column_stack(
    [
        np.random.default_rng(0).normal(1e6, 3, 501),
        np.random.default_rng(1).lognormal(0, 2, 501),
        np.random.default_rng(2).integers(-5, 5, 501),
        np.linspace(-1e-6, 1e-6, 501),
    ]
)


@pytest.mark.parametrize("column", COLUMNS.T, ids=["far", "skewed", "whole", "tiny"])
def test_the_scalers_are_those_of_scikit_learn(column):
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    for kind, theirs in (
        ("min-max", MinMaxScaler(feature_range=(-1, 1))),
        ("standard", StandardScaler()),
        ("robust", RobustScaler()),
    ):
        expected = theirs.fit_transform(column[:, None])[:, 0]
        np.testing.assert_allclose(scalers[kind](column).transform(column), expected, atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize("column", COLUMNS.T, ids=["far", "skewed", "whole", "tiny"])
def test_the_published_robust_scaler_begins_at_the_first_quartile(column):
    first, third = np.percentile(column, [25, 75])
    scaled = scalers["robust-q1"](column).transform(column)
    np.testing.assert_allclose(scaled, (column - first) / (third - first), atol=1e-9, rtol=1e-9)
    assert np.percentile(scaled, [25, 75]) == pytest.approx([0, 1], abs=1e-9)


def test_counts_are_divided_by_their_mean_and_nothing_stays_nothing():
    scaler = proportional(np.array([0.0, 2.0, 4.0, np.nan, 10.0]))
    assert (scaler.centre, scaler.spread) == (0, 4)
    assert Scaler.from_json(json.loads(json.dumps(scaler.to_json()))).inverse(np.array([0.5])) == [2]
    assert proportional(np.zeros(5)).spread == 1
    with pytest.raises(ValueError, match="numbers below 0 are no counts"):
        proportional(np.array([1.0, -1e-9]))


# ---------------------------------------------------------------- categories
def test_rare_categories_are_unknown_and_missing_has_its_own_code():
    codes = np.array([0, 0, 1, 2, 2, -1])
    known = Categories.fit(codes, ("azul", "gris", "rojo"), 2)
    assert known.names == ("azul", "rojo")
    assert known.size == 4
    assert known.encode(codes, ("azul", "gris", "rojo")).tolist() == [1, 1, 0, 2, 2, 3]


def test_another_table_is_encoded_by_name_whatever_its_order():
    known = Categories(("azul", "rojo"))
    codes = np.array([0, 1, 2, -1])
    assert known.encode(codes, ("verde", "rojo", "azul")).tolist() == [0, 2, 1, 3]
    assert known.encode_texts(["verde", "rojo", "azul", ""]).tolist() == [0, 2, 1, 3]


def test_a_category_without_a_row_is_never_known():
    assert Categories.fit(np.array([1]), ("a", "b"), 0).names == ("b",)
    nothing = Categories.fit(np.zeros(0, dtype=np.int32), (), 1)
    assert nothing.size == 2
    assert nothing.encode(np.array([-1, -1]), ()).tolist() == [1, 1]


@given(st.lists(st.text(max_size=5), unique=True, max_size=10))
def test_categories_survive_json(names):
    known = Categories(tuple(names))
    assert Categories.from_json(json.loads(json.dumps(known.to_json()))) == known


@pytest.mark.parametrize("values", [{}, {"names": "ab"}, {"names": [1]}, {"names": ["a", "a"]}])
def test_forged_categories_are_refused(values):
    with pytest.raises(ValueError):
        Categories.from_json(values)
