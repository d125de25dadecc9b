"""Config: the rule that a default stands once.

A setting is one field of a frozen pydantic model. Its default, bounds, help and Spanish name stand there and
nowhere else; the command-line options (`options`), the JSON schema (`Config.model_json_schema`), forms and the
saved `config.json` follow from it. Nothing here imports torch.
"""

import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from vistazo.errors import ConfigError
from vistazo.language import current, mark, reason_of_system, tr
from vistazo.registry import nearest

__all__ = ["Config", "Option", "build", "differing", "flag_of", "options", "read_settings", "setting"]

C = TypeVar("C", bound="Config")
LARGEST_FILE = 1 << 20  # bytes; a settings file is a page of text


def setting(
    default: Any, *, help: str, spanish: str = "", identity: bool = True, flag: str = "", **bounds: Any
) -> Any:
    """A field of a Config.

    help: one line, marked with `mark`. spanish: the option's Spanish name, without dashes. flag: the option's name
    where it is not the field's.
    identity: whether two runs that differ in it are different runs (a time limit of patience is, quietness is not).
    bounds: ge, gt, le, lt, pattern ... as pydantic's Field takes them.
    """
    extra: Any = {"spanish": spanish, "identity": identity, "flag": flag}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Config(BaseModel):
    """Settings of one run; frozen, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def anchored(self) -> Self:
        """The same settings with every path made absolute, so that they mean the same from another folder."""
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that make two runs the same run."""
        values = self.model_dump(mode="json")
        return {
            name: values[name] for name, field in type(self).model_fields.items() if _extra(field)["identity"]
        }


@dataclass(frozen=True)
class Option:
    """One command-line option, as derived from a field."""

    name: str
    flags: tuple[str, ...]
    kind: type
    choices: tuple[str, ...]
    optional: bool
    default: Any
    help: str


def options(config: type[Config]) -> list[Option]:
    """The command-line options of a config, in the order of its fields."""
    found = []
    for name, field in config.model_fields.items():
        kind, choices, optional = _kind(field.annotation)
        extra = _extra(field)
        words = [extra["flag"] or name, *filter(None, [extra["spanish"]])]
        flags = tuple(f"--{word.replace('_', '-')}" for word in words)
        found.append(Option(name, flags, kind, choices, optional, field.default, field.description or ""))
    return found


def flag_of(config: type[Config], name: str) -> str:
    """The option of a field as help names it in the language in force, without its two dashes."""
    extra = _extra(config.model_fields[name])
    word = (extra["spanish"] if current() == "es" else "") or extra["flag"] or name
    return str(word).replace("_", "-")


def build(config: type[C], values: Mapping[str, Any]) -> C:
    """A config from named values. Raises ConfigError that tells every fault at once."""
    try:
        return config(**values)
    except ValidationError as error:
        faults = [_sentence(config, fault) for fault in error.errors(include_url=False)]
        raise ConfigError(" ".join(faults)) from None


def read_settings(path: Path, *configs: type[Config]) -> dict[str, Any]:
    """The values in a TOML file, or in the config.json of a run: fields of one of the configs.

    Raises ConfigError where the file is missing, too large, no TOML or JSON, or names an unknown setting.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(tr("{path} is too large for a settings file (1 MB at most).", path=path))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            tr(
                "The settings file {path} cannot be read ({reason}). Check the path.",
                path=path,
                reason=reason_of_system(error),
            )
        ) from None
    try:
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            tr("The settings file {path} is not valid: {reason}.", path=path, reason=error)
        ) from None
    if isinstance(values, dict) and isinstance(values.get("settings"), dict):  # the config.json of a run
        values = values["settings"]
    if not isinstance(values, dict):
        raise ConfigError(tr("The settings file {path} holds no table of settings.", path=path))
    for name in values:
        if not any(name in config.model_fields for config in configs):
            raise ConfigError(_unknown(configs[0], str(name)))
    return values


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first name, in the order of `new`, whose value differs between two mappings; None where they agree."""
    for name in [*new, *old]:
        if old.get(name) != new.get(name):
            return name
    return None


def _extra(field: Any) -> dict[str, Any]:
    return {"spanish": "", "identity": True, "flag": "", **(field.json_schema_extra or {})}


def _kind(annotation: Any) -> tuple[type, tuple[str, ...], bool]:
    """(type of one value, its choices, whether None is allowed) of a field's annotation."""
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        optional = len(parts) < len(typing.get_args(annotation))
        annotation = parts[0]
    if typing.get_origin(annotation) is Literal:
        return str, typing.get_args(annotation), optional
    return annotation, (), optional


_FAULTS = {
    "greater_than_equal": (mark("--{name} must be at least {limit}, not {value}."), "ge"),
    "greater_than": (mark("--{name} must be more than {limit}, not {value}."), "gt"),
    "less_than_equal": (mark("--{name} must be at most {limit}, not {value}."), "le"),
    "less_than": (mark("--{name} must be less than {limit}, not {value}."), "lt"),
    "literal_error": (mark("--{name} must be one of {limit}, not {value}."), "expected"),
    "int_parsing": (mark("--{name} must be a whole number, not {value}."), ""),
    "int_type": (mark("--{name} must be a whole number, not {value}."), ""),
    "int_from_float": (mark("--{name} must be a whole number, not {value}."), ""),
    "float_parsing": (mark("--{name} must be a number, not {value}."), ""),
    "finite_number": (mark("--{name} must be a number, not {value}."), ""),
    "string_pattern_mismatch": (mark("--{name} does not understand {value}. {limit}"), "pattern"),
}


def _sentence(config: type[Config], fault: ErrorDetails) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        return _unknown(config, name)
    message, limit = _FAULTS.get(fault["type"], (mark("--{name} cannot be {value}: {limit}."), ""))
    bound: Any = fault.get("ctx", {}).get(limit) if limit else fault["msg"].removeprefix("Value error, ")
    if limit == "pattern":
        help = config.model_fields[name].description or ""
        bound = tr(help)
    if limit == "expected":  # pydantic's own list: 'a', 'b' or 'c'
        bound = bound.replace(" or ", tr(" or "))
    if isinstance(bound, float) and bound == int(bound):
        bound = int(bound)
    flag = flag_of(config, name) if name in config.model_fields else name
    return tr(message, name=flag, limit=bound, value=repr(fault["input"]))


def _unknown(config: type[Config], name: str) -> str:
    names = list(config.model_fields)
    near = nearest(name, names)
    if near:
        return tr("There is no setting '{name}'. Did you mean '{near}'?", name=name, near=near)
    return tr("There is no setting '{name}'. Known: {names}.", name=name, names=", ".join(names))
