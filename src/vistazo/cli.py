"""The command line: parse, call, print. No learning logic.

The verbs are in `commands`, with their Spanish names and their options.
"""

import gettext
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from vistazo import __version__, language, platform
from vistazo.commands import ALIASES, VERBS
from vistazo.commands.options import shared_options
from vistazo.errors import UsageError, VistazoError
from vistazo.language import mark, tr

__all__ = ["main", "program"]

OUR_FAULT = 4
INTERRUPTED = 3

# Sentences of click's that a user can meet; marked here so that our catalogues hold them.
_FROM_CLICK = (
    mark("Usage:"),
    mark("Options"),
    mark("Commands"),
    mark("Show this message and exit."),
    mark("Show the version and exit."),
    mark("No such option {name!r}."),
    mark("No such option: {name}"),  # so said before click 8.5
    mark("Option {name!r} does not take a value."),
    mark("Missing argument"),
    mark("Missing command."),
    mark("Invalid value for {param_hint}: {message}"),
    mark("{value!r} is not a valid {number_type}."),
    mark("{value} is not in the range {range}."),
    gettext.ngettext("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 1),
    gettext.ngettext("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})", 1),
    gettext.ngettext(
        "Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments.", 1
    ),
    gettext.ngettext("{value!r} is not {choice}.", "{value!r} is not one of {choices}.", 1),
)


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = ALIASES.get(cmd_name, cmd_name)
        if verb not in VERBS:
            from vistazo.registry import nearest

            near = nearest(cmd_name, [*VERBS, *ALIASES])
            if near:
                raise UsageError(
                    tr(
                        "There is no command '{name}'. Did you mean '{near}'? See: vistazo --help",
                        name=cmd_name,
                        near=near,
                    )
                )
            raise UsageError(
                tr("There is no command '{name}'. Known: {names}.", name=cmd_name, names=", ".join(VERBS))
            )
        return _Verb(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table alone: listing must not build the commands, which would import their configs."""
        with formatter.section(tr("Commands")):
            names = (
                f"{verb}, {one.spanish}" if language.current() == "es" and one.spanish != verb else verb
                for verb, one in VERBS.items()
            )
            formatter.write_dl(
                [(name, tr(one.help)) for name, one in zip(names, VERBS.values(), strict=True)]
            )


class _Verb(click.Command):
    def __init__(self, verb: str) -> None:
        found = VERBS[verb]
        super().__init__(
            verb,
            params=[*found.parameters(), *shared_options()],
            help=tr(found.help),
            options_metavar=tr("[OPTIONS]"),
            callback=lambda **values: values,
        )
        self.act, self.show = found.act, found.show

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            record = None if isinstance(one, click.Argument) else one.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(one, "section", ""), []).append(record)
        for name, records in sections.items():
            title = tr("Options for {what}", what=name) if name else tr("Options")
            with formatter.section(title):
                formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        values: dict[str, Any] = super().invoke(ctx)
        told = self.act(dict(values))
        code: int = told.pop("exit_code", 0)
        if values["json"]:
            if told:  # a verb that goes on for long has told what there is while it went
                click.echo(json.dumps(told, ensure_ascii=True))
        else:
            for line in self.show(told):
                click.echo(line)
        ctx.exit(code)


def _asked(arguments: Sequence[str], *flags: str) -> str | None:
    """The value of an option wherever it stands, before anything is parsed: help itself needs the language."""
    for at, word in enumerate(arguments):
        for flag in flags:
            if word == flag and at + 1 < len(arguments):
                return arguments[at + 1]
            if word.startswith(flag + "="):
                return word.partition("=")[2]
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `vistazo.errors`)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        platform.one_command()
    platform.safe_streams()
    wanted = _asked(words, "--lang", "--idioma")
    if wanted in language.LANGUAGES:
        language.set_language(wanted)
    # click asks the standard library's gettext; these two lines make that our catalogue in the language in force.
    os.environ["LANGUAGE"] = language.current()
    gettext.bindtextdomain(language.DOMAIN, language.CATALOGUES)
    gettext.textdomain(language.DOMAIN)
    as_json = "--json" in words
    group = _Verbs("vistazo", help=tr("From your own pictures, series and tables to answers you can trust."),
                   params=[*shared_options(), _version()],
                   options_metavar=tr("[OPTIONS]"), subcommand_metavar=tr("COMMAND [ARGS]..."))  # fmt: skip
    try:
        code = group.main(_after_the_verb(words), prog_name="vistazo", standalone_mode=False)
        _flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _failed(error.format_message(), 2, as_json)
    except VistazoError as error:
        return _failed(str(error), error.exit_code, as_json)
    except (KeyboardInterrupt, click.Abort):
        return _failed(tr("Interrupted."), INTERRUPTED, as_json)
    except (BrokenPipeError, SystemExit):  # `| head` has read enough; click leaves by SystemExit then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _failed(
            tr("The memory of this computer was not enough. Try a smaller --size or --batch."), 1, as_json
        )
    except Exception as error:
        if isinstance(error, OSError) and platform.disk_failure(error) == "full":
            return _unprinted(error)
        traceback.print_exc()
        return _failed(
            tr(
                "This is a fault of Vistazo, not yours: {error}. Please report it with the lines above.",
                error=repr(error),
            ),
            OUR_FAULT,
            as_json,
        )


def program() -> NoReturn:
    """What `vistazo` and `python -m vistazo` are: one command, and the end of the process."""
    platform.leave(main())


def _failed(sentence: str, code: int, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": sentence, "exit_code": code}, ensure_ascii=True))
    click.echo(sentence, err=True)
    return code


def _unprinted(error: OSError) -> int:
    """The verbs tell of files of their own, so what found no room is standard output, led into a file."""
    from vistazo.bundle import disk_sentence

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    click.echo(disk_sentence(Path(tr("standard output")), error), err=True)
    return 1


def _flush() -> None:
    sys.stdout.flush()


def _after_the_verb(words: list[str]) -> list[str]:
    """The shared options may stand before the verb too; click wants them behind it."""
    front: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("--help", "--version"):
        word = rest.pop(0)
        front.append(word)
        if word in ("--lang", "--idioma") and rest:
            front.append(rest.pop(0))
    return [*rest[:1], *front, *rest[1:]] if rest else front


def _version() -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            click.echo(f"vistazo {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help=tr("Show the version and exit."),
    )
