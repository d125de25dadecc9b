"""The page of a check: what was found, with pictures, and what to do about each by click."""

from typing import Any

from nicegui import ui

from vistazo.engine.reports import number
from vistazo.errors import SourceError, VistazoError
from vistazo.language import tr
from vistazo.pictures import review_page
from vistazo.pictures.health import KINDS, PATHLESS, named
from vistazo.pictures.reviewing import Row
from vistazo.studio import checks
from vistazo.studio.parts import Message, Words, box, button, choice, frame, guarded, in_thread, link, words
from vistazo.studio.state import Studio

__all__ = ["add"]

AT_ONCE = 12  # pictures that are shown, until more are asked for
LABELS = 200  # classes that are offered


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/check/{number_of}", response_timeout=30)
    def page(number_of: str) -> None:
        try:
            check = checks.opened(studio, number_of)
        except VistazoError as error:
            with frame(studio, tr("Your pictures")):
                Message(alert=True).say(str(error), wrong=True)
                link(tr("Give pictures"), "/new", kind="primary")
            return
        with frame(studio, tr("Your pictures"), crumb=tr("Step 2 of 4")):
            words("p", str(check.source), "soft")
            _Checking(studio, check).draw()


class _Checking:
    """The page while the pictures are looked at, and then what was found."""

    def __init__(self, studio: Studio, check: checks.Check) -> None:
        self.studio, self.check = studio, check

    def draw(self) -> None:
        self.message = Message(alert=True)
        self.working = Message()
        self.body = box("div")
        self.timer = ui.timer(0.7, self._look)
        self.done = False

    async def _look(self) -> None:
        job = self.check.job()
        if job is not None and job.runs:
            self.working.say(
                tr("Every picture is being looked at ...") + (f" {job.said}" if job.said else "")
            )
            return
        if self.done:
            return
        self.done = True
        self.timer.deactivate()
        self.working.say("")
        if job is None or job.error:
            self.message.say(job.error if job else tr("Begin anew with the pictures."), wrong=True)
            with self.body:
                link(tr("Give other pictures"), "/new", kind="primary")
            return
        with self.body:
            try:
                await _Found(self.studio, self.check, job.told, self.message).draw()
            except VistazoError as error:
                self.message.say(str(error), wrong=True)


class _Found:
    """What a check found, and what is decided about it. Every click is written to review.csv."""

    def __init__(self, studio: Studio, check: checks.Check, told: dict[str, Any], message: Message) -> None:
        self.studio, self.check, self.told, self.message = studio, check, told, message
        self.rows: list[Row] = []
        self.counted: Message

    async def draw(self) -> None:
        self.rows = await in_thread(self.check.rows)
        counts: dict[str, int] = self.told.get("counts") or {}
        with box("ul", "counts", aria_label=tr("Pictures of each class")):
            for name, n in list(counts.items())[:LABELS]:
                with box("li"):
                    words("b", number(n))
                    words("span", name)
        found = self.told.get("findings") or []
        if found:
            words("h2", tr("Worth a look: {n}", n=number(len(found))))
            words(
                "p",
                tr(
                    "Open what you want to see. Nothing is changed in your own folder; what you leave out here is "
                    "only not learnt from."
                ),
            )
        else:
            words("p", tr("Nothing was found that needs a look."))
        for kind in KINDS:
            if kind in (self.told.get("found") or {}):
                self._kind(kind)
        self.counted = Message()
        self._count()
        with box("div", "row"):
            link(tr("Next: let it learn"), f"/learn/{self.check.number}", kind="primary")
            if len(counts) > 1 and "suspected-label" not in (self.told.get("found") or {}):
                button(tr("Look for wrong labels too (minutes)"), guarded(self._labels, self.message))

    def _labels(self) -> None:
        self.check.look(labels=True)
        ui.navigate.reload()

    def _kind(self, kind: str) -> None:
        """One kind of finding; its pictures are fetched when it is opened."""
        mine = [at for at, row in enumerate(self.rows) if row.finding == kind]
        n = len(mine) or self.told["found"][kind]
        explained = review_page.EXPLAINED[kind]
        with box("details", "finding") as details:
            words("summary", f"{named(kind)} ({number(n)})")
            words("p", tr(explained))
            place = box("div")
        if kind in PATHLESS:
            with place, box("ul"):
                for one in self.told["findings"]:
                    if one["kind"] == kind:
                        words("li", f"{one['path']}: {one['detail']}")
            return
        cards = _Cards(self, mine, place)
        details.on("toggle", guarded(cards.begin, self.message), args=[])

    def detail_of(self, row: Row) -> str:
        """What was found about a picture, in words."""
        about = (row.path, row.finding)
        return next(
            (one["detail"] for one in self.told["findings"] if (one["path"], one["kind"]) == about), ""
        )

    def decide(self, decided: dict[int, str]) -> None:
        """Write decisions: row → action. Raises DiskError."""
        self.rows = self.check.decide(self.rows, decided)
        self._count()

    def _count(self) -> None:
        verbs = [row.action.partition(":")[0] for row in self.rows]
        out, changed = verbs.count("exclude"), verbs.count("relabel")
        told = tr(
            "Left out: {out}. Given another class: {changed}.", out=number(out), changed=number(changed)
        )
        self.counted.say(told if out or changed else "")


class _Cards:
    """The findings of a kind as cards with their pictures."""

    def __init__(self, found: _Found, mine: list[int], place: Any) -> None:
        self.found, self.mine, self.place = found, mine, place
        self.shown = 0
        self.cards: dict[int, _Card] = {}

    async def begin(self) -> None:
        if self.shown == 0:
            self.shown = 1  # a second opening fetches nothing again
            with self.place:
                suggested = any(self.found.rows[at].suggestion not in ("", "keep") for at in self.mine)
                with box("div", "row") as together:
                    if suggested:
                        button(
                            tr("Do as suggested with all"), guarded(self._as_suggested, self.found.message)
                        )
                    button(tr("Leave all out"), guarded(lambda: self._all("exclude"), self.found.message))
                    button(tr("Keep all"), guarded(lambda: self._all("keep"), self.found.message))
                together.set_visibility(len(self.mine) > 1)
                self.grid = box("ul", "cards")
                self.more = button(tr("Show more"), guarded(self._fill, self.found.message))
            self.shown = 0
            await self._fill()

    async def _fill(self) -> None:
        some = self.mine[self.shown : self.shown + AT_ONCE]
        self.shown += len(some)
        pictures = await in_thread(
            _pictures, self.found.studio, self.found.check, [self.found.rows[at] for at in some]
        )
        with self.grid:
            for at, picture in zip(some, pictures, strict=True):
                self.cards[at] = _Card(self.found, at, picture)
        self.more.set_visibility(self.shown < len(self.mine))

    def _as_suggested(self) -> None:
        self._decide({at: self.found.rows[at].suggestion or "keep" for at in self.mine})

    def _all(self, action: str) -> None:
        self._decide(dict.fromkeys(self.mine, action))

    def _decide(self, decided: dict[int, str]) -> None:
        self.found.decide(decided)
        for at, card in self.cards.items():
            card.show(decided.get(at, self.found.rows[at].action))


class _Card:
    """A picture with what was found about it, and the choice."""

    def __init__(self, found: _Found, at: int, picture: str) -> None:
        self.found, self.at = found, at
        row = found.rows[at]
        detail = found.detail_of(row)
        with box("li", "card"):
            if picture:
                box("img", "", src=picture, alt=row.path)
            words("p", row.path, "name")
            words("p", detail, "hint")
            with box("div", "choices", role="group", aria_label=row.path):
                self.buttons: dict[str, Words] = {}
                for action, text in (("keep", tr("Keep")), ("exclude", tr("Leave out"))):
                    made = button(text, guarded(lambda action=action: self._decide(action), found.message))
                    self.buttons[action] = made
            classes = _classes(found.told, row)
            if classes:
                options = {"": tr("another class ..."), **{f"relabel:{one}": one for one in classes}}
                given = row.action if row.action in options else ""
                self.select = choice(
                    tr("{path} shows", path=row.path), options, given, self._relabel, hidden=True
                )
        self.show(row.action)

    async def _relabel(self, action: str) -> None:
        self._decide(action or "keep")

    def _decide(self, action: str) -> None:
        self.found.decide({self.at: action})
        self.show(action)

    def show(self, action: str) -> None:
        """Show which choice is made."""
        for name, made in self.buttons.items():
            made.props["aria-pressed"] = "true" if name == (action or "keep") else "false"
            made.update()


def _classes(told: dict[str, Any], row: Row) -> list[str]:
    """The classes that a picture may be given, the suggested one first."""
    if row.finding in ("broken", "empty", "not-a-picture"):
        return []
    suggested = [row.suggestion.removeprefix("relabel:")] if row.suggestion.startswith("relabel:") else []
    return list(dict.fromkeys([*suggested, *list(told.get("counts") or {})[:LABELS]]))


def _pictures(studio: Studio, check: checks.Check, rows: list[Row]) -> list[str]:
    """The small picture of each row, as an address that holds it; '' where there is none."""
    try:
        source = studio.source(check.source)
    except (SourceError, OSError):
        return [""] * len(rows)
    row_of = {name: at for at, name in enumerate(source.index.where)}
    return [
        review_page.thumbnail(source.store, row_of[one.path]).get("source", "") if one.path in row_of else ""
        for one in rows
    ]
