"""From a table to rows: what is left out and told, and tables that cannot be learnt from."""

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.tabular.data import read_rows

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, 100).round(4).tolist()
Z = RANDOM.normal(0, 1, 100).round(4).tolist()
Y = [("no", "yes")[int(x + z > 0)] for x, z in zip(X, Z, strict=True)]


def test_rows_without_a_target_are_set_aside_counted_and_listed(table, config):
    rows = read_rows(table(x=X, y=[None, *Y[1:50], "", *Y[51:]]), config())
    assert len(rows) == 98
    assert any("left out: 2 rows without a 'y' (rows 1, 51)" in sentence for sentence in rows.sentences)
    assert rows.aside == ((1, "it has no 'y'"), (51, "it has no 'y'"))


def test_a_copy_of_the_target_is_left_out_and_said_unless_it_is_kept(table, config):
    leak = [f"code-{y}" for y in Y]
    rows = read_rows(table(x=X, z=Z, leak=leak, y=Y), config())
    assert rows.table.names == ("x", "z")
    assert "SUSPECT, left out: 'leak' alone gives the target away" in rows.warnings[0]
    assert "--keep-columns leak" in rows.warnings[0]
    kept = read_rows(table(x=X, z=Z, leak=leak, y=Y), config(keep_columns="leak"))
    assert kept.table.names == ("x", "z", "leak")
    assert "SUSPECT, kept as asked" in kept.warnings[0]


def test_where_there_is_no_other_column_a_suspect_is_learnt_from(table, config):
    fahrenheit = [1.8 * x + 32 for x in X]
    rows = read_rows(table(celsius=X, y=fahrenheit), config())
    assert rows.table.names == ("celsius",)
    assert "there is no other column" in rows.warnings[0]


def test_the_test_part_does_not_choose_the_columns(table, config):
    parts = ["train"] * 80 + ["test"] * 20
    leak = ["a" if y == "no" else "b" for y in Y]
    leak[80:] = leak[:20]
    rows = read_rows(table(x=X, leak=leak, split=parts, y=Y), config())
    assert rows.table.names == ("x",)
    honest = ["a", "b"] * 40 + ["a" if y == "no" else "b" for y in Y[80:]]
    assert read_rows(table(x=X, h=honest, split=parts, y=Y), config()).table.names == ("x", "h")


def test_a_group_never_straddles(table, config):
    patient = [f"p{n % 23}" for n in range(100)]
    rows = read_rows(table(patient=patient, x=X, z=Z, y=Y), config(group="patient"))
    for name in set(patient):
        assert len({part for who, part in zip(patient, rows.parts, strict=True) if who == name}) == 1
    assert rows.table.names == ("x", "z")
    assert (rows.parts == "test").any()


def test_rows_without_a_group_stand_alone(table, config):
    patient = [f"p{n % 5}" if n < 50 else "" for n in range(100)]
    rows = read_rows(table(patient=patient, x=X, z=Z, y=Y), config(group="patient"))
    assert len(set(rows.groups[50:])) == 50


def test_order_puts_the_latest_rows_in_the_test(table, config):
    day = np.datetime64("2020-01-01") + RANDOM.permutation(100)
    rows = read_rows(table(day=day, x=X, z=Z, y=Y), config(order="day"))
    assert (day[rows.parts == "test"] > day[rows.parts != "test"].max()).all()
    assert (rows.parts == "test").sum() == 10


def test_a_column_that_names_parts_is_honoured(table, config):
    split = ["train"] * 70 + ["val"] * 10 + ["test"] * 20
    rows = read_rows(table(split=split, x=X, z=Z, y=Y), config())
    assert rows.counts() == {"train": 70, "validation": 10, "test": 20, "out": 0}
    assert rows.table.names == ("x", "z")


def test_four_rows_are_all_learnt_from(table, config):
    rows = read_rows(table(a=[0, 0, 1, 1], b=[0, 1, 0, 1], y=[0, 1, 1, 0]), config())
    assert rows.counts()["train"] == 4
    assert rows.table.names == ("a", "b")
    assert any("only 4 rows" in sentence for sentence in rows.sentences)


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        pytest.param({"x": X, "y": ["a"] * 100}, TooFewExamples, r"one class only \('a'\)", id="one class"),
        pytest.param({"x": X, "y": [2.5] * 100}, TooFewExamples, "one class only", id="one number"),
        pytest.param({"x": X, "y": [*Y[:-1], "z"]}, TooFewExamples, "have one row only: z", id="a lone row"),
        pytest.param(
            {"x": [1] * 100, "y": Y}, SourceDamaged, r"No column is left .* x \(it has one", id="constant"
        ),
        pytest.param({"y": Y}, SourceDamaged, "No column is left", id="no other column"),
        pytest.param(
            {"x": [*X[:-1], float("inf")], "y": Y},
            SourceDamaged,
            "infinity in row 100",
            id="an infinite input",
        ),
        pytest.param(
            {"x": X, "y": [float("inf"), *X[1:]]}, SourceDamaged, "infinite in row 1", id="an infinite target"
        ),
        pytest.param(
            {"x": X, "y": [f"name {n % 60}" for n in range(100)]}, SourceDamaged, "60 classes", id="too many"
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_one_sentence(table, config, columns, error, words):
    with pytest.raises(error, match=words):
        read_rows(table(**columns), config())
