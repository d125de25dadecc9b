"""Spaces: what is written is what is meant, and what cannot be is refused before anything is read."""

import math

import pytest

from vistazo.classification.config import ClassificationConfig
from vistazo.classification.searchable import refused
from vistazo.engine.search import Space
from vistazo.engine.search_spaces import (
    contains,
    every_point,
    parse,
    parse_all,
    points,
    require_names,
    require_possible,
    with_values,
)
from vistazo.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "space", "many"),
    [
        ("log:1e-4..1e-2", Space("float", 1e-4, 1e-2, log=True), math.inf),
        ("0.1..0.5", Space("float", 0.1, 0.5), math.inf),
        ("8..64", Space("int", 8, 64), 57),
        ("log:8..64", Space("int", 8, 64, log=True), 57),
        ("8..64/8", Space("int", 8, 64, step=8), 8),
        ("8..63/8", Space("int", 8, 56, step=8), 7),  # the last that the steps meet
        ("0.1..0.5/0.1", Space("float", 0.1, 0.5, step=0.1), 5),
        ("-1..1/0.5", Space("float", -1, 1, step=0.5), 5),
        ("0,1e-5,0.001", Space("choice", choices=(0, 1e-5, 0.001)), 3),
        ("adam, sgd", Space("choice", choices=("adam", "sgd")), 2),
        ("16,32|32,64", Space("choice", choices=("16,32", "32,64")), 2),
        ("none|shift,zoom=0.8..1.2", Space("choice", choices=("none", "shift,zoom=0.8..1.2")), 2),
    ],
)
def test_what_is_written_is_what_is_meant(text, space, many):
    assert parse("x", text) == space
    assert points(space) == many


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty choice"),
        ("a,,b", "empty choice"),
        ("0.5..0.1", "0.5 is more than 0.1"),
        ("3..3", "one value only"),
        ("a", "one value only"),
        ("log:0..1", "above 0"),
        ("log:-1..1", "above 0"),
        ("8,16,8", "8 twice"),
        ("0.001,1e-3", "1e-3 twice"),
        ("8..64/0", "a step lies"),
        ("8..64/100", "a step lies"),
        ("log:8..64/8", "a step lies"),
        ("1..", "a range is written"),
        ("log:5", "a range is written"),
        ("0.1..0.5..0.9", "a range is written"),
        ("1..nan", "a range is written"),
    ],
)
def test_an_empty_or_contradictory_space_is_refused_with_its_name(text, told):
    with pytest.raises(ConfigError, match=told) as error:
        parse("rate", text)
    assert "--search rate" in str(error.value)


def test_names_and_spaces_are_taken_apart_at_the_first_sign():
    assert parse_all(["learning-rate=0.1..1", "augment=a=1|b=2"]) == {
        "learning_rate": "0.1..1",
        "augment": "a=1|b=2",
    }
    for texts, told in (
        ([], "nothing to search"),
        (["rate"], "NAME=SPACE"),
        (["rate=1,2", "rate=3,4"], "twice"),
    ):
        with pytest.raises(ConfigError, match=told):
            parse_all(texts)


def test_every_point_of_a_finite_space_is_listed_once():
    spaces = {"a": parse("a", "8..24/8"), "b": parse("b", "x,y"), "c": parse("c", "0.1..0.3/0.1")}
    found = [tuple(one.values()) for one in every_point(spaces)]
    assert len(found) == len(set(found)) == 18
    assert found[0] == (8, "x", 0.1) and found[-1] == (24, "y", 0.3)
    assert all(contains(spaces[name], value) for one in every_point(spaces) for name, value in one.items())


def test_what_lies_outside_a_space_is_known():
    assert not contains(parse("a", "8..24/8"), 12)
    assert not contains(parse("a", "8..24"), 8.5)
    assert not contains(parse("a", "0.1..0.5"), "0.2")
    assert not contains(parse("a", "x,y"), "z")
    assert contains(parse("a", "log:1e-4..1e-2"), 1e-4)


# ---------------------------------------------------------------- against a config
def names(*several, numbers=()):
    require_names(several, ClassificationConfig, dict.fromkeys(numbers), refused())


def test_a_name_that_is_no_setting_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match="'bach' to search. Did you mean 'batch'"):
        names("bach")
    with pytest.raises(ConfigError, match=r"Known: .*rate"):
        names("qqqqqqqq")
    with pytest.raises(ConfigError, match="Did you mean 'dropout1.rate'"):
        names("dropout.rate", numbers=("conv1.filters", "dropout1.rate"))
    names("filters", "rate", "conv1.filters", numbers=("conv1.filters",))


@pytest.mark.parametrize("name", sorted(refused()))
def test_a_setting_that_no_search_may_change_is_refused_with_the_reason(name):
    with pytest.raises(ConfigError, match=f"--search {name}: ") as error:
        names(name)
    assert len(str(error.value)) > 40


def test_every_setting_is_either_searched_or_refused_for_a_reason():
    """A new setting may be searched unless somebody says why not; this tells who should think about it."""
    open_to_it = set(ClassificationConfig.model_fields) - set(refused())
    assert {
        "batch",
        "rate",
        "clip",
        "filters",
        "schedule",
        "average",
        "augment",
        "balance",
        "model",
    } <= open_to_it
    assert {"seed", "device", "folds", "repeats", "time", "epochs", "corrections"} <= set(refused())


def test_what_the_setting_itself_refuses_is_refused_of_a_space():
    config = ClassificationConfig()
    with pytest.raises(ConfigError, match=r"--search batch: .*at least 2"):
        require_possible(config, {"batch": parse("batch", "1..64")}, {})
    with pytest.raises(ConfigError, match="--search batch: batch takes whole numbers"):
        require_possible(config, {"batch": parse("batch", "2.0..64.0")}, {})
    with pytest.raises(ConfigError, match=r"--search schedule: .*sideways"):
        require_possible(config, {"schedule": parse("schedule", "cosine,sideways")}, {})
    with pytest.raises(ConfigError, match=r"--search augment: "):
        require_possible(config, {"augment": parse("augment", "none|somersault")}, {})
    require_possible(config, {"filters": parse("filters", "16,32,32|32,64,64")}, {})


def test_values_become_settings_as_if_they_were_typed():
    config = ClassificationConfig(rate=2.0)
    made = with_values(config, {"batch": 64, "filters": "16,32,32", "schedule": "cosine"}, {})
    assert (made.rate, made.batch, made.filters, made.schedule) == (2.0, 64, "16,32,32", "cosine")
    assert with_values(config, {"filters": 16}, {}).filters == "16"
    with pytest.raises(ConfigError):
        with_values(config, {"batch": 0}, {})
