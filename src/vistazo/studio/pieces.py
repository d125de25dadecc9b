"""Pieces that several panels are put together from, beyond those of `parts`: pictures, facts, ticks, one at a time."""

import hashlib
import re
import secrets
import shutil
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from nicegui import ui
from nicegui.element import Element

from vistazo import language
from vistazo.bundle import disk_sentence
from vistazo.engine.runs import MODEL
from vistazo.errors import ConfigError, DiskError
from vistazo.language import tr
from vistazo.studio.dropping import Given
from vistazo.studio.parts import box, in_thread, words
from vistazo.studio.state import GIVEN, Studio

__all__ = [
    "alone",
    "counted",
    "data_url",
    "decimal",
    "facts",
    "hash_of",
    "kept",
    "panel",
    "picture",
    "table",
    "tick",
]

T = TypeVar("T")
LONG = 40  # letters from which the text of a cell is wrapped
STYLES = Path(__file__).with_name("panels.css")
# A heat map hooks into the network that another picture would go through, so there is one thread; and it is none of
# those that everything else of the pages is done in, which whoever waits here would take away.
_ONE = ThreadPoolExecutor(1, "vistazo-network")


def panel(name: str = "") -> Element:
    """The box that a panel is drawn into; the page gets the styles of the panels once."""
    client = ui.context.client
    if not getattr(client, "vistazo_panels", False):
        setattr(client, "vistazo_panels", True)  # noqa: B010 - not a field that NiceGUI declares
        ui.add_css(STYLES)
    return box("div", f"vz-panel {name}")


async def alone(work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Do `work` in a thread, one at a time in this process: what goes through a network."""
    return await in_thread(work, *arguments, executor=_ONE, **named)


def counted(typed: str) -> int:
    """The whole number, 1 or more, that was typed into a field. Raises ConfigError."""
    plain = typed.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", plain):
        raise ConfigError(tr("'{value}' is no whole number; give one such as 7.", value=plain[:40]))
    if int(plain) < 1:
        raise ConfigError(tr("It must be at least 1, not {value}.", value=plain))
    return int(plain)


def decimal(written: str) -> str:
    """A number as Python writes it, with the decimal sign of the language in force."""
    return written.replace(".", ",") if language.current() == "es" else written


def hash_of(run: Path) -> str:
    """SHA-256 of a run's model file, in hexadecimal: what says which model gave an answer."""
    with open(run / MODEL, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def kept(studio: Studio, given: Given) -> Path:
    """A file that came, in a folder of its own that stays while the page does. Raises DiskError."""
    client = ui.context.client
    file = await in_thread(_written, studio.own / GIVEN / secrets.token_hex(8), given)
    client.on_delete(lambda: shutil.rmtree(file.parent, ignore_errors=True))
    return file


def _written(folder: Path, given: Given) -> Path:
    file = folder / (
        given.name if given.name not in ("", ".", "..", "answers.csv") else f"table-{given.name}"
    )
    try:
        folder.mkdir(parents=True)
        file.write_bytes(given.data)
    except (OSError, ValueError) as error:  # a name with a NUL in it
        raise DiskError(disk_sentence(folder, error if isinstance(error, OSError) else OSError())) from error
    return file


def data_url(data: bytes, kind: str) -> str:
    """Bytes as an address that a page can hold itself. kind: their media type."""
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def picture(data: bytes, kind: str, shown: str, classes: str = "") -> Element:
    """An <img> of these bytes. shown: what is on it, for those who do not see it."""
    return box("img", classes, src=data_url(data, kind), alt=shown)


def tick(label: str, value: bool, change: Callable[[bool], Any]) -> Element:
    """A box to tick, with its words beside it."""
    with box("label", "vz-tick"):
        made = box("input", "", type="checkbox")
        made.props["checked"] = value
        words("span", label)
    made.on("change", lambda event: change(event.args is True), js_handler="(e) => emit(e.target.checked)")
    return made


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, as a list that a screen reader reads in pairs."""
    with box("dl", "vz-facts"):
        for name, value in pairs:
            with box("div"):
                words("dt", name)
                words("dd", value)


def table(
    caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()
) -> None:
    """A table that scrolls sideways by itself where the screen is narrow. numbers: columns that stand to the right."""
    scroll = box("div", "vz-scroll", tabindex="0", role="region", aria_label=caption)
    with scroll, box("table", "vz-table"):
        words("caption", caption)
        with box("thead"), box("tr"):
            for at, heading in enumerate(headings):
                words("th", heading, "vz-number" if at in numbers else "").props["scope"] = "col"
        with box("tbody"):
            for row in rows:
                with box("tr"):
                    for at, cell in enumerate(row):
                        words("td", cell, f"{_wide(cell)} vz-number" if at in numbers else _wide(cell))


def _wide(cell: str) -> str:
    """How a cell takes its width: '2024-01-31' and '106/4' stay whole, and a long text does not become a tower."""
    if len(cell) > LONG:
        return "vz-long"
    return "" if any(letter.isspace() and letter != "\u00a0" for letter in cell) else "vz-whole"
