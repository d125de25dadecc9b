"""A default stands once: options, help, schema and the saved file follow from the fields of a config."""

import json
from typing import Literal

import pytest
from pydantic import ValidationError

from vistazo import language
from vistazo.classification.config import ClassificationConfig
from vistazo.config import Config, build, differing, options, read_settings, setting
from vistazo.errors import ConfigError


class Baking(Config):
    """A config of its own, so that these tests do not move with the real ones."""

    loaves: int = setting(2, spanish="panes", ge=1, le=100, help="how many")
    heat: float = setting(220.0, gt=0, lt=300, help="degrees")
    crust: Literal["thin", "thick"] | None = setting(None, spanish="corteza", help="kind of crust")
    shape: str | None = setting(None, pattern=r"^\d+x\d+$", help="as in 20x30")
    quiet: bool = setting(False, identity=False, help="say nothing")


# ---------------------------------------------------------------- options
def test_options_come_from_the_fields_in_their_order():
    found = options(Baking)
    assert [one.name for one in found] == ["loaves", "heat", "crust", "shape", "quiet"]


def test_an_option_has_its_english_and_its_spanish_flag():
    assert options(Baking)[0].flags == ("--loaves", "--panes")


def test_underscores_become_dashes():
    flags = {one.name: one.flags for one in options(ClassificationConfig)}
    assert flags["max_broken"][0] == "--max-broken"


def test_an_option_may_be_called_otherwise_than_its_field():
    class Journey(Config):
        start: str = setting("here", flag="from", spanish="desde", help="where it begins")

    assert options(Journey)[0].flags == ("--from", "--desde")
    with pytest.raises(ConfigError, match="^--from "):
        build(Journey, {"start": 3})


def test_an_option_knows_its_type_choices_and_default():
    loaves, _, crust, _, quiet = options(Baking)
    assert (loaves.kind, loaves.default, loaves.optional) == (int, 2, False)
    assert (crust.kind, crust.choices, crust.optional) == (str, ("thin", "thick"), True)
    assert quiet.kind is bool


def test_no_two_options_of_the_real_config_share_a_flag():
    flags = [flag for one in options(ClassificationConfig) for flag in one.flags]
    assert len(flags) == len(set(flags))


def test_every_real_option_has_help_and_a_spanish_name():
    for one in options(ClassificationConfig):
        assert one.help, one.name
        assert len(one.flags) >= 2, one.name


def test_the_schema_carries_defaults_bounds_and_help():
    loaves = Baking.model_json_schema()["properties"]["loaves"]
    assert (loaves["default"], loaves["minimum"], loaves["description"]) == (2, 1, "how many")


# ---------------------------------------------------------------- values
def test_a_config_is_frozen():
    with pytest.raises(ValidationError):
        Baking().loaves = 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param({"loaves": 0}, "--loaves must be at least 1, not 0.", id="too small"),
        pytest.param({"loaves": 101}, "--loaves must be at most 100, not 101.", id="too large"),
        pytest.param({"heat": 0}, "--heat must be more than 0, not 0.", id="on the open lower bound"),
        pytest.param(
            {"heat": 300.0}, "--heat must be less than 300, not 300.0.", id="on the open upper bound"
        ),
        pytest.param({"loaves": "two"}, "--loaves must be a whole number, not 'two'.", id="no number"),
        pytest.param({"loaves": 1.5}, "--loaves must be a whole number, not 1.5.", id="half a loaf"),
        pytest.param({"heat": "hot"}, "--heat must be a number, not 'hot'.", id="no real number"),
        pytest.param({"heat": float("nan")}, "--heat must be a number, not nan.", id="not a number at all"),
        pytest.param(
            {"crust": "soft"},
            "--crust must be one of 'thin' or 'thick', not 'soft'.",
            id="not among the choices",
        ),
        pytest.param(
            {"shape": "big"}, "--shape does not understand 'big'. as in 20x30", id="not of that form"
        ),
        pytest.param({"loafs": 3}, "There is no setting 'loafs'. Did you mean 'loaves'?", id="misspelled"),
        pytest.param(
            {"zzz": 3},
            "There is no setting 'zzz'. Known: loaves, heat, crust, shape, quiet.",
            id="unknown",
        ),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(values, sentence):
    with pytest.raises(ConfigError) as caught:
        build(Baking, values)
    assert str(caught.value) == sentence


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        build(Baking, {"loaves": 0, "heat": "hot", "lofas": 1})
    assert all(word in str(caught.value) for word in ("--loaves", "--heat", "'lofas'"))


def test_an_option_is_named_as_help_names_it():
    with language.speaking("es"), pytest.raises(ConfigError, match="--panes debe ser 1 como mínimo, no 0"):
        build(Baking, {"loaves": 0})


def test_text_from_a_command_line_is_understood():
    assert build(Baking, {"loaves": "7", "heat": "190.5"}) == Baking(loaves=7, heat=190.5)


def test_zero_epochs_is_wrong_usage():
    with pytest.raises(ConfigError, match="--epochs must be at least 1, not 0"):
        build(ClassificationConfig, {"epochs": 0})


# ---------------------------------------------------------------- what makes two runs the same run
def test_identity_leaves_out_what_does_not_change_the_result():
    assert Baking(quiet=True).identity() == Baking(quiet=False).identity()
    assert Baking(loaves=3).identity() != Baking(loaves=4).identity()


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 2}, None, id="equal"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 3}, "b", id="one differs"),
        pytest.param({"b": 1, "a": 1}, {"a": 2, "b": 2}, "a", id="two differ: the first of the new order"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, "b", id="only in the new"),
        pytest.param({"a": 1, "c": 2}, {"a": 1}, "c", id="only in the old"),
    ],
)
def test_the_first_difference_is_named(old, new, name):
    assert differing(old, new) == name


# ---------------------------------------------------------------- settings files
def test_settings_are_read_from_toml(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('loaves = 5\ncrust = "thin"\n', encoding="utf-8")
    assert build(Baking, read_settings(file, Baking)) == Baking(loaves=5, crust="thin")


def test_the_byte_order_mark_of_a_windows_editor_is_no_fault(tmp_path):
    file = tmp_path / "run.toml"
    file.write_bytes(b"\xef\xbb\xbfloaves = 5\r\n")
    assert read_settings(file, Baking) == {"loaves": 5}


def test_the_saved_config_of_a_run_repeats_it(tmp_path):
    file = tmp_path / "config.json"
    kept = {"task": "baking", "source": "/x", "settings": Baking(loaves=9).model_dump(), "identity": {}}
    file.write_text(json.dumps(kept), encoding="utf-8")
    assert build(Baking, read_settings(file, Baking)) == Baking(loaves=9)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        pytest.param("a.toml", b"loaves = = 5", "is not valid", id="no TOML"),
        pytest.param("a.json", b"{", "is not valid", id="no JSON"),
        pytest.param("a.json", b"[" * 100_000, "is not valid", id="JSON nested too deep"),
        pytest.param("a.json", b"[1, 2]", "holds no table of settings", id="a list"),
        pytest.param("a.toml", b"loaves = '\xff'", "cannot be read", id="not UTF-8"),
        pytest.param("a.toml", b"#" * (1 << 20) + b"#", "is too large", id="more than a megabyte"),
        pytest.param("a.toml", b"lofas = 1", "Did you mean 'loaves'", id="an unknown setting"),
        pytest.param("a.toml", b"loaves = " + b"[" * 20_000, "is not valid", id="TOML nested too deep"),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_named(tmp_path, name, content, sentence):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        read_settings(file, Baking)


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        read_settings(tmp_path / "nowhere.toml", Baking)
