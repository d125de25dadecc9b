"""What pages are made of: a frame, words, buttons, fields, messages. Plain elements that a keyboard and a reader know.

Words are set as text, never as HTML, so that whatever stands in a name stays a name.
"""

import asyncio
import contextvars
import inspect
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from vistazo import language, platform
from vistazo.errors import VistazoError
from vistazo.language import reason_of_system, tr
from vistazo.studio.state import Studio, own_names

__all__ = [
    "Message",
    "Words",
    "box",
    "button",
    "choice",
    "field",
    "frame",
    "goto",
    "guarded",
    "in_thread",
    "link",
    "reported",
    "words",
]

T = TypeVar("T")
_numbers = itertools.count(1)
_NAMES = {"en": "English", "es": "Español"}


class Words(TextElement):
    """An element of any tag that holds text, in which files are called as their owner calls them."""

    def __init__(self, tag: str, text: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=own_names(text))
        self.classes(classes)


def words(tag: str, text: str, classes: str = "") -> Words:
    """Text in an element: words('h1', 'Runs')."""
    return Words(tag, text, classes)


def box(tag: str = "div", classes: str = "", **attributes: str) -> Element:
    """An element to put others into; attributes are given as in HTML, '_' for '-'."""
    made: Element = ui.element(tag).classes(classes)
    for name, value in attributes.items():
        made.props[name.rstrip("_").replace("_", "-")] = value
    return made


async def in_thread(
    work: Callable[..., T], *arguments: Any, executor: Executor | None = None, **named: Any
) -> T:
    """Do what takes a while beside the pages, in the language of whoever asked. executor: other threads than usual."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        executor, partial(context.run, work, *arguments, **named)
    )


class Message:
    """A place for one sentence, read aloud when it changes."""

    def __init__(self, *, alert: bool = False) -> None:
        self._box = box("div", "message", role="alert" if alert else "status")
        with self._box:
            self._words = words("p", "")
        self._box.classes(add="empty")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a sentence; '' takes it away."""
        text = own_names(text)
        if text == self._words.text:
            return
        self._words.text = text
        self._box.classes(
            add=("wrong" if wrong else "") + ("" if text else " empty"),
            remove=("" if wrong else "wrong") + (" empty" if text else ""),
        )


@contextmanager
def reported(message: Message) -> Iterator[None]:
    """A handler's body: what a person can mend is told in `message` and not raised."""
    message.say("")
    try:
        yield
    except VistazoError as error:
        message.say(str(error), wrong=True)
    except MemoryError:
        message.say(tr("The computer has too little memory for this. Give it less at once."), wrong=True)
    except OSError as error:
        if platform.disk_failure(error) == "full":
            said = tr("The disk is full. Free some space and repeat; nothing was lost.")
        else:
            said = tr(
                "The computer refused it ({reason}).", reason=reason_of_system(error) or type(error).__name__
            )
        message.say(said, wrong=True)


def guarded(handler: Callable[..., Any], message: Message) -> Callable[[Any], Awaitable[None]]:
    """The handler of an event, whose faults are told as `reported` tells them.

    The handler takes the event, or nothing.
    """
    takes = any(one.default is one.empty for one in inspect.signature(handler).parameters.values())

    async def handle(event: Any) -> None:
        with reported(message):
            found = handler(event) if takes else handler()
            if isinstance(found, Awaitable):
                await found

    return handle


def button(text: str, handler: Callable[..., Any] | None = None, *, kind: str = "plain") -> Words:
    """A button. kind: primary (the one next step), plain or danger."""
    made = words("button", text, f"button {kind}")
    made.props["type"] = "button"
    if handler is not None:
        made.on("click", handler, args=[])
    return made


def link(text: str, href: str, *, kind: str = "") -> Words:
    """A link; with a kind it looks like a button."""
    made = words("a", text, f"button {kind}" if kind else "link")
    made.props["href"] = href
    return made


def field(
    label: str,
    value: str = "",
    *,
    hint: str = "",
    change: Callable[[str], Any] | None = None,
    **attributes: str,
) -> Element:
    """A line of text under its label. change: called with what stands in it, whenever that changes."""
    name = f"field-{next(_numbers)}"
    with box("div", "field"):
        words("label", label).props["for"] = name
        if hint:
            words("p", hint, "hint").props["id"] = f"{name}-hint"
            attributes["aria_describedby"] = f"{name}-hint"
        made = box("input", "", id=name, type="text", autocomplete="off", **attributes)
    made.props["defaultValue"] = (
        value  # `value` would be set again, over what was typed, whenever the page changes
    )
    if change is not None:
        made.on(
            "input", lambda event: change(str(event.args or "")), js_handler="(e) => emit(e.target.value)"
        )
    return made


def choice(
    label: str,
    options: Mapping[str, str],
    value: str,
    change: Callable[[str], Any],
    *,
    hidden: bool = False,
    **attributes: str,
) -> Element:
    """A list to choose one of. options: value → words. hidden: the label is for readers of screens alone."""
    name = f"choice-{next(_numbers)}"
    with box("div", "field"):
        words("label", label, "unseen" if hidden else "").props["for"] = name
        with box("select", "", id=name, **attributes) as made:
            for one, text in options.items():
                option = words("option", text)
                option.props["value"] = one
                if one == value:
                    option.props["selected"] = True
    made.on("change", lambda event: change(str(event.args or "")), js_handler="(e) => emit(e.target.value)")
    return made


def goto(address: str) -> None:
    """Open another page of the studio in this window."""
    ui.navigate.to(address)


def _popups() -> dict[str, list[str]]:
    """The words of NiceGUI's own messages, by the name of their element: studio.js puts them there."""
    return {
        "popup": [
            tr("Connection lost."),
            tr("Is the window in which you started the studio still open? If not, start it again."),
        ],
        "too_long_message_popup": [tr("That was too much at once."), tr("Give less, or split it.")],
    }


@contextmanager
def frame(studio: Studio, title: str, *, crumb: str = "") -> Iterator[None]:
    """A page: its title, the way to the others, the language; inside the block its content.

    crumb: what stands above the title, such as the step of the cycle.
    """
    ui.page_title(f"{title} · Vistazo")
    told = {"language": studio.language, "popups": _popups()}
    ui.add_head_html(
        f"<script>const vistazo = {json.dumps(told)}; document.documentElement.lang = vistazo.language</script>"
    )
    ui.add_head_html(
        '<link rel="stylesheet" href="/studio/studio.css"><script defer src="/studio/studio.js"></script>'
    )
    with ui.header(fixed=False, wrap=False, add_scroll_padding=False).classes("top"):
        link(tr("Skip to the content"), "#content", kind="plain").classes("skip")
        link("Vistazo", "/").classes("brand")
        with box("nav", "ways", aria_label=tr("Pages")):
            link(tr("My models"), "/")
            link(tr("New model"), "/new")
        with box("nav", "tongues", aria_label=tr("Language")):
            for code in language.LANGUAGES:
                one = link(_NAMES[code], f"/language/{code}")
                one.props["lang"] = code
                one.props["data-back"] = "1"
                if code == studio.language:
                    one.props["aria-current"] = "true"
    with box("div", "content", id="content", tabindex="-1"):
        if crumb:
            words("p", crumb, "crumb")
        words("h1", title)
        yield
