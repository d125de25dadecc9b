"""What the panels share: handlers that speak the page's language, work in threads, errors as one sentence."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nicegui import run as threads
from nicegui import ui

from vistazo.errors import VistazoError
from vistazo.language import speaking, tr

if TYPE_CHECKING:
    from vistazo.studio.state import Studio

__all__ = ["Problem", "Tidings", "aside", "data_url", "facts", "handled", "hash_of", "picture", "styled"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
STYLES = Path(__file__).with_name("panels.css")
_ONE_AT_A_TIME = threading.Lock()  # a heat map hooks into the network that another picture would go through


class Problem(ui.label):  # type: ignore[misc, unused-ignore]
    """One sentence about what went wrong, read out by a screen reader as soon as it stands there."""

    def __init__(self) -> None:
        super().__init__("")
        self.classes("vz-problem").props("role=alert")
        self.visible = False

    def say(self, sentence: str) -> None:
        """Show a sentence; '' takes the last one away."""
        self.text = sentence
        self.visible = bool(sentence)


class Tidings(ui.label):  # type: ignore[misc, unused-ignore]
    """A line that says what goes on, read out when the reader is at rest."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.classes("vz-tidings").props("role=status aria-live=polite")


@contextmanager
def handled(studio: Studio, problem: Problem) -> Iterator[None]:
    """A handler's body: in the language of the page, a user's mistake told in `problem` and not raised."""
    with speaking(studio.language):
        problem.say("")
        try:
            yield
        except VistazoError as error:
            problem.say(str(error))
        except MemoryError:
            problem.say(tr("The computer has too little memory for this. Close other programs or take less."))
        except OSError as error:
            problem.say(tr("The computer refused it: {reason}.", reason=error.strerror or type(error).__name__))


async def aside(
    studio: Studio, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Do `work` in a thread, in the language of the page, and no two of them at once."""

    def spoken() -> Result:
        with speaking(studio.language), _ONE_AT_A_TIME:
            return work(*args, **kwargs)

    return await threads.io_bound(spoken)  # type: ignore[return-value]


def hash_of(model: Any) -> str:
    """SHA-256 of the model's file, in hexadecimal: what says which model gave an answer; '' where there is none."""
    known = getattr(model, "hash", None)
    if isinstance(known, str):
        return known
    path = getattr(model, "path", None)
    if path is None:
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_url(data: bytes, kind: str) -> str:
    """Bytes as an address that a page can hold itself. kind: their media type."""
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def picture(address: str, words: str, classes: str = "") -> ui.element:
    """An <img>; words: what it shows, for those who do not see it ('' for what stands beside in words)."""
    shown = ui.element("img").classes(classes)
    shown.props["src"], shown.props["alt"] = address, words
    return shown


def facts(pairs: list[tuple[str, str]]) -> None:
    """Names and values, as a list that a screen reader reads in pairs."""
    with ui.element("dl").classes("vz-facts"):
        for name, value in pairs:
            with ui.element("div"):
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value)


def styled() -> None:
    """Give the page the styles of the panels, once."""
    client = ui.context.client
    if not getattr(client, "vistazo_panels", False):
        client.vistazo_panels = True  # type: ignore[attr-defined]
        ui.add_css(STYLES)
