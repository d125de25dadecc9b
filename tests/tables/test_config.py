import pytest

from vistazo.config import build, options
from vistazo.errors import ConfigError
from vistazo.tables.config import SEPARATORS, TableConfig


@pytest.mark.parametrize("encoding", ["auto", "utf-8", "CP1252", "latin-1", "utf-16", "mac_roman"])
def test_any_text_encoding_that_python_knows_is_taken(encoding):
    assert TableConfig(encoding=encoding).encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-9", "", "base64", "zip", "rot13", "a\0b", "undefined", "ñ"])
def test_another_encoding_is_refused_with_the_usual_ones(encoding):
    with pytest.raises(ConfigError, match=r"--encoding does not know '.*'\. Usual ones are utf-8, cp1252"):
        build(TableConfig, {"encoding": encoding})


def test_every_setting_has_a_spanish_name_and_a_help():
    found = options(TableConfig)
    assert [option.name for option in found] == [
        "header",
        "separator",
        "encoding",
        "decimal",
        "date_order",
        "sheet",
    ]
    assert all(len(option.flags) == 2 and option.help for option in found)


def test_every_separator_that_can_be_named_is_a_sign():
    named = next(option for option in options(TableConfig) if option.name == "separator").choices
    assert set(named) == {"auto", *SEPARATORS}
