"""What columns are for: the target's kind, identifiers, columns without content."""

import numpy as np
import pytest

from vistazo.errors import ConfigError, SourceDamaged
from vistazo.tabular.columns import names_parts, part_of, roles, target_of


# ---------------------------------------------------------------- the target
@pytest.mark.parametrize(
    ("values", "classes"),
    [
        pytest.param(["b", "a", "b"], ("a", "b"), id="texts"),
        pytest.param([True, False, True], ("False", "True"), id="truth values"),
        pytest.param([7.5, 1.5, 7.5], ("1.5", "7.5"), id="two numbers"),
        pytest.param([10, 2, 1] * 10, ("1", "2", "10"), id="few whole numbers, in their order"),
        pytest.param([1.5, 2.5, 3.5] * 10, (), id="fractions"),
        pytest.param(list(range(21)) * 10, (), id="more than twenty whole numbers"),
        pytest.param([1, 2, 3, 4], (), id="whole numbers with fewer than five rows each"),
    ],
)
def test_the_kind_of_the_target_is_recognised(table, config, values, classes):
    assert target_of(table(y=values), config()).classes == classes


def test_the_kind_can_be_said_and_is_told(table, config):
    numbers = table(y=[1, 2, 3] * 10)
    assert "--kind regression would learn it as a number" in target_of(numbers, config()).sentence
    as_number = target_of(numbers, config(kind="regression"))
    assert as_number.classes == ()
    assert "--kind classification" in as_number.sentence
    assert target_of(table(y=[1.5, 2.5, 3.5]), config(kind="classification")).classes == ("1.5", "2.5", "3.5")


def test_texts_cannot_be_learnt_as_numbers(table, config):
    with pytest.raises(ConfigError, match="'y' holds no numbers"):
        target_of(table(y=["a", "b"]), config(kind="regression"))


def test_a_target_that_is_not_named_is_asked_for_with_the_columns(table, config):
    with pytest.raises(ConfigError, match=r"with --target; the table has these: a, y\."):
        target_of(table(a=[1, 2], y=[1, 2]), config(target=None))


def test_a_target_can_be_named_by_its_number_or_without_its_accents(table, config):
    both = table(año=["x", "y"], resultado=["sí", "no"])
    assert target_of(both, config(target="2")).name == "resultado"
    assert target_of(both, config(target="ANO")).name == "año"
    with pytest.raises(ConfigError, match="Did you mean 'resultado'"):
        target_of(both, config(target="resultdo"))


def test_a_target_without_any_value_is_refused(table, config):
    with pytest.raises(SourceDamaged, match="missing in every row"):
        target_of(table(y=[None, ""]), config())


def test_classes_take_the_order_they_are_given(table, config):
    wins = table(y=["won", "lost", "drawn", ""])
    found = target_of(wins, config(ordered="lost, Drawn,won"))
    assert found.classes == ("lost", "drawn", "won")
    assert found.values.tolist() == [2, 0, 1, -1]
    with pytest.raises(ConfigError, match="must name each class of 'y' once: drawn, lost, won"):
        target_of(wins, config(ordered="lost,won"))
    with pytest.raises(ConfigError, match="is for classes"):
        target_of(table(y=[1.5, 2.5, 3.5]), config(ordered="1,2"))


# ---------------------------------------------------------------- the others
def test_columns_without_two_values_are_left_out_with_a_sentence(table, config):
    found = roles(table(a=[1, 1, 1], b=[None] * 3, c=[1, None, 1], d=[1, 2, 1], y=[1, 2, 1]), "y", config())
    assert found.inputs == ("c", "d")  # present or missing may tell something
    assert "one value or none: a, b" in found.sentences[0]


@pytest.mark.parametrize(
    ("name", "values", "left_out"),
    [
        pytest.param("id", list(range(5, 105, 5)), True, id="called id"),
        pytest.param("customer_id", [f"c{n}" for n in range(20)], True, id="texts, each once"),
        pytest.param("name", [f"Ana {n}" for n in range(20)], True, id="names, each once"),
        pytest.param("x", list(range(1, 21)), True, id="the first column counts the rows"),
        pytest.param("year", list(range(2000, 2020)), False, id="years"),
        pytest.param("x", [n * n for n in range(20)], False, id="whole numbers that do not count"),
        pytest.param("id", [n + 0.5 for n in range(20)], False, id="fractions"),
        pytest.param("id", [1, 1, *range(2, 20)], False, id="a value twice"),
    ],
)
def test_what_only_numbers_the_rows_is_left_out(table, config, name, values, left_out):
    found = roles(table(**{name: values, "y": values}), "y", config())
    assert (found.inputs == ()) == left_out
    if left_out:
        assert f"{name} (--keep-columns keeps them)" in found.sentences[0]
        assert found.findings[0].kind == "identifier"
        assert roles(table(**{name: values, "y": values}), "y", config(keep_columns=name)).inputs == (name,)


def test_group_order_and_named_columns_are_not_learnt_from(table, config):
    every = table(a=[1, 2, 4], b=[1, 5, 2], c=[3, 1, 2], y=[1, 2, 3])
    assert roles(every, "y", config(group="a", leave_out="B")).inputs == ("c",)
    assert roles(every, "y", config(order="a", keep_columns="a")).inputs == ("a", "b", "c")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"group": "a", "order": "b"}, "cannot hold together"),
        ({"group": "y"}, "'y' is the target"),
        ({"leave_out": "y"}, "'y' is the target"),
        ({"order": "c"}, "needs a column of dates or numbers; 'c' holds neither"),
        ({"leave_out": "d"}, "no column 'd'"),
    ],
)
def test_uses_that_cannot_be_are_refused(table, config, settings, words):
    with pytest.raises(ConfigError, match=words):
        roles(table(a=[1, 2], b=[2, 1], c=["x", "z"], y=[1, 2]), "y", config(**settings))


def test_a_column_can_name_the_parts(table):
    column = table(Partición=["entrenamiento", "Validación", "test", ""]).columns[0]
    assert names_parts(column)
    assert part_of(column).tolist() == ["train", "validation", "test", ""]
    assert not names_parts(table(split=["train", "banana"]).columns[0])
    assert np.all([not names_parts(c) for c in table(other=["train", "test"]).columns])
