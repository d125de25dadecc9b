"""What the museum shows, by name: lessons now, historical networks beside them as they come.

An exhibit is one entry of the register: `vistazo museum` lists it, `vistazo museum NAME [FILE]` visits it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.errors import UsageError
from vistazo.language import current, mark, tr
from vistazo.museum import cnn_lesson, kernel_lesson, pooling_lesson
from vistazo.registry import Registry

__all__ = ["Exhibit", "called", "exhibits", "listing", "visit"]


@dataclass(frozen=True)
class Exhibit:
    """Something to visit.

    about: what it shows, in one line. kind: 'lesson' or 'network'. spanish: its name in Spanish.
    visit: (file or None, folder, its options by name, None where not given) to what is told, with "page" and "lines".
    options: the names of its own options.
    """

    about: str
    kind: str
    spanish: str
    visit: Callable[..., dict[str, Any]]
    options: tuple[str, ...] = ()


LESSON = mark("lesson")
exhibits: Registry[Exhibit] = Registry(mark("exhibit"))
exhibits.register("kernels")(
    Exhibit(
        mark("what three by three numbers do to a picture: vertical, horizontal, outline and others"),
        LESSON,
        "nucleos",
        kernel_lesson.visit,
        ("kernel", "operation", "stride", "padding", "threshold"),
    )
)
exhibits.register("pooling")(
    Exhibit(
        mark("max and average pooling beside the original"),
        LESSON,
        "agrupacion",
        pooling_lesson.visit,
        ("size", "stride", "padding"),
    )
)
exhibits.register("cnn")(
    Exhibit(
        mark("a picture walks through a convolutional network, neurons and weights counted"),
        LESSON,
        "red",
        cnn_lesson.visit,
    )
)


def called(name: str) -> str:
    """An exhibit's name in the language in force, by which `visit` knows it too."""
    return exhibits[name].spanish if current() == "es" else name


def listing() -> list[dict[str, str]]:
    """Each exhibit as {"name", "kind", "about"}, the last two in the language in force."""
    return [
        {"name": name, "kind": tr(exhibits[name].kind), "about": tr(exhibits[name].about)}
        for name in exhibits
    ]


def visit(
    name: str, file: str | Path | None = None, out: str | Path | None = None, **options: Any
) -> dict[str, Any]:
    """Visit an exhibit, and tell what it showed: {"name", "page", "files", "lines", …}.

    name: English or Spanish. file: a picture, or None for one that comes with Vistazo. out: the folder to write to,
    None for museum/NAME. options: its own, None where not given.
    Raises UnknownName, UsageError for an option it does not have, ConfigError, SourceError, DiskError.
    """
    english = {exhibits[one].spanish: one for one in exhibits}.get(name, name)
    exhibit = exhibits[english]
    for option, value in options.items():
        if option not in exhibit.options and value is not None:
            raise UsageError(
                tr("{name} does not take --{option}; leave it out.", name=english, option=option)
            )
    own = {option: options.get(option) for option in exhibit.options}
    folder = Path(out) if out is not None else Path("museum", english)
    return exhibit.visit(file, folder, **own)
