"""The page where pictures are given: dropped, or found on this computer."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element

from vistazo.engine.reports import number, percent
from vistazo.errors import SourceError
from vistazo.language import reason_of_system, tr
from vistazo.studio import checks, uploading
from vistazo.studio.parts import Message, box, button, field, frame, goto, guarded, in_thread, words
from vistazo.studio.state import Studio

__all__ = ["add", "begin"]

SHOWN = 200  # folders of a folder
_FILES = (
    ".zip",
    ".tar",
    ".tgz",
    ".tar.gz",
    ".tar.bz2",
    ".tar.xz",
    ".npz",
    ".csv",
    ".tsv",
    ".xlsx",
    ".parquet",
)


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/new", response_timeout=30)
    def page() -> None:
        with frame(studio, tr("What should it learn?"), crumb=tr("Step 1 of 4")):
            words(
                "p",
                tr(
                    "Give it pictures in folders: one folder for each thing that it should tell apart, named after it. "
                    "A table or a series of dates works too."
                ),
            )
            message = Message(alert=True)
            _Dropping(studio, message).draw()
            words("h2", tr("Or choose a folder of this computer"))
            _Browsing(studio, message).draw()


async def begin(studio: Studio, path: Path) -> None:
    """Go on with what was given: pictures are looked at, a table is read. Raises SourceError, DiskError."""
    kind = await in_thread(checks.kind_of, path)
    if kind == "table":
        goto("/table?" + urlencode({"path": str(path)}))
    else:
        goto(f"/check/{await in_thread(checks.begin, studio, path)}")


class _Dropping:
    def __init__(self, studio: Studio, message: Message) -> None:
        self.studio, self.message = studio, message

    def draw(self) -> None:
        with box("div", "drop") as place:
            words("p", tr("Drop a folder, or a zip of it, here")).classes("big")
            with box("div", "row"):
                for text, attributes in (
                    (tr("Choose a folder to send"), {"webkitdirectory": "true"}),
                    (tr("Choose a file to send"), {}),
                ):
                    with box("label", "button plain"):
                        words("span", text)
                        box("input", "unseen", type="file", **attributes)
            words("p", tr("It is copied into the studio on this computer and goes nowhere else."), "hint")
            self.told = Message()
        place.on("sent", guarded(self._sent, self.message), js_handler="(e) => emit(e.detail)")

    async def _sent(self, event: Any) -> None:
        told = event.args if isinstance(event.args, dict) else {}
        if "error" in told:
            self.told.say("")
            raise SourceError(str(told["error"]) or tr("It could not be sent; try again."))
        if "id" in told:
            self.told.say(tr("Everything has arrived."))
            await begin(self.studio, uploading.landed(self.studio, str(told["id"])))
        else:
            self.told.say(tr("{share} have arrived", share=percent(float(told.get("share", 0)), 0)))


class _Browsing:
    """Folders of this computer, below what may be read."""

    def __init__(self, studio: Studio, message: Message) -> None:
        self.studio, self.message = studio, message
        self.typed = ""
        self.place: Element

    def draw(self) -> None:
        with box("div", "card"):
            self.place = box("div", "browse")
            self._fill(None)
            with box("details"):
                words("summary", tr("Type where it is"))
                field(tr("Folder or file"), change=self._typed, spellcheck="false").on(
                    "keydown.enter", guarded(self._take_typed, self.message), args=[]
                )
                button(tr("Use this"), guarded(self._take_typed, self.message))

    def _typed(self, text: str) -> None:
        self.typed = text

    async def _take_typed(self) -> None:
        if not self.typed.strip():
            raise SourceError(tr("Type where the folder or the file is."))
        await self._take(self.studio.may_read(self.typed.strip()))

    async def _take(self, path: Path) -> None:
        await begin(self.studio, path)

    async def _open(self, path: Path) -> None:
        self._fill(self.studio.may_read(path))

    def _fill(self, folder: Path | None) -> None:
        """Show what is in a folder; None for the folders that all begins from."""
        self.place.clear()
        with self.place:
            folders: tuple[Path, ...]
            files: tuple[Path, ...]
            if folder is None:
                folders, files = self.studio.roots, ()
            else:
                folders, files = _listed(folder)
                words("p", str(folder), "where").props["role"] = "status"
                with box("div", "row"):
                    up = None if folder in self.studio.roots else folder.parent
                    button(
                        tr("Use this folder"),
                        guarded(lambda: self._take(folder), self.message),
                        kind="primary",
                    )
                    button(tr("Back"), guarded(lambda: self._fill(up), self.message))
            with box("ul", "folders"):
                for one in folders[:SHOWN]:
                    with box("li"):
                        name = one.name if folder is not None else str(one)
                        button(name, guarded(lambda one=one: self._open(one), self.message), kind="folder")
                for one in files[:SHOWN]:
                    with box("li"):
                        button(one.name, guarded(lambda one=one: self._take(one), self.message), kind="file")
            if folder is not None and not folders and not files:
                words("p", tr("No folder and no archive is in it."), "soft")
            if len(folders) > SHOWN:
                words("p", tr("... and {n} more", n=number(len(folders) - SHOWN)), "soft")


def _listed(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The folders in a folder, and the files that can be learnt from."""
    try:
        inside = sorted(
            (one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name
        )
        folders = tuple(one for one in inside if one.is_dir())
    except OSError as error:
        raise SourceError(
            tr("{path} cannot be read ({reason}).", path=folder, reason=reason_of_system(error))
        ) from None
    return folders, tuple(one for one in inside if one.name.lower().endswith(_FILES))
