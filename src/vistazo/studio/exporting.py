"""The panel of ways out: an ONNX file with its proof, downloads, and a service on this computer."""

from pathlib import Path
from typing import Any

from nicegui import ui

from vistazo.engine.reports import number, percent
from vistazo.engine.runs import MODEL, read_json
from vistazo.errors import RunError
from vistazo.language import mark, tr
from vistazo.studio import services, working
from vistazo.studio.parts import Message, box, button, choice, guarded, in_thread, words
from vistazo.studio.pieces import decimal, facts, panel
from vistazo.studio.state import Studio

__all__ = ["exporting"]

EVERY = 1.0  # seconds between two looks at an export
_PRECISIONS = {
    "fp32": mark("as it is (fp32)"),
    "fp16": mark("half the size (fp16)"),
    "int8": mark("smallest and fastest on processors (int8)"),
}


def exporting(studio: Studio, run: Path) -> None:
    """Draw the panel of a finished run into the current container."""
    with panel("vz-exporting"):
        _download(run)
        _Export(studio, run).draw()
        _Served(run).draw()


def _download(run: Path) -> None:
    words("h2", tr("The model"))
    file = run / MODEL
    message = Message(alert=True)

    def download() -> None:
        if not file.exists():
            raise RunError(tr("{folder} has no finished model yet.", folder=run.name))
        ui.download.file(file, f"{run.name}.vistazo")

    words(
        "p",
        tr("One file with all that it takes to answer. It runs wherever Vistazo is installed."),
        "vz-soft",
    )
    with box("div", "row"):
        button(tr("Download the model"), guarded(download, message))
        if file.exists():
            words("span", _megabytes(file), "vz-soft")


def _megabytes(file: Path) -> str:
    return tr("{n} MB", n=number(file.stat().st_size / 1e6, 2))


class _Export:
    """The export to ONNX in another process, and what proves it."""

    def __init__(self, studio: Studio, run: Path) -> None:
        self.run, self.precision = run, "fp32"
        self.folder = studio.own / "exports" / run.name

    def draw(self) -> None:
        """The choice, the button, and what the last export of that kind gave."""
        words("h2", tr("A file for other programs (ONNX)"))
        words(
            "p",
            tr(
                "It holds the preparation of the input too. Before it is kept, it answers the test part beside the "
                "model; where the answers are not alike, there is no file."
            ),
            "vz-soft",
        )
        self.wrong = Message(alert=True)
        options = {one: _said(one) for one in _PRECISIONS}
        pictures = read_json(self.run / "config.json").get("task") == "classification"
        if pictures:  # others are exported as they are
            choice(tr("Precision"), options, self.precision, self._choose)
        with box("div", "row"):
            button(tr("Export"), guarded(self._begin, self.wrong), kind="primary")
        self.told = Message()
        self.shown = box("div", "vz-stack", aria_live="polite")
        self.timer = ui.timer(EVERY, self._look, active=False)
        self._look()

    @property
    def place(self) -> Path:
        """The folder of the job."""
        return self.folder / self.precision

    @property
    def file(self) -> Path:
        """The file that it writes."""
        return self.place / f"{self.run.name}-{self.precision}.onnx"

    def _choose(self, precision: str) -> None:
        self.precision = precision if precision in _PRECISIONS else "fp32"
        self.wrong.say("")
        self._look()

    def _begin(self) -> None:
        job = working.job_of(self.place)
        if job is None or not job.runs:
            self.shown.clear()
            asked = ["export", str(self.run), "--out", str(self.file), "--precision", self.precision]
            self.file.unlink(missing_ok=True)
            working.start(self.place, asked)
        self._look()

    def _look(self) -> None:
        job = working.job_of(self.place)
        self.timer.active = job is not None and job.runs
        self.shown.clear()
        if job is None:
            self.told.say("")
        elif job.runs:
            self.told.say(tr("The file is being made and proven ..."))
        elif job.error:
            self.told.say("")
            self.wrong.say(job.error, wrong=True)
        elif self.file.exists():
            self.told.say(tr("The file is made, and its answers are those of the model."))
            with self.shown:
                _proof(job.told)
                with box("div", "row"):
                    button(tr("Download the file"), lambda file=self.file: ui.download.file(file))
                    words("span", _megabytes(self.file), "vz-soft")


def _said(precision: str) -> str:
    text = _PRECISIONS[precision]
    return tr(text)


def _proof(told: dict[str, Any]) -> None:
    """What the export told of itself; a figure that it does not have is left out."""
    pairs = []
    if told.get("examples"):
        pairs.append((tr("compared on"), tr("{n} examples", n=number(told["examples"]))))
    if isinstance(told.get("agreement"), float | int):
        pairs.append((tr("same answer"), percent(told["agreement"], 2)))
    if isinstance(told.get("largest_difference"), float | int):
        pairs.append((tr("largest difference"), decimal(f"{told['largest_difference']:.2g}")))
    accuracy: Any = told.get("accuracy")
    if isinstance(accuracy, dict):
        names = {"model": tr("accuracy of the model"), "exported": tr("accuracy of the file")}
        pairs += [
            (name, percent(accuracy[key], 2))
            for key, name in names.items()
            if isinstance(accuracy.get(key), float)
        ]
    facts(pairs)


class _Served:
    """The service of the model: started, stopped, its address and a line to try it."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def draw(self) -> None:
        """The buttons and what the service says of itself."""
        words("h2", tr("A service for other programs"))
        words(
            "p",
            tr("It answers over HTTP on this computer alone, until you stop it or the studio ends."),
            "vz-soft",
        )
        self.wrong, self.told = Message(alert=True), Message()
        self.shown = box("div", "vz-stack")
        with box("div", "row"):
            self.start = button(tr("Start the service"), guarded(self._start, self.wrong), kind="primary")
            self.stop = button(tr("Stop the service"), guarded(self._stop, self.wrong))
        self._show()

    async def _start(self) -> None:
        self.start.props["disabled"] = True
        self.told.say(tr("The service is starting ..."))
        try:
            await in_thread(services.start, self.run, self.run / MODEL)
            self.told.say(tr("The service is running."))
        except RunError:
            self.told.say("")
            raise
        finally:
            self.start.props.pop("disabled", None)
            self._show()

    async def _stop(self) -> None:
        await in_thread(services.stop, self.run)
        self.told.say(tr("The service has been stopped."))
        self._show()

    def _show(self) -> None:
        found = services.running(self.run)
        self.start.set_visibility(found is None)
        self.stop.set_visibility(found is not None)
        self.shown.clear()
        if found is None:
            return
        with self.shown:
            facts([(tr("address"), found.address)])
            words("p", tr("To ask it from a terminal:"))
            words("pre", found.curl, "vz-mono").props["tabindex"] = "0"
            with box("div", "row"):
                button(tr("Copy the line"), lambda: self._copy(found.curl))

    def _copy(self, line: str) -> None:
        ui.clipboard.write(line)
        self.told.say(tr("Copied."))
