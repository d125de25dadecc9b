"""The page of a run: how it learns, what it can be asked to do, and then its results."""

from pathlib import Path
from typing import Any

from nicegui import ui

from vistazo.engine import history
from vistazo.engine.progress import duration
from vistazo.engine.reports import Curves, number, to_svg
from vistazo.errors import VistazoError
from vistazo.language import tr
from vistazo.studio import working
from vistazo.studio.pages import results
from vistazo.studio.parts import Message, Words, box, button, frame, guarded, link, words
from vistazo.studio.state import RunState, Studio, job_folder, state_of

__all__ = ["add"]

OFTEN = 0.8  # seconds between two looks at a run that works
RECENT = 5  # epochs whose time tells how long the others take


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/run/{name}", response_timeout=30)
    def page(name: str, tab: str = "") -> None:
        try:
            run = studio.run(name)
        except VistazoError as error:
            with frame(studio, tr("My models")):
                Message(alert=True).say(str(error), wrong=True)
                link(tr("All my models"), "/", kind="primary")
            return
        state = state_of(run)
        with frame(studio, run.name, crumb=tr("Step 4 of 4") if state.state != "finished" else tr("Model")):
            if state.state == "finished":
                results.draw(studio, run, tab)
            else:
                _Watching(run, state).draw()


class _Watching:
    """A run that works, or that stands still. It is another process; this page only looks and asks."""

    def __init__(self, run: Path, state: RunState) -> None:
        self.run, self.state = run, state
        self.epochs = -1
        self.buttons: dict[str, Words] = {}

    def draw(self) -> None:
        self.message = Message(alert=True)
        self.told = words("p", "", "big")
        self.told.props["role"] = "status"
        self.bar = box("progress", "", max="1", aria_label=tr("How far it has got"))
        self.said = words("p", "", "soft")
        with box("div", "row"):
            for name, text, kind, act in (
                ("pause", tr("Pause"), "plain", self._pause),
                ("continue", tr("Go on"), "primary", self._continue),
                ("stop", tr("Stop"), "danger", self._stop),
            ):
                self.buttons[name] = button(text, guarded(act, self.message), kind=kind)
        with box("p"):
            self.elsewhere = link(tr("All my models"), "/")
        self.hint = words(
            "p", tr("You may close this page: it goes on learning, and this page finds it again."), "hint"
        )
        self.curves = box("div", "curves")
        self._show(self.state)
        ui.timer(OFTEN, self._look)

    def _look(self) -> None:
        state = state_of(self.run)
        if state.state == "finished":
            ui.navigate.reload()
        else:
            self._show(state)

    def _show(self, state: RunState) -> None:
        lines = history.read(self.run / "history.jsonl")
        self.told.text = self._sentence(state, lines)
        done = _share(state, lines)
        if done is None:
            self.bar.props.pop("value", None)
        else:
            self.bar.props["value"] = f"{done:.3f}"
        self.bar.set_visibility(state.works)
        self.bar.update()
        self.hint.set_visibility(state.works)
        job = working.job_of(job_folder(self.run))
        self.said.text = job.said if job is not None and job.runs and not lines else ""
        asked = state.state in ("reading", "training")  # a run that begins forgets what it was asked before
        self.buttons["pause"].set_visibility(asked)
        # A run that failed goes on too: the disk has room again, the pictures are back in their place.
        goes_on = state.state in ("paused", "stopped", "interrupted", "failed")
        self.buttons["continue"].set_visibility(goes_on)
        self.buttons["stop"].set_visibility(asked or state.state == "paused")
        if state.state == "failed":
            self.message.say(str(state.told.get("reason") or tr("It ended without a word.")), wrong=True)
        self.elsewhere.set_visibility(state.state == "failed")
        if len(lines) != self.epochs:
            self.epochs = len(lines)
            self._draw_curves(lines)

    def _sentence(self, state: RunState, lines: list[dict[str, Any]]) -> str:
        epochs = state.told.get("epochs")
        if state.state in ("training", "paused", "stopped", "interrupted") and isinstance(epochs, int):
            told = tr(
                "{state}: epoch {n} of {all}.",
                state=state.words,
                n=min(len(lines) + 1, epochs),
                all=epochs,
            )
            left = _left(self.run, state, lines)
            return told + (" " + tr("About {time} left.", time=duration(left)) if left else "")
        return state.words

    def _draw_curves(self, lines: list[dict[str, Any]]) -> None:
        self.curves.clear()
        if not lines:
            return
        with self.curves:
            for metric, title, words_of in (
                ("accuracy", tr("Right answers"), {"train": tr("train"), "validation": tr("validation")}),
                ("loss", tr("Loss: how wrong it is"), {"train": tr("train"), "validation": tr("validation")}),
            ):
                drawn = history.curves(lines, metric)
                if drawn:
                    _curve(title, drawn, words_of)

    def _pause(self) -> None:
        working.ask(self.run, "pause")

    def _stop(self) -> None:
        working.ask(self.run, "stop")

    def _continue(self) -> None:
        working.ask(self.run, "")
        if not state_of(self.run).works:
            working.start(job_folder(self.run), ["resume", str(self.run), "--no-open"])


def _curve(title: str, lines: dict[str, list[tuple[float, float]]], names: dict[str, str]) -> None:
    """One drawing, with its last values in words for those who do not see it."""
    xs = sorted({x for line in lines.values() for x, _ in line})
    series = {names[part]: [dict(line).get(x) for x in xs] for part, line in lines.items()}
    told = "; ".join(f"{names[part]} {number(line[-1][1], 4)}" for part, line in lines.items())
    with box("figure"):
        words("figcaption", f"{title} ({told})")
        if len(xs) > 1:
            drawing = to_svg(Curves(xs, series, tr("epoch"), ""))
            ui.html(drawing, sanitize=False).props["aria-hidden"] = "true"  # the caption tells it


def _share(state: RunState, lines: list[dict[str, Any]]) -> float | None:
    """How much of the epochs is done, 0 to 1; None where nobody knows."""
    epochs = state.told.get("epochs")
    if state.state == "measuring":
        return None
    return min(1.0, len(lines) / epochs) if isinstance(epochs, int) and epochs else None


def _left(run: Path, state: RunState, lines: list[dict[str, Any]]) -> float:
    """Seconds that the epochs to come take, by those before; 0 where nobody knows."""
    times = [one.get("seconds") for one in history.read(run / "times.jsonl")[-RECENT:]]
    known = [one for one in times if isinstance(one, (int, float))]
    if state.state != "training" or not known:
        return 0.0
    return float(max(0, state.told["epochs"] - len(lines))) * sum(known) / len(known)
