"""The page where learning begins: how long it may take, and under which name it is kept."""

import contextlib
import re
import unicodedata
from pathlib import Path

from nicegui import ui

from vistazo.bundle import disk_sentence
from vistazo.errors import ConfigError, DiskError, RunError, VistazoError
from vistazo.language import mark, tr
from vistazo.studio import checks, working
from vistazo.studio.parts import Message, box, button, choice, field, frame, goto, guarded, link, words
from vistazo.studio.state import Studio, job_folder

__all__ = ["add", "begin_run", "free_name"]

_WAYS = {
    "auto": (
        mark("Let Vistazo choose"),
        mark("Recommended: by how many pictures there are and how large they are."),
    ),
    "quick": (mark("A quick try"), mark("Seconds to a minute: to see whether it works at all.")),
    "balanced": (mark("The usual"), mark("One to three minutes for small pictures.")),
    "best": (mark("As well as it can"), mark("A quarter to half an hour; longer for many pictures.")),
    "time": (mark("As long as I say"), mark("Network and length are chosen to fit.")),
}


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/learn/{number}", response_timeout=30)
    def page(number: str) -> None:
        with frame(studio, tr("How long may it learn?"), crumb=tr("Step 3 of 4")):
            try:
                check = checks.opened(studio, number)
            except VistazoError as error:
                Message(alert=True).say(str(error), wrong=True)
                link(tr("Give pictures"), "/new", kind="primary")
                return
            _Learning(studio, check).draw()


class _Learning:
    def __init__(self, studio: Studio, check: checks.Check) -> None:
        self.studio, self.check = studio, check
        self.way, self.minutes, self.recipe = "auto", "5", ""
        self.name = free_name(studio, check.source)

    def draw(self) -> None:
        with box("fieldset", "ways-to-learn"):
            words("legend", tr("How long"), "unseen")
            for way, (name, what) in _WAYS.items():
                with box("label", "way"):
                    one = box("input", type="radio", name="way", value=way)
                    if way == self.way:
                        one.props["checked"] = True
                    one.on("change", lambda way=way: self._choose(way), args=[])
                    with box("span"):
                        words("b", tr(name))
                        words("small", tr(what))
            with box("div", "minutes"):
                field(tr("Minutes"), self.minutes, change=self._take_minutes, inputmode="decimal")
        with box("details"):
            words("summary", tr("Repeat a tutorial"))
            choice(tr("Recipe"), _tutorials(), "", self._take_recipe)
        field(
            tr("Name of the model"),
            self.name,
            change=self._take_name,
            hint=tr("Letters, digits, spaces and -"),
        )
        if self.check.corrects():
            words("p", tr("What you decided about the pictures is kept to."), "soft")
        message = Message(alert=True)
        with box("div", "row"):
            button(tr("Begin to learn"), guarded(self._begin, message), kind="primary")
            link(tr("Back to the pictures"), f"/check/{self.check.number}", kind="plain")

    def _choose(self, way: str) -> None:
        self.way = way

    def _take_minutes(self, text: str) -> None:
        self.minutes = text

    def _take_recipe(self, name: str) -> None:
        self.recipe = name

    def _take_name(self, text: str) -> None:
        self.name = text

    def _begin(self) -> None:
        asked = ["train", str(self.check.source), "--no-open"]
        if self.recipe:
            asked += ["--recipe", self.recipe]
        elif self.way == "time":
            minutes = self.minutes.strip().replace(",", ".")
            if not re.fullmatch(r"\d+(\.\d+)?", minutes) or float(minutes) <= 0:
                raise ConfigError(tr("Give the minutes as a number, such as 5."))
            asked += ["--time", f"{minutes}m"]
        elif self.way != "auto":
            asked += ["--recipe", self.way]
        if self.check.corrects():
            asked += ["--corrections", str(self.check.review)]
        goto(f"/run/{begin_run(self.studio, self.name, asked)}")


def _tutorials() -> dict[str, str]:
    from vistazo.classification.recipes import recipes

    names = [name for name in recipes if name.startswith("tutorial-")]
    return {"": tr("none"), **{name: name for name in names}}


def begin_run(studio: Studio, name: str, arguments: list[str]) -> str:
    """Begin a run of that name in another process; its name as it is kept. Raises RunError, DiskError.

    arguments: of the command line, without --out.
    """
    plain = _plain(name)
    if not plain:
        raise RunError(tr("Give the model a name of letters and digits."))
    run = studio.runs / plain
    try:
        run.mkdir()
    except FileExistsError:
        raise RunError(
            tr("There is a model of the name {name} already. Give another one.", name=plain)
        ) from None
    except OSError as error:
        raise DiskError(disk_sentence(run, error)) from error
    try:
        working.start(job_folder(run), [*arguments, "--out", str(run)])
    except DiskError:
        with contextlib.suppress(OSError):
            run.rmdir()  # the name is free again
        raise
    return plain


def free_name(studio: Studio, source: Path) -> str:
    """A name that no run has yet, after the source."""
    plain = _plain(source.name.split(".")[0]) or "model"
    number = 1
    while (studio.runs / f"{plain}-{number}").exists():
        number += 1
    return f"{plain}-{number}"


def _plain(name: str) -> str:
    """A name as a folder may have it."""
    text = unicodedata.normalize("NFC", name).strip()
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80]
