"""The panel where a model is tried: pictures that are dropped, a drawing, the webcam."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nicegui import ui
from nicegui.element import Element
from numpy.typing import NDArray

from vistazo.engine.reports import number
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.stores import reason_of
from vistazo.studio import answers
from vistazo.studio.dropping import Dropping, Given
from vistazo.studio.instruments import Paper, Webcam, frame_of
from vistazo.studio.parts import Message, box, button, in_thread, reported, words
from vistazo.studio.pieces import alone, facts, hash_of, panel, tick
from vistazo.studio.sketches import Manner, manner_of, sketch
from vistazo.studio.state import Studio
from vistazo.studio.tables import tables

__all__ = ["trying"]

Pixels = NDArray[np.uint8]
TOP = 5  # classes an answer names
MOST_FILES, MOST_BYTES = 100, 200 << 20  # of one drop
KEPT = 50  # answers that stay on the page
PICTURES = "image/*,.jpg,.jpeg,.png,.gif,.bmp,.webp,.tif,.tiff,.heic,.avif,.ppm,.pgm"


def trying(studio: Studio, run: Path) -> None:
    """Draw the panel for a run's model into the current container; the model is opened while the page stands."""
    with panel("vz-trying") as place:
        wrong, told = Message(alert=True), Message()
        told.say(tr("The model is being opened ..."))

        async def opened() -> None:
            with reported(wrong), place:
                model = await alone(studio.model, run)
                if model.task != "classification":
                    told.say("")
                    await tables(studio, run, model, wrong)
                    return
                manner = await alone(manner_of, model, run)
                digest = await in_thread(hash_of, run)
                trial = _Trial(model, wrong, told)
                trial.files()
                with box("div", "vz-columns"):
                    _Drawn(trial, manner).draw()
                    _Seen(trial).draw()
                _about(model, digest)
                told.say(tr("The model is ready."))

        ui.timer(0.05, opened, once=True)


def _about(model: Any, digest: str) -> None:
    box("hr")
    height, width, channels = model.size
    size = {"width": width, "height": height}
    given = (
        tr("{width} × {height} pixels in colour", **size)
        if channels == 3
        else tr("{width} × {height} pixels in grey", **size)
    )
    names = ", ".join(model.classes[:12]) + (" ..." if len(model.classes) > 12 else "")
    facts(
        [(tr("what it tells apart"), names), (tr("what it is given"), given), (tr("model (SHA-256)"), digest)]
    )


class _Trial:
    """A model on a page: how it answers, and where what goes wrong is told."""

    def __init__(self, model: Any, wrong: Message, told: Message) -> None:
        self.model, self.wrong, self.told = model, wrong, told

    def files(self) -> None:
        """The place for files, and under it the answers to them, the latest first."""
        words("h2", tr("Pictures"))
        Dropping(
            tr("Choose pictures, or drop them here"),
            hint=tr("JPEG, PNG, WebP and others, up to {n} at once", n=MOST_FILES),
            accept=PICTURES,
            on_files=self.given,
            on_refused=lambda sentence: self.wrong.say(sentence, wrong=True),
            most_files=MOST_FILES,
            most_bytes=MOST_BYTES,
        )
        self.shown = box("div", "vz-files vz-columns")

    async def given(self, files: list[Given]) -> None:
        """Answer files that came."""
        with reported(self.wrong):
            read = await alone(self.read, files)
            good = [(name, one) for name, one in read if not isinstance(one, str)]
            told = await alone(self.answer, np.stack([one for _, one in good])) if good else []
            with self.shown:
                for (name, pixels), answer in zip(good, told, strict=True):
                    self.card(name, pixels, answer).move(self.shown, 0)
            for card in [*self.shown][KEPT:]:
                card.delete()
            if len(told) == 1:
                self.told.say(f"{good[0][0]}: {answers.said(told[0])}")
            elif told:
                self.told.say(tr("{n} pictures answered.", n=number(len(told))))
            bad = [f"{name}: {one}" for name, one in read if isinstance(one, str)]
            more = [tr("... and {n} more", n=len(bad) - 3)] if len(bad) > 3 else []
            self.wrong.say("; ".join([*bad[:3], *more]), wrong=True)

    def read(self, files: list[Given]) -> list[tuple[str, Pixels | str]]:
        """Each file as the model is given it, or why it cannot be read."""
        return [(one.name, self._decoded(one.data)) for one in files]

    def _decoded(self, data: bytes) -> Pixels | str:
        height, width, channels = self.model.size
        ground = self.model.background
        try:
            return decoding.decode(data, height=height, width=width, channels=channels, background=ground)
        except (decoding.UndecodablePicture, OSError, MemoryError) as error:
            return reason_of(error)

    def answer(self, pixels_NHWC: Pixels) -> list[dict[str, Any]]:
        """Answers to pictures at the model's size."""
        return list(self.model.predict(pixels_NHWC, top=TOP))

    def card(self, name: str, pixels: Pixels, answer: dict[str, Any], *, passing: bool = False) -> Element:
        """An answer with the way to its heat map; not one that is about to be replaced."""
        with box("div", "vz-stack") as card:

            async def why() -> None:
                with reported(self.wrong), place:
                    place.clear()
                    waiting = words("p", tr("The heat map is being drawn ..."))
                    maps = await alone(answers.maps_of, self.model, pixels)
                    waiting.delete()
                    answers.heat_map(maps)

            explains = hasattr(self.model, "explain") and not passing
            answers.show_answer(name, pixels, answer, why=why if explains else None)
            place = box("div", "", aria_live="polite")
        return card


class _Drawn:
    """Paper, and the answer to what is drawn on it."""

    def __init__(self, trial: _Trial, manner: Manner) -> None:
        self.trial, self.manner = trial, manner
        self.strokes: list[Any] = []

    def draw(self) -> None:
        """The paper, its buttons, and the place for the answer."""
        with box("section", "vz-stack vz-draw"):
            words("h2", tr("Draw"))
            self.explained = words("p", self.manner.sentence(), "vz-soft")
            name = tr("Paper to draw on with mouse, finger or pen; with the keyboard, choose a picture above")
            self.paper = Paper(name, light=self.manner.light, width=self.manner.width)
            self.paper.on("drawn", self._drawn)
            with box("div", "row"):
                button(tr("Undo"), self.paper.undo)
                button(tr("Clear"), self.paper.wipe)
            tick(tr("Light lines on a dark ground"), self.manner.light, self._turn)
            self.place = box("div")

    async def _turn(self, light: bool) -> None:
        self.manner = replace(self.manner, light=light)
        self.paper.turn(light=light)
        self.explained.text = self.manner.sentence()
        await self._tell()

    async def _drawn(self, event: Any) -> None:
        told = event.args.get("strokes") if isinstance(event.args, dict) else None
        self.strokes = told if isinstance(told, list) else []
        await self._tell()

    async def _tell(self) -> None:
        trial, strokes = self.trial, self.strokes
        if not strokes:
            self.place.clear()
            trial.told.say("")
            return
        with reported(trial.wrong):
            pixels = await alone(sketch, strokes, self.manner, trial.model.size)
            (answer,) = await alone(trial.answer, pixels[None])
            if strokes is not self.strokes:
                return  # a later stroke is on its way
            self.place.clear()
            name = tr("your drawing")
            with self.place:
                trial.card(name, pixels, answer)
            trial.told.say(f"{name}: {answers.said(answer)}")


class _Seen:
    """The webcam, and the answer to what it sees."""

    def __init__(self, trial: _Trial) -> None:
        self.trial, self.last = trial, ""

    def draw(self) -> None:
        """The picture of the camera, its buttons, and the place for the answer."""
        with box("section", "vz-stack vz-webcam"):
            words("h2", tr("Webcam"))
            words(
                "p",
                tr(
                    "The camera starts when you click and stops when you leave this tab. Its pictures go from the "
                    "browser to Vistazo alone, and none is kept."
                ),
                "vz-soft",
            )
            self.camera = Webcam(tr("What the webcam sees"))
            self.camera.on("started", lambda: self._state(on=True), args=[])
            self.camera.on("stopped", lambda: self._state(on=False), args=[])
            self.camera.on("refused", self._refused)
            self.camera.on("frame", self._frame)
            with box("div", "row"):
                self.start = button(tr("Start the webcam"), self._begin)
                self.one = button(tr("Answer now"), self.camera.take, kind="primary")
                self.stop = button(tr("Stop the webcam"), self.camera.stop)
            with box("div") as self.series:
                self.ticked = tick(tr("Answer all the time"), False, self.camera.series)
            self.place = box("div")
            self._state(on=False)

    def _begin(self) -> None:
        self.camera.set_visibility(True)  # before it starts: a video that nobody sees is stopped
        self.camera.start()

    def _state(self, *, on: bool) -> None:
        self.start.set_visibility(not on)
        for one in (self.camera, self.one, self.stop, self.series):
            one.set_visibility(on)
        if on:
            self.trial.told.say(tr("The webcam is on."))
        else:
            self.ticked.props["checked"] = False

    def _refused(self, event: Any) -> None:
        reason = str((event.args or {}).get("reason"))
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
        self._state(on=False)
        self.trial.wrong.say(sentence, wrong=True)

    async def _frame(self, event: Any) -> None:
        trial, args = self.trial, event.args if isinstance(event.args, dict) else {}
        name = tr("the webcam's picture")
        with reported(trial.wrong):
            ((_, read),) = await alone(trial.read, [Given(name, frame_of(args.get("jpeg")))])
            if isinstance(read, str):
                trial.wrong.say(f"{name}: {read}", wrong=True)
            else:
                (answer,) = await alone(trial.answer, read[None])
                self.place.clear()
                with self.place:
                    trial.card(name, read, answer, passing=bool(args.get("series")))
                if answer["class"] != self.last or not args.get("series"):  # else it would never fall silent
                    self.last = answer["class"]
                    trial.told.say(f"{name}: {answers.said(answer)}")
        self.camera.answered()
