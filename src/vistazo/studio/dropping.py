"""A place on a page where files are dropped or chosen, by mouse, finger or keyboard."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from nicegui import app, background_tasks
from nicegui.element import Element
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse

from vistazo.language import tr

__all__ = ["Dropping", "Given"]


@dataclass(frozen=True)
class Given:
    """One file as it came. name: the last part of what it is called; data: its bytes."""

    name: str
    data: bytes


class Dropping(Element, component="dropping.js"):
    """Where files are dropped or chosen.

    words: what to do, also the name of the field. accept: endings, as the attribute of HTML. on_files: awaited with
    what came. on_refused: called with one sentence where it is too much, or did not arrive.
    """

    def __init__(
        self,
        words: str,
        *,
        on_files: Callable[[list[Given]], Awaitable[None]],
        on_refused: Callable[[str], None],
        accept: str = "",
        hint: str = "",
        most_files: int = 100,
        most_bytes: int = 200 << 20,
    ) -> None:
        super().__init__()
        self._on_files, self._most_files, self._most_bytes = on_files, most_files, most_bytes
        self._url = f"/_nicegui/client/{self.client.id}/dropping/{self.id}"
        self.props.update(
            url=self._url, words=words, hint=hint, accept=accept, multiple=most_files > 1,
            busy_words=tr("The files are on their way ..."), most_files=most_files, most_bytes=most_bytes,
        )  # fmt: skip
        app.post(self._url, include_in_schema=False)(self._received)
        self.on("refused", lambda event: on_refused(self._refusal(str(event.args.get("reason")))))

    def _refusal(self, reason: str) -> str:
        if reason == "many":
            return tr("At most {n} files at once; give them in parts.", n=self._most_files)
        if reason == "large":
            return tr("This is more than {most} megabytes; give less at once.", most=self._most_bytes >> 20)
        return tr("The files did not arrive whole. Give files, not folders, and try again.")

    async def _received(self, request: Request) -> JSONResponse:
        """The form, read as far as the limit: its length is what it says, or nothing is read."""
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return JSONResponse({}, 411)
        if int(length) > self._most_bytes + (1 << 20):  # what stands around the files
            return JSONResponse({}, 413)
        if self.is_ignoring_events:
            return JSONResponse({}, 403)
        async with request.form(max_files=self._most_files) as form:
            there = [one for one in form.getlist("file") if isinstance(one, UploadFile)]
            given = [Given(_plain(one.filename), await one.read()) for one in there]
        background_tasks.create(self._answered(given), name="files")
        return JSONResponse({})

    async def _answered(self, given: list[Given]) -> None:
        with self.parent_slot or self.client.content:
            await self._on_files(given)

    def _handle_delete(self) -> None:
        app.remove_route(self._url)
        super()._handle_delete()


def _plain(name: Any) -> str:
    """The last part of a name, whatever system it came from: no folder of it is ever used."""
    plain = PurePosixPath(str(name or "").replace("\\", "/")).name
    return "".join(one for one in plain if one.isprintable())[-60:]
