"""The results of a run, a tab for each thing that can be looked at; the pages are those the other verbs make."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nicegui import ui

from vistazo.engine.runs import read_json
from vistazo.language import tr
from vistazo.pictures import review_page
from vistazo.studio import samples, working
from vistazo.studio.exporting import exporting
from vistazo.studio.figures import facts_of, headline
from vistazo.studio.parts import Message, box, button, guarded, in_thread, link, words
from vistazo.studio.state import OWN, Studio
from vistazo.studio.trying import trying

__all__ = ["draw"]

MOST = 24  # pictures that are shown to choose from
Panel = Callable[[Studio, Path], None]


def draw(studio: Studio, run: Path, tab: str) -> None:
    """The tabs of a finished run, and the one that is asked for; the first without one."""
    panels = _panels(str(read_json(run / "config.json").get("task")))
    wanted = tab if tab in panels else next(iter(panels))
    with box("nav", "tabs", aria_label=tr("What can be looked at")):
        for name, (text, _) in panels.items():
            one = link(text, f"/run/{quote(run.name)}?tab={name}")
            if name == wanted:
                one.props["aria-current"] = "page"
    words("h2", panels[wanted][0], "unseen")
    panels[wanted][1](studio, run)


def _panels(task: str) -> dict[str, tuple[str, Panel]]:
    """What there is to look at of a run of that task: name → (words, what draws it)."""
    found: dict[str, tuple[str, Panel]] = {"results": (tr("Results"), _results)}
    if task == "classification":
        found |= {
            "seen": (tr("Where it looks"), _seen),
            "map": (tr("Map"), _map),
            "similar": (tr("Similar pictures"), _similar),
        }
    return found | {"trying": (tr("Try it"), trying), "exporting": (tr("Take it along"), exporting)}


# ---------------------------------------------------------------- results
def _results(studio: Studio, run: Path) -> None:
    words("p", headline(run), "big")
    with box("details"):
        words("summary", tr("All figures"))
        with box("dl", "facts"):
            for name, value in facts_of(run).items():
                words("dt", name)
                words("dd", value)
    if (run / "report.html").exists():
        if read_json(run / "config.json").get("task") == "classification":
            words(
                "p",
                tr("Below: where it is wrong. Click on a number of the matrix to see its pictures."),
                "hint",
            )
        _shown(run, "report", tr("Report of {name}", name=run.name))


def _shown(run: Path, what: str, title: str) -> None:
    """One of the pages that the verbs made, in a frame of its own, which runs no script."""
    address = f"/made/{quote(run.name)}/{what}"
    box("iframe", "made", src=address, title=title, sandbox="allow-same-origin")
    with box("p"):
        link(tr("Open it by itself"), address).props["target"] = "_blank"


# ---------------------------------------------------------------- what another process makes
class _Made:
    """A page that a verb makes when it is asked for, in another process, and that is kept."""

    def __init__(self, run: Path, what: str, title: str, file: str) -> None:
        self.run, self.what, self.title = run, what, title
        self.file = run / "studio" / what / file
        self.job = run.parent / OWN / "jobs" / f"{run.name}.{what}"
        self.begun = False

    def draw(self) -> None:
        self.message = Message(alert=True)
        self.told = Message()
        self.place = box("div")
        self.before = -1.0
        ui.timer(0.7, self._look)
        self._look()

    def begin(self, arguments: Sequence[str]) -> None:
        """Ask the verb for it."""
        working.start(self.job, [*arguments, "--out", str(self.file.parent)])
        self._look()

    @property
    def works(self) -> bool:
        job = working.job_of(self.job)
        return job is not None and job.runs

    def _look(self) -> None:
        job = working.job_of(self.job)
        if job is not None and job.runs:
            self.told.say(tr("It is being made ...") + (f" {job.said}" if job.said else ""))
            self.begun = True
            return
        self.told.say("")
        if job is not None and job.error and self.begun:
            self.message.say(job.error, wrong=True)
        made = self.file.stat().st_mtime if self.file.exists() else -1.0
        if made != self.before:
            self.before = made
            self.place.clear()
            with self.place:
                _shown(self.run, self.what, self.title)


def _seen(studio: Studio, run: Path) -> None:
    words("p", tr("What in a picture speaks for the answer: the brighter a place, the more it does."))
    made = _Made(run, "explanation", tr("Where it looks"), "explanation.html")
    with box("div", "row"):
        start = button(tr("Show it for some pictures"), None, kind="primary")
    made.draw()

    async def begin() -> None:
        files = await in_thread(_files, studio, run)
        made.begin(["explain", str(run), *map(str, files)])

    start.on("click", guarded(begin, made.message), args=[])


def _files(studio: Studio, run: Path) -> list[Path]:
    """Pictures that nothing was learnt from, each in a folder of its class."""
    source, some = samples.of_run(studio, run, MOST // 2)
    return [samples.file_of(source, one, run / "studio" / "samples") for one in some]


def _map(studio: Studio, run: Path) -> None:
    words("p", tr("Each point is a picture; pictures that look alike to the model lie close together."))
    made = _Made(run, "map", tr("Map of what the model sees"), "embeddings.html")
    with box("div", "row"):
        start = button(tr("Draw the map"), None, kind="primary")
    made.draw()

    def begin() -> None:
        source = studio.may_read(str(read_json(run / "config.json").get("source")))
        made.begin(["embed", str(run), str(source)])

    start.on("click", guarded(begin, made.message), args=[])


def _similar(studio: Studio, run: Path) -> None:
    words("p", tr("Choose a picture, and see those that look most like it to the model."))
    place = box("ul", "samples", aria_label=tr("Pictures to choose from"))
    made = _Made(run, "similar", tr("Similar pictures"), "search.html")
    made.draw()

    async def ask(source: Any, sample: samples.Sample) -> None:
        file = await in_thread(samples.file_of, source, sample, run / "studio" / "samples")
        given = studio.may_read(str(read_json(run / "config.json").get("source")))
        made.begin(["search", str(run), str(given), str(file)])

    async def fill() -> None:
        source, some = await in_thread(samples.of_run, studio, run, MOST)
        pictures = await in_thread(lambda: [review_page.thumbnail(source.store, row) for row, _, _ in some])
        with place:
            for sample, picture in zip(some, pictures, strict=True):
                with box("li"):
                    one = button(
                        "", guarded(lambda sample=sample: ask(source, sample), made.message), kind="sample"
                    )
                    with one:
                        box("img", "", src=picture.get("source", ""), alt=tr("like {path}", path=sample[1]))
                        words("span", sample[2])

    async def filled() -> None:
        await guarded(fill, made.message)(None)

    ui.timer(0.05, filled, once=True)
