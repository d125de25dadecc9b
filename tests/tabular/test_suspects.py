"""Columns that give the target away are found; columns that merely help are not."""

import numpy as np
import pytest

from vistazo.tabular.given import table_of
from vistazo.tabular.suspects import find_suspects

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 300)
VALUES = RANDOM.normal(0, 1, 300)


def suspects(target, **columns):
    return [one.column for one in find_suspects(list(table_of(columns).columns), target)]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param([f"code {k}" for k in LABELS], id="a code for each class"),
        pytest.param(LABELS * 10.0 + RANDOM.uniform(0, 5, 300), id="thresholds that divide the classes"),
        pytest.param([f"{k}{n % 20}" for n, k in enumerate(LABELS)], id="categories of one class each"),
    ],
)
def test_a_column_that_decides_the_class_alone_is_suspect(column):
    assert suspects(LABELS, leak=column, noise=VALUES) == ["leak"]


def test_a_column_that_helps_is_not():
    helps = LABELS + RANDOM.normal(0, 0.3, 300)
    text = [f"row {n}" for n in range(300)]  # each once: it tells nothing of other rows
    assert suspects(LABELS, helps=helps, noise=VALUES, text=text) == []


def test_a_class_that_nearly_all_rows_have_makes_no_column_suspect():
    rare = (np.arange(300) < 3).astype(int)
    assert suspects(rare, flat=np.where(rare, 5.0, 1.0) + RANDOM.normal(0, 0.01, 300)) == []


def test_copies_of_a_number_are_suspect_in_any_unit():
    found = suspects(
        VALUES, fahrenheit=VALUES * 1.8 + 32, near=VALUES + RANDOM.normal(0, 0.1, 300), noise=LABELS
    )
    assert found == ["fahrenheit"]


def test_categories_that_stand_for_one_number_each_are_suspect():
    price = LABELS * 10.0
    assert suspects(price, label=[f"kind {k}" for k in LABELS], noise=VALUES) == ["label"]


def test_few_rows_are_not_suspected():
    assert suspects(LABELS[:30], leak=LABELS[:30]) == []


def test_a_copy_with_missing_cells_is_still_one():
    cells = [None if n % 10 == 0 else v for n, v in enumerate((VALUES * 2).tolist())]
    assert suspects(VALUES, copy=cells) == ["copy"]
