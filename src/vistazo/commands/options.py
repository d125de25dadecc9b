"""What the verbs' options are made of, and what every verb does with them.

Options of `train` and `check` are derived from the tasks' configs, so that a default stands once.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vistazo import language
from vistazo.errors import UsageError, VistazoError
from vistazo.language import tr

if TYPE_CHECKING:
    from vistazo.config import Config

__all__ = [
    "Act",
    "Option",
    "Show",
    "Verb",
    "config_file",
    "derived",
    "every",
    "exported_only",
    "fetched",
    "flag_of",
    "nothing_done",
    "option",
    "shared_options",
    "suited",
    "take_common",
    "whole",
]

Act = Callable[[dict[str, Any]], dict[str, Any]]
Show = Callable[[dict[str, Any]], list[str]]


@dataclass(frozen=True)
class Verb:
    """A verb of the command line.

    spanish: its other name. help: marked for translation. act: from the values of its options to what --json tells.
    show: that as lines for people. parameters: its arguments and options, made when it is called or helped with.
    """

    spanish: str
    help: str
    act: Act
    show: Show
    parameters: Callable[[], list[click.Parameter]]


def nothing_done(answers: Sequence[Any], unreadable: Sequence[Any]) -> dict[str, Any]:
    """What a verb adds where nothing that it was given could be read: a script must not go on as if it had been."""
    return {"exit_code": VistazoError.exit_code} if unreadable and not answers else {}


def every() -> click.Parameter:
    """The time between two frames of a video, as an option."""
    from vistazo.classification.config import ClassificationConfig

    return derived(ClassificationConfig, only="every")[0]


def config_file() -> click.Parameter:
    """The file of settings, as an option."""
    words = tr("settings in a TOML file, or config.json of a run")
    return option("config", "--config", "--configuracion", help=words)


def derived(kind: "type[Config]", *, only: str = "", section: str = "") -> list[click.Parameter]:
    """The options of a config's fields. Values go to the config as they were typed: its sentences are the only ones."""
    from vistazo import config

    found: list[click.Parameter] = []
    for one in config.options(kind):
        if only and one.name != only:
            continue
        help = tr(one.help)
        if one.choices:
            help += f" [{'|'.join(one.choices)}]"
        if one.kind is bool:  # a word that stands alone; absent, the settings file or the default decides
            found.append(
                option(
                    one.name, *one.flags, is_flag=True, type=bool, default=None, help=help, section=section
                )
            )
            continue
        if one.default is not None:
            help += " " + tr("(default: {value})", value=one.default)
        found.append(option(one.name, *one.flags, help=help, section=section))
    return found


class Option(click.Option):
    """An option that help shows under a heading of its own."""

    def __init__(self, words: list[str], *, section: str = "", **rest: Any) -> None:
        super().__init__(words, **rest)
        self.section = section


def option(name: str, *flags: str, **rest: Any) -> click.Option:
    """An option of text, unless a type says otherwise; in help it is named in the language in force."""
    kind = rest.setdefault("type", click.UNPROCESSED)
    if kind is not bool and not isinstance(kind, click.Choice):
        word = flags[-1] if language.current() == "es" else flags[0]
        rest["metavar"] = word.lstrip("-").upper()
    return Option([*flags, name], **rest)


def whole(least: int) -> click.IntRange:
    """A whole number of at least so much."""
    kind = click.IntRange(least)
    kind.name = tr("whole number")
    return kind


def shared_options() -> list[click.Parameter]:
    """The options that every verb has."""
    return [
        option(
            "json",
            "--json",
            is_flag=True,
            type=bool,
            help=tr("one JSON object on standard output, nothing else"),
        ),
        option(
            "quiet", "--quiet", "--silencio", is_flag=True, type=bool, help=tr("say nothing but the result")
        ),
        option(
            "lang",
            "--lang",
            "--idioma",
            type=click.Choice(language.LANGUAGES),
            help=tr("language of messages"),
        ),
    ]


def take_common(values: dict[str, Any]) -> dict[str, Any]:
    """Take the options every verb has out of the values."""
    return {name: values.pop(name, None) for name in ("json", "quiet", "lang")}


def fetched(source: str, quiet: bool) -> Any:
    """A source as it was given; for an address, what can be read of it."""
    from vistazo import tasks
    from vistazo.remote.addresses import is_url

    return tasks.locate(source, quiet=quiet) if is_url(source) else source


def exported_only(model: Any) -> bool:
    """Whether a model is an exported one, which answers and does nothing else."""
    path = getattr(model, "path", None)
    return path is not None and path.suffix == ".onnx"


def flag_of(name: str) -> str:
    """An option of the command that was called, by its value's name, as help names it: --steps, or --pasos."""
    context = click.get_current_context(silent=True)
    for one in context.command.params if context else ():
        if one.name == name and isinstance(one, click.Option):
            return one.opts[-1] if language.current() == "es" else one.opts[0]
    return "--" + name.replace("_", "-")


def suited(verb: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given. Raises UsageError for one that this model's verb does not have."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in inspect.signature(verb).parameters:
            raise UsageError(tr("This model does not take {option}; leave it out.", option=flag_of(name)))
    return given
