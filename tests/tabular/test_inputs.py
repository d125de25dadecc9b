"""From columns to numbers and codes: fitted on what is given, the same after JSON, and at ease with surprises."""

import json

import numpy as np
import pytest

from vistazo.tabular.given import table_of
from vistazo.tabular.inputs import AS_WRITTEN, Encoder, as_kind, infinite_rows, with_truth_as

TRAIN = table_of(
    {
        "size": [1.0, 3.0, None, 5.0],
        "town": ["Ávila", "Lugo", "", "Lugo"],
        "day": np.array(["2024-01-31", "2024-02-05", "NaT", "2023-12-31"], dtype="datetime64[D]"),
    }
)
ENCODER = Encoder.fit(TRAIN, "standard")


def test_numbers_are_scaled_and_a_missing_one_is_zero_with_a_sign():
    found = ENCODER.encode(TRAIN)
    spread = np.std([1, 3, 5])
    np.testing.assert_allclose(found.numbers[:, 0], [-2 / spread, 0, 0, 2 / spread], rtol=1e-6)
    assert found.numbers[:, 1].tolist() == [0, 0, 1, 0]


def test_a_date_is_its_day_month_and_weekday():
    found = ENCODER.encode(TRAIN)
    assert found.codes[:, 1].tolist() == [1, 2, 0, 12]
    assert found.codes[:, 2].tolist() == [3, 1, 0, 7]  # Wednesday, Monday, missing, Sunday
    assert ENCODER.codes == (4, 13, 8)


def test_a_new_category_has_a_code_of_its_own_and_is_told():
    later = table_of({"town": ["Lugo", "Paris", ""], "day": [None] * 3, "size": [None, 2, "x"]})
    found = ENCODER.encode(later)
    assert found.codes[:, 0].tolist() == [1, 0, 3]
    assert ENCODER.unknown(found) == [(), ("town",), ()]
    assert found.numbers[2].tolist() == [0, 1, 0, 1]  # 'x' is no number, so it is missing


def test_the_same_after_json():
    again = Encoder.from_json(json.loads(json.dumps(ENCODER.to_json())))
    one, other = ENCODER.encode(TRAIN), again.encode(TRAIN)
    assert (one.numbers == other.numbers).all() and (one.codes == other.codes).all()
    with pytest.raises((ValueError, KeyError, TypeError)):
        Encoder.from_json([{**ENCODER.to_json()[0], "kind": "category"}])
    with pytest.raises(ValueError):
        Encoder.from_json([])


def test_a_number_far_out_is_held_back():
    far = table_of({"size": [1e9, -1e9], "town": ["", ""], "day": [None, None]})
    assert ENCODER.encode(far).numbers[:, 0].tolist() == [4, -4]


def test_rare_categories_teach_what_an_unknown_one_is():
    towns = ["a"] * 60 + ["b"] * 58 + ["c"] * 2
    encoder = Encoder.fit(table_of({"town": towns}), "standard")
    assert encoder.features[0].categories.names == ("a", "b")


def test_cells_are_read_as_another_kind():
    texts = table_of({"x": ["1", "2.5", "", "two"]}).columns[0]
    assert as_kind(texts, "number", AS_WRITTEN).values.tolist()[:2] == [1, 2.5]
    assert as_kind(texts, "number", AS_WRITTEN).missing.tolist() == [False, False, True, True]
    numbers = table_of({"x": [2, 10, None]}).columns[0]
    assert as_kind(numbers, "category", AS_WRITTEN).texts() == ["2", "10", ""]
    dates = as_kind(table_of({"x": ["2024-05-01", "soon"]}).columns[0], "date", AS_WRITTEN)
    assert dates.texts() == ["2024-05-01", ""]


def test_infinite_cells_are_found():
    found = infinite_rows(table_of({"a": [1, float("inf"), 2], "b": ["x", "y", "z"]}))
    assert found == {1: "a"}


@pytest.mark.parametrize(
    ("known", "given", "read"),
    [
        pytest.param(("FALSE", "TRUE"), [True, "false", "", "Verdadero"], ["TRUE", "FALSE", "", "TRUE"], id="JSON"),
        pytest.param(("False", "True"), ["TRUE", "True", "x"], ["True", "True", "x"], id="two forms become one"),
        pytest.param(("TRUE", "true"), ["True", "TRUE"], ["True", "TRUE"], id="training told two words apart"),
        pytest.param(("red",), [True], ["True"], id="no truth values in training"),
        pytest.param(("falso", "verdadero"), ["red", False], ["red", "falso"], id="in Spanish"),
    ],
)  # fmt: skip
def test_truth_values_are_read_in_the_words_of_training(known, given, read):
    (column,) = table_of({"open": given}).columns
    assert with_truth_as(known, column).texts() == read
