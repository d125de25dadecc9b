"""The panel where a model is tried: pictures that are dropped, a drawing, the webcam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from vistazo.language import speaking, tr
from vistazo.pictures import decoding
from vistazo.pictures.stores import reason_of
from vistazo.studio import answers
from vistazo.studio.dropping import Dropping, Given
from vistazo.studio.handling import Problem, Tidings, aside, facts, handled, hash_of, styled
from vistazo.studio.instruments import Paper, Webcam, frame_of
from vistazo.studio.sketches import Manner, manner_of, sketch

if TYPE_CHECKING:
    from vistazo.studio.state import Studio

__all__ = ["trying"]

Pixels = NDArray[np.uint8]
TOP = 5  # classes an answer names
MOST_FILES, MOST_BYTES = 100, 200 << 20  # of one drop
KEPT = 50  # answers that stay on the page
PICTURES = "image/*,.jpg,.jpeg,.png,.gif,.bmp,.webp,.tif,.tiff,.heic,.avif,.ppm,.pgm"


def trying(studio: Studio, run: Path) -> None:
    """Draw the panel for a run's model into the current container; the model is loaded while the page stands."""
    styled()
    with speaking(studio.language), ui.element("div").classes("vz-panel") as panel:
        problem = Problem()
        tidings = Tidings(tr("The model is being opened ..."))

    async def open_model() -> None:
        with handled(studio, problem), panel:
            model = await aside(studio, studio.model, run)
            if model.task != "classification":
                from vistazo.studio.tables import tables

                tidings.set_text("")
                tables(studio, run)
                return
            manner = await aside(studio, manner_of, model, run)
            digest = await aside(studio, hash_of, model)
            tidings.set_text(tr("The model is ready."))
            trial = _Trial(studio, model, problem, tidings)
            trial.files()
            with ui.element("div").classes("vz-columns"):
                _Drawn(trial, manner).draw()
                _Seen(trial).draw()
            _about(model, digest)

    with panel:
        ui.timer(0.05, open_model, once=True)


def _about(model: Any, digest: str) -> None:
    ui.element("hr")
    height, width, channels = model.size
    colour = tr("in colour") if channels == 3 else tr("in grey")
    facts(
        [
            (tr("classes"), ", ".join(model.classes[:12]) + (" ..." if len(model.classes) > 12 else "")),
            (tr("what it is given"), tr("{width} × {height} pixels, {colour}", width=width, height=height, colour=colour)),
            (tr("model (SHA-256)"), digest),
        ]
    )  # fmt: skip


class _Trial:
    """A model on a page: how it answers, and where what goes wrong is told."""

    def __init__(self, studio: Studio, model: Any, problem: Problem, tidings: Tidings) -> None:
        self.studio, self.model, self.problem, self.tidings = studio, model, problem, tidings

    # ------------------------------------------------------------ files
    def files(self) -> None:
        """The place for files, and under it the answers to them, the latest first."""
        ui.label(tr("Pictures")).props("role=heading aria-level=2").classes("vz-title")
        Dropping(
            tr("Choose pictures, or drop them here"),
            hint=tr("JPEG, PNG, WebP and others, up to {n} at once", n=MOST_FILES),
            accept=PICTURES,
            on_files=self.given,
            on_refused=self.problem.say,
            most_files=MOST_FILES,
            most_bytes=MOST_BYTES,
        )
        self.shown = ui.element("div").classes("vz-stack")

    async def given(self, files: list[Given]) -> None:
        """Answer files that came."""
        with handled(self.studio, self.problem):
            read = await aside(self.studio, self.read, files)
            good = [(name, one) for name, one in read if not isinstance(one, str)]
            told = await aside(self.studio, self.answer, np.stack([one for _, one in good])) if good else []
            for (name, pixels), answer in zip(good, told, strict=True):
                with self.shown:
                    self.card(name, pixels, answer).move(self.shown, 0)
            for card in [*self.shown][KEPT:]:
                card.delete()
            self.tidings.set_text(self._told([name for name, _ in good], told))
            bad = [f"{name}: {one}" for name, one in read if isinstance(one, str)]
            more = tr("... and {n} more", n=len(bad) - 3) if len(bad) > 3 else ""
            self.problem.say("; ".join([*bad[:3], *filter(None, [more])]))

    def _told(self, names: list[str], told: list[dict[str, Any]]) -> str:
        if len(told) == 1:
            return f"{names[0]}: {answers.said(told[0])}"
        return tr("{n} pictures answered.", n=len(told)) if told else ""

    def read(self, files: list[Given]) -> list[tuple[str, Pixels | str]]:
        """Each file as the model is given it, or why it cannot be read."""
        height, width, channels = self.model.size
        found: list[tuple[str, Pixels | str]] = []
        for one in files:
            try:
                found.append(
                    (
                        one.name,
                        decoding.decode(
                            one.data,
                            height=height,
                            width=width,
                            channels=channels,
                            background=self.model.background,
                        ),
                    )
                )
            except Exception as error:  # whatever a decoder trips over is that file's fault alone
                found.append((one.name, reason_of(error)))
        return found

    def answer(self, pixels_NHWC: Pixels) -> list[dict[str, Any]]:
        """Answers to pictures at the model's size."""
        return list(self.model.predict(pixels_NHWC, top=TOP))

    def card(self, name: str, pixels: Pixels, answer: dict[str, Any]) -> ui.element:
        """An answer with the way to its heat map."""
        with ui.element("div").classes("vz-stack") as card:

            async def why() -> None:
                place.clear()
                with handled(self.studio, self.problem), place:
                    waiting = Tidings(tr("The heat map is being drawn ..."))
                    maps = await aside(self.studio, answers.maps_of, self.model, pixels)
                    waiting.delete()
                    answers.heat_map(maps)

            answers.show_answer(name, pixels, answer, why=why if hasattr(self.model, "explain") else None)
            place = ui.element("div").props("aria-live=polite")
        return card


class _Drawn:
    """Paper, and the answer to what is drawn on it."""

    def __init__(self, trial: _Trial, manner: Manner) -> None:
        self.trial, self.manner = trial, manner
        self.strokes: list[Any] = []

    def draw(self) -> None:
        """The paper, its buttons, and the place for the answer."""
        with ui.element("section").classes("vz-stack"):
            ui.label(tr("Draw")).props("role=heading aria-level=2").classes("vz-title")
            self.explained = ui.label(self.manner.sentence()).classes("vz-soft")
            words = tr("Paper to draw on with mouse, finger or pen; with the keyboard, choose a picture above")
            self.paper = Paper(words, light=self.manner.light, width=self.manner.width)
            self.paper.on("drawn", self._drawn)
            with ui.element("div").classes("vz-row"):
                ui.button(tr("Undo"), icon="undo", on_click=self.paper.undo).props("outline no-caps")
                ui.button(tr("Clear"), icon="delete", on_click=self.paper.clear).props("outline no-caps")
            ui.switch(
                tr("Light lines on a dark ground"), value=self.manner.light, on_change=self._turn
            )
            self.place = ui.element("div")

    async def _turn(self, event: Any) -> None:
        self.manner = replace(self.manner, light=bool(event.value))
        self.paper.turn(light=self.manner.light)
        with speaking(self.trial.studio.language):
            self.explained.set_text(self.manner.sentence())
        await self._tell()

    async def _drawn(self, event: Any) -> None:
        told = event.args.get("strokes") if isinstance(event.args, dict) else None
        self.strokes = told if isinstance(told, list) else []
        await self._tell()

    async def _tell(self) -> None:
        trial, strokes = self.trial, self.strokes
        if not strokes:
            self.place.clear()
            trial.tidings.set_text("")
            return
        with handled(trial.studio, trial.problem):
            pixels = await aside(trial.studio, sketch, strokes, self.manner, trial.model.size)
            (answer,) = await aside(trial.studio, trial.answer, pixels[None])
            if strokes is not self.strokes:
                return  # a later stroke is on its way
            self.place.clear()
            with self.place:
                trial.card(tr("your drawing"), pixels, answer)
            trial.tidings.set_text(tr("your drawing") + f": {answers.said(answer)}")


class _Seen:
    """The webcam, and the answer to what it sees."""

    def __init__(self, trial: _Trial) -> None:
        self.trial, self.last = trial, ""

    def draw(self) -> None:
        """The picture of the camera, its buttons, and the place for the answer."""
        with ui.element("section").classes("vz-stack"):
            ui.label(tr("Webcam")).props("role=heading aria-level=2").classes("vz-title")
            ui.label(
                tr(
                    "The camera starts when you click, and stops when you leave this tab. Its pictures go from the "
                    "browser to Vistazo alone, and none is kept."
                )
            ).classes("vz-soft")
            self.camera = Webcam(tr("What the webcam sees"))
            self.camera.on("started", lambda: self._state(on=True))
            self.camera.on("stopped", lambda: self._state(on=False))
            self.camera.on("refused", self._refused)
            self.camera.on("frame", self._frame)
            with ui.element("div").classes("vz-row"):
                self.start = ui.button(tr("Start the webcam"), icon="videocam", on_click=self.camera.start)
                self.stop = ui.button(tr("Stop"), icon="videocam_off", on_click=self.camera.stop)
                self.one = ui.button(tr("Answer now"), icon="photo_camera", on_click=self.camera.take)
                for button in (self.start, self.stop, self.one):
                    button.props("outline no-caps")
            self.series = ui.switch(
                tr("Answer all the time"), on_change=lambda event: self.camera.series(bool(event.value))
            )
            self.place = ui.element("div")
            self._state(on=False)

    def _state(self, *, on: bool) -> None:
        self.start.set_visibility(not on)
        for one in (self.stop, self.one, self.series, self.camera):
            one.set_visibility(on or one is self.camera)
        if not on and self.series.value:
            self.series.set_value(False)

    def _refused(self, event: Any) -> None:
        reason = str((event.args or {}).get("reason"))
        with speaking(self.trial.studio.language):
            if reason == "insecure":
                sentence = tr(
                    "A browser lends its camera only to pages of this computer or with https: open the studio "
                    "at http://localhost."
                )
            elif reason == "NotAllowedError":
                sentence = tr("The browser was not allowed to use the camera; allow it in its address bar.")
            elif reason == "NotFoundError":
                sentence = tr("No camera was found. Plug one in, or choose a picture.")
            else:
                sentence = tr("The camera cannot be used; perhaps another program holds it.")
            self.trial.problem.say(sentence)

    async def _frame(self, event: Any) -> None:
        trial, args = self.trial, event.args if isinstance(event.args, dict) else {}
        with handled(trial.studio, trial.problem):
            (read,) = await aside(trial.studio, trial.read, [Given("", frame_of(args.get("jpeg")))])
            name = tr("the webcam's picture")
            if isinstance(read[1], str):
                trial.problem.say(f"{name}: {read[1]}")
            else:
                (answer,) = await aside(trial.studio, trial.answer, read[1][None])
                self.place.clear()
                with self.place:
                    trial.card(name, read[1], answer)
                if answer["class"] != self.last or not args.get("series"):  # else it would never fall silent
                    self.last = answer["class"]
                    trial.tidings.set_text(f"{name}: {answers.said(answer)}")
        self.camera.answered()
