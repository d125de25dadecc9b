"""How a table's file is read: the settings that every table task inherits. Free of torch."""

from typing import Literal

from pydantic import field_validator

from vistazo.config import Config, setting
from vistazo.errors import ConfigError
from vistazo.language import mark, tr

__all__ = ["SEPARATORS", "TableConfig", "names_in"]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


class TableConfig(Config):
    """Reading settings of a table. `auto` is decided from the file, and what was decided is told in a note."""

    header: Literal["auto", "yes", "no"] = setting(
        "auto", spanish="cabecera", help=mark("whether the first row gives the columns' names")
    )
    separator: Literal["auto", "comma", "semicolon", "tab", "bar"] = setting(
        "auto", spanish="separador", help=mark("what stands between the cells of a CSV file")
    )
    encoding: str = setting(
        "auto", spanish="codificacion", help=mark("how a CSV file writes its letters: utf-8, cp1252, ...")
    )
    decimal: Literal["auto", "point", "comma"] = setting(
        "auto", spanish="decimales", help=mark("what stands before the decimals of a number: 1.5 or 1,5")
    )
    date_order: Literal["auto", "ymd", "dmy", "mdy"] = setting(
        "auto", spanish="orden_fecha", help=mark("order of day, month and year in dates such as 03/04/2018")
    )
    sheet: str | None = setting(
        None, spanish="hoja", help=mark("sheet of an Excel file (default: the first that is not empty)")
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        """Raises ConfigError where Python knows no text encoding of that name."""
        if encoding == "auto":
            return encoding
        try:
            "".encode(encoding)  # codecs.lookup alone would let base64 and zip pass
        except (LookupError, ValueError):
            raise ConfigError(
                tr(
                    "--encoding does not know '{name}'. Usual ones are utf-8, cp1252, latin-1 and utf-16.",
                    name=encoding,
                )
            ) from None
        return encoding


def names_in(text: str | None) -> list[str]:
    """The names in a list parted by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
