"""`--network`: a classifier's network in words. How it is trained, what it excludes, its table. Free of torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vistazo import platform
from vistazo.classification import transferring
from vistazo.classification.recipe import Given, Recipe
from vistazo.errors import ConfigError
from vistazo.language import mark, reason_of_system, tr
from vistazo.networks import word_table, words

if TYPE_CHECKING:
    from vistazo.classification.config import ClassificationConfig

__all__ = [
    "EXAMPLE",
    "MODEL",
    "PLAIN",
    "RECIPE",
    "as_text",
    "as_values",
    "plan_lines",
    "read_file",
    "require_fit",
    "require_sense",
    "resolved",
    "told",
    "told_lines",
]

MODEL, RECIPE = "words", "plain"
EXAMPLE = ("conv 32 3x3 relu", "pool 2", "flatten", "dense 100 relu", "dense classes softmax")
LARGEST_FILE = 1 << 16  # bytes
USUAL_SIDE = 28  # pixels, of a table that is asked for without pictures


def _length(given: Given) -> tuple[int, int]:
    """(epochs, batch): some 300,000 pictures seen, each 30 times at most; smaller steps where there are few."""
    return max(1, min(30, -(-300_000 // given.pictures))), 128 if given.pictures >= 10_000 else 32


PLAIN: dict[str, Recipe] = {
    RECIPE: Recipe(
        mark(
            "for a network of your own (--network): Adam, a falling rate, pictures as they are, nothing else"
        ),
        MODEL,
        _length,
        schedule="cosine",
        average="none",
        smoothing=0.0,
        keep="last",
        views=False,
        augment="none",
    )
}


# ---------------------------------------------------------------- settings
def as_text(value: Any) -> Any:
    """The words of a setting as one text: of a TOML file's list, lines joined by ';'. Raises ConfigError.

    `@FILE` stays as it is until `read_file`.
    """
    if isinstance(value, list):
        value = "; ".join(words.split(value))
    if isinstance(value, str) and not value.lstrip().startswith("@"):
        words.numbers(value)  # the sentence of a word that is not understood comes first of all
    return value


def as_values(value: Any) -> Any:
    """The values of a setting as one text: of a TOML file's table, too. Raises ConfigError."""
    if isinstance(value, Mapping):
        value = ",".join(
            f"{name}.{what}={one}"
            if what
            else f"{name}={one}"  # TOML takes dropout1.rate for a table in a table
            for name, given in value.items()
            for what, one in (given.items() if isinstance(given, Mapping) else [("", given)])
        )
    if isinstance(value, str):
        words.read_values(value)
    return value


def read_file(network: str) -> str:
    """The words in a file that `@FILE` names, a line each; other words as they are. Raises ConfigError."""
    if not network.lstrip().startswith("@"):
        return network
    path = platform.existing(network.strip()[1:])
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise ConfigError(tr("{path} is too large for a network in words (64 KB at most).", path=path))
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            tr(
                "The network in {path} cannot be read ({reason}). Check the path.",
                path=path,
                reason=reason_of_system(error),
            )
        ) from None
    return str(as_text("; ".join(words.split(text))))


def resolved(config: "ClassificationConfig") -> list[str]:
    """The lines that settings write down, every number in its place. Raises ConfigError."""
    return words.resolve(read_file(config.network or ""), words.read_values(config.numbers or ""))


def require_sense(config: "ClassificationConfig", recipe: Recipe | None) -> None:
    """Raise ConfigError where the words contradict other settings. recipe: None where auto will choose."""
    if not config.network:
        if config.numbers:
            raise ConfigError(tr("--numbers are those of a network in words: give --network too."))
        if not config.start and MODEL in (config.model, None if config.model or not recipe else recipe.model):
            raise ConfigError(
                tr(
                    "That trains a network of your own: write it with --network, as in {example}.",
                    example=f"--network '{'; '.join(EXAMPLE)}'",
                )
            )
        return
    resolved(config)
    for name in ("model", "filters"):
        if getattr(config, name):
            raise ConfigError(
                tr(
                    "--network is the whole network, and --{name} is of another: leave out one of them.",
                    name=name,
                )
            )
    if recipe and (recipe.claim is not None or recipe.model == transferring.MODEL):
        raise ConfigError(
            tr(
                "The recipe {recipe} brings its own network: leave out --network, or choose another --recipe "
                "(plain, quick, balanced, best).",
                recipe=config.recipe,
            )
        )


def require_fit(config: "ClassificationConfig", height: int, width: int, channels: int, classes: int) -> None:
    """Raise ConfigError where the words cannot be a network for such pictures. Takes no time and no memory."""
    if config.network:
        word_table.table(resolved(config), height, width, channels, classes)


# ---------------------------------------------------------------- what people read
def told(config: "ClassificationConfig", classes: int) -> dict[str, Any]:
    """The table of the words in settings, for pictures of their --size and --channels (28 and 1 where they have none).

    {"network", "words", "input", "classes", "layers": [...], "parameters", "trainable", "statistics", "frozen",
    "numbers": {name: value}}. Raises ConfigError.
    """
    sides = [int(one) for one in (config.size or str(USUAL_SIDE)).split("x")]
    lines = resolved(config)
    rows = word_table.table(lines, sides[0], sides[-1], int(config.channels or 1), classes)
    given = words.read_values(config.numbers or "")
    values = {
        name: given.get(name, one) for name, one in words.numbers(read_file(config.network or "")).items()
    }
    table = word_table.tell(rows, tr("the network"))
    return {**table, "classes": classes, "words": lines, "numbers": values}


def told_lines(told: dict[str, Any]) -> list[str]:
    """The same for people."""
    from vistazo.classification.inside.telling import table_lines

    lines = table_lines(told)
    if told["numbers"]:
        listed = ", ".join(f"{name}={value}" for name, value in told["numbers"].items())
        lines.append(tr("numbers to set with --numbers: {numbers}", numbers=listed))
    return [*lines, tr("next:   vistazo train SOURCE --network ...")]


def plan_lines(model: str, arguments: dict[str, Any]) -> list[str]:
    """The table of a network in words, as lines; none of another network."""
    if model != MODEL:
        return []
    from vistazo.classification.inside.telling import table_lines

    return table_lines(word_table.tell(word_table.table(**arguments), tr("the network")))
