"""Named things: strict when they are added, helpful when they are asked for."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from vistazo.errors import UnknownName
from vistazo.language import tr

__all__ = ["About", "Registry", "nearest"]

T = TypeVar("T")


def nearest(name: str, names: list[str]) -> str:
    """The name most like `name`, or '' where none is near."""
    found = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    return found[0] if found else ""


@dataclass(frozen=True)
class About:
    """What people are told of a part that they choose by name.

    formula: as plain text. when: when to use it, in one or two sentences, marked for translation. source: where it was
    published. title: its usual name, marked for translation, as in "mean squared error".
    """

    title: str
    formula: str
    when: str
    source: str


class Registry(Generic[T]):
    """Things of one kind under unique names.

    One registry feeds the listing, the factory, the page's menu and the contract tests. about: what is told of those
    that were registered with an About.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.about: dict[str, About] = {}
        self._entries: dict[str, T] = {}

    def register(self, name: str, about: About | None = None) -> Callable[[T], T]:
        """Decorate a thing with its name. Raises ValueError where the name is taken."""

        def add(thing: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = thing
            if about is not None:
                self.about[name] = about
            return thing

        return add

    def __getitem__(self, name: str) -> T:
        """The thing of that name. Raises UnknownName with the nearest name and the list."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self._answer(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _answer(self, name: str) -> str:
        names = list(self._entries)
        near = nearest(name, names)
        values = {"kind": tr(self.kind), "name": name, "names": ", ".join(sorted(names))}
        if near:
            return tr(
                "There is no {kind} '{name}'. Did you mean '{near}'? Known: {names}.", near=near, **values
            )
        return tr("There is no {kind} '{name}'. Known: {names}.", **values)
