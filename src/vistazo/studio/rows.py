"""What a run on a table gave: its figures, an answer for a row that is typed in, answers for a whole file."""

from pathlib import Path
from typing import Any

from nicegui import ui

from vistazo.engine import answers
from vistazo.engine.reports import number, percent
from vistazo.engine.runs import read_json
from vistazo.language import tr
from vistazo.studio.answers import bars
from vistazo.studio.dropping import Dropping, Given
from vistazo.studio.forecasts import MOST_BYTES, TABLES
from vistazo.studio.parts import Message, box, button, choice, field, guarded, in_thread, reported, words
from vistazo.studio.pieces import alone, facts, hash_of, kept, table
from vistazo.studio.state import Studio
from vistazo.tabular.telling import measured, plain_number

__all__ = ["rows"]

SHOWN = 20  # answers in the table
MOST_CHOICES = 200  # values of a column that are listed; of more, the value is typed


async def rows(studio: Studio, run: Path, model: Any, wrong: Message) -> None:
    """Draw the panel of a table's model into the current container."""
    panel = _Rows(studio, model, wrong)
    figures: dict[str, Any] = read_json(run / "metrics.json").get("metrics") or {}
    words("h2", tr("How good it is"))
    for part, one in figures.items():
        if one:
            words("p", f"{tr(part)}: {measured(one)}")
    words("h2", tr("Answer for one row"))
    with box("div", "vz-fields"):
        for feature in model.encoder.features:
            panel.ask(feature)
    with box("div", "row"):
        button(tr("Answer"), guarded(panel.answer, wrong), kind="primary")
    panel.one = box("div", "vz-stack", aria_live="polite")
    words("h2", tr("Answers for a file"))
    Dropping(
        tr("Choose a table, or drop it here"),
        hint=tr("CSV, Excel or Parquet with the columns that the model learnt from"),
        accept=TABLES,
        on_files=panel.given,
        on_refused=lambda sentence: wrong.say(sentence, wrong=True),
        most_files=1,
        most_bytes=MOST_BYTES,
    )
    panel.several = box("div", "vz-stack", aria_live="polite")
    box("hr")
    facts([(tr("what it answers"), model.target), (tr("model (SHA-256)"), await in_thread(hash_of, run))])


class _Rows:
    """A table's model on a page."""

    def __init__(self, studio: Studio, model: Any, wrong: Message) -> None:
        self.studio, self.model, self.wrong = studio, model, wrong
        self.typed: dict[str, str] = {}
        self.one: Any = None
        self.several: Any = None

    def ask(self, feature: Any) -> None:
        """The field of one column: a list where its values are known, else a line."""
        self.typed[feature.name] = ""

        def take(value: str) -> None:
            self.typed[feature.name] = value.strip()

        known = list(feature.categories.names) if feature.categories else []
        if known and len(known) <= MOST_CHOICES:

            def chosen(value: str) -> None:
                self.typed[feature.name] = known[int(value)] if value.isdigit() else ""

            choice(
                feature.name,
                {"": tr("not known"), **{str(at): one for at, one in enumerate(known)}},
                "",
                chosen,
            )
        else:
            hint = tr("a date, as in 2026-03-31") if feature.kind == "date" else ""
            field(feature.name, hint=hint, change=take)

    async def answer(self) -> None:
        """Answer for what was typed. Raises SourceError."""
        typed = dict(self.typed)
        told, notes = await alone(self._answered, typed)
        self.one.clear()
        with self.one, box("div", "vz-card vz-stack"):
            for note in notes:
                words("p", note, "vz-soft")
            if "reason" in told:
                words("p", told["reason"], "vz-said")
                return
            words("p", _said(told), "vz-said")
            if "top" in told:
                bars(told["top"])
            elif told["low"] is not None:
                low, high = plain_number(told["low"]), plain_number(told["high"])
                words("p", tr("(80 %: {low} to {high})", low=low, high=high), "vz-soft")
            if told.get("unknown"):
                names = ", ".join(told["unknown"])
                words("p", tr("never seen in training: {columns}", columns=names), "vz-soft")
            if hasattr(self.model, "explain"):
                self._offer(typed)

    def _answered(self, typed: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
        """The answer, and what was noticed: taken at once, as another page's question clears the notes."""
        (told,) = self.model.predict([typed])
        return told, list(self.model.notes)

    def _offer(self, typed: dict[str, str]) -> None:
        """The way to what each column added; it takes as long as a few thousand answers."""

        async def why() -> None:
            place.clear()
            with place:
                waiting = words("p", tr("One moment ..."))
                added = await alone(self.model.explain, typed)
                waiting.delete()
                self._show_added(added)

        button(tr("Where does the answer come from?"), guarded(why, self.wrong))
        place = box("div", "", aria_live="polite")

    def _show_added(self, added: dict[str, Any]) -> None:
        figure = percent if "class" in added else plain_number
        shown = [
            [
                one["name"],
                one["value"],
                ("+" if one["contribution"] >= 0 else "−") + figure(abs(one["contribution"])),
            ]
            for one in added["columns"]
        ]
        words("p", tr("the usual answer: {base}", base=figure(added["base"])))
        headings = [tr("column"), tr("value"), tr("what it adds")]
        table(tr("What each column adds to the usual answer"), headings, shown, numbers=(2,))

    async def given(self, files: list[Given]) -> None:
        """Answer for the rows of a file."""
        with reported(self.wrong):
            for one in files[:1]:
                source = await kept(self.studio, one)
                written = source.with_name("answers.csv")
                told = await alone(self._write, source, written)
                self.several.clear()
                with self.several:
                    self._show_file(one.name, told, written)

    def _write(self, source: Path, written: Path) -> dict[str, Any]:
        first: list[dict[str, Any]] = []

        def seen() -> Any:
            for one in self.model.predict([source]):
                if len(first) < SHOWN:
                    first.append(one)
                yield {**one, "file": source.name}

        told = answers.write(seen(), written, columns=self.model.columns, pictures={})
        return {**told, "first": first, "notes": list(self.model.notes)}

    def _show_file(self, name: str, told: dict[str, Any], written: Path) -> None:
        words("p", tr("{n} answers for {file}", n=number(told["count"]), file=name))
        shown = [[str(one["row"]), one.get("reason") or _said(one)] for one in told["first"]]
        table(tr("The first answers"), [tr("row"), tr("answer")], shown)
        for note in told["notes"]:
            words("p", note, "vz-soft")
        button(
            tr("Download all answers as CSV"),
            lambda: ui.download.file(written, "answers.csv"),
            kind="primary",
        )


def _said(told: dict[str, Any]) -> str:
    if "class" in told:
        return f"{told['class']} {percent(told['probability'])}"
    return plain_number(told["value"])
